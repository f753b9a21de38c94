"""Large groups, extreme variance ratios, and data without a maximum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import ngmm
from ngmm.design import Design
from ngmm.errors import ConvergenceWarning, DataError, NotSupportedError, OptionError
from ngmm.estimation.status import Status
from ngmm.likelihood import condense
from ngmm.likelihood.coupling import FullCoupling
from ngmm.model import GaussianEstimate, Model
from tests.engine.dense import LONG
from tests.engine.structures import STRUCTURES, build, frame


def one_way(y: NDArray[np.float64], g: NDArray[np.int64]) -> Design:
    data = pd.DataFrame({"y": y, "g": g})
    return ngmm.build_design(ngmm.parse("y ~ 1 + (1 | g)"), data)[0]


def closed_form(
    y: NDArray[np.float64],
    g: NDArray[np.int64],
    theta: float,
    sigma: float,
    mean: float | None,
) -> tuple[float, float]:
    """Log-likelihood of a one-way layout from its group means, and the best mean."""
    n = np.bincount(g).astype(LONG)
    means = np.array([y[g == i].astype(LONG).mean() for i in range(len(n))])
    within = ((y.astype(LONG) - means[g]) ** 2).sum()
    weight = n / (1 + n * LONG(theta) ** 2)
    best = (weight * means).sum() / weight.sum()
    at = best if mean is None else LONG(mean)
    squares = within + (weight * (means - at) ** 2).sum()
    value = len(y) * np.log(2 * LONG(np.pi) * LONG(sigma) ** 2)
    value += np.log1p(n * LONG(theta) ** 2).sum() + squares / LONG(sigma) ** 2
    return float(-value / 2), float(best)


@pytest.fixture(scope="module")
def large() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Four groups of 50,000 to 100,000 rows, a thousand residual sds apart."""
    rng = np.random.default_rng(9)
    g = np.repeat(np.arange(4), [100_000, 50_000, 80_000, 70_000])
    y = 1e3 * rng.normal(size=4)[g] + rng.normal(size=len(g))
    return y, g


@pytest.mark.parametrize("theta", [1e-3, 1.0, 1e3, 1e6])
def test_large_groups(
    large: tuple[NDArray[np.float64], NDArray[np.int64]], theta: float
) -> None:
    y, g = large
    model = Model(one_way(y, g))
    expected, best = closed_form(y, g, theta, 1.1, None)
    # Residuals of size 1e3 about the mean; their squares within groups, 1e6 times
    # smaller, lose that many digits at most.
    assert model.loglik([theta], 1.1) == pytest.approx(expected, rel=1e-10)
    expected, _ = closed_form(y, g, theta, 1.1, best + 30.0)
    found = model.loglik([theta], 1.1, [best + 30.0])
    assert found == pytest.approx(expected, rel=1e-10)


def test_small_differences_between_large_groups_are_not_lost() -> None:
    # A change of theta at 1e3 changes the log-likelihood in its tenth digit.
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(5), 20_000)
    y = 1e3 * rng.normal(size=5)[g] + rng.normal(size=len(g))
    model = Model(one_way(y, g))
    steps = [closed_form(y, g, t, 1.0, None)[0] for t in (1e3, 1.1e3)]
    found = model.loglik([1.1e3], 1.0) - model.loglik([1e3], 1.0)
    assert found == pytest.approx(steps[1] - steps[0], rel=1e-4)


