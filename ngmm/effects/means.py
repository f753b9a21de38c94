"""Estimated marginal means and their contrasts.

References
----------
Searle, Speed & Milliken (1980), Am. Stat. 34, 216-221; Lenth (2016), J. Stat. Softw.
69(1), 1-33.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.contrasts import contrast_matrix
from ngmm.effects.estimable import estimable
from ngmm.effects.estimates import (
    Family,
    difference_columns,
    effect_table,
    estimate_columns,
    method_text,
    scale_text,
    value_text,
)
from ngmm.effects.linearised import Linearised
from ngmm.effects.population import Population, one_of, population
from ngmm.effects.variables import (
    Values,
    Variables,
    as_column,
    as_names,
    variables_of,
)
from ngmm.errors import OptionError
from ngmm.inference.quantiles import check_level
from ngmm.inference.wald.multiplicity import check_adjust
from ngmm.results import MixedModelFit, Table

WEIGHTS = ("equal", "observed")
# A number with more values is not what a table of means is made of by itself.
MOST_VALUES = 10
# Rows of a reference grid beyond which a factor was meant to be left out.
MOST_ROWS = 1_000_000

_ADJUSTED = {
    "tukey": "Tukey's adjustment for all pairs",
    "bonferroni": "Bonferroni's adjustment",
    "sidak": "Sidak's adjustment",
    "holm": "Holm's adjustment (intervals: Bonferroni's)",
    "fdr": "false discovery rate (intervals: Bonferroni's)",
}


def means(
    fit: MixedModelFit,
    variables: str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: str = "equal",
    re: str = "none",
    scale: str = "response",
    contrasts: Any = None,
    adjust: str = "none",
    level: float = 0.95,
) -> Table:
    """Estimated marginal means, or contrasts of them.

    The model's means on a grid of all combinations of the levels of its factors, with
    numbers at their means, averaged over the factors that are not asked for. The
    average is one of means: on the scale of the response where ``scale="response"``.

    Parameters
    ----------
    fit
        A fit.
    variables
        Factors a mean for each level (or combination of levels) of which is wanted;
        numbers too, at the values in ``at``, or at all of theirs if they are few.
    by
        Further ones: contrasts are made, and adjusted, within each of their levels.
    at
        Variable -> value or values that it takes on the grid.
    weights
        Of the combinations that are averaged over: ``"equal"``, or ``"observed"``,
        their number of rows in the data.
    re
        Random effects: ``"none"`` for zero, the mean of a typical level;
        ``"marginal"`` for the mean over all levels. They differ where the mean is not
        linear.
    scale
        ``"response"``, or ``"link"`` for the linear predictor.
    contrasts
        None for the means themselves. ``"pairwise"``, each mean less each later one;
        ``"reference"``, each less the first; ``"sequential"``, each less the one
        before; a mapping from names to coefficients, or a matrix with a row a contrast
        and a column a mean, in the order of the table of means.
    adjust
        Of p-values and intervals of contrasts: ``"none"``, ``"holm"``,
        ``"bonferroni"``, ``"tukey"`` (pairwise only), ``"sidak"``, ``"fdr"``.
    level
        Level of the intervals.

    Returns
    -------
    Table
        Columns: ``by``, ``variables`` (or ``contrast``), estimate, std_error, df,
        conf_low, conf_high; for contrasts statistic and p_value too. Gaussian fits have
        Satterthwaite degrees of freedom, contrast by contrast, others infinite ones.
        Intervals of means on the scale of the response are carried over from the link.

    Raises
    ------
    OptionError
        If there is no such variable, level, contrast or adjustment.
    NotSupportedError
        If the model has a neural random effect.

    References
    ----------
    Searle, Speed & Milliken (1980), Am. Stat. 34, 216-221; Lenth (2016), J. Stat.
    Softw. 69(1), 1-33.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("cake")
    >>> fit = ngmm.fit("angle ~ recipe + temp + (1 | recipe:replicate)", data)
    >>> print(ngmm.effects.means(fit, "recipe", contrasts="pairwise", adjust="tukey"))
    contrast   estimate     se     df      t       p     95% CI
    A - B          1.48   2.37   45.0   0.62   0.808   [-4.3, 7.2]
    A - C          1.52   2.37   45.0   0.64   0.798   [-4.2, 7.3]
    B - C          0.04   2.37   45.0   0.02   1.000   [-5.7, 5.8]
    differences of the response, random effects zero; Satterthwaite degrees of
    freedom; Tukey's adjustment for all pairs of 3 comparisons
    at temp = 200
    """
    check_level(level)
    check_adjust(adjust)
    one_of("weights", weights, WEIGHTS)
    found = population(fit, re, scale, ("none", "marginal"))
    columns = variables_of(found)
    grid = _Grid.of(columns, variables, by, at)
    if contrasts is None:
        if adjust != "none":
            raise OptionError(
                f'adjust="{adjust}" is for contrasts; add contrasts="pairwise"'
            )
        return _mean_table(found, grid, weights, level)
    return _contrast_table(found, grid, weights, contrasts, adjust, level)


@dataclass(frozen=True, eq=False)
class _Grid:
    """The reference grid.

    Attributes
    ----------
    columns
        The columns of the fit.
    by, shown, averaged
        Variable -> values: of subsets, of the means, and those averaged over.
    held
        Variable -> its one value.
    """

    columns: Variables
    by: dict[str, Values]
    shown: dict[str, Values]
    averaged: dict[str, Values]
    held: dict[str, Any]

    @classmethod
    def of(cls, columns: Variables, variables: Any, by: Any, at: Any) -> _Grid:
        """The grid that the arguments of `means` ask for."""
        shown = [columns.check(n) for n in as_names(variables, "variables")]
        subsets = [columns.check(n, argument="by") for n in as_names(by, "by")]
        if not shown:
            raise OptionError("variables= names what a mean is wanted for")
        for name in subsets:
            if name in shown:
                raise OptionError(f"{name} is in variables= and in by=; leave one out")
        if columns.arrays:
            name = min(columns.arrays)
            raise OptionError(
                f'"{name}" is an array a row and has no typical value: a reference '
                "grid cannot be made. effects.comparisons and effects.slopes average "
                "over the rows of the data"
            )
        given = columns.chosen_values(at)
        axes = {n: _axis(columns, n, given) for n in [*subsets, *shown]}
        averaged: dict[str, Values] = {}
        held: dict[str, Any] = {}
        for name in columns.names:
            if name in axes:
                continue
            values = given.get(name, columns.levels.get(name))
            if values is None:
                held[name] = float(columns.number(name).mean())
            elif len(values) == 1:
                held[name] = values[0]
            else:
                averaged[name] = values
        return cls(
            columns,
            {n: axes[n] for n in subsets},
            {n: axes[n] for n in shown},
            averaged,
            held,
        )

    @property
    def n_subsets(self) -> int:
        """Number of combinations of the levels of `by`."""
        return int(np.prod([len(v) for v in self.by.values()], dtype=int))

    @property
    def n_shown(self) -> int:
        """Number of means in each subset."""
        return int(np.prod([len(v) for v in self.shown.values()]))

    @property
    def n_averaged(self) -> int:
        """Number of rows that a mean averages."""
        return int(np.prod([len(v) for v in self.averaged.values()], dtype=int))

    @property
    def n_rows(self) -> int:
        """Number of rows of the grid."""
        return self.n_subsets * self.n_shown * self.n_averaged

    def rows(self) -> dict[str, Any]:
        """Column -> values: subsets slowest, then means, then what is averaged."""
        if self.n_rows > MOST_ROWS:
            raise OptionError(
                f"the reference grid has {self.n_rows:,} rows, all combinations of "
                f"{', '.join([*self.by, *self.shown, *self.averaged])}; hold some at "
                "one value with at="
            )
        axes = {**self.by, **self.shown, **self.averaged}
        index = np.indices([len(v) for v in axes.values()]).reshape(len(axes), -1)
        out = {
            name: as_column(values[i])
            for (name, values), i in zip(axes.items(), index, strict=True)
        }
        n = self.n_rows
        out |= {name: as_column(np.repeat(v, n)) for name, v in self.held.items()}
        return out

    def weights(self, kind: str) -> NDArray[np.float64]:
        """(averaged,) weights of the rows of a mean, which sum to one."""
        sizes = [len(v) for v in self.averaged.values()]
        if kind == "equal" or not sizes:
            return np.full(self.n_averaged, 1.0 / self.n_averaged)
        known = np.ones(self.columns.n_rows, dtype=bool)
        codes = []
        for name, values in self.averaged.items():
            code = pd.Index(values).get_indexer(pd.Index(self.columns.columns[name]))
            known &= code >= 0
            codes.append(code)
        count = np.zeros(sizes)
        np.add.at(count, tuple(c[known] for c in codes), 1.0)
        if not known.any():
            raise OptionError(
                'weights="observed": no row of the data has the values in at=; use '
                'weights="equal"'
            )
        return count.ravel() / count.sum()

    def labels(self, axes: dict[str, Values]) -> pd.DataFrame:
        """All combinations of some variables, the first slowest."""
        rows = list(product(*axes.values()))
        return pd.DataFrame(rows, columns=pd.Index(list(axes)))


def _axis(columns: Variables, name: str, given: Mapping[str, Values]) -> Values:
    if name in given:
        return given[name]
    levels = columns.levels.get(name)
    if levels is not None:
        return levels
    values = np.unique(columns.number(name))
    if len(values) > MOST_VALUES:
        low, high = (value_text(float(v)) for v in values[[0, -1]])
        raise OptionError(
            f"{name} is a number with {len(values):,} values; say at which, such as "
            f"at={{'{name}': [{low}, {high}]}}"
        )
    return values


def _means(found: Population, grid: _Grid, weights: str) -> tuple[Linearised, bool]:
    """The means, those that the data do not determine missing, and if there are any."""
    from scipy import sparse  # loads slowly

    data = grid.rows()
    points = found.points(data)
    share = grid.weights(weights)
    t = grid.n_subsets * grid.n_shown
    G = sparse.csr_array(sparse.kron(sparse.eye_array(t), share[None, :]))
    totals = found.totals(points, G)
    known = estimable(found, grid.columns, data, grid.n_rows)
    missing = ~(known.reshape(t, -1) | (share == 0)).all(axis=1)
    if missing.any():
        totals = totals.combine(np.eye(t), np.where(missing, np.nan, totals.estimate))
    return totals, bool(missing.any())


def _mean_table(found: Population, grid: _Grid, weights: str, level: float) -> Table:
    totals, missing = _means(found, grid, weights)
    numbers = estimate_columns(found, totals, level)
    _blank(numbers)
    labels = grid.labels({**grid.by, **grid.shown})
    caption = f"{scale_text(found)}; {method_text(found, numbers)}"
    caption += _grid_text(grid, weights) + _missing_text(missing)
    return effect_table(labels, numbers, level, caption)


def _contrast_table(
    found: Population,
    grid: _Grid,
    weights: str,
    contrasts: Any,
    adjust: str,
    level: float,
) -> Table:
    shown = grid.labels(grid.shown)
    names = [", ".join(map(value_text, row)) for row in shown.itertuples(index=False)]
    labels, L = contrast_matrix(contrasts, names)
    if adjust == "tukey" and contrasts != "pairwise":
        raise OptionError(
            'adjust="tukey" is for contrasts="pairwise"; use "holm", which is valid '
            "for any"
        )
    totals, missing = _means(found, grid, weights)
    whole = np.asarray(np.kron(np.eye(grid.n_subsets), L), dtype=np.float64)
    value = np.where(np.isnan(totals.estimate), 0.0, totals.estimate)
    lost = (np.abs(whole) @ np.isnan(totals.estimate)) > 0
    differences = totals.combine(whole, np.where(lost, np.nan, whole @ value))
    c = len(labels)
    families = [
        Family(slice(i * c, (i + 1) * c), len(names)) for i in range(grid.n_subsets)
    ]
    numbers = difference_columns(found, differences, level, adjust, families)
    _blank(numbers)
    frame = grid.labels(grid.by)
    frame = frame.loc[np.repeat(np.arange(grid.n_subsets), c)].reset_index(drop=True)
    frame.insert(len(frame.columns), "contrast", labels * grid.n_subsets)
    caption = f"differences {scale_text(found)}; {method_text(found, numbers)}"
    if adjust != "none":
        caption += f"; {_ADJUSTED[adjust]}"
        caption += f" of {c} comparisons" + " in each subset" * bool(grid.by)
    caption += _grid_text(grid, weights) + _missing_text(missing)
    return effect_table(frame, numbers, level, caption)


def _blank(numbers: dict[str, NDArray[np.float64]]) -> None:
    """What the data do not determine has no error either."""
    missing = np.isnan(numbers["estimate"])
    for values in numbers.values():
        values[missing] = np.nan


def _grid_text(grid: _Grid, weights: str) -> str:
    parts = []
    if grid.averaged:
        how = "equal" if weights == "equal" else "observed"
        parts.append(f"averaged over {', '.join(grid.averaged)} with {how} weights")
    if grid.held:
        at = ", ".join(f"{k} = {value_text(v)}" for k, v in grid.held.items())
        parts.append(f"at {at}")
    return "\n" + "; ".join(parts) if parts else ""


def _missing_text(missing: bool) -> str:
    if not missing:
        return ""
    return (
        "\na dash: the data do not determine this mean, for they have no rows with "
        "such a combination; leave its levels out with at="
    )
