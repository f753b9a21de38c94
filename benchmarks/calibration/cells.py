"""What is counted in a simulated data set: rejections at 5 %, intervals that hold.

A cell is a function of a seed that gives name -> whether it happened. It asks what a
user would ask, through the public functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import ngmm
import simulate

# What happened, or the share of points at which it did.
Counts = Mapping[str, float]


@dataclass(frozen=True)
class Cell:
    """A setting, and how many data sets it is worth.

    Attributes
    ----------
    run
        seed -> what happened.
    sets
        Number of data sets.
    kind
        ``"size"``, ``"power"`` or ``"coverage"``.
    """

    run: Callable[[int], Counts]
    sets: int
    kind: str = "size"


def p_value(m0: Any, m1: Any, **options: Any) -> float:
    """The p-value of the last row of a table of tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(ngmm.lrt(m0, m1, **options).frame["p_value"].iloc[-1])


def fixed(seed: int, groups: int, family: str) -> Counts:
    """A covariate that varies within groups, and one that does not."""
    data = simulate.linear(seed, groups, family)
    v = np.random.default_rng([seed, 1]).normal(size=len(data))
    full = ngmm.fit("y ~ x + z + v + w + (1 | g)", data.assign(v=v), family=family)
    within = full.update(". ~ . - v")
    between = full.update(". ~ . - w")
    return {
        "chi2, within groups": p_value(within, full) < 0.05,
        "chi2, of the group": p_value(between, full) < 0.05,
    }


def slope(
    seed: int, groups: int, family: str, draws: int = 0, reml: bool = False
) -> Counts:
    """A random slope that is not there."""
    data = simulate.linear(seed, groups, family)
    m0 = ngmm.fit("y ~ x + z + (1 | g)", data, family=family, reml=reml)
    m1 = ngmm.fit("y ~ x + z + (x | g)", data, family=family, reml=reml)
    out = {
        "chibar": p_value(m0, m1, method="chibar") < 0.05,
        "chi2, conservative here": p_value(m0, m1, method="chi2") < 0.05,
        "auto": p_value(m0, m1, seed=seed, progress=False) <= 0.05,
    }
    if draws:
        p = p_value(m0, m1, method="bootstrap", n=draws, seed=seed, stop=False)
        # p takes the values 1 / (n + 1), 2 / (n + 1), ...
        out["bootstrap"] = p <= 0.05
    return out


def intercept(seed: int, groups: int, family: str) -> Counts:
    """A random intercept that is not there."""
    data = simulate.linear(seed, groups, family, sd=0.0)
    m1 = ngmm.fit("y ~ x + z + (1 | g)", data, family=family)
    out = {
        "chibar": p_value("y ~ x + z", m1, method="chibar") < 0.05,
        "auto": p_value("y ~ x + z", m1, seed=seed, progress=False) <= 0.05,
    }
    if family == "gaussian":
        out["exact"] = (
            p_value("y ~ x + z", m1, method="exact", n=10_000, seed=seed) < 0.05
        )
    return out


def wald(seed: int, groups: int, family: str) -> Counts:
    """Default intervals of fixed effects, profile intervals of the intercept's sd."""
    data = simulate.linear(seed, groups, family)
    fit = ngmm.fit("y ~ x + z + w + (1 | g)", data, family=family)
    table = fit.conf_int().frame
    truth = {"x": 0.5, "z": -0.25, "w": 0.0}
    out = {f"Wald, {k}": _covers(table, k, v) for k, v in truth.items()}
    profiled = fit.conf_int(method="profile", parameters=["sd(Intercept | g)"]).frame
    out["profile, sd"] = _covers(profiled, "sd(Intercept | g)", 0.7)
    return out


def slopes(seed: int, groups: int) -> Counts:
    """Profile intervals of the sds of an intercept and a slope, and of the residual."""
    data = simulate.linear(seed, groups, slope_sd=0.4)
    fit = ngmm.fit("y ~ x + z + (x | g)", data)
    names = {"sd(Intercept | g)": 0.7, "sd(x | g)": 0.4, "sigma": 1.0}
    table = fit.conf_int(method="profile", parameters=list(names)).frame
    return {f"profile, {k}": _covers(table, k, v) for k, v in names.items()}


def network(seed: int, groups: int, family: str) -> Counts:
    """A linear term beside a network, and bands of its partial effects."""
    data = simulate.curved(seed, groups, family)
    fit = ngmm.fit("y ~ t + nn(a, b) + (1 | g)", data, family=family)
    out: dict[str, float] = {
        "Wald, beside a network": _covers(fit.conf_int().frame, "t", 0.5)
    }
    grid = np.linspace(-0.9, 0.9, 7)
    both = {"a": grid, "b": grid}
    frame = ngmm.effects.partial(fit, "nn(a, b)", ["a", "b"], grid=both).to_frame()
    f = simulate.surface(frame["a"].to_numpy(), frame["b"].to_numpy())
    f -= simulate.surface(data["a"].to_numpy(), data["b"].to_numpy()).mean()
    inside = (frame["conf_low"] <= f) & (f <= frame["conf_high"])
    out["bands of f, over its inputs"] = float(inside.mean())
    for name, other in (("a", "b"), ("b", "a")):
        found = ngmm.effects.partial(fit, "nn(a, b)", name, grid={name: grid})
        frame = found.to_frame()
        rest = data[other].to_numpy()
        own = data[name].to_numpy()

        def at(v: np.ndarray, u: np.ndarray, first: bool = name == "a") -> np.ndarray:
            return simulate.surface(v, u) if first else simulate.surface(u, v)

        centre = float(at(own, rest).mean())
        for i, v in enumerate(grid):
            truth = float(at(np.full(len(rest), v), rest).mean()) - centre
            low, high = frame["conf_low"].iloc[i], frame["conf_high"].iloc[i]
            out[f"band, {name} at {v:.1f}"] = bool(low <= truth <= high)
    return out


def _covers(frame: pd.DataFrame, name: str, truth: float) -> bool:
    row = frame.loc[name]
    return bool(row["conf_low"] <= truth <= row["conf_high"])


CELLS: dict[str, Cell] = {}
for family in ("gaussian", "bernoulli"):
    for groups in (30, 100):
        name = f"{family}, {groups} groups"
        CELLS[f"fixed term: {name}"] = Cell(
            partial(fixed, groups=groups, family=family), 2000
        )
        draws = 199 if family == "gaussian" else 0
        CELLS[f"random slope: {name}"] = Cell(
            partial(slope, groups=groups, family=family, draws=draws), 2000
        )
        CELLS[f"random intercept: {name}"] = Cell(
            partial(intercept, groups=groups, family=family), 2000
        )
    CELLS[f"intervals: {family}, 50 groups"] = Cell(
        partial(wald, groups=50, family=family), 2000, "coverage"
    )
    for groups in (50, 200):
        CELLS[f"network: {family}, {groups} groups"] = Cell(
            partial(network, groups=groups, family=family), 200, "coverage"
        )
for groups in (30, 100, 300):
    CELLS[f"random slope by REML: gaussian, {groups} groups"] = Cell(
        partial(slope, groups=groups, family="gaussian", reml=True), 2000
    )
CELLS["slopes: gaussian, 50 groups"] = Cell(
    partial(slopes, groups=50), 2000, "coverage"
)
