"""Simulated data with a known truth: pure functions of a seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Vector = NDArray[np.float64]

UNIFORM_INPUTS = ("x1", "x2", "x3", "x4", "x5")
BINARY_INPUTS = (*UNIFORM_INPUTS, "x6")

# Coefficients of the linear truth: the variance of f is 11.5 / 12, as large as that of
# Friedman's function divided by 5 (0.95), and one input has no effect.
SLOPES = np.array([2.5, -2.0, 1.0, 0.5, 0.0])

# Added to the seed of bernoulli responses, so that their draws are new ones.
RESPONSE_STREAM = 77


class Simulated(NamedTuple):
    """A data set and what it was made from.

    Attributes
    ----------
    data
        The inputs, the group ``g`` and the response ``y``.
    f
        The fixed part of the linear predictor, a value a row.
    b
        The random intercepts, a value a group.
    """

    data: pd.DataFrame
    f: Vector
    b: Vector


def friedman_function(X: Vector) -> Vector:
    """Friedman's function of five inputs, divided by 5.

    References
    ----------
    Friedman (1991), Annals of Statistics 19, 1-67, section 4.3.
    """
    wave = 10 * np.sin(np.pi * X[:, 0] * X[:, 1])
    return (wave + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]) / 5


def friedman(
    seed: int, groups: int = 50, rows: int = 20, sd: float = 1.0, sigma: float = 1.0
) -> Simulated:
    """Friedman's function, a random intercept and normal noise."""
    rng = np.random.default_rng(seed)
    X, g = _uniform(rng, groups, rows)
    f = friedman_function(X)
    b = sd * rng.normal(size=groups)
    y = f + b[g] + sigma * rng.normal(size=len(g))
    return Simulated(_frame(UNIFORM_INPUTS, X, g, y), f, b)


def friedman_binary(seed: int, groups: int = 100, rows: int = 20) -> Simulated:
    """The same with a bernoulli response; f is centred by its mean over the rows."""
    return _as_binary(friedman(seed, groups, rows), seed)


def linear(
    seed: int, groups: int = 50, rows: int = 20, sd: float = 1.0, sigma: float = 1.0
) -> Simulated:
    """A linear function with coefficients `SLOPES`, a random intercept and noise."""
    rng = np.random.default_rng(seed)
    X, g = _uniform(rng, groups, rows)
    f = X @ SLOPES
    b = sd * rng.normal(size=groups)
    y = f + b[g] + sigma * rng.normal(size=len(g))
    return Simulated(_frame(UNIFORM_INPUTS, X, g, y), f, b)


def linear_binary(seed: int, groups: int = 100, rows: int = 20) -> Simulated:
    """The linear function with a bernoulli response; f is centred by its mean."""
    return _as_binary(linear(seed, groups, rows), seed)


def xor(
    seed: int,
    variance: float,
    *,
    binary: bool = False,
    nonlinear: bool = True,
    subjects: int = 100,
) -> Simulated:
    """Six binary inputs of which pairs act through XOR and XNOR; a random intercept.

    The published simulator has f = beta1 XOR(x1, x2) + beta2 XNOR(x3, x4) + beta3
    XOR(x5, x6) with coefficients drawn anew from N(2, 1), or N(3, 1) for a bernoulli
    response; Poisson(6) + 2 rows a subject; noise of standard deviation 0.05. The text
    that was accessible does not give its linear truth: here, the first input of each
    pair takes the place of the pair.

    References
    ----------
    Mandel, Ghosh & Barnett (2023), Biometrics 79, 711-721, section 4.
    """
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(subjects), rng.poisson(6, size=subjects) + 2)
    X = rng.integers(0, 2, size=(len(g), len(BINARY_INPUTS)))
    parts = X[:, ::2] ^ (X[:, 1::2] ^ [0, 1, 0]) if nonlinear else X[:, ::2]
    f = parts @ rng.normal(3.0 if binary else 2.0, 1.0, size=3)
    b = np.sqrt(variance) * rng.normal(size=subjects)
    eta = f + b[g]
    y = _bernoulli(rng, eta) if binary else eta + 0.05 * rng.normal(size=len(g))
    return Simulated(_frame(BINARY_INPUTS, X.astype(float), g, y), f, b)


def last_rows(g: Any) -> NDArray[np.bool_]:
    """True at the last row of each run of equal values."""
    g = np.asarray(g)
    return np.append(g[1:] != g[:-1], [True])


def _uniform(
    rng: np.random.Generator, groups: int, rows: int
) -> tuple[Vector, NDArray[np.int64]]:
    X = rng.uniform(size=(groups * rows, len(UNIFORM_INPUTS)))
    return X, np.repeat(np.arange(groups), rows)


def _as_binary(made: Simulated, seed: int) -> Simulated:
    f = made.f - made.f.mean()
    rng = np.random.default_rng(seed + RESPONSE_STREAM)
    y = _bernoulli(rng, f + made.b[made.data["g"].to_numpy()])
    return Simulated(made.data.assign(y=y), f, made.b)


def _bernoulli(rng: np.random.Generator, eta: Vector) -> Vector:
    return (rng.uniform(size=len(eta)) < 1 / (1 + np.exp(-eta))).astype(float)


def _frame(names: tuple[str, ...], X: Vector, g: Any, y: Vector) -> pd.DataFrame:
    columns = dict(zip(names, X.T, strict=True))
    return pd.DataFrame({**columns, "g": g, "y": y})
