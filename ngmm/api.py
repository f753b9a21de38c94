"""`fit`: from a formula and a data frame to a fitted model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ngmm import families
from ngmm.design import (
    Design,
    build_design,
    check_identifiable,
    check_magnitudes,
)
from ngmm.errors import (
    ConvergenceWarning,
    DataError,
    DesignError,
    NotSupportedError,
    OptionError,
    RankDeficiencyWarning,
    did_you_mean,
)
from ngmm.estimation.estimators import Newton
from ngmm.families import Family
from ngmm.formula import ModelFormula, parse
from ngmm.model import Model
from ngmm.results import MixedModelFit
from ngmm.results.call import Call
from ngmm.results.simulation import check_seed

DF_METHODS = ("auto", "satterthwaite", "none", "kenward-roger")

# What people type who come from other packages, and what to type here.
HABITS = {
    "groups": 'the grouping goes in the formula: "y ~ x + (1 | g)"',
    "re_formula": 'random slopes go in the formula: "y ~ x + (1 + x | g)"',
    "vc_formula": 'variance components go in the formula: "y ~ x + (1 | g) + (1 | h)"',
    "REML": "write reml=True or reml=False",
    "nAGQ": "write quad=, e.g. quad=25",
    "subset": "select rows of the data frame before the call",
    "ziformula": "zero inflation is not supported",
    "dispformula": "dispersion models are not supported",
    "random": 'random effects go in the formula: "y ~ x + (1 | g)"',
}


def fit(
    formula: str,
    data: Any,
    family: str | Family = "gaussian",
    *,
    link: str | None = None,
    weights: Any = None,
    trials: Any = None,
    offset: Any = None,
    reml: bool = False,
    quad: Any = "auto",
    networks: Mapping[str, Any] | None = None,
    estimator: Any = "auto",
    df: str = "auto",
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "drop",
    seed: int = 0,
    progress: bool | str = "auto",
    **unknown: Any,
) -> MixedModelFit:
    """Fit a mixed-effects model by maximum (or restricted maximum) likelihood.

    Parameters
    ----------
    formula
        As in lme4: ``"Reaction ~ Days + (Days | Subject)"``. ``(x || g)`` removes
        every correlation, ``(1 | a/b)`` is ``(1 | a) + (1 | a:b)``, ``offset(z)`` adds
        a known part; transforms, splines and contrasts are those of formulaic.
    data
        pandas frame, a frame of another library that narwhals reads, or a mapping from
        names to arrays. Names in the formula are looked up here and nowhere else.
    family
        Response distribution: ``"gaussian"`` in this version.
    link
        Link function; None for the family's own.
    weights
        Prior (precision) weights, a column name or an array: the residual variance of a
        row is sigma^2 / weight.
    trials
        For binomial responses only.
    offset
        Known part of the linear predictor, a column name or an array.
    reml
        Restricted maximum likelihood. The default is maximum likelihood, other than in
        lme4.
    quad
        How random effects are integrated out; a Gaussian model is exact.
    networks
        Networks by name; none in this version.
    estimator
        ``"auto"`` or ``ngmm.Newton(max_steps=...)``.
    df
        Denominators of t tests: ``"auto"`` and ``"satterthwaite"``, or ``"none"`` for
        z tests.
    contrasts
        Column -> ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` or a matrix.
    na_action
        ``"drop"`` leaves out rows with a missing value and reports them; ``"raise"``.
    seed
        Seed of everything random that is later asked of the fit.
    progress
        Whether long fits show a progress bar; a Gaussian fit is never long enough.
    **unknown
        Refused, with the spelling that was probably meant.

    Returns
    -------
    MixedModelFit
        ``print(fit.summary())`` shows it.

    Raises
    ------
    FormulaError
        If the formula cannot be read; a caret shows where.
    DataError
        If the data cannot be used: unknown columns, no complete rows, infinite values.
    DesignError
        If there is no random effect, or one that the data cannot identify.
    OptionError
        If an argument has a value it cannot have.
    NotSupportedError
        If something is asked for that comes with a later version.

    Warns
    -----
    ConvergenceWarning
        If the maximum was not found; `MixedModelFit.check` says more.
    RankDeficiencyWarning
        If fixed-effect columns were dropped as combinations of others.

    Notes
    -----
    Cost per Newton step: O(n_levels k^3) for one grouping factor or nested ones; for
    crossed factors also O(m^3), m the random effects beside the largest factor. See
    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), for the model.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> round(fit.loglik, 4)
    -875.9697
    """
    arguments = {
        "family": family,
        "link": link,
        "weights": weights,
        "trials": trials,
        "offset": offset,
        "reml": reml,
        "quad": quad,
        "networks": networks,
        "estimator": estimator,
        "df": df,
        "contrasts": contrasts,
        "na_action": na_action,
        "seed": seed,
        "progress": progress,
    }
    _refuse_unknown(unknown, arguments)
    chosen = families.get(family, link)
    _check_options(trials, reml, quad, networks, df, seed, contrasts, progress)
    maximise = _estimator(estimator)
    terms = parse(formula)
    _check_terms(terms, chosen)
    design, spec = build_design(
        terms,
        data,
        weights=weights,
        offset=offset,
        trials=trials,
        contrasts=contrasts,
        na_action=na_action,
    )
    _check_design(design)
    model = Model(design, chosen, reml=reml)
    estimate = maximise(model)
    result = MixedModelFit(
        terms=terms,
        spec=spec,
        model=model,
        estimate=estimate,
        call=Call(fit, _snapshot(data), arguments),
        estimator=maximise,
        df_method="satterthwaite" if df == "auto" else df,
        seed=seed,
    )
    _warn(result)
    return result


def _snapshot(data: Any) -> Any:
    """The data as they are now."""
    if not isinstance(data, pd.DataFrame):
        return data
    # From version 3 on, pandas copies a column only when it is written to.
    return data.copy(deep=int(pd.__version__.split(".")[0]) < 3)


def _refuse_unknown(unknown: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in unknown:
        if name in HABITS:
            raise OptionError(f"unknown argument {name}=. In ngmm {HABITS[name]}")
        raise OptionError(
            f"unknown argument {name}={did_you_mean(name, known) or '.'} "
            f"Arguments: formula, data, {', '.join(known)}"
        )


def _check_options(
    trials: Any,
    reml: object,
    quad: Any,
    networks: Any,
    df: object,
    seed: object,
    contrasts: object,
    progress: object,
) -> None:
    if trials is not None:
        raise OptionError(
            "trials= is for binomial responses; for precision weights of a gaussian "
            "response use weights="
        )
    if not isinstance(reml, (bool, np.bool_)):
        raise OptionError(f"reml must be True or False, got {reml!r}")
    if not isinstance(quad, str) or quad not in ("auto", "exact"):
        raise OptionError(
            f"quad={quad!r}: the random effects of a gaussian model are integrated out "
            "exactly; leave quad out"
        )
    if networks:
        raise NotSupportedError("networks are not fitted in this version of ngmm")
    if df not in DF_METHODS:
        raise OptionError(
            f"df must be one of {', '.join(map(repr, DF_METHODS))}; got {df!r}"
        )
    if df == "kenward-roger":
        raise NotSupportedError(
            'df="kenward-roger" is not available in this version; use "satterthwaite"'
        )
    check_seed(seed)
    if contrasts is not None and not isinstance(contrasts, Mapping):
        raise OptionError(
            "contrasts must map columns to codings, such as "
            f'{{"x": "sum"}}; got {contrasts!r}'
        )
    if not isinstance(progress, bool) and not (
        isinstance(progress, str) and progress == "auto"
    ):
        raise OptionError(f'progress must be "auto", True or False; got {progress!r}')


def _estimator(estimator: Any) -> Newton:
    if isinstance(estimator, str) and estimator == "auto":
        return Newton()
    if isinstance(estimator, Newton):
        return estimator
    if isinstance(estimator, type) and issubclass(estimator, Newton):
        raise OptionError("estimator is a class: call it, ngmm.Newton()")
    raise OptionError(f'estimator must be "auto" or ngmm.Newton(), got {estimator!r}')


def _check_terms(terms: ModelFormula, family: Family) -> None:
    networks = [*terms.networks, *(n for t in terms.random for n in t.networks)]
    if networks:
        raise NotSupportedError(
            f"{networks[0]}: networks are not fitted in this version of ngmm; a spline "
            "such as bs(x, df=6) is"
        )
    if terms.response.is_cbind and family.name == "gaussian":
        raise DataError(
            f"the response {terms.response} is for the binomial family; a gaussian "
            "response is one column"
        )
    if not terms.random:
        raise DesignError(
            f"no random effect in `{terms}`; add one, such as (1 | g) with g the "
            "column that names the groups. For a model without any, use "
            "statsmodels.formula.api.ols"
        )


def _check_design(design: Design) -> None:
    if design.has_weights and (design.weights == 0).any():
        n = int((design.weights == 0).sum())
        raise DataError(
            f"{n} row{'s have' if n > 1 else ' has'} weight 0, which means an infinite "
            "residual variance; leave such rows out of the data"
        )
    check_magnitudes(design)
    n, p = design.X.shape
    if n <= p:
        raise DesignError(
            f"{n} rows for {p} fixed effects: nothing is left to estimate a variance "
            "from. Remove fixed terms, or bring more data"
        )
    check_identifiable(design)


def _warn(result: MixedModelFit) -> None:
    if result.aliased:
        warnings.warn(
            f"dropped {', '.join(result.aliased)}: linear combinations of earlier "
            "fixed-effect columns, without a coefficient of their own",
            RankDeficiencyWarning,
            stacklevel=3,
        )
    verdict = result.check()
    if not verdict.ok:
        first = verdict.messages[0]
        warnings.warn(
            f"{first.text}. Try {first.remedy}", ConvergenceWarning, stacklevel=3
        )
