"""Analysis of variance: a test of each fixed term."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.comparison.anova_terms import hypotheses
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.gaussian import GaussianAnalysis, contrast_basis
from ngmm.inference.wald.kenward_roger import kenward_roger
from ngmm.inference.wald.satterthwaite import satterthwaite
from ngmm.inference.wald.tests import WaldTest, combinations, wald_test
from ngmm.results.columns import Column, Count, Label, Number, PValue
from ngmm.results.table import Table

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

METHODS = ("auto", "satterthwaite", "kenward-roger", "none")

_TYPES = {
    1: "type I: each term after the terms before it",
    2: "type II: each term after all terms that do not contain it",
    3: "type III: each term after all others, contained terms over unweighted cells",
}


def anova(fit: MixedModelFit, type: int = 3, *, df: str = "auto") -> Table:  # noqa: A002
    """Test of each fixed term: that all its coefficients are zero.

    Parameters
    ----------
    fit
        A fitted model.
    type
        1: each term after the terms before it. 2: each term after all terms that do
        not contain it, where ``a:b`` contains ``a`` and ``b``, and ``a:x`` with a
        covariate x contains ``x``. 3: each term after all others, contained terms in
        the way that does not depend on the coding of factors: main effects compare
        unweighted means of cells.
    df
        Denominator degrees of freedom of F tests of a Gaussian model:
        ``"satterthwaite"`` (``"auto"``, unless the model was fitted with another
        ``df``), ``"kenward-roger"``, or ``"none"`` for chi-square tests, which all
        other families have, and linear terms beside networks.

    Returns
    -------
    Table
        A row for each term of the formula; columns num_df, den_df, statistic (F) and
        p_value, or df, statistic (chi-square) and p_value. A term all of whose columns
        are linear combinations of others has df 0 and no test.

    Raises
    ------
    OptionError
        If an argument is not one of those above, or the model has no fixed terms.
    NotSupportedError
        If Kenward and Roger's method needs more memory than it may take.

    Notes
    -----
    Kenward and Roger's method rests on the restricted likelihood: a fit by maximum
    likelihood is fitted again by REML, and the caption says so.

    References
    ----------
    Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13); Kenward & Roger
    (1997), Biometrics 53, 983-997.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> print(fit.anova())
    Fixed terms   df   den df       F        p
      Days         1     17.0   45.85   <0.001
      F tests, Satterthwaite degrees of freedom; type III: each term after all
      others, contained terms over unweighted cells
    """
    kind = _check_type(type)
    tests = wald_method(fit, df)
    found = hypotheses(fit, kind)
    results = [
        tests.test(L, np.zeros(len(L))) if len(L) else None for L in found.contrasts
    ]
    labels = [term.label for term in found.terms]
    sentences = [f"{tests.text}; {_TYPES[kind]}"]
    aliased = [n for n, r in zip(labels, results, strict=True) if r is None]
    if aliased:
        sentences.append(
            f"No test of {', '.join(aliased)}: all columns are linear combinations of "
            "those of other terms."
        )
    if found.empty:
        sentences.append(empty_text(found.empty))
    return table_of_tests(labels, results, tests.is_f, sentences)


@dataclass(frozen=True, eq=False)
class WaldMethod:
    """How linear combinations of the fixed effects of a fit are tested.

    Attributes
    ----------
    method
        ``"satterthwaite"``, ``"kenward-roger"`` or ``"none"``.
    text
        The same in words.
    beta, vcov
        Estimates, and the covariance that goes with the tests.
    degrees
        (q, p) contrasts -> degrees of freedom of their t tests.
    test
        (L, rhs) -> test of L beta = rhs.
    """

    method: str
    text: str
    beta: Vector
    vcov: Matrix
    degrees: Callable[[Matrix], Vector]
    test: Callable[[Matrix, Vector], WaldTest]

    @property
    def is_f(self) -> bool:
        """Whether the tests are F tests."""
        return self.method != "none"


def wald_method(fit: MixedModelFit, df: str) -> WaldMethod:
    """How to test linear combinations of the fixed effects.

    Raises
    ------
    OptionError
        If there is no such method, or not for this model.
    """
    method = _method(fit, df)
    analysis = fit._analysis
    beta, vcov = analysis.estimate.beta, analysis.vcov
    if method == "none":
        text = "Wald chi-square tests"
        if fit.is_neural:
            text += " of the linear terms, allowing for the networks"

        def infinite(L: Matrix) -> Vector:
            return np.full(len(L), np.inf)

        def chi_square(L: Matrix, rhs: Vector) -> WaldTest:
            return wald_test(combinations(L, vcov, beta, rhs), None)

        return WaldMethod(method, text, beta, vcov, infinite, chi_square)
    assert isinstance(analysis, GaussianAnalysis)
    if method == "kenward-roger":
        return _kenward_roger(fit)
    model, profile = fit.model, analysis.estimate.profile
    basis = contrast_basis(model)

    def degrees(L: Matrix) -> Vector:
        return satterthwaite(L @ basis, profile, model.problem.n_residual)

    def f_test(L: Matrix, rhs: Vector) -> WaldTest:
        return wald_test(combinations(L, vcov, beta, rhs), degrees)

    text = "F tests, Satterthwaite degrees of freedom"
    return WaldMethod(method, text, beta, vcov, degrees, f_test)


def _kenward_roger(fit: MixedModelFit) -> WaldMethod:
    model, estimate = fit.model, fit.estimate
    text = "F tests, Kenward-Roger covariance and degrees of freedom"
    if not model.reml:
        model = replace(model, reml=True)
        estimate = model.maximise(fit.theta)
        text += ", from a fit by REML of this model fitted by maximum likelihood"
    found = kenward_roger(model, estimate)  # type: ignore[arg-type]
    return WaldMethod(
        "kenward-roger",
        text,
        found.beta,
        found.vcov_adjusted,
        found.degrees_of_freedom,
        found.test,
    )


def _method(fit: MixedModelFit, df: str) -> str:
    """The method asked for, if the model has it."""
    if df not in METHODS:
        raise OptionError(
            f"df must be one of {', '.join(map(repr, METHODS))}; got {df!r}"
            f"{did_you_mean(df, METHODS)}"
        )
    is_exact = fit.model.is_gaussian and not fit.is_neural
    if df == "auto":
        return fit.df_method if is_exact else "none"
    if df != "none" and not is_exact:
        what = "models with networks" if fit.is_neural else f"family {fit.family}"
        raise OptionError(
            f"df={df!r} is for gaussian models without networks: {what} have "
            'chi-square tests. Leave df out, or write df="none"'
        )
    return df


def _check_type(kind: object) -> int:
    if isinstance(kind, bool) or kind not in _TYPES:
        raise OptionError(f"type must be 1, 2 or 3; got {kind!r}")
    return int(kind)  # type: ignore[call-overload]


def empty_text(empty: Sequence[str]) -> str:
    """Sentence about cells without data."""
    shown = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
    return (
        f"No data for {shown}: what a contained term tests depends on which cells are "
        "empty."
    )


def table_of_tests(
    labels: Sequence[str],
    results: Sequence[WaldTest | None],
    is_f: bool,
    sentences: Sequence[str],
) -> Table:
    """The table of tests, a row each; None for what cannot be tested."""
    rows = [
        {
            "num_df": 0 if r is None else r.rank,
            "den_df": np.nan if r is None else r.den_df,
            "statistic": np.nan if r is None else r.statistic if is_f else r.chi2,
            "p_value": np.nan if r is None else r.p_value,
        }
        for r in results
    ]
    frame = pd.DataFrame(rows, index=pd.Index(list(labels), dtype=object))
    columns: list[Column] = [Label(), Count("num_df", "df")]
    if is_f:
        columns.append(Number("den_df", "den df", decimals=1))
    else:
        frame = frame.drop(columns="den_df").rename(columns={"num_df": "df"})
        columns = [Label(), Count("df", "df")]
    columns += [
        Number("statistic", "F" if is_f else "chi2", decimals=2),
        PValue("p_value"),
    ]
    return Table(frame, "\n".join(sentences), tuple(columns), "Fixed terms")
