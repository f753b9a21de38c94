"""A fit on one line: `glance`, in the columns of R's broom.mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit


def glance(fit: MixedModelFit) -> pd.DataFrame:
    """Size and fit of a model on one line, in the columns of R's broom.mixed.

    Parameters
    ----------
    fit
        A fitted model.

    Returns
    -------
    DataFrame
        One row: ``nobs``; ``sigma``, 1 for families that have none; ``logLik``,
        restricted if the fit is; ``AIC``, ``BIC``; ``REMLcrit``, -2 logLik, of a
        restricted fit and ``deviance`` of all others; ``df.residual``, `nobs` less
        `df_model`.

    Notes
    -----
    As in R, the deviance of a linear mixed model is -2 logLik, and that of any other
    family the sum of the squared deviance residuals at the conditional modes, in which
    `MixedModelFit.deviance` differs: it is -2 logLik always.

    References
    ----------
    Bolker & Robinson, broom.mixed 0.2.9 (R package), ``glance.merMod``.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> row = ngmm.broom.glance(fit).round(3)
    >>> row[["nobs", "REMLcrit", "df.residual"]].iloc[0].tolist()
    [180.0, 1743.628, 174.0]
    """
    row = {
        "nobs": fit.nobs,
        "sigma": fit.sigma,
        "logLik": fit.loglik,
        "AIC": fit.aic,
        "BIC": fit.bic,
    }
    if fit.reml:
        row["REMLcrit"] = fit.deviance
    elif fit.model.family.has_residual:
        row["deviance"] = fit.deviance
    else:
        row["deviance"] = float(np.sum(fit.resid("deviance").to_numpy() ** 2))
    row["df.residual"] = fit.nobs - fit.df_model
    return pd.DataFrame([row])
