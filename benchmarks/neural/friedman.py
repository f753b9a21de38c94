"""Friedman's function with a random intercept: normal and bernoulli responses.

``python benchmarks/neural/friedman.py --seeds 10 --methods ngmm,gpboost,adam``
"""

from __future__ import annotations

import sys

from experiment import Experiment, Scores, main
from simulate import UNIFORM_INPUTS, Simulated, friedman, friedman_binary
from task import Answer, Task, function_error, variance_scores

# Test points are the inputs of the data set whose seed is larger by this.
TEST_STREAM = 1000


def gaussian(seed: int) -> Task:
    """50 groups of 20 rows, noise variance 1."""
    return _task(friedman(seed), friedman(seed + TEST_STREAM), "gaussian")


def bernoulli(seed: int) -> Task:
    """100 groups of 20 rows."""
    points = friedman_binary(seed + TEST_STREAM)
    return _task(friedman_binary(seed), points, "bernoulli")


def _task(made: Simulated, points: Simulated, family: str) -> Task:
    return Task(
        train=made.data,
        test=points.data,
        response="y",
        inputs=UNIFORM_INPUTS,
        group="g",
        family=family,
        f=points.f,
        truth={"variance": float(made.b.var())},
    )


def score(task: Task, answer: Answer) -> Scores:
    """The error of f and the estimates of the variances."""
    return {"MSE of f": function_error(task, answer), **variance_scores(task, answer)}


EXPERIMENTS = (
    Experiment(
        "friedman",
        gaussian,
        score,
        10,
        ("ngmm", "linear", "gpboost", "adam"),
        "To meet: MSE of f at most 0.045, sigma^2 within 4 % of 1, 15 s a later fit.",
    ),
    Experiment(
        "friedman-bernoulli",
        bernoulli,
        score,
        10,
        ("ngmm", "linear", "gpboost"),
        "To meet: MSE of f at most 0.11.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENTS))
