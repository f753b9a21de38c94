"""Tests of contrasts: linear combinations of the fixed effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ngmm.comparison.anova import WaldMethod, wald_method
from ngmm.comparison.hypotheses import Hypothesis, as_hypothesis
from ngmm.errors import OptionError
from ngmm.inference.quantiles import critical
from ngmm.inference.wald.tests import WaldTest, combinations
from ngmm.results.columns import Column, Count, Interval, Label, Number, PValue
from ngmm.results.table import Table

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

_LEVEL = 0.95


def contest(fit: MixedModelFit, L: Any, *, rhs: Any = 0.0, df: str = "auto") -> Table:
    """Joint test that linear combinations of the fixed effects have given values.

    Parameters
    ----------
    fit
        A fitted model.
    L
        What is tested: text such as ``"recipe[T.B] - recipe[T.C] = 0"``, a mapping from
        coefficients to weights, or a list of these; or numbers, (p,) for one
        combination, (q, p) for q of them, in the order of ``fit.fixef``. Combinations
        that follow from others add nothing.
    rhs
        The value tested, or one for each row of L.
    df
        As for `anova`.

    Returns
    -------
    Table
        One row. Columns num_df, den_df, statistic (F) and p_value, or df, statistic
        (chi-square) and p_value; a single combination has also estimate, std_error,
        conf_low and conf_high (95 %).

    Raises
    ------
    OptionError
        If L cannot be read, has a wrong length or weights that are all zero, or its
        rows contradict each other.

    References
    ----------
    Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378; Kenward & Roger (1997),
    Biometrics 53, 983-997.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("cake")
    >>> fit = ngmm.fit("angle ~ recipe + temp + (1 | recipe:replicate)", data)
    >>> row = fit.contest("recipe[T.B] - recipe[T.C] = 0").to_frame().iloc[0]
    >>> row[["estimate", "statistic", "p_value"]].round(4).tolist()
    [0.0444, 0.0004, 0.9851]
    """
    hypothesis = as_hypothesis(L, rhs, fit.design.names)
    tests = wald_method(fit, df)
    found = combinations(hypothesis.L, tests.vcov, tests.beta, hypothesis.rhs)
    if not found.is_consistent:
        raise OptionError(
            "the rows of L contradict each other: some are combinations of others with "
            f"another value. They are: {'; '.join(hypothesis.labels)}"
        )
    result = tests.test(hypothesis.L, hypothesis.rhs)
    single = len(hypothesis.L) == 1
    frame = _joint(result, tests, hypothesis.labels[0] if single else "joint")
    sentences = [tests.text]
    if single:
        frame = _with_estimate(frame, hypothesis, tests)
    else:
        sentences.append(", ".join(hypothesis.labels))
    if result.rank < len(hypothesis.L):
        sentences.append(
            f"{len(hypothesis.L)} combinations, of which {result.rank} "
            f"{'is' if result.rank == 1 else 'are'} independent"
        )
    columns = _columns(tests, "estimate" in frame)
    return Table(frame, "; ".join(sentences), columns, "Hypothesis")


def _joint(result: WaldTest, tests: WaldMethod, label: str) -> pd.DataFrame:
    row: dict[str, float] = (
        {"num_df": result.rank, "den_df": result.den_df, "statistic": result.statistic}
        if tests.is_f
        else {"df": result.rank, "statistic": result.chi2}
    )
    index = pd.Index([label], dtype=object)
    return pd.DataFrame([row | {"p_value": result.p_value}], index=index)


def _with_estimate(
    frame: pd.DataFrame, hypothesis: Hypothesis, tests: WaldMethod
) -> pd.DataFrame:
    row = hypothesis.L[0]
    estimate = float(row @ tests.beta)
    se = float(np.sqrt(row @ tests.vcov @ row))
    margin = float(critical(_LEVEL, tests.degrees(hypothesis.L))[0]) * se
    first = {"estimate": estimate, "std_error": se}
    last = {"conf_low": estimate - margin, "conf_high": estimate + margin}
    return pd.DataFrame(
        {**first, **{name: frame[name].iloc[0] for name in frame}, **last},
        index=frame.index,
    )


def _columns(tests: WaldMethod, has_estimate: bool) -> tuple[Column, ...]:
    like = ("estimate", "std_error")
    columns: list[Column] = [Label()]
    if has_estimate:
        columns += [
            Number("estimate", "estimate", *like),
            Number("std_error", "se", *like),
        ]
    columns.append(Count("num_df" if tests.is_f else "df", "df"))
    if tests.is_f:
        columns.append(Number("den_df", "den df", decimals=1))
    columns += [
        Number("statistic", "F" if tests.is_f else "chi2", decimals=2),
        PValue("p_value"),
    ]
    if has_estimate:
        columns.append(
            Interval("conf_low", "conf_high", "estimate", "95% CI", "std_error")
        )
    return tuple(columns)
