"""mixedlm, a Python package with an engine in Rust."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from adapters.python_fit import read_data, time_fits
from measurement import Measurement
from problems import Problem


def measure_mixedlm(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``mixedlm.lmer`` or ``mixedlm.glmer``."""
    try:
        from mixedlm import (  # pyright: ignore[reportMissingImports]
            families,
            glmer,
            lmer,
        )
    except ImportError:
        return Measurement(problem.name, "mixedlm", "not installed")
    data = read_data(problem, csv)

    def fit() -> float:
        if problem.family == "bernoulli":
            model = glmer(problem.formula, data, family=families.Binomial())
            return float(model.logLik().value)
        return float(lmer(problem.formula, data, REML=False).logLik().value)

    return time_fits("mixedlm", version("mixedlm"), problem, repeats, fit)
