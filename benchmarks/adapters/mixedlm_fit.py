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
    formula, options = problem.formula, {}
    if problem.counts is not None:
        # It reads no cbind(): a share of successes, weighted by the trials.
        successes, trials = (data[name].to_numpy(float) for name in problem.counts)
        data = data.assign(share_of_successes=successes / trials)
        formula = f"share_of_successes ~ {formula.split('~')[1]}"
        options = {"weights": trials}
    kind = "exact" if problem.family == "gaussian" else "laplace"

    def fit() -> float:
        if problem.family == "gaussian":
            return float(lmer(formula, data, REML=False).logLik().value)
        poisson = problem.family == "poisson"
        family = families.Poisson() if poisson else families.Binomial()
        model = glmer(formula, data, family=family, **options)
        return float(model.logLik().value)

    return time_fits("mixedlm", version("mixedlm"), problem, repeats, fit, kind)
