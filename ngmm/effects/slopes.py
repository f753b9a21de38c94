"""Derivatives of the mean in numeric variables, averaged over the rows.

The design is built again for values on either side, so that any transform in the
formula counts, and differenced by a rule of high order: the error is that of rounding.

References
----------
Fornberg (1988), Math. Comput. 51, 699-706, table 1, for the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.counterfactual import Change, Node, averages, each_row, subsets
from ngmm.effects.estimates import (
    difference_columns,
    effect_table,
    method_text,
    scale_text,
)
from ngmm.effects.population import Population, population
from ngmm.effects.variables import Variables, as_names, variables_of
from ngmm.errors import OptionError
from ngmm.inference.quantiles import check_level
from ngmm.results import MixedModelFit, Table

Vector = NDArray[np.float64]

# Step in standard deviations. The rule's error is h^4 f'''''/30, or h^3 f''''/4 at the
# ends of the data, that of rounding about 1e-16/h of the mean: all below 1e-9.
STEP = 1e-3
CENTRED = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([1.0, -8.0, 8.0, -1.0]) / 12.0
FORWARD = np.array([0.0, 1.0, 2.0, 3.0]), np.array([-11.0, 18.0, -9.0, 2.0]) / 6.0


def slopes(
    fit: MixedModelFit,
    variables: str | Sequence[str] | None = None,
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    re: str = "none",
    scale: str = "response",
    average: bool = True,
    level: float = 0.95,
) -> Table:
    """Slopes of the mean in numeric variables.

    Parameters
    ----------
    fit
        A fit.
    variables
        Numeric variables; None for all.
    by
        Columns of the data; averages are over the rows of each of their levels.
    at
        Variable -> value or values that it has in all rows, instead of its own.
    re
        Random effects: ``"none"`` for zero; ``"all"`` for their modes, each row those
        of its own levels; ``"marginal"`` for the slope of the mean over all levels.
    scale
        ``"response"``, or ``"link"`` for the linear predictor.
    average
        Whether to average over the rows; otherwise there is a row for each of them.
    level
        Level of the intervals.

    Returns
    -------
    Table
        Columns: variable, those in ``at`` and ``by`` (``row``, the label of the row,
        with ``average=False``), estimate, std_error, df, statistic, p_value, conf_low,
        conf_high. Standard errors are by the delta method: they allow for the
        estimation of coefficients, weights of networks, and the modes or (if averaged
        over) the variances of the random effects.

    Raises
    ------
    OptionError
        If there is no such variable, or it is not numeric.
    NotSupportedError
        If the model has a neural random effect.

    References
    ----------
    Fornberg (1988), Math. Comput. 51, 699-706, table 1, for the weights of differences.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> print(ngmm.effects.slopes(fit))
    variable   estimate      se     df      t        p      95% CI
    Days         10.467   1.546   17.0   6.77   <0.001   [7.21, 13.73]
    mean over the 180 rows of the slope of the response, random effects zero;
    Satterthwaite degrees of freedom
    """
    check_level(level)
    found = population(fit, re, scale, ("none", "marginal", "all"))
    columns = variables_of(found, as_names(by, "by"))
    names = numeric_names(columns, variables)
    chosen = subsets(columns, by, at, average=average)
    frames, numbers = [], []
    for name in names:
        change = derivative(columns.number(name))
        labels, own = (_averaged if average else _by_row)(
            found, columns, chosen, name, change, level
        )
        frames.append(labels)
        numbers.append(own)
    joined = {key: np.concatenate([n[key] for n in numbers]) for key in numbers[0]}
    n = f"{fit.nobs:,} rows"
    how = f"mean over the {n} of the slope" if average else "slope"
    caption = f"{how} {scale_text(found)}; {method_text(found, joined)}"
    return effect_table(pd.concat(frames), joined, level, caption)


def numeric_names(columns: Variables, variables: Any) -> list[str]:
    """Numeric variables asked for, all of them if None.

    Raises
    ------
    OptionError
        If one is not numeric, or there is none.
    """
    if variables is None:
        if columns.numeric:
            return list(columns.numeric)
        raise OptionError(
            "the model has no numeric variables; effects.comparisons compares levels"
        )
    names = [columns.check(name) for name in as_names(variables, "variables")]
    for name in names:
        if name in columns.levels:
            raise OptionError(
                f"{name} is a factor and has no slope; "
                f'use effects.comparisons(fit, "{name}")'
            )
    if not names:
        raise OptionError("variables= is empty; leave it out for all of them")
    return names


def derivative(values: Vector) -> Change:
    """Differences of a variable: centred, one-sided at the ends of its values.

    Beyond the ends a transform such as ``log(x)`` or a spline may not exist.
    """
    low, high = float(values.min()), float(values.max())
    sd = float(values.std())
    h = STEP * (sd if sd > 0 else max(abs(low), 1.0))
    offsets, weights = CENTRED

    def change(x: NDArray[Any]) -> list[list[Node]]:
        x = np.asarray(x, dtype=np.float64)
        at, w = np.tile(offsets, (len(x), 1)), np.tile(weights, (len(x), 1))
        first = (x >= low) & (x < low + 2 * h)
        last = (x <= high) & (x > high - 2 * h) & ~first
        at[first], w[first] = FORWARD
        at[last], w[last] = -FORWARD[0], -FORWARD[1]
        moved = x[:, None] + h * at
        return [[Node(v, c / h) for v, c in zip(moved.T, w.T, strict=True)]]

    return change


def _averaged(
    found: Population,
    columns: Variables,
    chosen: Sequence[Any],
    name: str,
    change: Change,
    level: float,
) -> tuple[pd.DataFrame, dict[str, Vector]]:
    [values] = averages(found, columns, chosen, name, change)
    labels = pd.DataFrame([{"variable": name, **s.labels} for s in chosen])
    return labels, difference_columns(found, values, level)


def _by_row(
    found: Population,
    columns: Variables,
    chosen: Sequence[Any],
    name: str,
    change: Change,
    level: float,
) -> tuple[pd.DataFrame, dict[str, Vector]]:
    labels, numbers = [], []
    index = columns.fit.design.index
    for subset in chosen:
        for rows, [values] in each_row(found, columns, subset, name, change):
            own = pd.DataFrame({"variable": name, "row": index[rows]})
            labels.append(own.assign(**subset.labels))
            numbers.append(difference_columns(found, values, level))
    joined = {key: np.concatenate([n[key] for n in numbers]) for key in numbers[0]}
    return pd.concat(labels), joined
