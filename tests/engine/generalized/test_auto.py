"""The error that "auto" reports covers the true one, and nodes rise when they must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from ngmm.likelihood.choose import accurate_engine, first_rung, reference_error
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.likelihood.rules import Auto
from tests.engine.generalized import brute
from tests.engine.generalized.problems import (
    N_ROWS,
    SIZES,
    Likelihood,
    Vector,
    covariates,
    likelihood,
)

N_LEVELS = len(SIZES)


class Stable(Likelihood):
    """With densities that keep their digits where those of scipy do not."""

    def log_prob(self, eta: Vector, rows: Any, log_phi: float) -> Vector:
        """Log-probabilities of a canonical link."""
        del log_phi
        data = self.data.iloc[rows]
        extra = (slice(None), *[None] * (np.ndim(eta) - 1))
        y, n = (data[c].to_numpy(dtype=float)[extra] for c in ("y", "n"))
        if self.family == "poisson":
            return y * eta - np.exp(eta) - special.gammaln(y + 1)
        if self.family == "bernoulli":
            return -np.logaddexp(0.0, (1 - 2 * y) * eta)
        inside = special.gammaln(n + 1) - special.gammaln(y + 1)
        inside = inside - special.gammaln(n - y + 1)
        return inside - y * np.logaddexp(0, -eta) - (n - y) * np.logaddexp(0, eta)


def hard(
    family: str, structure: str, beta: tuple[float, float], theta: Any, y: Any
) -> Stable:
    """A likelihood of this response at this psi, weights one."""
    like = likelihood(family, structure)
    data = like.data.assign(y=np.asarray(y, dtype=float), o=0.0, w=1.0)
    out = Stable(family, like.link, structure, "auto", data, like.formula)
    out.__dict__["psi"] = np.array([*beta, *theta])
    return out


def by_group(*shares: float) -> Vector:
    """As many ones in each group as its share says, first rows first."""
    out = [np.arange(n) < round(s * n) for n, s in zip(SIZES, shares, strict=True)]
    return np.concatenate(out).astype(float)


MIXED = by_group(0, 1, 0.5, 0, 1, 0.2)
RARE = by_group(0, 0, 0, 0, 0, 0.2)
COUNTS = np.random.default_rng(4).poisson(np.exp(np.linspace(-2, 5, N_ROWS)))

# Spacings so fine that brute force is exact: see its module for the rule.
PROBLEMS: dict[str, tuple[Callable[[], Likelihood], float]] = {
    "tiny sd": (lambda: hard("bernoulli", "single", (0, 0.3), [0.05], MIXED), 0.125),
    "sd 3": (lambda: hard("bernoulli", "single", (-1, 0.5), [3.0], MIXED), 0.05),
    "sd 8": (lambda: hard("bernoulli", "single", (0, 1), [8.0], MIXED), 0.02),
    "sd 30": (lambda: hard("bernoulli", "single", (2, 1), [30.0], MIXED), 0.005),
    "rare, sd 6": (lambda: hard("bernoulli", "single", (-6, 1), [6.0], RARE), 0.02),
    "binomial, sd 4": (
        lambda: hard("binomial", "single", (-2, 0.3), [4.0], 6 * MIXED),
        0.02,
    ),
    "large counts": (
        lambda: hard("poisson", "single", (1, 0.3), [2.0], COUNTS),
        0.002,
    ),
    "counts, sd 6": (
        lambda: hard("poisson", "single", (-3, 0.3), [6.0], COUNTS // 20),
        0.002,
    ),
    "two effects, sd 2": (
        lambda: hard("bernoulli", "double", (0, 0.5), [2.0, 0.5, 1.0], MIXED),
        0.1,
    ),
    "two effects, sd 8": (
        lambda: hard("bernoulli", "double", (-1, 1), [8.0, -4.0, 4.0], MIXED),
        0.05,
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_reported_error_covers_the_true_one(name: str) -> None:
    make, spacing = PROBLEMS[name]
    like = make()
    expected = sum(p.loglik for p in brute.single(like, spacing=spacing))
    engine = like.engine
    assert isinstance(engine, QuadratureEngine)
    value, error = engine.value_and_error(like.problem.jacobian @ like.psi)
    # Rounding of brute force itself: sums of logarithms of factorials.
    assert abs(value - expected) <= error + 1e-13 * abs(expected)
    # "auto" was asked for this much and reached it.
    assert error < 1e-4
    # An estimate that is orders of magnitude above the error tells nothing either; only
    # where all is rounding can it be.
    assert error < 1e3 * abs(value - expected) + 1e-7


@pytest.mark.parametrize("structure", ["nested", "nested slopes"])
def test_the_reported_error_of_nested_factors_covers_the_true_one(
    structure: str,
) -> None:
    theta = [1.5, 2.0] if structure == "nested" else [1.5, 1.0, 0.2, 0.7]
    like = hard("bernoulli", structure, (-0.5, 0.5), theta, MIXED)
    expected = sum(brute.nested(like, reach=7.0, spacing=0.2))
    engine = like.engine
    assert isinstance(engine, QuadratureEngine)
    value, error = engine.value_and_error(like.problem.jacobian @ like.psi)
    # Of the normal density beyond seven, 1e-11 in each of nine integrals is left out.
    assert abs(value - expected) <= error + 1e-10
    assert error < 1e-4


def test_nodes_rise_until_the_error_is_small_enough() -> None:
    like = hard("bernoulli", "double", (-1, 1), [30.0, -4.0, 15.0], MIXED)
    x = like.problem.jacobian @ like.psi
    numbers, errors = [], []
    for tolerance in (10.0, 1e-3, 1e-5):
        engine = accurate_engine(like.problem, Auto(tolerance), x)
        assert isinstance(engine, QuadratureEngine)
        numbers.append(engine.placing.grid.n)
        errors.append(engine.error(x))
        assert errors[-1] <= tolerance
    assert numbers[0] == first_rung(like.problem)
    assert numbers[0] < numbers[1] < numbers[2]
    assert errors[0] > 1e-3


def test_a_heavy_tail_beyond_the_nodes_is_reported() -> None:
    # As the mean grows an inverse Gaussian density tends to a constant: a narrow peak
    # and the tail of the prior, which nodes about the posterior mean do not reach.
    like = likelihood("inverse_gaussian")
    psi = like.psi.copy()
    psi[2], psi[3] = 2.5, np.log(0.5)
    other = Likelihood(
        like.family, like.link, "single", "auto", like.data, like.formula
    )
    other.__dict__["psi"] = psi
    expected = sum(p.loglik for p in brute.single(other, spacing=0.02))
    engine = other.engine
    assert isinstance(engine, QuadratureEngine)
    value, error = engine.value_and_error(other.problem.jacobian @ psi)
    assert abs(value - expected) <= error


@pytest.mark.parametrize(("quad", "least", "most"), [(1, 1e-3, 1.0), (5, 1e-6, 0.02)])
def test_the_error_of_a_few_nodes_is_measured_against_many(
    quad: int, least: float, most: float
) -> None:
    like = likelihood("bernoulli", quad=quad)
    x, value = like.problem.jacobian @ like.psi, like.derivatives().value
    error = reference_error(like.engine, x, value)
    true = abs(value - sum(p.loglik for p in brute.single(like)))
    # The error of the finer rule is 1e-12.
    assert error == pytest.approx(true, rel=0, abs=1e-10)
    assert least < true < most


def test_the_problems_differ() -> None:
    # A wrong table of problems would prove nothing.
    data: pd.DataFrame = covariates()
    assert MIXED.sum() == 11
    assert RARE.sum() == 1
    assert COUNTS.max() > 100
    assert len(data) == N_ROWS
    assert stats.poisson.logpmf(3, 2.0) == pytest.approx(
        Stable.log_prob(
            hard("poisson", "single", (0, 0), [1], np.full(N_ROWS, 3) + np.eye(24)[0]),
            np.array([np.log(2.0)]),
            [5],
            0.0,
        )[0]
    )