@pytest.mark.parametrize("sd", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
def test_tiny_residual_variance(sd: float, reml: bool) -> None:
    rng = np.random.default_rng(12)
    a, m = 8, 5
    cells = 10 + rng.normal(size=(a, 1)) + sd * rng.normal(size=(a, m))
    means = cells.mean(1)
    within = ((cells - means[:, None]) ** 2).sum() / (a * (m - 1))
    share = 1.0 if reml else (a - 1) / a
    between = share * means.var(ddof=1) - within / m
    model = Model(one_way(cells.ravel(), np.repeat(np.arange(a), m)), reml=reml)
    best = model.maximise()
    assert best.status is Status.CONVERGED
    # Residuals lose the digits by which they are smaller than the response.
    assert best.sigma**2 == pytest.approx(within, rel=1e-7)
    assert (best.theta[0] * best.sigma) ** 2 == pytest.approx(between, rel=1e-6)


def test_a_fit_of_a_million_cells_worth_of_leverage() -> None:
    # One row far out in x, and slopes by group.
    data = frame().assign(x=lambda d: d["x"].where(d.index > 0, 1e4))
    model = Model(ngmm.build_design(ngmm.parse("y ~ x + (1 + x | g)"), data)[0])
    best = model.maximise()
    assert best.status is Status.CONVERGED
    assert isinstance(best, GaussianEstimate)
    assert np.isfinite(best.profile.hessian).all()
    rng = np.random.default_rng(0)
    for _ in range(20):
        away = best.theta * rng.uniform(0.9, 1.1, 3)
        assert model.loglik(away) <= best.loglik + 1e-9


def test_perfect_fit_has_no_likelihood() -> None:
    data = frame().assign(y=lambda d: 1.0 + 2.0 * d["x"])
    with pytest.raises(DataError, match="reproduce the response exactly"):
        ngmm.fit("y ~ x + (1 | g)", data)


def test_random_effects_that_reproduce_the_response_are_reported() -> None:
    data = frame().assign(y=lambda d: d["g"].astype(float))
    with pytest.warns(ConvergenceWarning):
        fit = ngmm.fit("y ~ x + (1 | g)", data)
    assert not fit.check().ok


def test_a_dense_part_beyond_memory_is_refused_before_it_is_formed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(condense, "MAX_DENSE_CELLS", 30)
    with pytest.raises(NotSupportedError, match="have 6 random effects") as error:
        build("crossed, full")
    assert "6 x 6" in str(error.value)


def test_too_many_pairs_of_levels_take_the_full_array_or_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theta = STRUCTURES["crossed, sparse"].theta
    expected = build("crossed, sparse").loglik(theta)
    monkeypatch.setattr(condense, "MAX_PAIRS", 10)
    full = build("crossed, sparse")
    assert isinstance(full.problem.system.coupling, FullCoupling)
    # Two orders of summation.
    assert full.loglik(theta) == pytest.approx(expected, rel=1e-13)
    layout = full.problem.layout
    # Room for the dense matrix, not for the array of first levels by dense effects.
    monkeypatch.setattr(condense, "MAX_DENSE_CELLS", layout.width**2)
    with pytest.raises(NotSupportedError, match="pairs of levels of the others"):
        build("crossed, sparse")


def test_arguments_of_loglik() -> None:
    ml, reml = build("vector"), build("vector", reml=True)
    theta = STRUCTURES["vector"].theta
    with pytest.raises(OptionError, match=r"theta must have 3 elements, got.*\(2,\)"):
        ml.loglik([1.0, 2.0])
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match="sigma must be positive"):
            ml.loglik(theta, sigma)
    with pytest.raises(OptionError, match="beta must have 2 elements"):
        ml.loglik(theta, 1.0, [1.0])
    with pytest.raises(OptionError, match="not a function of beta; leave beta out"):
        reml.loglik(theta, 1.0, [1.0, 2.0])


def test_a_start_without_a_likelihood_has_a_status() -> None:
    # theta overflows when it is squared.
    found = build("vector").maximise([1e200, 0.0, 1e200])
    assert found.status is Status.NOT_FINITE


def test_a_start_far_out_does_not_pass_for_a_maximum() -> None:
    # The objective is almost flat there, in one direction: not the same as converged.
    model = build("crossed, full")
    best = model.maximise()
    found = model.maximise([0.9, 1e6])
    if found.status is Status.CONVERGED:
        assert found.loglik == pytest.approx(best.loglik, abs=1e-6)
