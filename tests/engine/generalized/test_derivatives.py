"""Gradient and Hessian of every family by every rule, against differences.

Differences are of order four with a step of a thousandth of a natural unit: their error
is 1e-12 / 30 times a fifth derivative, and rounding adds 1e-14 times the log-likelihood
of about 50 over the step, 5e-10. Gradients are of order ten. Each rule differentiates
its own sum, so that this holds for coarse rules as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from tests.engine.derivatives import differences, relative_error
from tests.engine.generalized.problems import NAMES, SLOW, Likelihood, likelihood

STEP = 1e-3
RTOL = 1e-8

RULES: dict[str, tuple[str, Any]] = {
    "adaptive, 1 node": ("single", 1),
    "adaptive, 5 nodes": ("single", 5),
    "trapezoid": ("single", "auto"),
    # Far too few nodes, on purpose.
    "truncated": ("single", ngmm.TruncatedQuadrature(radius=3.0, n_nodes=7)),
    "nested": ("nested", "auto"),
    "crossed Laplace": ("crossed", "laplace"),
}
EXACT = ("adaptive, 1 node", "adaptive, 5 nodes", "crossed Laplace")


def cases() -> list[Any]:
    """Every family by every rule, those that compile for long marked slow."""
    out = []
    for family in NAMES:
        for rule in RULES:
            marks = [pytest.mark.slow] if family in SLOW and rule in EXACT else []
            out.append(pytest.param(family, rule, id=f"{family}, {rule}", marks=marks))
    return out


def assert_derivatives(like: Likelihood) -> None:
    found = like.derivatives()
    slopes = differences(like.moved, np.zeros(len(like.psi)), STEP)
    assert relative_error(found.gradient, slopes[:, 0]) < RTOL
    assert relative_error(found.hessian, slopes[:, 1:]) < RTOL
    np.testing.assert_array_equal(found.hessian, found.hessian.T)


@pytest.mark.parametrize(("family", "rule"), cases())
def test_every_family_by_every_rule(family: str, rule: str) -> None:
    assert_derivatives(likelihood(family, *RULES[rule]))


@pytest.mark.parametrize("quad", [1, 3, "auto"])
@pytest.mark.parametrize("family", ["bernoulli", "gamma"])
def test_two_correlated_effects(family: str, quad: Any) -> None:
    assert_derivatives(likelihood(family, "double", quad))


@pytest.mark.parametrize("quad", [5, "auto"])
@pytest.mark.parametrize(
    ("family", "link"), [("poisson", "sqrt"), ("gamma", "identity")]
)
def test_links_that_need_a_positive_predictor(
    family: str, link: str, quad: Any
) -> None:
    # Identity gamma is not concave: the search for the mode and the sum weigh rows of
    # negative curvature differently.
    assert_derivatives(likelihood(family, "single", quad, link))


def test_slopes_of_the_outer_factor() -> None:
    assert_derivatives(likelihood("poisson", "nested slopes"))


@pytest.mark.parametrize(
    ("structure", "quad"),
    [("single", 5), ("single", "auto"), ("crossed", "laplace"), ("nested", "auto")],
)
def test_a_vanishing_variance_is_a_stationary_direction(
    structure: str, quad: Any
) -> None:
    like = likelihood("poisson", structure, quad)
    psi = like.psi.copy()
    psi[2] = 0.0
    found = like.derivatives(psi)
    # The likelihood is even in theta_1. Sums over symmetric nodes cancel to rounding.
    assert abs(found.gradient[2]) < 1e-11
    np.testing.assert_allclose(np.delete(found.hessian[2], 2), 0.0, atol=1e-10)
