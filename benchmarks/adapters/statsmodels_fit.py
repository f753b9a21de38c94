"""The MixedLM class of statsmodels, which stores dense matrices."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from adapters.python_fit import read_data, time_fits
from measurement import Measurement
from problems import Problem


def measure_statsmodels(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Making and fitting a ``MixedLM``, where the model is within its reach."""
    name = "statsmodels"
    try:
        import statsmodels  # pyright: ignore[reportMissingImports]
        from statsmodels.formula.api import (  # pyright: ignore[reportMissingImports]
            mixedlm,
        )
    except ImportError:
        return Measurement(problem.name, name, "not installed")
    if problem.statsmodels is None:
        return Measurement(problem.name, name, "not possible", statsmodels.__version__)
    data = read_data(problem, csv)
    model: dict[str, Any] = dict(problem.statsmodels)

    def fit() -> float:
        with warnings.catch_warnings():
            # It warns of singular fits; the log-likelihood tells how far it came.
            warnings.simplefilter("ignore")
            return float(mixedlm(data=data, **model).fit(reml=False).llf)

    return time_fits(name, statsmodels.__version__, problem, repeats, fit)
