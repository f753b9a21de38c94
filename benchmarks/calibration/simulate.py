"""Data sets whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def linear(
    seed: int,
    n_groups: int,
    family: str = "gaussian",
    *,
    rows: int = 10,
    sd: float = 0.7,
    slope_sd: float = 0.0,
    curve: float = 0.0,
) -> pd.DataFrame:
    """Rows of y, x, z, w (of the group) and g.

    The linear predictor is x / 2 - z / 4 + curve sin(3 x / 2) z plus a random
    intercept of standard deviation `sd` and, independent of it, a random slope in x; w
    does nothing.
    """
    rng = np.random.default_rng([seed, n_groups, rows])
    g = np.repeat(np.arange(n_groups), rows)
    x, z = rng.normal(size=(2, len(g)))
    w = rng.normal(size=n_groups)[g]
    eta = 0.5 * x - 0.25 * z + curve * np.sin(1.5 * x) * z
    eta = eta + sd * rng.normal(size=n_groups)[g]
    eta = eta + slope_sd * rng.normal(size=n_groups)[g] * x
    return pd.DataFrame(
        {"y": respond(eta, family, rng), "x": x, "z": z, "w": w, "g": g}
    )


def curved(seed: int, n_groups: int, family: str = "gaussian") -> pd.DataFrame:
    """Rows of y, a, b, t and g: a smooth function of a and b, and a coefficient of t.

    The linear predictor is `surface(a, b)` + t / 2 plus a random intercept of standard
    deviation one; t is correlated with a.
    """
    rng = np.random.default_rng([seed, n_groups, 7])
    g = np.repeat(np.arange(n_groups), 10)
    a, b = rng.uniform(-1.0, 1.0, (2, len(g)))
    t = 0.5 * a + rng.normal(size=len(g))
    eta = surface(a, b) + 0.5 * t + rng.normal(size=n_groups)[g]
    return pd.DataFrame(
        {"y": respond(eta, family, rng), "a": a, "b": b, "t": t, "g": g}
    )


def surface(a: Vector, b: Vector) -> Vector:
    """The function that networks are to find."""
    return 1.5 * np.sin(2.0 * a) + a * b + np.exp(-3.0 * b**2)


def respond(eta: Vector, family: str, rng: np.random.Generator) -> Vector:
    """A response with unit residual variance, of zeros and ones, or of counts."""
    if family == "gaussian":
        return eta + rng.normal(size=len(eta))
    if family == "poisson":
        return rng.poisson(np.exp(eta)).astype(float)
    return (rng.uniform(size=len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
