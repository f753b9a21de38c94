"""Fixed effects as a frame: estimates, standard errors, tests, intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.inference.quantiles import critical, two_sided
from ngmm.inference.satterthwaite import satterthwaite
from ngmm.model import Estimate, Model


def unscaled_covariance(model: Model, estimate: Estimate) -> NDArray[np.float64]:
    """(X' V^-1 X)^-1: the covariance of beta over sigma^2."""
    p = model.problem.layout.n_beta
    half = contrast_basis(model)
    found = half @ np.linalg.solve(estimate.profile.tail[:p, :p], half.T)
    return np.asarray(0.5 * (found + found.T), dtype=np.float64)


def contrast_basis(model: Model) -> NDArray[np.float64]:
    """R^-1, which takes orthonormal coefficients to those of the user's columns."""
    triangle = model.problem.data.triangle
    return np.asarray(np.linalg.inv(triangle), dtype=np.float64)


def degrees_of_freedom(
    model: Model, estimate: Estimate, method: str
) -> NDArray[np.float64]:
    """Denominator degrees of freedom of each coefficient; infinite for z tests."""
    if method == "none":
        return np.full(len(estimate.beta), np.inf)
    return satterthwaite(
        contrast_basis(model), estimate.profile, model.problem.n_residual
    )


def coefficient_frame(
    model: Model, estimate: Estimate, df: NDArray[np.float64], level: float
) -> pd.DataFrame:
    """Columns estimate, std_error, df, statistic, p_value, conf_low, conf_high."""
    vcov = estimate.sigma**2 * unscaled_covariance(model, estimate)
    se = np.sqrt(np.diag(vcov))
    statistic = estimate.beta / se
    margin = critical(level, df) * se
    return pd.DataFrame(
        {
            "estimate": estimate.beta,
            "std_error": se,
            "df": df,
            "statistic": statistic,
            "p_value": two_sided(statistic, df),
            "conf_low": estimate.beta - margin,
            "conf_high": estimate.beta + margin,
        },
        index=pd.Index(list(model.design.names), dtype=object),
    )
