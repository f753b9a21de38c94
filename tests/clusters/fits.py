"""Fits that the tests of reports share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import ngmm


@cache
def sleep() -> Any:
    """Correlated intercepts and slopes, balanced."""
    data = ngmm.datasets.load("sleepstudy")
    data = data.assign(odd=data["Days"] % 2)
    return ngmm.fit("Reaction ~ Days + odd + (Days | Subject)", data)


@cache
def crossed() -> Any:
    """Two crossed factors."""
    data = ngmm.datasets.load("Penicillin")
    return ngmm.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", data)


@cache
def nested() -> Any:
    """A factor inside another one, and inputs that are not linear."""
    data = ngmm.datasets.load("Oats")
    formula = "yield ~ nitro + I(nitro**2) + Variety + (1 + nitro | Block/Variety)"
    return ngmm.fit(formula, data)


@cache
def counts() -> Any:
    """Numbers of successes, with two inputs and slopes."""
    rng = np.random.default_rng(3)
    n, levels = 150, 10
    g = np.arange(n) % levels
    x, z = rng.normal(size=(2, n))
    eta = 0.5 + (1.0 + 0.6 * rng.normal(size=levels))[g] * x - 0.5 * z
    eta += 0.7 * rng.normal(size=levels)[g]
    k = rng.binomial(8, 1.0 / (1.0 + np.exp(-eta)))
    f = np.where(rng.random(n) < 0.7, "a", "b")
    data = pd.DataFrame({"k": k, "m": 8 - k, "x": x, "z": z, "g": g, "f": f})
    formula = "cbind(k, m) ~ x + z + f + (x | g)"
    return ngmm.fit(formula, data, family="binomial", quad="laplace")


@cache
def latent() -> Any:
    """A neural random effect."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(40), 8)
    item = np.tile(np.arange(4), 80)
    eta = (0.5 + 0.5 * item) * rng.normal(size=40)[g]
    y = (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data = pd.DataFrame({"y": y, "item": [f"i{i}" for i in item], "g": g})
    formula = "y ~ 1 + (nn(item, hidden=()) | g)"
    return ngmm.fit(formula, data, family="bernoulli")
