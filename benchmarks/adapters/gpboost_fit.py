"""The GPModel class of GPBoost: random intercepts, Laplace's approximation.

With several grouping factors its default solves by conjugate gradients and estimates
log-determinants by Lanczos' method, so that the log-likelihood it reports is itself
approximate, and may lie above the maximum. Cholesky factors give the value that other
programs give.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from adapters.python_fit import read_data, time_fits
from measurement import ITERATIVE, Measurement
from problems import Problem

LIKELIHOODS = {
    "gaussian": "gaussian",
    "bernoulli": "bernoulli_logit",
    "binomial": "binomial_logit",
    "poisson": "poisson",
}


def measure_gpboost(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Matrices, fit and standard errors by ``gpboost.GPModel`` with its defaults."""
    return _measure("gpboost", problem, csv, repeats, "default")


def measure_gpboost_cholesky(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """The same by Cholesky factors, the default where there is one factor."""
    return _measure("gpboost-cholesky", problem, csv, repeats, "cholesky")


def _measure(
    name: str, problem: Problem, csv: Path, repeats: int, method: str
) -> Measurement:
    """It has no formulas: the fixed effects are made by formulaic.

    Random slopes are independent of the intercepts there, so that models with them are
    left out.
    """
    try:
        import gpboost  # pyright: ignore[reportMissingImports]
    except ImportError:
        return Measurement(problem.name, name, "not installed")
    known = version("gpboost")
    if problem.gpboost is None:
        return Measurement(problem.name, name, "not possible", known)
    import numpy as np
    from formulaic import model_matrix

    data = read_data(problem, csv)
    fixed, groups = problem.gpboost
    response, weights = _response(problem, data)

    def fit() -> float:
        X = np.asarray(model_matrix(fixed, data), float)
        labels = [data[g.split(":")].astype(str).agg(":".join, axis=1) for g in groups]
        model = gpboost.GPModel(
            group_data=np.column_stack(labels),
            likelihood=LIKELIHOODS[problem.family],
            weights=weights,
            matrix_inversion_method=method,
        )
        model.fit(y=response, X=X)
        model.get_coef(std_err=True)
        return -float(model.get_current_neg_log_likelihood())

    kind = "exact" if problem.family == "gaussian" else "laplace"
    if method == "default" and len(groups) > 1:
        kind = ITERATIVE
    return time_fits(name, known, problem, repeats, fit, kind)


def _response(problem: Problem, data: Any) -> tuple[Any, Any]:
    """The response, as a share where it counts successes, and the trials."""
    if problem.counts is None:
        return data[problem.formula.split("~")[0].strip()].to_numpy(float), None
    successes, trials = (data[name].to_numpy(float) for name in problem.counts)
    return successes / trials, trials
