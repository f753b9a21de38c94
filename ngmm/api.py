"""`fit`: from a formula and a data frame to a fitted model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ngmm import families
from ngmm.design import (
    Design,
    build_design,
    check_events,
    check_identifiable,
    check_magnitudes,
    check_offset,
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
from ngmm.estimation.estimators import FullBatch, Newton, is_transformation
from ngmm.families import Family
from ngmm.formula import ModelFormula, parse
from ngmm.likelihood.rules import Rule, as_rule
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
    "exposure": "a time of exposure is an offset: offset(log(time)) in the formula",
    "n_trials": "the number of binomial trials is trials=",
    "ziformula": "zero inflation is not supported",
    "dispformula": "dispersion models are not supported",
    "random": 'random effects go in the formula: "y ~ x + (1 | g)"',
}

# Families whose response may be labels, when each row is one trial.
BINARY = ("bernoulli", "binomial")


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
        Response distribution: ``"gaussian"``, ``"bernoulli"``, ``"binomial"``,
        ``"poisson"``, ``"negative_binomial"``, ``"gamma"``, ``"inverse_gaussian"``,
        ``"beta"``, ``"betabinomial"``, or an object from `ngmm.families`. A response
        with two labels is bernoulli: the second label counts as 1.
    link
        Name of the link function, such as ``"probit"``; None for the family's own.
    weights
        Prior weights, a column name or an array. For gaussian, gamma and
        inverse_gaussian responses they are precisions: the variance of a row is divided
        by its weight. In all other families a row of weight w counts w times.
    trials
        Number of trials of each row of a binomial or betabinomial response: a column
        name, an array or one whole number. The response is then the number of
        successes, or their proportion. ``cbind(k, n - k)`` in the formula says the
        same.
    offset
        Known part of the linear predictor, a column name or an array.
    reml
        Restricted maximum likelihood, for Gaussian models. The default is maximum
        likelihood, other than in lme4.
    quad
        How random effects are integrated out. ``"auto"`` takes the best rule for their
        structure and as many nodes as are needed; ``"laplace"``; a number of adaptive
        Gauss-Hermite nodes per dimension; or ``ngmm.AdaptiveQuadrature(n_nodes)``,
        ``ngmm.TruncatedQuadrature(radius, n_nodes)``, ``ngmm.Laplace()``. Gaussian
        models need none: their integral is exact.
    networks
        Networks by name; none in this version.
    estimator
        ``"auto"``, ``ngmm.Newton(max_steps=...)``, or any optax transformation such as
        ``optax.lbfgs()``, run on all the data at every step.
    df
        Denominators of t tests of Gaussian models: ``"auto"`` and ``"satterthwaite"``,
        or ``"none"`` for z tests. All other families have z tests.
    contrasts
        Column -> ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` or a matrix.
    na_action
        ``"drop"`` leaves out rows with a missing value and reports them; ``"raise"``.
    seed
        Seed of everything random that is later asked of the fit.
    progress
        Whether long fits show a progress bar; no fit does so far.
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

    A binary response with a large variance between patients, by quadrature:

    >>> data = ngmm.datasets.load("toenail")
    >>> formula = "outcome ~ treatment * time + (1 | patientID)"
    >>> fit = ngmm.fit(formula, data, family="bernoulli")
    >>> round(fit.loglik, 2)
    -625.4
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
    _check_options(reml, networks, df, seed, contrasts, progress)
    _check_options_of_family(chosen, trials, reml, df)
    rule = _rule(quad, chosen)
    maximise = _estimator(estimator)
    terms = parse(formula)
    _check_terms(terms, chosen, trials)
    design, spec = build_design(
        terms,
        data,
        weights=weights,
        offset=offset,
        trials=trials,
        contrasts=contrasts,
        na_action=na_action,
        binary_response=chosen.name in BINARY,
    )
    chosen.check(design.y, design.trials, design.response_name, design.index)
    _check_design(design, chosen)
    model = Model(design, chosen, reml=reml, quad=rule)
    estimate = maximise(model)
    result = MixedModelFit(
        terms=terms,
        spec=spec,
        model=model,
        estimate=estimate,
        call=Call(fit, _snapshot(data), arguments),
        estimator=maximise,
        df_method=_df_method(df, chosen),
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
    reml: object,
    networks: Any,
    df: object,
    seed: object,
    contrasts: object,
    progress: object,
) -> None:
    if not isinstance(reml, (bool, np.bool_)):
        raise OptionError(f"reml must be True or False, got {reml!r}")
    if networks:
        raise NotSupportedError("networks are not fitted in this version of ngmm")
    if df not in DF_METHODS:
        raise OptionError(
            f"df must be one of {', '.join(map(repr, DF_METHODS))}; got {df!r}"
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


def _check_options_of_family(family: Family, trials: Any, reml: bool, df: str) -> None:
    """Refuse what the family has no use for."""
    if trials is not None and not family.takes_trials:
        remedy = (
            "for precision weights of a gaussian response use weights="
            if family.has_residual
            else f"a {family.name} response has none"
        )
        raise OptionError(f"trials= is for binomial responses; {remedy}")
    if family.has_residual:
        if df == "kenward-roger":
            raise NotSupportedError(
                'df="kenward-roger" is not available in this version; use '
                '"satterthwaite"'
            )
        return
    if reml:
        raise OptionError(
            "reml=True is for gaussian models: with another family the fixed effects "
            "cannot be integrated out exactly. Leave reml out"
        )
    if df not in ("auto", "none"):
        raise OptionError(
            f"df={df!r} is for gaussian models: with family {family.name} the "
            "coefficients have z tests. Leave df out"
        )


def _df_method(df: str, family: Family) -> str:
    """How the denominators of the tests are found."""
    if df == "auto":
        return "satterthwaite" if family.has_residual else "none"
    return df


def _rule(quad: Any, family: Family) -> Rule:
    """How the random effects are integrated out."""
    if not family.has_residual:
        return as_rule(quad)
    if not isinstance(quad, str) or quad not in ("auto", "exact"):
        raise OptionError(
            f"quad={quad!r}: the random effects of a gaussian model are integrated out "
            "exactly; leave quad out"
        )
    return as_rule("auto")


def _estimator(estimator: Any) -> Callable[[Any], Any]:
    """What maximises the likelihood."""
    if isinstance(estimator, str) and estimator == "auto":
        return Newton()
    if isinstance(estimator, Newton | FullBatch):
        return estimator
    if is_transformation(estimator):
        return FullBatch(estimator)
    if isinstance(estimator, type) and issubclass(estimator, Newton | FullBatch):
        raise OptionError(f"estimator is a class: call it, ngmm.{estimator.__name__}()")
    from_optax = str(getattr(estimator, "__module__", "")).startswith("optax")
    called = "; call it, e.g. optax.adam(0.01)" if from_optax else ""
    raise OptionError(
        'estimator must be "auto", ngmm.Newton() or an optax transformation; '
        f"got {estimator!r}{called}"
    )


def _check_terms(terms: ModelFormula, family: Family, trials: Any) -> None:
    networks = [*terms.networks, *(n for t in terms.random for n in t.networks)]
    if networks:
        raise NotSupportedError(
            f"{networks[0]}: networks are not fitted in this version of ngmm; a spline "
            "such as bs(x, df=6) is"
        )
    if terms.response.is_cbind and not family.takes_trials:
        raise DataError(
            f"the response {terms.response} is for the binomial family; a "
            f"{family.name} response is one column"
        )
    if family.name == "betabinomial" and trials is None and not terms.response.is_cbind:
        raise OptionError(
            "family betabinomial needs the number of trials: write "
            "cbind(successes, failures) ~ ... in the formula, or trials="
        )
    if not terms.random:
        raise DesignError(
            f"no random effect in `{terms}`; add one, such as (1 | g) with g the "
            "column that names the groups. For a model without any, use "
            f"statsmodels.formula.api.{'ols' if family.has_residual else 'glm'}"
        )


def _check_design(design: Design, family: Family) -> None:
    if design.has_weights and (design.weights == 0).any():
        n = int((design.weights == 0).sum())
        what = (
            "an infinite residual variance"
            if family.has_residual
            else "nothing was observed there"
        )
        raise DataError(
            f"{n} row{'s have' if n > 1 else ' has'} weight 0, which means {what}; "
            "leave such rows out of the data"
        )
    check_magnitudes(design)
    check_offset(design, family.link)
    if family.discrete:
        check_events(design, family.name)
    n, p = design.X.shape
    if n <= p:
        raise DesignError(
            f"{n} rows for {p} fixed effects: nothing is left to estimate a variance "
            "from. Remove fixed terms, or bring more data"
        )
    single = design.trials is None or bool((design.trials == 1).all())
    check_identifiable(
        design,
        family=family.name,
        residual=family.has_residual,
        binary=single and family.name in BINARY,
    )


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
