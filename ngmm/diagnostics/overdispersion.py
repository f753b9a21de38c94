"""Overdispersion of counts: Pearson's chi-square over its degrees of freedom."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ngmm.diagnostics.checks import Additive, additive, check_fit, refuse_family
from ngmm.diagnostics.refitting import reference
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.quantile_residuals import rank_test
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number, PValue
from ngmm.results.response import RESIDUALS
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table


def overdispersion(
    fit: MixedModelFit,
    n: int = 199,
    seed: int | None = None,
    *,
    progress: bool | str = "auto",
) -> Table:
    r"""Whether counts vary more, or less, than their distribution allows.

    .. math:: \hat\phi = \frac{1}{\nu} \sum_i \frac{(y_i - \hat\mu_i)^2}{\hat V_i}

    at the conditional modes of the random effects, with the degrees of freedom of rows
    less parameters. Random effects take part of what rows vary, so that the ratio is
    below one in a model that holds: it is compared with those of the model fitted again
    to responses simulated from it, and its test is exact but for the estimation of the
    parameters.

    Parameters
    ----------
    fit
        A fit of a count family.
    n
        Number of simulated data sets; the smallest p-value is 2 / (n + 1).
    seed
        Seed of the simulation; None for that of the fit.
    progress
        As in `ngmm.fit`.

    Returns
    -------
    Table
        One row with columns chi2, df, ratio, expected (mean ratio of the simulated data
        sets), relative (ratio over expected), p_value (two-sided).

    Raises
    ------
    OptionError
        If the family has no overdispersion to look for, or n or seed is not usable.
    NotSupportedError
        If a random effect is the input of a network.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., section 4.5.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("epil")
    >>> fit = ngmm.fit("y ~ trt + (1 | subject)", data, family="poisson")
    >>> found = ngmm.diagnostics.overdispersion(fit, 9, seed=1).to_frame()
    >>> found[["ratio", "relative"]].round(1).iloc[0].tolist()
    [1.6, 2.0]
    """
    check_fit(fit, "overdispersion")
    n = check_count(n)
    seed = fit.seed if seed is None else check_seed(seed)
    _check_family(fit)
    analysis = additive(fit, "overdispersion", "ngmm.diagnostics.residual_tests(fit)")
    d = analysis.design
    df = d.n_rows - fit.df_model
    found = reference(analysis, lambda a: _pearson(a) / df, n, seed, progress)
    chi2 = _pearson(analysis)
    test = rank_test(np.append(chi2 / df, found.values), two_sided=True)
    frame = pd.DataFrame(
        {
            "chi2": [chi2],
            "df": [float(df)],
            "ratio": [test.statistic],
            "expected": [test.expected],
            "relative": [test.statistic / test.expected],
            "p_value": [test.p_value],
        },
        index=["Pearson"],
    )
    columns = (
        Label(),
        Number("chi2", "chi2", decimals=1),
        Number("df", "df", decimals=0),
        Number("ratio", "chi2/df", decimals=3),
        Number("expected", "expected", decimals=3),
        Number("relative", "relative", decimals=3),
        PValue("p_value"),
    )
    caption = (
        f"expected and two-sided p: {len(found.values)} refits to responses simulated "
        f"from the model{found.failed_text}; relative above 1: overdispersed"
    )
    if fit.networks is not None:
        caption += "; networks held in the refits"
    return Table(frame, caption, columns, "Overdispersion")


def _pearson(analysis: Additive) -> float:
    """Pearson's chi-square at the conditional modes."""
    given = getattr(analysis, "given", analysis)
    assert isinstance(given, GeneralizedAnalysis)
    return float((RESIDUALS["pearson"](given, given.eta, 0) ** 2).sum())


def _check_family(fit: MixedModelFit) -> None:
    trials, family = fit.design.trials, fit.model.family
    if family.name == "bernoulli" or (
        family.takes_trials and (trials is None or bool((trials == 1).all()))
    ):
        refuse_family(
            fit,
            "overdispersion",
            "a single 0/1 response has the variance of its mean, whatever the model; "
            "add up rows that share their covariates and use trials=",
        )
    if not family.discrete:
        refuse_family(
            fit,
            "overdispersion",
            "the variance of the response is a parameter of its own, in fit.varcorr(); "
            "ngmm.diagnostics.residual_tests(fit) looks at its shape",
        )
