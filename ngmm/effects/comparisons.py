"""Differences and ratios of the mean when a variable changes, averaged over the rows.

References
----------
Norton, Dowd & Maciejewski (2018), JAMA 320, 84-85; Arel-Bundock, Greifer & Heiss
(2024), J. Stat. Softw. 111(9), 1-32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.changes import Comparison, comparisons_of
from ngmm.effects.counterfactual import Subset, averages, each_row, subsets
from ngmm.effects.estimates import (
    difference_columns,
    effect_table,
    method_text,
    scale_text,
)
from ngmm.effects.linearised import Linearised, stacked
from ngmm.effects.population import Population, one_of, population
from ngmm.effects.variables import Variables, as_names, variables_of
from ngmm.errors import OptionError
from ngmm.inference.quantiles import check_level
from ngmm.results import MixedModelFit, Table

Vector = NDArray[np.float64]

KINDS = ("difference", "ratio", "odds ratio")


def comparisons(
    fit: MixedModelFit,
    variables: str | Sequence[str] | None = None,
    *,
    contrast: Any = None,
    kind: str = "difference",
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    re: str = "none",
    scale: str = "response",
    average: bool = True,
    level: float = 0.95,
) -> Table:
    """How the mean changes when a variable does, all others as they are.

    Parameters
    ----------
    fit
        A fit.
    variables
        The variables that change, one at a time; None for all.
    contrast
        What they change by. A factor: ``"reference"`` (each level against the first),
        ``"pairwise"`` (each against each earlier one), ``"sequential"`` (each against
        the one before) or a pair of levels, from and to. A number: by how much it
        grows, ``"sd"`` for its standard deviation, or a pair of values. Or a mapping
        from variables to these. None: ``"reference"``; 0 to 1 for a number with only
        these values, and +1 for others.
    kind
        ``"difference"``; ``"ratio"`` or ``"odds ratio"`` of the two averages, tested
        against one, with intervals that are symmetric for its logarithm.
    by
        Columns of the data; averages are over the rows of each of their levels.
    at
        Variable -> value or values that it has in all rows, instead of its own.
    re
        Random effects: ``"none"`` for zero; ``"all"`` for their modes, each row those
        of its own levels; ``"marginal"`` for the mean over all levels.
    scale
        ``"response"``, or ``"link"`` for the linear predictor (differences only).
    average
        Whether to average over the rows; otherwise there is a row for each of them.
    level
        Level of the intervals.

    Returns
    -------
    Table
        Columns: variable, contrast, those in ``at`` and ``by`` (``row``, the label of
        the row, with ``average=False``), estimate, std_error, df, statistic, p_value,
        conf_low, conf_high. Standard errors as for `ngmm.effects.slopes`.

    Raises
    ------
    OptionError
        If there is no such variable, level or contrast, or means are not of the kind
        that has a ratio.
    NotSupportedError
        If the model has a neural random effect.

    References
    ----------
    Norton, Dowd & Maciejewski (2018), JAMA 320, 84-85; Arel-Bundock, Greifer & Heiss
    (2024), J. Stat. Softw. 111(9), 1-32.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("cbpp")
    >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    >>> fit = ngmm.fit(formula, data, family="binomial")
    >>> table = ngmm.effects.comparisons(fit, "period", contrast=["1", "4"])
    >>> print(table)
    variable  contrast   estimate       se       z        p        95% CI
    period    4 - 1       -0.1495   0.0367   -4.07   <0.001   [-0.222, -0.078]
    difference of the mean response, random effects zero; delta method, normal
    approximation
    average over the 56 rows
    """
    check_level(level)
    one_of("kind", kind, KINDS)
    found = population(fit, re, scale, ("none", "marginal", "all"))
    _check_kind(found, kind)
    columns = variables_of(found, as_names(by, "by"))
    names = [columns.check(n) for n in as_names(variables, "variables")]
    names = names or list(columns.names)
    if isinstance(contrast, Mapping):
        for name in contrast:
            columns.check(name, argument="contrast")
    chosen = subsets(columns, by, at, average=average)
    frames, numbers = [], []
    for name in names:
        for one in comparisons_of(columns, name, contrast):
            labels, own = (_averaged if average else _by_row)(
                found, columns, chosen, one, kind, level
            )
            frames.append(labels)
            numbers.append(own)
    if not frames:
        raise OptionError("the model has no variables to compare")
    joined = {key: np.concatenate([n[key] for n in numbers]) for key in numbers[0]}
    what = kind if average else f"{kind} row by row"
    caption = f"{what} {scale_text(found)}; {method_text(found, joined)}"
    if average:
        caption = f"{caption}\naverage over the {fit.nobs:,} rows"
    return effect_table(pd.concat(frames), joined, level, caption)


def _check_kind(found: Population, kind: str) -> None:
    if kind == "difference":
        return
    if found.scale == "link":
        raise OptionError(f'kind="{kind}" is one of means; use scale="response"')
    if kind == "odds ratio" and found.link.log_complement is None:
        raise OptionError(
            f"the mean of a {found.fit.family} response with {found.link.name} link is "
            'no probability; use kind="ratio"'
        )


def _averaged(
    found: Population,
    columns: Variables,
    chosen: Sequence[Subset],
    one: Comparison,
    kind: str,
    level: float,
) -> tuple[pd.DataFrame, dict[str, Vector]]:
    high, low = averages(found, columns, chosen, one.variable, one.change)
    label = one.label("-" if kind == "difference" else "/")
    head = {"variable": one.variable, "contrast": label}
    labels = pd.DataFrame([{**head, **s.labels} for s in chosen])
    return labels, _compared(found, high, low, kind, level)


def _by_row(
    found: Population,
    columns: Variables,
    chosen: Sequence[Subset],
    one: Comparison,
    kind: str,
    level: float,
) -> tuple[pd.DataFrame, dict[str, Vector]]:
    labels, numbers = [], []
    index = columns.fit.design.index
    label = one.label("-" if kind == "difference" else "/")
    for subset in chosen:
        for rows, [high, low] in each_row(
            found, columns, subset, one.variable, one.change
        ):
            head = {"variable": one.variable, "contrast": label, "row": index[rows]}
            labels.append(pd.DataFrame(head).assign(**subset.labels))
            numbers.append(_compared(found, high, low, kind, level))
    joined = {key: np.concatenate([n[key] for n in numbers]) for key in numbers[0]}
    return pd.concat(labels), joined


def _compared(
    found: Population, high: Linearised, low: Linearised, kind: str, level: float
) -> dict[str, Vector]:
    both = stacked([high, low])
    one = np.eye(len(high.estimate))
    if kind == "difference":
        return difference_columns(found, both.combine(np.hstack([one, -one])), level)
    mean = both.estimate
    if (mean <= 0).any():
        raise OptionError(
            f'kind="{kind}" needs positive means; some are {mean.min():.4g}. Use '
            'kind="difference"'
        )
    log, slope = np.log(mean), 1.0 / mean
    if kind == "odds ratio":
        log, slope = np.log(mean) - np.log1p(-mean), slope / (1.0 - mean)
    L = np.hstack([one, -one])
    logs = both.combine(L * slope, L @ log)
    out = difference_columns(found, logs, level)
    ratio = np.exp(out["estimate"])
    out["estimate"], out["std_error"] = ratio, ratio * out["std_error"]
    out["conf_low"], out["conf_high"] = (
        np.exp(out["conf_low"]),
        np.exp(out["conf_high"]),
    )
    return out
