"""Fits that the tests of tables look at, each made once, and what R says of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ngmm
from ngmm.results import MixedModelFit

SLEEP = "Reaction ~ Days + (Days | Subject)"
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@cache
def reference() -> dict[str, Any]:
    """From make_broom_mixed.R."""
    return json.loads(Path(__file__).with_name("broom_mixed.json").read_text())


@cache
def fitted(name: str) -> MixedModelFit:
    sleep, cbpp = (ngmm.datasets.load(n) for n in ("sleepstudy", "cbpp"))
    if name in ("ml", "reml"):
        return ngmm.fit(SLEEP, sleep, reml=name == "reml")
    if name == "binomial":
        return ngmm.fit(CBPP, cbpp, family="binomial", quad="laplace")
    if name == "smaller":
        return ngmm.fit("Reaction ~ Days + (1 | Subject)", sleep)
    if name == "network":
        return ngmm.fit(
            "Reaction ~ nn(Days, hidden=()) + (1 | Subject)",
            sleep,
            estimator=ngmm.Evidence(restarts=1),
        )
    if name == "latent":
        rng = np.random.default_rng(3)
        student, item = np.repeat(np.arange(60), 4), np.tile(list("abcd"), 60)
        ability = rng.normal(size=60)[student]
        correct = (ability + rng.logistic(size=240) > 0).astype(int)
        rows = {"correct": correct, "student": student, "item": item}
        formula = "correct ~ 0 + item + (nn(item, hidden=()) | student)"
        return ngmm.fit(formula, rows, family="bernoulli")
    if name == "gamma":
        rng = np.random.default_rng(4)
        g = np.repeat(np.arange(12), 8)
        x = rng.normal(size=96)
        mean = np.exp(0.3 * x + rng.normal(scale=0.4, size=12)[g])
        rows = {"y": rng.gamma(4.0, mean / 4.0), "x": x, "g": g}
        return ngmm.fit("y ~ x + (1 | g)", rows, family="gamma", link="log", quad=5)
    raise LookupError(name)


def names_of_r(frame: pd.DataFrame) -> list[str]:
    """Terms as R spells them."""
    terms = frame["term"].str.replace("Intercept", "(Intercept)", regex=False)
    return terms.str.replace(r"\[T\.(\w+)\]", r"\1", regex=True).tolist()
