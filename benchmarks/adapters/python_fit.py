"""Time a Python function that fits a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from measurement import Measurement, peak_mb
from problems import Problem

if TYPE_CHECKING:
    import pandas as pd


def read_data(problem: Problem, csv: Path) -> pd.DataFrame:
    """The data with the problem's factors as categories."""
    import pandas as pd

    data = pd.read_csv(csv)
    for column in problem.factors:
        data[column] = pd.Categorical(data[column])
    return data


def time_fits(
    name: str,
    version: str,
    problem: Problem,
    repeats: int,
    fit: Callable[[], float],
    kind: str = "exact",
) -> Measurement:
    """Call ``fit``, which returns a log-likelihood, once and ``repeats`` times more."""
    seconds: list[float] = []
    loglik = float("nan")
    for _ in range(1 + repeats):
        start = time.perf_counter()
        loglik = fit()
        seconds.append(time.perf_counter() - start)
    return Measurement(
        problem=problem.name,
        adapter=name,
        status="ok",
        version=version,
        first=seconds[0],
        later=tuple(seconds[1:]),
        loglik=loglik,
        peak_mb=peak_mb(),
        kind=kind,
    )
