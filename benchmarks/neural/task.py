"""What a method is asked, what it answers, and how answers are scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Rows to fit, rows to predict, and what is known of the truth.

    Attributes
    ----------
    train, test
        Data frames with the same columns.
    response, inputs, group
        Names of columns.
    family
        ``"gaussian"`` or ``"bernoulli"``.
    slopes
        Columns with a random slope beside the random intercept.
    linear_terms
        Whether the inputs also stand as linear terms beside the network.
    f
        The true fixed part at the test rows, where it is known.
    truth
        True coefficients and variances by name, where they are known.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    response: str
    inputs: tuple[str, ...]
    group: str
    family: str = "gaussian"
    slopes: tuple[str, ...] = ()
    linear_terms: bool = False
    f: Vector | None = None
    truth: Mapping[str, float] = field(default_factory=dict)

    @property
    def binary(self) -> bool:
        """Whether the response is 0 or 1."""
        return self.family == "bernoulli"

    @property
    def observed(self) -> Vector:
        """The response at the test rows."""
        return self.test[self.response].to_numpy(float)


@dataclass(frozen=True)
class Answer:
    """A fitted method at the test rows.

    Attributes
    ----------
    mean
        Expected response, the random effects of the row's group included.
    f
        Fixed part of the linear predictor, at b = 0; None if the method has none.
    sigma2
        Residual variance.
    variances
        Variances of the random effects, the intercept first.
    coefficients
        Fixed effects by name.
    edf
        Effective number of parameters of the network.
    again
        Seconds of a second fit of the same data, without compilation.
    settings
        What was tuned, and what the choice was.
    """

    version: str
    mean: Vector
    f: Vector | None = None
    sigma2: float | None = None
    variances: tuple[float, ...] = ()
    coefficients: Mapping[str, float] = field(default_factory=dict)
    edf: float | None = None
    again: float | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


class Impossible(Exception):  # noqa: N818 - an outcome to report, not a failure
    """The task is outside a method's model."""


def first_groups(task: Task, n: int) -> Task:
    """The rows of the first `n` groups only, to see that all runs."""
    few = list(task.train[task.group].unique()[:n])
    train = task.train[task.group].isin(few)
    test = task.test[task.group].isin(few)
    f = None if task.f is None else task.f[test.to_numpy()]
    return replace(task, train=task.train[train], test=task.test[test], f=f)


def function_error(task: Task, answer: Answer) -> float | None:
    """Mean squared error of f at the test rows, up to a constant."""
    if task.f is None or answer.f is None:
        return None
    return float(np.var(answer.f - task.f))


def squared_error(task: Task, answer: Answer) -> float:
    """Mean squared error of the predicted response."""
    return float(np.mean((task.observed - answer.mean) ** 2))


def log_loss(task: Task, answer: Answer) -> float:
    """Minus the mean log-probability of the observed 0s and 1s."""
    y, p = task.observed, answer.mean
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def loglik(task: Task, answer: Answer) -> float | None:
    """Mean log-density of the test rows at the predicted mean."""
    if task.binary:
        return -log_loss(task, answer)
    if answer.sigma2 is None:
        return None
    error = squared_error(task, answer)
    return -0.5 * (np.log(2 * np.pi * answer.sigma2) + error / answer.sigma2)


def auc(task: Task, answer: Answer) -> float | None:
    """Area under the receiver operating characteristic, ties counted half."""
    ranks = pd.Series(answer.mean).rank().to_numpy()
    ones = task.observed == 1
    n1, n0 = int(ones.sum()), int((~ones).sum())
    if not n1 or not n0:
        return None
    return float((ranks[ones].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def coefficient_error(task: Task, answer: Answer) -> float | None:
    """Root mean squared error of the linear coefficients that are known."""
    known = [name for name in task.inputs if name in task.truth]
    if not known or not set(known) <= set(answer.coefficients):
        return None
    errors = [answer.coefficients[name] - task.truth[name] for name in known]
    return float(np.sqrt(np.mean(np.square(errors))))


def variance_scores(task: Task, answer: Answer) -> dict[str, float | None]:
    """Estimates of the variances, and of the intercept's relative to the realised."""
    first = answer.variances[0] if answer.variances else None
    realised = task.truth.get("variance")
    ratio = first / realised if first is not None and realised else None
    return {"sigma^2": answer.sigma2, "variance / realised": ratio}
