"""Mandel's simulator: 100 subjects, XOR of binary inputs, the last row to predict.

Four experiments: a normal or a bernoulli response, under a nonlinear or a linear truth.
"""

from __future__ import annotations

import sys
from functools import partial

from boosting import Search, gpboost
from experiment import Experiment, Scores, main
from simulate import BINARY_INPUTS, last_rows, xor
from task import (
    Answer,
    Task,
    auc,
    function_error,
    log_loss,
    squared_error,
    variance_scores,
)

# Of the published grids 0, 0.1, ..., 0.5 and 0, 4, ..., 20, a value in the middle.
VARIANCES = {"gaussian": 0.3, "bernoulli": 12.0}
REPLICATES = 50


def replicate(seed: int, family: str, nonlinear: bool) -> Task:
    """The last row of each subject is predicted from all the others."""
    binary = family == "bernoulli"
    made = xor(seed, VARIANCES[family], binary=binary, nonlinear=nonlinear)
    last = last_rows(made.data["g"])
    return Task(
        train=made.data.loc[~last],
        test=made.data.loc[last],
        response="y",
        inputs=BINARY_INPUTS,
        group="g",
        family=family,
        f=made.f[last],
        truth={"variance": float(made.b.var())},
    )


def score_normal(task: Task, answer: Answer) -> Scores:
    """Squared error of the last rows."""
    return {
        "MSPE": squared_error(task, answer),
        "MSE of f": function_error(task, answer),
        **variance_scores(task, answer),
    }


def score_binary(task: Task, answer: Answer) -> Scores:
    """Ranking and log-loss of the last rows."""
    return {
        "AUC": auc(task, answer),
        "log-loss": log_loss(task, answer),
        "MSE of f": function_error(task, answer),
        **variance_scores(task, answer),
    }


# The noise variance is 0.0025, where gradient steps alone fail (see Search); inputs
# that act through XOR alone give trees nothing to see at first, hence the patience.
_NORMAL = partial(gpboost, search=Search(rates=(0.5, 0.2), newton=(True,), patience=50))
_BINARY = partial(gpboost, search=Search(rates=(0.1,), patience=50))


def _experiment(family: str, nonlinear: bool) -> Experiment:
    truth = "xor" if nonlinear else "xor-linear"
    normal = family == "gaussian"
    return Experiment(
        truth if normal else f"{truth}-bernoulli",
        partial(replicate, family=family, nonlinear=nonlinear),
        score_normal if normal else score_binary,
        REPLICATES,
        ("ngmm", "linear", "gpboost", "catboost"),
        f"To meet: {'better than' if nonlinear else 'as good as'} the linear model.",
        {"gpboost": _NORMAL if normal else _BINARY},
    )


EXPERIMENTS = tuple(
    _experiment(family, nonlinear)
    for family in ("gaussian", "bernoulli")
    for nonlinear in (True, False)
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENTS))
