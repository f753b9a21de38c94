"""ngmm, by default settings and with Laplace's approximation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.python_fit import read_data, time_fits
from measurement import Measurement
from problems import Problem


def measure_ngmm(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``ngmm.fit``; the first one compiles."""
    return _measure("ngmm", problem, csv, repeats)


def measure_ngmm_laplace(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """The approximation of most other programs, in generalized models."""
    if problem.family == "gaussian":
        return Measurement(problem.name, "ngmm-laplace", "not possible")
    return _measure("ngmm-laplace", problem, csv, repeats, quad="laplace")


def _measure(
    name: str, problem: Problem, csv: Path, repeats: int, **options: Any
) -> Measurement:
    try:
        import ngmm
    except ImportError:
        return Measurement(problem.name, name, "not installed")
    data = read_data(problem, csv)
    kind = "exact"

    def fit() -> float:
        nonlocal kind
        found = ngmm.fit(problem.formula, data, problem.family, **options)
        if problem.family != "gaussian":
            kind = "laplace" if "Laplace" in found.integral_text else "quadrature"
        return found.loglik

    measured = time_fits(name, ngmm.__version__, problem, repeats, fit)
    return replace(measured, kind=kind)
