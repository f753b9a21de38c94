"""Value, gradient and Hessian of every family by every rule.

Derivatives are compared with differences of order four with a step of a thousandth of
a natural unit: their error is 1e-12 / 30 times a fifth derivative, and rounding adds
1e-14 times the log-likelihood of about 50 over the step, 5e-10. Gradients are of order
ten. Exact and truncated rules differentiate their own sums, so that this holds for few
nodes as well. Where nodes follow the posterior mean they are held fixed under
derivatives, which then differ from those of the value by the slope of the error of the
rule.

Values are compared with brute force, which knows neither the families nor the engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from tests.engine.derivatives import differences, relative_error
from tests.engine.generalized import brute
from tests.engine.generalized.problems import (
    LONG_TAIL,
    NAMES,
    SLOW,
    Likelihood,
    likelihood,
)

STEP = 1e-3
RTOL = 1e-8
# Of nested factors, where that error is not nothing.
RTOL_NESTED = 1e-6
# Of that family whose posterior goes on beyond nodes about its mean.
RTOL_LONG_TAIL = 1e-4

RULES: dict[str, tuple[str, Any]] = {
    "adaptive, 1 node": ("single", 1),
    "adaptive, 5 nodes": ("single", 5),
    "trapezoid": ("single", "auto"),
    "truncated": ("single", ngmm.TruncatedQuadrature(radius=8.0, n_nodes=161)),
    "nested": ("nested", "auto"),
    "crossed Laplace": ("crossed", "laplace"),
}
LAPLACE = ("adaptive, 1 node", "crossed Laplace")
MOVING = ("trapezoid", "nested")
# The rest of what every family goes through is the same program for all.
QUICK = {
    "adaptive, 1 node": set(NAMES) - SLOW,
    "adaptive, 5 nodes": {"bernoulli", "gamma"},
    "trapezoid": set(NAMES) - SLOW,
    "truncated": {"bernoulli", "gamma", LONG_TAIL},
    "nested": {"gamma"},
    "crossed Laplace": {"bernoulli", "gamma"},
}


def cases(*rules: str) -> Any:
    """Every family by these rules; what compiles for long, or again, is slow."""
    values = [
        pytest.param(
            family,
            rule,
            id=f"{family}, {rule}",
            marks=[] if family in QUICK[rule] else [pytest.mark.slow],
        )
        for family in NAMES
        for rule in rules
    ]
    return pytest.mark.parametrize(("family", "rule"), values)


def reported(like: Likelihood) -> float:
    """The error that the rule knows of."""
    error = like.engine.error(like.problem.jacobian @ like.psi)
    assert error is not None
    return error


def assert_derivatives(like: Likelihood, rtol: float = RTOL) -> None:
    found = like.derivatives()
    slopes = differences(like.moved, np.zeros(len(like.psi)), STEP)
    assert relative_error(found.gradient, slopes[:, 0]) < rtol
    assert relative_error(found.hessian, slopes[:, 1:]) < rtol


@cases(*RULES)
def test_derivatives_against_differences(family: str, rule: str) -> None:
    rtol = RTOL_NESTED if rule == "nested" else RTOL
    if family == LONG_TAIL and rule in MOVING:
        rtol = RTOL_LONG_TAIL
    assert_derivatives(likelihood(family, *RULES[rule]), rtol)


@cases("trapezoid", "truncated")
def test_gradient_against_the_identity_of_fisher(family: str, rule: str) -> None:
    like = likelihood(family, *RULES[rule])
    # Slopes of scipy's densities by differences of order eight are good to 1e-11.
    rtol = RTOL_LONG_TAIL if (family, rule) == (LONG_TAIL, "trapezoid") else 1e-9
    assert relative_error(like.derivatives().gradient, brute.fisher(like)) < rtol


@cases("trapezoid", "truncated")
def test_value_against_brute_force(family: str, rule: str) -> None:
    like = likelihood(family, *RULES[rule])
    expected = sum(level.loglik for level in brute.single(like))
    # Rounding of sums of logarithms.
    atol = 1e-12 * abs(expected)
    if (family, rule) == (LONG_TAIL, "trapezoid"):
        atol += reported(like)
    assert like.derivatives().value == pytest.approx(expected, rel=0, abs=atol)


@cases("nested")
def test_nested_value_against_brute_force(family: str, rule: str) -> None:
    like = likelihood(family, *RULES[rule])
    expected = sum(brute.nested(like, reach=8.0))
    # 21 nodes in each integral leave about 1e-9 of each.
    atol = reported(like) if family == LONG_TAIL else 1e-6
    assert like.derivatives().value == pytest.approx(expected, rel=0, abs=atol)
    assert atol < 1e-4


@cases(*LAPLACE)
def test_laplace_against_dense_matrices(family: str, rule: str) -> None:
    like = likelihood(family, *RULES[rule])
    value, modes = brute.laplace(like)
    # Differences of order eight give the second derivatives to about 1e-11.
    assert like.derivatives().value == pytest.approx(value, rel=1e-10)
    x = like.problem.jacobian @ like.psi
    kept = like.engine.kept(x)
    assert like.engine.unsettled(kept) == 0
    # The engine eliminates the factor with most levels first, here the first.
    found = np.concatenate([u.ravel() for u in like.engine.modes(kept)])
    # Searches end with a squared step of 1e-13. Newton squares what remains; steps that
    # leave rows of negative curvature out make it some times smaller.
    atol = 1e-9 if like.model.family.concave else 3e-7
    np.testing.assert_allclose(found, modes, rtol=0, atol=atol)


@pytest.mark.parametrize("quad", [3, "auto"])
@pytest.mark.parametrize("family", ["bernoulli", "gamma"])
def test_two_correlated_effects(family: str, quad: Any) -> None:
    like = likelihood(family, "double", quad)
    assert_derivatives(like)
    if quad == "auto":
        # 2 x 19 x 19 nodes leave about 1e-11 of the integral.
        error = relative_error(like.derivatives().gradient, brute.fisher(like))
        assert error < 1e-8


@pytest.mark.parametrize(
    ("family", "link", "quad"), [("poisson", "sqrt", 5), ("gamma", "identity", "auto")]
)
def test_links_that_need_a_positive_predictor(
    family: str, link: str, quad: Any
) -> None:
    assert_derivatives(likelihood(family, "single", quad, link))


def test_a_density_that_is_not_concave() -> None:
    # The search for the mode leaves rows of negative curvature out; the sum does not.
    like = likelihood("inverse_gaussian", "single", 1, "identity")
    _, modes = brute.laplace(like)
    assert_derivatives(like)
    value, _ = brute.laplace(like)
    assert like.derivatives().value == pytest.approx(value, rel=1e-10)
    assert np.isfinite(modes).all()


def test_slopes_of_the_inner_factor() -> None:
    assert_derivatives(likelihood("poisson", "nested slopes"), RTOL_NESTED)


@pytest.mark.parametrize("rule", ["adaptive, 1 node", "trapezoid", "crossed Laplace"])
def test_a_vanishing_variance_is_a_stationary_direction(rule: str) -> None:
    like = likelihood("poisson", *RULES[rule])
    psi = like.psi.copy()
    psi[2] = 0.0
    found = like.derivatives(psi)
    # The likelihood is even in theta_1. Sums over symmetric nodes cancel to rounding.
    assert abs(found.gradient[2]) < 1e-11
    np.testing.assert_allclose(np.delete(found.hessian[2], 2), 0.0, atol=1e-10)


@pytest.mark.parametrize("rule", ["adaptive, 1 node", "adaptive, 5 nodes"])
def test_adaptive_rules_approach_the_identity_of_fisher(rule: str) -> None:
    like = likelihood("bernoulli", *RULES[rule])
    error = relative_error(like.derivatives().gradient, brute.fisher(like))
    # Laplace's approximation is another function, and so is its gradient.
    least, most = (1e-2, 0.2) if rule == "adaptive, 1 node" else (1e-5, 5e-3)
    assert least < error < most
