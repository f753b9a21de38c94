"""The import panel: log of Australia's imports of 4,999 commodities over 29 years.

All inputs are of the year, none of the commodity: random intercept and slopes in t and
t^2 do most of the work.
"""

from __future__ import annotations

import sys
from functools import cache

from boosting import gpboost_with, search_by_split
from experiment import Experiment, Scores, main
from panels import FOLDS, imports
from task import Answer, Task, squared_error

# The column year is t on another scale.
INPUTS = (
    "t",
    "temp_australia",
    "child_australia",
    "pop_australia",
    "co2_australia",
    "wheat_australia",
    "conflict_australia",
    "phone_australia",
)


def fold(number: int) -> Task:
    """Fold `number` + 1 is predicted from the others."""
    data, folds = imports()
    held = folds == number + 1
    return Task(
        train=data.loc[~held],
        test=data.loc[held],
        response="log_trade",
        inputs=INPUTS,
        group="commodity_id",
        slopes=("t", "t2"),
    )


def score(task: Task, answer: Answer) -> Scores:
    """The test error and the residual variance."""
    return {"test MSE": squared_error(task, answer), "sigma^2": answer.sigma2}


@cache
def _settings(threads: int) -> dict[str, object]:
    """The number of trees, found once, on the rows that fit fold 1.

    A tree takes seconds: one depth, one rate. There are 29 years to tell apart.
    """
    return search_by_split(fold(0), threads, depths=(3,), rates=(0.2,), slope_rounds=60)


def gpboost(task: Task, threads: int) -> Answer:
    """GPBoost with settings that were searched once for all folds."""
    return gpboost_with(task, threads, _settings(threads))


EXPERIMENTS = (
    Experiment(
        "imports",
        fold,
        score,
        FOLDS,
        ("ngmm", "linear", "gpboost", "catboost"),
        "Published, on other random folds: GPBoost 0.651, linear mixed model 0.743, "
        "boosting with a category 1.26, CatBoost 2.15.",
        {"gpboost": gpboost},
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENTS))
