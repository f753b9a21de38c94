"""Generalized fits that several test files look at, and brute-force numbers for them.

Nothing here uses the families of the package: densities and means are scipy's.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import linalg, special, stats

import ngmm
from ngmm.covariance import factor_numpy, pattern
from ngmm.errors import NgmmWarning
from ngmm.results import MixedModelFit
from tests.results.dense import spread

Vector = NDArray[Any]

CROSSED = "count ~ x + offset(o) + (1 + x | h) + (1 | g)"

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "bernoulli": ("answer ~ x + (1 | g)", {"family": "bernoulli"}),
    "binomial": ("hits ~ x + (1 + x | g)", {"family": "binomial", "trials": "n"}),
    "cloglog": ("answer ~ x + (1 | g)", {"family": "bernoulli", "link": "cloglog"}),
    "crossed": (CROSSED, {"family": "poisson"}),
    "poisson": ("count ~ x + (1 | g)", {"family": "poisson"}),
    "negative_binomial": ("over ~ x + (1 | g)", {"family": "negative_binomial"}),
    "gamma": ("time ~ x + (1 | g)", {"family": "gamma", "weights": "w"}),
    "inverse_gaussian": ("wait ~ x + (1 | g)", {"family": "inverse_gaussian"}),
    "beta": ("share ~ x + (1 | g)", {"family": "beta"}),
    "betabinomial": (
        "clumped ~ x + (1 | g)",
        {"family": "betabinomial", "trials": "n"},
    ),
}
NAMES = tuple(EXAMPLES)
# They take long to compile; other tests of these families and links remain.
SLOW = (
    "beta",
    "betabinomial",
    "binomial",
    "cloglog",
    "inverse_gaussian",
    "negative_binomial",
)
CASES = tuple(
    pytest.param(n, marks=pytest.mark.slow) if n in SLOW else pytest.param(n)
    for n in NAMES
)
WITH_DISPERSION = NAMES[NAMES.index("negative_binomial") :]


@cache
def frame() -> pd.DataFrame:
    """A response of every kind, two crossed factors, weights, an offset."""
    rng = np.random.default_rng(8)
    n = 180
    g, h, x = np.arange(n) % 15, rng.integers(0, 7, n), rng.normal(size=n)
    o = rng.uniform(-0.5, 0.5, n)
    b = rng.normal(size=(7, 2)) @ np.array([[0.7, 0.2], [0.0, 0.4]])
    eta = 0.4 + 0.5 * x + 0.8 * rng.normal(size=15)[g]
    p, mu = special.expit(eta), np.exp(eta)
    w, trials = rng.uniform(0.5, 2.0, n), rng.integers(2, 9, n)
    return pd.DataFrame(
        {
            "x": x,
            "o": o,
            "w": w,
            "n": trials,
            "g": [f"g{k:02d}" for k in g],
            "h": 10 * h,
            "answer": np.where(rng.uniform(size=n) < p, "yes", "no"),
            "hits": rng.binomial(trials, p),
            "count": rng.poisson(np.exp(eta + b[h, 0] + b[h, 1] * x + o)),
            "over": rng.poisson(mu * rng.gamma(2.0, 0.5, n)),
            "time": mu * rng.gamma(3.0 * w, 1 / (3.0 * w)),
            "wait": rng.wald(mu, 1 / 0.4),
            "share": rng.beta(6 * p, 6 * (1 - p)),
            "clumped": rng.binomial(trials, rng.beta(4 * p, 4 * (1 - p))),
        },
        index=np.arange(500, 500 + n),
    )


@cache
def fitted(name: str) -> MixedModelFit:
    """An example, fitted."""
    formula, arguments = EXAMPLES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        return ngmm.fit(formula, frame(), **arguments)


def mean(fit: MixedModelFit, eta: Vector) -> Vector:
    """Mean at a linear predictor; a probability for counts of successes."""
    if fit.link == "cloglog":
        return -np.expm1(-np.exp(eta))
    return special.expit(eta) if fit.link == "logit" else np.exp(eta)


def distribution(fit: MixedModelFit, mu: Vector) -> Any:
    """The response distribution of the rows of the fit, scipy's."""
    phi = fit.phi or 1.0
    trials, w = fit.design.trials, fit.design.weights
    if trials is not None and np.ndim(mu) == 2:
        trials = trials[:, None]
    if np.ndim(mu) == 2:
        w = w[:, None]
    match fit.family:
        case "bernoulli":
            return stats.bernoulli(mu)
        case "binomial":
            return stats.binom(trials, mu)
        case "poisson":
            return stats.poisson(mu)
        case "negative_binomial":
            return stats.nbinom(phi, phi / (phi + mu))
        case "gamma":
            return stats.gamma(w / phi, scale=mu * phi / w)
        case "inverse_gaussian":
            return stats.invgauss(mu * phi / w, scale=w / phi)
        case "beta":
            return stats.beta(mu * phi, (1 - mu) * phi)
        case "betabinomial":
            return stats.betabinom(trials, mu * phi, (1 - mu) * phi)
    raise ValueError(fit.family)


def log_prob(fit: MixedModelFit, eta: Vector) -> Vector:
    """Log-probability of the rows, at (n,) or (n, s) linear predictors."""
    rows = distribution(fit, mean(fit, eta))
    y = fit.design.y if np.ndim(eta) == 1 else fit.design.y[:, None]
    discrete = isinstance(rows.dist, stats.rv_discrete)
    return rows.logpmf(y) if discrete else rows.logpdf(y)


def random_part(fit: MixedModelFit) -> tuple[Vector, Vector]:
    """Dense Z and Lambda of all terms, level by level."""
    blocks, start = [], 0
    for term in fit.design.random:
        p = pattern([(len(term.names), term.correlated)])
        lam = factor_numpy(fit.theta[start : start + p.n_theta], p)
        blocks.append(np.kron(np.eye(term.n_levels), lam))
        start += p.n_theta
    Z = np.hstack([spread(t) for t in fit.design.random])
    return Z, np.asarray(linalg.block_diag(*blocks))


def modes(fit: MixedModelFit) -> Vector:
    """Conditional modes of all terms, level by level."""
    b = fit.ranef()
    columns = [b[t.group][list(t.names)].to_numpy() for t in fit.design.random]
    return np.concatenate([c.ravel() for c in columns])


def linear_predictor(fit: MixedModelFit) -> Vector:
    """X beta + offset + Z b."""
    d = fit.design
    return d.X @ fit.fixef.to_numpy() + d.offset + random_part(fit)[0] @ modes(fit)


def curvature(fit: MixedModelFit) -> Vector:
    """Minus the second derivative of the log-probabilities in eta, by differences.

    Of fourth order: the error is about 1e-4 to the fourth plus 1e-13 / 1e-4.
    """
    eta, h = linear_predictor(fit), 1e-2
    up, down = log_prob(fit, eta + h), log_prob(fit, eta - h)
    up2, down2 = log_prob(fit, eta + 2 * h), log_prob(fit, eta - 2 * h)
    middle = log_prob(fit, eta)
    return -(-up2 + 16 * up - 30 * middle + 16 * down - down2) / (12 * h**2)


def conditional_covariance(fit: MixedModelFit) -> Vector:
    """Inverse curvature of the joint log-density of (y, b) at the modes."""
    Z, lam = random_part(fit)
    A = Z @ lam
    H = np.eye(A.shape[1]) + A.T @ (A * curvature(fit)[:, None])
    return lam @ np.linalg.inv(H) @ lam.T
