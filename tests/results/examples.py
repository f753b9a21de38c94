"""Fits that several test files look at, each made once in a process."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import ngmm
from ngmm.errors import NgmmWarning
from ngmm.results import MixedModelFit


@cache
def panel() -> pd.DataFrame:
    """Two crossed factors, weights, an offset, a factor, a copy, missing values."""
    rng = np.random.default_rng(20)
    n = 240
    g, h = np.arange(n) % 12, rng.integers(0, 6, n)
    x, z = rng.normal(size=n), rng.uniform(size=n)
    f = rng.choice(["a", "b", "c"], n)
    w, o = rng.uniform(0.5, 2, n), rng.normal(size=n)
    a, c = rng.normal(size=12), rng.normal(size=12)
    b = rng.normal(size=(6, 2)) @ np.array([[1.0, 0.3], [0.0, 0.8]])
    mean = 1 + 0.5 * x + (f == "b") + o + a[g] + c[g] * z + b[h, 0] + b[h, 1] * x
    y = mean + 0.7 * rng.normal(size=n) / np.sqrt(w)
    data = pd.DataFrame(
        {
            "y": y,
            "x": x,
            "copy": 2 * x,
            "z": z,
            "f": f,
            "w": w,
            "o": o,
            "g": [f"g{k:02d}" for k in g],
            "h": 10 * h,
        },
        index=np.arange(100, 100 + n),
    )
    data.loc[[105, 120], "x"] = np.nan
    data.loc[[120, 200, 201], "z"] = np.nan
    return data


@cache
def no_variance() -> pd.DataFrame:
    """Levels that differ by less than chance: the variance is estimated at zero."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "x": rng.normal(size=60)})
    e = pd.Series(rng.normal(size=60))
    data["y"] = 3 + data["x"] + e - e.groupby(data["g"]).transform("mean")
    return data


@cache
def crossing_lines() -> pd.DataFrame:
    """Lines of all levels meet in one point: intercept and slope correlate at -1."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "x": np.tile(range(6), 10)})
    b = rng.normal(size=10)[data["g"]]
    data["y"] = b * (2 - data["x"]) + rng.normal(size=60)
    return data


def load(name: str) -> pd.DataFrame:
    return ngmm.datasets.load(name)


SLEEP = "Reaction ~ Days + (Days | Subject)"
RICH = "y ~ x + f + copy + offset(o) + (1 + x | h) + (1 | g) + (0 + z | g)"


@cache
def model(name: str) -> tuple[str, pd.DataFrame, dict[str, Any]]:
    """Formula, data and arguments of an example."""
    examples: dict[str, Any] = {
        "slope": (SLEEP, load("sleepstudy"), {}),
        "slope_reml": (SLEEP, load("sleepstudy"), {"reml": True}),
        "independent": (SLEEP.replace("|", "||"), load("sleepstudy"), {"df": "none"}),
        "crossed": (
            "diameter ~ 1 + (1 | plate) + (1 | sample)",
            load("Penicillin"),
            {},
        ),
        "nested": ("strength ~ 1 + (1 | batch/cask)", load("Pastes"), {}),
        "rich": (RICH, panel(), {"weights": "w"}),
        "triple": ("y ~ x + z + (x + z | g)", panel(), {"reml": True}),
        "no_fixed": ("y ~ 0 + (1 | g)", panel(), {}),
        "zero": ("y ~ x + (1 | g)", no_variance(), {}),
        "perfect": ("y ~ x + (x | g)", crossing_lines(), {}),
    }
    return examples[name]


NAMES = (
    "slope",
    "slope_reml",
    "independent",
    "crossed",
    "nested",
    "rich",
    "triple",
    "no_fixed",
    "zero",
    "perfect",
)


@cache
def fitted(name: str) -> MixedModelFit:
    """An example, fitted."""
    formula, data, arguments = model(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        return ngmm.fit(formula, data, **arguments)
