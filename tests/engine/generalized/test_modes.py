"""The damped search for conditional modes on data that defeat plain Newton steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from tests.engine.generalized import brute
from tests.engine.generalized.problems import N_ROWS, Likelihood, Vector, likelihood

STRUCTURES = [("single", 1), ("double", 1), ("nested", 21), ("crossed", "laplace")]
each_structure = pytest.mark.parametrize(("structure", "quad"), STRUCTURES)


def variant(like: Likelihood, y: Vector, psi: Vector, offset: float = 0.0) -> Any:
    """The same model with another response, weights of one, and another psi."""
    data = like.data.assign(y=y, o=offset, w=1.0)
    other = Likelihood(
        like.family, like.link, like.structure, like.quad, data, like.formula
    )
    # Frozen, as its properties are computed once: here, by hand.
    other.__dict__["psi"] = psi
    return other


def slopes(like: Likelihood, eta: Vector) -> tuple[Vector, Vector]:
    """Score and curvature in eta, in closed form; canonical links only."""
    y = like.data["y"].to_numpy()
    if like.family == "poisson":
        return y - np.exp(eta), np.exp(eta)
    p = special.expit(eta)
    return y - p, p * special.expit(-eta)


def assert_stationary(like: Likelihood, atol: float = 1e-10) -> None:
    """The gradient of the joint density vanishes, as far as its terms are rounded."""
    x = like.problem.jacobian @ like.psi
    kept = like.engine.kept(x)
    assert like.engine.unsettled(kept) == 0
    found = like.engine.modes(kept)
    A, base = brute.design_matrix(like), like.fixed_part()
    if like.structure == "nested":
        # The engine has the inner factor first, the formula the outer one.
        found = found[::-1]
    u = np.concatenate([part.ravel() for part in found])
    score, weight = slopes(like, base + A @ u)
    gradient = A.T @ score - u
    H = np.eye(len(u)) + A.T @ (weight[:, None] * A)
    # The distance to the mode, in posterior standard deviations.
    assert np.sqrt(gradient @ np.linalg.solve(H, gradient)) < atol


@each_structure
def test_standard_deviations_of_eight_on_the_logit_scale(
    structure: str, quad: Any
) -> None:
    like = likelihood("bernoulli", structure, quad)
    rng = np.random.default_rng(1)
    psi = like.psi.copy()
    psi[2:] *= 9.0
    for _ in range(3):
        y = rng.integers(0, 2, N_ROWS).astype(float)
        psi[:2] = rng.normal(0, 5, 2)
        assert_stationary(variant(like, y, psi))


@each_structure
def test_groups_that_are_all_zero_or_all_one(structure: str, quad: Any) -> None:
    like = likelihood("bernoulli", structure, quad)
    psi = like.psi.copy()
    psi[2:] *= 9.0
    g = like.data["g"].to_numpy()
    for y in (1.0 * (g == 0), 1.0 * (g > 0), 1.0 * (g % 2)):
        assert_stationary(variant(like, y, psi))


@each_structure
def test_counts_of_a_hundred_thousand(structure: str, quad: Any) -> None:
    like = likelihood("poisson", structure, quad)
    rng = np.random.default_rng(2)
    psi = like.psi.copy()
    psi[2:] *= 4.0
    y = np.round(1e5 * rng.uniform(0.01, 1.0, N_ROWS))
    # Newton's first step from zero overshoots to exp(1e5) without damping. The scores
    # are differences of numbers of 1e5 with a precision of 1e-11, and standard
    # deviations given the data are 1e-3 and more.
    assert_stationary(variant(like, y, psi))
    assert_stationary(variant(like, np.where(y < 5e4, 0.0, y), psi, offset=-3.0))
    # And a start where the mean is e^12 and nearly all counts are zero.
    y = 1.0 * (np.arange(N_ROWS) == 3)
    assert_stationary(variant(like, y, psi, offset=12.0))


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.05, 10.0),
    st.floats(-6.0, 6.0),
    st.sampled_from(["bernoulli", "poisson"]),
)
def test_any_data(seed: int, sd: float, intercept: float, family: str) -> None:
    like = likelihood(family, "double", 1)
    rng = np.random.default_rng(seed)
    psi = like.psi.copy()
    psi[0] = intercept
    psi[2:] = sd * np.array([1.0, rng.uniform(-1, 1), 0.5])
    y = rng.poisson(np.exp(rng.uniform(-2, 6, N_ROWS))).astype(float)
    if family == "bernoulli":
        y = np.minimum(y, 1.0)
    assert_stationary(variant(like, y, psi))


@pytest.mark.parametrize(
    ("family", "quad"), [("inverse_gaussian", 1), ("gamma", "auto")]
)
def test_densities_that_are_not_concave(family: str, quad: Any) -> None:
    # Rows of negative curvature are left out of the Hessian: the search still ends.
    like = likelihood(family, "single", quad, "identity")
    x = like.problem.jacobian @ like.psi
    kept = like.engine.kept(x)
    assert like.engine.unsettled(kept) == 0
    (u,) = like.engine.modes(kept)
    _, modes = brute.laplace(like)
    # The search ends with a squared step of 1e-13, and converges linearly here.
    np.testing.assert_allclose(u.ravel(), modes, rtol=0, atol=3e-7)
