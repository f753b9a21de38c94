"""Maxima at the boundary are reached exactly, and rectified without changing Sigma."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngmm
from ngmm.covariance import Pattern, factor_numpy, pattern, rectify
from ngmm.estimation.status import Status
from ngmm.model import Model

N_GROUPS = 12
# loglik of a maximum, from two programs: rounding of a sum of 60 rows.
ATOL = 1e-8

both_likelihoods = pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])


def model_of(formula: str, data: pd.DataFrame, *, reml: bool = False) -> Model:
    return Model(ngmm.build_design(ngmm.parse(formula), data)[0], reml=reml)


def noise(seed: int) -> pd.DataFrame:
    """Five rows in each of twelve groups, which differ by chance only."""
    rng = np.random.default_rng(seed)
    n = 5 * N_GROUPS
    return pd.DataFrame(
        {
            "g": np.arange(n) % N_GROUPS,
            "h": np.arange(n) // 6 % 5,
            "x": rng.normal(size=n),
            "y": rng.normal(size=n),
        }
    )


@both_likelihoods
def test_dyestuff2_has_no_variance_between_batches(reml: bool) -> None:
    data = ngmm.datasets.load("Dyestuff2")
    model = model_of("Yield ~ 1 + (1 | Batch)", data, reml=reml)
    best = model.maximise()
    assert best.status is Status.CONVERGED
    assert best.theta.tolist() == [0.0]
    divisor = len(data) - reml
    y = data["Yield"].to_numpy(float)
    squares = ((y - y.mean()) ** 2).sum()
    assert best.sigma == pytest.approx(np.sqrt(squares / divisor), rel=1e-13)
    assert best.loglik == pytest.approx(model.loglik([0.0]), rel=1e-14)


def test_fit_reports_the_zero() -> None:
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", ngmm.datasets.load("Dyestuff2"))
    assert fit.is_singular
    assert fit.check().ok
    assert "estimated at 0" in fit.check().notes[0]
    assert fit.varcorr().to_frame()["sd"].to_list()[0] == 0.0
    np.testing.assert_array_equal(fit.ranef()["Batch"], 0.0)


@both_likelihoods
def test_cake_has_a_rank_deficient_covariance(reml: bool) -> None:
    data = ngmm.datasets.load("cake")
    model = model_of(
        "angle ~ recipe + temp + (0 + recipe | replicate)", data, reml=reml
    )
    best = model.maximise()
    assert best.status is Status.CONVERGED
    lam = factor_numpy(best.theta, pattern([(3, True)]))
    assert 0.0 in np.diag(lam)
    assert (np.diag(lam) >= 0.0).all()
    # Rank deficient, not absent.
    assert np.linalg.matrix_rank(lam) == 2


@both_likelihoods
def test_a_maximum_at_zero_is_exactly_zero(reml: bool) -> None:
    at_zero = 0
    for seed in range(12):
        model = model_of("y ~ x + (1 | g)", noise(seed), reml=reml)
        best = model.maximise()
        assert best.status is Status.CONVERGED
        without = model.loglik([0.0])
        grid = max(model.loglik([t]) for t in np.geomspace(1e-2, 2, 40))
        # Brute force decides which case it is.
        if grid > without + 1e-6:
            assert best.theta[0] > 1e-2
            assert best.loglik >= grid - ATOL
        else:
            at_zero += 1
            assert best.theta[0] == 0.0
            assert best.loglik == pytest.approx(without, rel=0, abs=ATOL)
    # With no variance to find, each happens about as often.
    assert 3 <= at_zero <= 10


def test_a_term_with_variance_zero_might_as_well_be_left_out() -> None:
    found_zero = 0
    for seed in range(12):
        data = noise(seed)
        data["y"] += np.random.default_rng(seed).normal(size=N_GROUPS)[data["g"]]
        large = model_of("y ~ x + (1 | g) + (1 | h)", data).maximise()
        assert large.theta[0] > 0.1
        assert large.theta[1] == 0.0 or large.theta[1] > 1e-3
        if large.theta[1] == 0.0:
            found_zero += 1
            small = model_of("y ~ x + (1 | g)", data).maximise()
            assert large.loglik == pytest.approx(small.loglik, rel=0, abs=ATOL)
            np.testing.assert_allclose(large.theta[0], small.theta[0], atol=1e-6)
            np.testing.assert_allclose(large.beta, small.beta, rtol=1e-6)
    assert found_zero >= 3


def test_slopes_without_variance_end_at_the_boundary_or_clearly_inside() -> None:
    singular = 0
    for seed in range(16):
        model = model_of("y ~ x + (1 + x | g)", noise(seed))
        best = model.maximise()
        assert best.status is Status.CONVERGED
        diagonal = best.theta[[0, 2]]
        assert ((diagonal == 0.0) | (diagonal > 1e-4)).all(), (seed, diagonal)
        if diagonal[0] == 0.0:
            # Canonical: a zero pivot has a zero column.
            assert best.theta[1] == 0.0
        singular += bool((diagonal == 0.0).any())
        rng = np.random.default_rng(seed)
        for _ in range(10):
            away = best.theta + rng.normal(0, 0.05, 3)
            assert model.loglik(away) <= best.loglik + ATOL
    assert singular >= 4


def test_starting_at_exactly_zero_finds_the_variance_there_is() -> None:
    data = noise(1)
    data["y"] += np.random.default_rng(1).normal(size=N_GROUPS)[data["g"]]
    model = model_of("y ~ x + (1 | g)", data)
    best = model.maximise()
    assert best.theta[0] > 0.5
    # Zero is a saddle of the likelihood: even in theta, so without a gradient.
    again = model.maximise([0.0])
    assert again.loglik == pytest.approx(best.loglik, rel=0, abs=ATOL)
    np.testing.assert_allclose(again.theta, best.theta, atol=1e-6)


PATTERNS = [
    pattern([(1, True)]),
    pattern([(2, True)]),
    pattern([(3, True)]),
    pattern([(3, False)]),
    pattern([(2, True), (1, True)]),
    pattern([(1, True), (2, False), (2, True)]),
]

# Exact zeros, on the diagonal too, and ordinary numbers.
entries = st.one_of(st.just(0.0), st.floats(-3, 3).filter(lambda v: abs(v) > 1e-3))


@st.composite
def thetas(draw: st.DrawFn) -> tuple[np.ndarray, Pattern]:
    p = draw(st.sampled_from(PATTERNS))
    values = draw(st.lists(entries, min_size=p.n_theta, max_size=p.n_theta))
    return np.array(values), p


@settings(max_examples=200)
@given(thetas())
def test_rectify_keeps_the_covariance(case: tuple[np.ndarray, Pattern]) -> None:
    theta, p = case
    found = rectify(theta, p)
    before, after = factor_numpy(theta, p), factor_numpy(found, p)
    # A pivot below 1e-13 of its diagonal element is dropped; its column, as
    # Cauchy and Schwarz have it, is below the root of that.
    np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-5)
    assert (np.diag(after) >= 0.0).all()
    pivots = np.diag(after)
    assert not after[:, pivots == 0.0].any()


@settings(max_examples=100)
@given(thetas())
def test_rectify_twice_is_rectify_once(case: tuple[np.ndarray, Pattern]) -> None:
    theta, p = case
    once = rectify(theta, p)
    np.testing.assert_allclose(rectify(once, p), once, rtol=1e-7, atol=1e-7)


def test_rectify_by_hand() -> None:
    p = pattern([(2, True)])
    np.testing.assert_array_equal(rectify(np.array([-2.0, 1.0, -3.0]), p), [2, -1, 3])
    # Lambda = [[0, 0], [3, 4]]: variance 25 of the second effect alone.
    np.testing.assert_array_equal(rectify(np.array([0.0, 3.0, 4.0]), p), [0, 0, 5])
    np.testing.assert_array_equal(rectify(np.array([0.0, 3.0, 0.0]), p), [0, 0, 3])
    # No negative zero, which would print as -0.
    signs = np.signbit(rectify(np.array([-0.0, 0.0, -1.0]), p))
    np.testing.assert_array_equal(signs, False)
