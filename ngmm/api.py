"""`fit`: from a formula and a data frame to a fitted model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ngmm import families
from ngmm.design import (
    Design,
    build_design,
    check_events,
    check_identifiable,
    check_magnitudes,
    check_offset,
    network_warnings,
)
from ngmm.errors import (
    ConvergenceWarning,
    DataError,
    DesignError,
    NetworkWarning,
    OptionError,
    RankDeficiencyWarning,
    warn,
)
from ngmm.families import Family
from ngmm.formula import ModelFormula, parse
from ngmm.model import Model
from ngmm.networks import check_used
from ngmm.neural.fitting import NeuralFit
from ngmm.options import (
    check_networks,
    check_options,
    check_options_of_family,
    df_method,
    estimator_of,
    refuse_unknown,
    rule_of,
)
from ngmm.results import MixedModelFit
from ngmm.results.call import Call

LOG = logging.getLogger(__name__)

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
    adversary: Any = None,
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
        ``nn(x1, x2)`` is a network in the fixed part, ``(nn(x1, x2) | g)`` one that
        also reads a latent value of each level of g.
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
        models need none, but for ``(nn(x) | g)``: their integral is exact.
    networks
        Name -> network, for ``nn(x1, x2, net=name)``.
    estimator
        ``"auto"``, ``ngmm.Newton(max_steps=...)``, or any optax transformation such as
        ``optax.lbfgs()``, run on all the data at every step. With networks ``"auto"``,
        ``ngmm.Evidence(...)``, or for those in the fixed part ``ngmm.Stochastic(...)``
        and ``ngmm.Joint(...)``.
    adversary
        ``ngmm.Adversary(group="site")`` trains networks so that they say little of the
        group; None for not.
    df
        Denominators of t tests of Gaussian models: ``"auto"`` and ``"satterthwaite"``;
        ``"kenward-roger"``, which also corrects the standard errors of coefficients
        for few groups and needs ``reml=True``; or ``"none"`` for z tests. All other
        families have z tests.
    contrasts
        Column -> ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` or a matrix.
    na_action
        ``"drop"`` leaves out rows with a missing value and reports them; ``"raise"``.
    seed
        Seed of the starting weights of networks, and of everything random that is later
        asked of the fit.
    progress
        Whether long fits of networks show how far they are; ``"auto"``: on a terminal
        or in a notebook.
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

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), for the Gaussian
    likelihood; Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4, 12-35, for
    quadrature; MacKay (1992), Neural Computation 4, 448-472, for the penalties of
    networks; Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378, for
    Satterthwaite degrees of freedom; Kenward & Roger (1997), Biometrics 53, 983-997.

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
        "adversary": adversary,
        "df": df,
        "contrasts": contrasts,
        "na_action": na_action,
        "seed": seed,
        "progress": progress,
    }
    refuse_unknown(unknown, arguments)
    chosen = families.get(family, link)
    check_options(reml, df, seed, contrasts, progress)
    check_options_of_family(chosen, trials, reml, df)
    terms = parse(formula)
    rule = rule_of(quad, chosen, terms)
    check_networks(terms, reml, df)
    maximise = estimator_of(estimator, terms, networks, seed, progress, adversary)
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
    used = [*design.networks, *(term.network for term in design.latent)]
    named = {term.options.get("net") for term in used} - {None}
    if named <= set(networks or {}):
        # Otherwise a name is misspelt, and that message helps more.
        check_used(used, networks)
    chosen.check(design.y, design.trials, design.response_name, design.index)
    _check_design(design, chosen)
    model = Model(design, chosen, reml=reml, quad=rule)
    found = maximise(model)
    networks_found = None
    if isinstance(found, NeuralFit):
        found, networks_found = found.estimate, found.networks
    result = MixedModelFit(
        terms=terms,
        spec=spec,
        model=model,
        estimate=found,
        networks=networks_found,
        call=Call(fit, _snapshot(data), arguments),
        estimator=maximise,
        df_method=df_method(df, chosen, terms),
        seed=seed,
    )
    LOG.info(
        "`%s`: %s, loglik %.6f", result.formula, result.estimate_text, result.loglik
    )
    _warn(result)
    return result


def _snapshot(data: Any) -> Any:
    """The data as they are now."""
    if not isinstance(data, pd.DataFrame):
        return data
    # From version 3 on, pandas copies a column only when it is written to.
    return data.copy(deep=int(pd.__version__.split(".")[0]) < 3)


def _check_terms(terms: ModelFormula, family: Family, trials: Any) -> None:
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
    for text in network_warnings(result.design):
        warn(text, NetworkWarning)
    if result.aliased:
        warn(
            f"dropped {', '.join(result.aliased)}: linear combinations of earlier "
            "fixed-effect columns, without a coefficient of their own",
            RankDeficiencyWarning,
        )
    verdict = result.check()
    if not verdict.ok:
        first = verdict.messages[0]
        warn(f"{first.text}. Try {first.remedy}", ConvergenceWarning)
