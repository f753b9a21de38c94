"""ngmm."""

from __future__ import annotations

from pathlib import Path

from adapters.python_fit import read_data, time_fits
from measurement import Measurement
from problems import Problem


def measure_ngmm(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``ngmm.fit``; the first one compiles."""
    try:
        import ngmm
    except ImportError:
        return Measurement(problem.name, "ngmm", "not installed")
    data = read_data(problem, csv)

    def fit() -> float:
        return ngmm.fit(problem.formula, data, problem.family).loglik

    return time_fits("ngmm", ngmm.__version__, problem, repeats, fit)
