"""The poverty panel: a bernoulli response of 1,151 girls in five years.

Each girl's five rows go to five different folds, so every test row is of a girl with
four rows in the fit.
"""

from __future__ import annotations

import sys

from experiment import Experiment, Scores, main
from panels import FOLDS, poverty
from task import Answer, Task, auc, log_loss

NOT_INPUTS = ("pov", "id")


def fold(number: int) -> Task:
    """Fold `number` + 1 is predicted from the others."""
    data, folds = poverty()
    held = folds == number + 1
    return Task(
        train=data.loc[~held],
        test=data.loc[held],
        response="pov",
        inputs=tuple(name for name in data if name not in NOT_INPUTS),
        group="id",
        family="bernoulli",
    )


def score(task: Task, answer: Answer) -> Scores:
    """Log-loss, ranking and the estimated variance of the girls."""
    variance = answer.variances[0] if answer.variances else None
    return {
        "log-loss": log_loss(task, answer),
        "AUC": auc(task, answer),
        "variance": variance,
    }


EXPERIMENTS = (
    Experiment(
        "poverty",
        fold,
        score,
        FOLDS,
        ("ngmm", "linear", "gpboost", "catboost"),
        "No published figures.",
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENTS))
