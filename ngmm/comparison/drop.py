"""Terms left out in turn: fixed terms here, random ones in `anova_random`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ngmm.comparison.anova import table_of_tests, wald_method
from ngmm.comparison.anova_random import ranova, sentences_of
from ngmm.comparison.anova_refit import fixed_text, reduced_design, refit
from ngmm.comparison.anova_terms import Term, fixed_terms, hypotheses
from ngmm.comparison.lrt import lrt
from ngmm.errors import OptionError, did_you_mean
from ngmm.estimation.status import Status
from ngmm.inference.wald.term_contrasts import vanishing
from ngmm.results.columns import Column, Count, Label, Number, PValue, Text
from ngmm.results.table import Table

if TYPE_CHECKING:
    from ngmm.formula import ModelFormula
    from ngmm.results.fit import MixedModelFit

__all__ = ["drop1", "ranova"]

TESTS = ("auto", "lrt", "F")


def drop1(
    fit: MixedModelFit,
    *,
    test: str = "auto",
    scope: str | Iterable[str] | None = None,
    df: str = "auto",
    **options: Any,
) -> Table:
    """Each fixed term left out in turn, if no other term contains it.

    Parameters
    ----------
    fit
        A fitted model.
    test
        ``"lrt"`` (``"auto"``): likelihood-ratio tests, chi-square. ``"F"``: F tests of
        a Gaussian model, without another fit.
    scope
        Terms to leave out; None for all that no other term contains (``a`` stays as
        long as there is ``a:b``), networks among them.
    df
        For F tests, as for `anova`.
    **options
        Beside networks those of `ngmm.lrt`: ``n``, ``seed``, ``progress``.

    Returns
    -------
    Table
        A row for the whole model and one for each term. Columns df (parameters fewer),
        loglik, aic, statistic and p_value of the model without the term; for F tests
        those of `anova`. Beside networks a column ``method`` says how `ngmm.lrt` has
        tested: a chi-square test does not hold there.

    Raises
    ------
    OptionError
        If a term of the scope is not in the model or is contained in another, there is
        no such test, or nothing can be left out.

    Notes
    -----
    Restricted likelihoods of models with different fixed effects are not comparable: a
    fit by REML is fitted again by maximum likelihood, and the caption says so. Every
    model is fitted to the rows that the whole one has used.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> fit.drop1().to_frame().loc["Days", ["df", "statistic"]].round(3).tolist()
    [1.0, 23.537]
    """
    if test not in TESTS:
        raise OptionError(
            f"test must be one of {', '.join(map(repr, TESTS))}; got {test!r}"
            f"{did_you_mean(test, TESTS)}"
        )
    terms = fixed_terms(fit)
    chosen, networks = _scope(fit, terms, scope)
    if options and not fit.is_neural:
        raise OptionError(
            f"unknown argument {next(iter(options))}=; without networks nothing is "
            "simulated. Arguments: test, scope, df"
        )
    if test == "F":
        return _f_tests(fit, terms, chosen, networks, df)
    if fit.is_neural:
        return _neural_tests(fit, terms, chosen, networks, options)
    return _likelihood_ratios(fit, terms, chosen)


def _scope(
    fit: MixedModelFit, terms: Sequence[Term], scope: str | Iterable[str] | None
) -> tuple[list[Term], list[str]]:
    """The fixed terms and the networks to leave out."""
    free = [t for t in terms if not _above(t, terms)]
    networks = [str(term) for term in fit.terms.networks]
    if scope is None:
        if not free and not networks:
            raise OptionError(
                "the model has no fixed terms beside the intercept to leave out; "
                "ranova() simplifies the random effects"
            )
        return free, networks
    wanted = [scope] if isinstance(scope, str) else list(scope)
    short = {label: text for text, label in _network_labels(fit).items()}
    labels = {t.label: t for t in terms}
    chosen: list[Term] = []
    nets: list[str] = []
    for name in wanted:
        if name in networks or name in short:
            nets.append(short.get(name, name))
            continue
        if name not in labels:
            known = [*labels, *short]
            raise OptionError(
                f"{name!r} is not a fixed term of the model"
                f"{did_you_mean(name, known) or '.'} Terms: {', '.join(known)}"
            )
        above = _above(labels[name], terms)
        if above:
            raise OptionError(
                f"{name} cannot be left out while {above[0].label} is in the model; "
                f'leave that out first, or test {name} by anova(), or "{name}" '
                "coefficients by contest()"
            )
        chosen.append(labels[name])
    return chosen, nets


def _above(term: Term, terms: Sequence[Term]) -> list[Term]:
    """The terms that have all factors and covariates of a term and more."""
    return [t for t in terms if set(term.parts) < set(t.parts)]


@dataclass(frozen=True, eq=False)
class _Reduced:
    """A model without a term."""

    label: str
    df: float
    loglik: float
    df_model: float
    status: Status


def _likelihood_ratios(
    fit: MixedModelFit, terms: Sequence[Term], chosen: Sequence[Term]
) -> Table:
    sentences = ["likelihood-ratio tests, chi-square"]
    model, loglik = fit.model, fit.loglik
    if fit.reml:
        model = replace(model, reml=False)
        loglik = model.maximise(fit.theta).loglik
        sentences[0] += "; this fit by REML was fitted again by maximum likelihood"
    found: list[_Reduced] = []
    for term in chosen:
        design = reduced_design(fit, [t for t in terms if t is not term])
        smaller = replace(model, design=design)
        estimate = smaller.maximise()
        fewer = model.df - smaller.df
        found.append(
            _Reduced(term.label, fewer, estimate.loglik, smaller.df, estimate.status)
        )
    sentences += [
        f"The fit without {r.label} {r.status.sentence}: its row is not a test."
        for r in found
        if r.status is not Status.CONVERGED
    ]
    idle = [r.label for r in found if r.df == 0]
    if idle:
        sentences.append(
            f"No test of {', '.join(idle)}: the other terms span the same columns."
        )
    return _table(loglik, model.df, found, sentences)


def _table(
    loglik: float, df_model: float, found: Sequence[_Reduced], sentences: Sequence[str]
) -> Table:
    from scipy.special import chdtrc

    rows: list[dict[str, float]] = [
        _row(np.nan, loglik, df_model) | {"statistic": np.nan, "p_value": np.nan}
    ]
    for r in found:
        statistic = max(2.0 * (loglik - r.loglik), 0.0)
        is_test = r.df > 0 and r.status is Status.CONVERGED
        p = float(chdtrc(r.df, statistic)) if is_test else np.nan
        rows.append(
            _row(r.df, r.loglik, r.df_model) | {"statistic": statistic, "p_value": p}
        )
    index = pd.Index(["<none>", *(r.label for r in found)], dtype=object)
    frame = pd.DataFrame(rows, index=index)
    return Table(frame, "\n".join(sentences), _columns(), "Without")


def _row(df: float, loglik: float, df_model: float) -> dict[str, float]:
    return {"df": df, "loglik": loglik, "aic": -2.0 * loglik + 2.0 * df_model}


def _columns(method: bool = False) -> tuple[Column, ...]:
    columns: list[Column] = [
        Label(),
        Number("df", "df", decimals=1) if method else Count("df", "df"),
        Number("loglik", "loglik", decimals=2),
        Number("aic", "AIC", decimals=1),
        Number("statistic", "statistic" if method else "chi2", decimals=2),
        PValue("p_value"),
    ]
    if method:
        columns.append(Text("method", "method"))
    return tuple(columns)


def _f_tests(
    fit: MixedModelFit,
    terms: Sequence[Term],
    chosen: Sequence[Term],
    networks: Sequence[str],
    df: str,
) -> Table:
    if fit.is_neural or not fit.model.is_gaussian:
        raise OptionError(
            'test="F" is for gaussian models without networks; leave test out'
        )
    del networks
    tests = wald_method(fit, df)
    by_term = hypotheses(fit, 3)
    results = []
    for term in chosen:
        L = by_term.contrasts[by_term.terms.index(term)]
        design = reduced_design(fit, [t for t in terms if t is not term])
        if len(L) != fit.design.X.shape[1] - design.X.shape[1]:
            # Without the term another one takes over its part, the intercept's say.
            L = vanishing(fit.design.X, design.X)
        results.append(tests.test(L, np.zeros(len(L))) if len(L) else None)
    labels = [t.label for t in chosen]
    sentences = [f"{tests.text}; each term after all others"]
    return table_of_tests(labels, results, tests.is_f, sentences)


def _neural_tests(
    fit: MixedModelFit,
    terms: Sequence[Term],
    chosen: Sequence[Term],
    networks: Sequence[str],
    options: dict[str, Any],
) -> Table:
    formulas: dict[str, ModelFormula] = {}
    for term in chosen:
        text = fixed_text(fit, [t for t in terms if t is not term])
        formulas[term.label] = replace(fit.terms, fixed=text, text="")
    labels = _network_labels(fit)
    for name in networks:
        left = tuple(n for n in fit.terms.networks if str(n) != name)
        formulas[labels[name]] = replace(fit.terms, networks=left, text="")
    rows: list[dict[str, Any]] = [_row(np.nan, fit.loglik, fit.df_model)]
    said = ["df: effective parameters fewer; tests of ngmm.lrt"]
    for label, formula in formulas.items():
        smaller = refit(fit, formula)
        table = lrt(smaller, fit, method="auto", **options)
        tested = table.to_frame().iloc[-1]
        fewer = fit.df_model - smaller.df_model
        rows.append(
            _row(fewer, smaller.loglik, smaller.df_model)
            | {name: tested[name] for name in ("statistic", "p_value", "method")}
        )
        said.append(f"{label}: {sentences_of(table)}")
    frame = pd.DataFrame(rows, index=pd.Index(["<none>", *formulas], dtype=object))
    return Table(frame, "\n".join(said), _columns(True), "Without")


def _network_labels(fit: MixedModelFit) -> dict[str, str]:
    """Network terms as written -> as tables call them."""
    written = map(str, fit.terms.networks)
    return dict(zip(written, (d.label for d in fit.design.networks), strict=True))
