"""A linear truth: the network should cost nothing beside the linear mixed model.

The model of ngmm is ``y ~ x1 + ... + x5 + nn(x1, ..., x5) + (1 | g)``, so that the edf
of the network is what it spends beyond the linear terms.
"""

from __future__ import annotations

import sys

import numpy as np

from experiment import Experiment, Scores, main
from simulate import SLOPES, UNIFORM_INPUTS, Simulated, linear, linear_binary
from task import (
    Answer,
    Task,
    coefficient_error,
    function_error,
    loglik,
    variance_scores,
)

ROWS = 20


def gaussian(seed: int) -> Task:
    """50 groups of 20 rows to fit, 20 more rows of each to predict."""
    return _task(linear(seed, rows=2 * ROWS), "gaussian")


def bernoulli(seed: int) -> Task:
    """100 groups of 20 rows to fit, 20 more rows of each to predict."""
    return _task(linear_binary(seed, rows=2 * ROWS), "bernoulli")


def _task(made: Simulated, family: str) -> Task:
    fitted = np.arange(len(made.data)) % (2 * ROWS) < ROWS
    slopes = dict(zip(UNIFORM_INPUTS, SLOPES.tolist(), strict=True))
    return Task(
        train=made.data.loc[fitted],
        test=made.data.loc[~fitted],
        response="y",
        inputs=UNIFORM_INPUTS,
        group="g",
        family=family,
        linear_terms=True,
        f=made.f[~fitted],
        truth={"variance": float(made.b.var()), **slopes},
    )


def score(task: Task, answer: Answer) -> Scores:
    """Log-likelihood of new rows of the same groups, and what was estimated."""
    return {
        "test loglik a row": loglik(task, answer),
        "MSE of f": function_error(task, answer),
        "RMSE of coefficients": coefficient_error(task, answer),
        **variance_scores(task, answer),
    }


KNOWN = (
    "To meet: log-likelihood and coefficients of the linear model, edf beyond the "
    "linear terms under 1.5 on average."
)
METHODS = ("ngmm", "linear", "gpboost")

EXPERIMENTS = (
    Experiment("linear", gaussian, score, 10, METHODS, KNOWN),
    Experiment("linear-bernoulli", bernoulli, score, 10, METHODS, KNOWN),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENTS))
