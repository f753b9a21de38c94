"""Models without random effects: scipy's distributions, closed forms, hard cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ngmm import families
from ngmm.estimation import glm
from ngmm.estimation.glm import LARGEST_CHANGE, LARGEST_MOVE, GlmStart, fit_glm
from ngmm.estimation.status import Status
from ngmm.families import Family

Vector = NDArray[np.float64]


def density(name: str, y: Vector, mu: Vector, phi: Vector, m: Vector | None) -> Vector:
    """Log-probability of each response by scipy; m trials."""
    match name:
        case "bernoulli":
            found = stats.bernoulli.logpmf(y, mu)
        case "binomial":
            found = stats.binom.logpmf(y, m, mu)
        case "poisson":
            found = stats.poisson.logpmf(y, mu)
        case "negative_binomial":
            found = stats.nbinom.logpmf(y, phi, phi / (phi + mu))
        case "gamma":
            found = stats.gamma.logpdf(y, 1 / phi, scale=mu * phi)
        case "inverse_gaussian":
            found = stats.invgauss.logpdf(y, mu * phi, scale=1 / phi)
        case "beta":
            found = stats.beta.logpdf(y, mu * phi, (1 - mu) * phi)
        case "betabinomial":
            found = stats.betabinom.logpmf(y, m, mu * phi, (1 - mu) * phi)
        case _:
            raise NotImplementedError(f"add the density of {name}")
    return np.asarray(found)


MEANS: dict[str, Callable[[Vector], Vector]] = {
    "logit": lambda eta: 1 / (1 + np.exp(-eta)),
    "probit": stats.norm.cdf,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    "log": np.exp,
    "identity": lambda eta: eta,
    "inverse": lambda eta: 1 / eta,
    "sqrt": np.square,
}
# A weight is a precision here, and a number of equal rows elsewhere.
PRECISIONS = ("gamma", "inverse_gaussian")

CASES = [
    pytest.param(
        name,
        link,
        # Special functions in the link and in the density compile for seconds.
        marks=[pytest.mark.slow] if name.startswith("beta") and link != "logit" else [],
    )
    for name in families.REGISTRY
    if name != "gaussian"
    for link in families.get(name).links
]


class Data(NamedTuple):
    family: Family
    X: Vector
    y: Vector
    offset: Vector
    weights: Vector
    trials: Vector | None

    def fit(self, **options: Any) -> GlmStart:
        return fit_glm(
            self.X,
            self.y,
            self.family,
            self.offset,
            self.weights,
            self.trials,
            **options,
        )

    def loglik(self, beta: Vector, log_phi: float | None) -> float:
        """The log-likelihood by scipy."""
        name = self.family.name
        mu = MEANS[self.family.link](self.offset + self.X @ beta)
        phi = np.exp(log_phi or 0.0) * np.ones_like(mu)
        if name in PRECISIONS:
            terms = density(name, self.y, mu, phi / self.weights, self.trials)
        else:
            terms = self.weights * density(name, self.y, mu, phi, self.trials)
        return float(np.sum(terms))


def simulated(name: str, link: str, n: int = 150) -> Data:
    family = families.get(name, link)
    rng = np.random.default_rng(sum(map(ord, name + link)))
    # Badly scaled on purpose: the second column is in other units.
    X = np.column_stack([np.ones(n), 1e4 * rng.normal(size=n), rng.random(n)])
    offset = 0.2 * rng.random(n)
    middle = 2.0 if family.transform.lower == 0.0 else -0.3
    eta = offset + X @ [middle, 0.2e-4, 0.4]
    trials = rng.integers(2, 9, n).astype(float) if family.takes_trials else None
    one = np.ones(n)
    mu = family.transform.mean(eta)
    y = np.asarray(family.sample(rng, mu, 1.5, one, trials), dtype=float)
    if name == "beta":
        y = np.clip(y, 1e-3, 1 - 1e-3)
    return Data(family, X, y, offset, rng.integers(1, 4, n).astype(float), trials)


@pytest.mark.parametrize(("name", "link"), CASES)
def test_is_the_maximum_of_the_likelihood_by_scipy(name: str, link: str) -> None:
    data = simulated(name, link)
    found = data.fit()
    assert found.status is Status.CONVERGED
    assert (found.log_phi is None) == (data.family.dispersion is None)
    # Sums of 150 terms, by other formulas.
    assert found.loglik == pytest.approx(
        data.loglik(found.beta, found.log_phi), rel=1e-11
    )
    units = np.array([1.0, 1e-4, 1.0])
    x0 = found.beta / units
    if found.log_phi is not None:
        x0 = np.append(x0, found.log_phi)

    def loglik(x: Vector) -> float:
        phi = None if found.log_phi is None else float(x[3])
        return data.loglik(x[:3] * units, phi)

    step = 1e-4 * np.eye(len(x0))
    slope = np.array([loglik(x0 + e) - loglik(x0 - e) for e in step]) / 2e-4
    bend = [
        [loglik(x0 + e + f) - loglik(x0 + e - f) - loglik(x0 - e + f) for f in step]
        for e in step
    ]
    mirror = [[loglik(x0 - e - f) for f in step] for e in step]
    information = -(np.array(bend) + mirror) / 4e-8
    # Rounding in a difference of 1e-8 allows a part in ten thousand.
    assert np.linalg.eigvalsh(information).min() > 1.0
    # What a Newton step could still add; differences at 1e-4 have an error of 1e-6.
    assert 0.5 * slope @ np.linalg.solve(information, slope) < 1e-8


def poisson_counts(n: int = 60) -> Data:
    return simulated("poisson", "log", n)


def test_closed_forms() -> None:
    group = np.repeat([0.0, 1.0], [10, 14])
    X = np.column_stack([np.ones(24), group])
    y = np.repeat([0.0, 1.0, 0.0, 1.0], [3, 7, 10, 4])
    one, zero = np.ones(24), np.zeros(24)
    found = fit_glm(X, y, families.bernoulli(), zero, one, None)
    first, second = np.log(7 / 3), np.log(4 / 10)
    # A last Newton step from 1e-8 of the optimum, in -2 log-likelihood, squares that.
    np.testing.assert_allclose(found.beta, [first, second - first], atol=1e-8)
    counts = np.arange(24.0)
    found = fit_glm(X, counts, families.poisson(), zero, one, None)
    means = np.log([counts[:10].mean(), counts[10:].mean()])
    np.testing.assert_allclose(found.beta, [means[0], means[1] - means[0]], atol=1e-8)


def test_weights_count_rows() -> None:
    data = poisson_counts()
    repeated = np.repeat(np.arange(len(data.y)), data.weights.astype(int))
    plain = Data(
        data.family,
        data.X[repeated],
        data.y[repeated],
        data.offset[repeated],
        np.ones(len(repeated)),
        None,
    )
    one, other = data.fit(), plain.fit()
    assert one.loglik == pytest.approx(other.loglik, rel=1e-12)
    np.testing.assert_allclose(one.beta, other.beta, rtol=1e-8)


def test_an_offset_the_columns_contain_moves_the_coefficients() -> None:
    data = poisson_counts()
    shift = np.array([0.7, 2e-5, -0.3])
    moved = data._replace(offset=data.offset + data.X @ shift)
    np.testing.assert_allclose(moved.fit().beta + shift, data.fit().beta, rtol=1e-8)


def test_units_of_the_columns() -> None:
    data = poisson_counts()
    units = np.array([1e-9, 1e6, 1e3])
    scaled = data._replace(X=data.X * units)
    np.testing.assert_allclose(scaled.fit().beta * units, data.fit().beta, rtol=1e-8)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("link", ["identity", "inverse", "log"])
def test_units_of_a_positive_response(link: str, factor: float) -> None:
    rng = np.random.default_rng(4)
    x = rng.random(80)
    mean = 1.0 + x if link == "identity" else 1.0 / (1.0 + x)
    y = factor * mean * rng.gamma(5.0, 0.2, 80)
    X = np.column_stack([np.ones(80), x])
    one = np.ones(80)
    found = fit_glm(X, y, families.gamma(link=link), 0 * one, one, None)
    same = fit_glm(X, y / factor, families.gamma(link=link), 0 * one, one, None)
    assert found.status is same.status is Status.CONVERGED
    expected = {
        "identity": same.beta * factor,
        "inverse": same.beta / factor,
        "log": same.beta + np.array([np.log(factor), 0.0]),
    }[link]
    np.testing.assert_allclose(found.beta, expected, rtol=1e-6)
    assert found.log_phi == pytest.approx(same.log_phi, abs=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_separation_ends_within_bounds(link: str) -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    y = (X @ [0.1, 1.0, -2.0] > 0).astype(float)
    one = np.ones(300)
    found = fit_glm(X, y, families.bernoulli(link=link), 0 * one, one, None)
    assert found.status is not Status.NOT_FINITE
    assert np.isfinite(found.beta).all()
    # Close to the limit of the log-likelihood, zero, and eta still moderate.
    assert -10.0 < found.loglik < 0.0
    eta = X @ found.beta
    # From a first guess whose eta is of order one.
    assert np.sqrt((eta**2).mean()) < LARGEST_MOVE + 2.0


def test_quasi_separation_of_counts() -> None:
    group = np.repeat([0.0, 1.0], 20)
    y = np.r_[np.arange(20.0) % 4, np.zeros(20)]
    X = np.column_stack([np.ones(40), group])
    found = fit_glm(X, y, families.poisson(), np.zeros(40), np.ones(40), None)
    assert found.beta[0] == pytest.approx(np.log(1.5), abs=1e-6)
    assert -2.0 * LARGEST_MOVE < found.beta[1] < -10.0
    limit = stats.poisson.logpmf(y[:20], 1.5).sum()
    # The last gain in -2 log-likelihood is below 1e-8, what follows adds up to as much.
    assert found.loglik == pytest.approx(limit, abs=1e-7)


def test_a_dispersion_at_its_limit_is_kept_within_bounds() -> None:
    # Less varied than Poisson: the size goes to infinity.
    y = np.tile([2.0, 3.0, 4.0], 30)
    one = np.ones(90)
    found = fit_glm(one[:, None], y, families.negative_binomial(), 0 * one, one, None)
    assert found.beta[0] == pytest.approx(np.log(3.0), abs=1e-6)
    assert found.log_phi is not None
    assert 5.0 < found.log_phi < 25.0
    limit = stats.poisson.logpmf(y, 3.0).sum()
    assert found.loglik == pytest.approx(limit, abs=90 * np.exp(-found.log_phi) * 5)
    start = np.log(families.negative_binomial().start_phi(y, 3.0 * one, None))
    assert found.log_phi <= start + LARGEST_CHANGE + 1.0


def test_no_fixed_effects() -> None:
    y, n = np.array([0.0, 1.0, 1.0, 1.0]), 4
    none, half = np.empty((n, 0)), np.full(n, 0.5)
    found = fit_glm(none, y, families.bernoulli(), half, np.ones(n), None)
    p = 1 / (1 + np.exp(-0.5))
    assert found.beta.shape == (0,)
    assert found.loglik == pytest.approx(3 * np.log(p) + np.log(1 - p), rel=1e-13)
    y = np.array([0.5, 1.5, 2.0, 4.0])
    found = fit_glm(none, y, families.gamma(), half, np.ones(n), None)
    assert found.status is Status.CONVERGED
    assert found.log_phi is not None
    value = stats.gamma.logpdf(
        y, np.exp(-found.log_phi), scale=np.exp(0.5 + found.log_phi)
    ).sum()
    assert found.loglik == pytest.approx(value, rel=1e-12)


def test_running_out_of_steps_is_said() -> None:
    data = simulated("poisson", "log")
    found = data.fit(max_steps=2)
    assert found.status is Status.MAX_STEPS
    assert found.loglik < data.fit().loglik


def test_equal_shapes_compile_once() -> None:
    data = poisson_counts(61)
    data.fit()
    before = glm._maximise.cache_size()
    other = data._replace(y=data.y[::-1].copy(), weights=np.ones(61))
    other.fit()
    assert glm._maximise.cache_size() == before
