"""What `partial` draws: an effect over one input or two, with its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.grids import is_categorical
from ngmm.effects.means import means
from ngmm.effects.partial import partial
from ngmm.effects.population import Population
from ngmm.effects.rows import rows_of
from ngmm.effects.terms import network_term
from ngmm.effects.variables import variables_of
from ngmm.errors import OptionError, did_you_mean
from ngmm.plots.labels import predictor_text
from ngmm.results import MixedModelFit

# Values of a numeric input: of one by itself, and of each of two.
POINTS, POINTS_OF_TWO = 50, 25


@dataclass(frozen=True, eq=False)
class Curve:
    """An effect over one input or two.

    Attributes
    ----------
    names
        The inputs.
    categorical
        For each whether it is a factor.
    frame
        Columns: the inputs, effect, conf_low, conf_high; all combinations of values,
        the first input slowest.
    rows
        The inputs in the rows of the fit.
    label
        What the effect is.
    """

    names: tuple[str, ...]
    categorical: tuple[bool, ...]
    frame: pd.DataFrame
    rows: Mapping[str, NDArray[Any]]
    label: str

    def at_rows(self) -> NDArray[np.float64]:
        """The effect of one input at its value in each row, between points linear.

        Missing where the row is outside the values of the curve.
        """
        (name,) = self.names
        x, effect = self.frame[name], self.frame["effect"].to_numpy()
        values = pd.Series(self.rows[name])
        if self.categorical[0]:
            known = dict(zip(x, effect, strict=True))
            return values.map(known).to_numpy(dtype=np.float64)
        order = np.argsort(x.to_numpy(), kind="stable")
        return np.interp(
            values.to_numpy(dtype=np.float64),
            x.to_numpy(dtype=np.float64)[order],
            effect[order],
            left=np.nan,
            right=np.nan,
        )


def network_curves(
    fit: MixedModelFit,
    term: str,
    variables: str | Sequence[str] | None,
    grid: int | Mapping[str, Any] | None,
    at: Mapping[str, Any] | None,
    level: float,
) -> list[Curve]:
    """Partial dependence of a network: of two inputs, or of each by itself."""
    found = network_term(fit, term)
    rows = rows_of(fit, fit.nobs, fit.seed)
    held = {found.column(name) for name in at or {}}
    asked: list[list[str]] = [[c] for c in found.columns if c not in held]
    if variables is not None:
        names = [variables] if isinstance(variables, str) else list(variables)
        asked = [[found.column(name) for name in names]]
    if not asked:
        raise OptionError(f"{found.label} has no input left to vary")
    out = []
    for names in asked:
        values = {name: np.asarray(rows.columns[name]) for name in names}
        factors = tuple(is_categorical(name, found, rows) for name in names)
        numbers = {n: values[n] for n, f in zip(names, factors, strict=True) if not f}
        points = _grid(numbers, len(names), grid)
        table = partial(fit, term, names, grid=points, at=at, level=level)
        out.append(Curve(tuple(names), factors, table.frame, values, found.label))
    return out


def mean_curves(
    fit: MixedModelFit,
    variables: Sequence[str],
    grid: int | Mapping[str, Any] | None,
    at: Mapping[str, Any] | None,
    level: float,
) -> list[Curve]:
    """Means of the linear predictor over columns, random effects zero."""
    columns = variables_of(Population(fit, "none", "link"))
    names = [columns.check(name, argument="term") for name in variables]
    for name in at or {}:
        if name in names:
            raise OptionError(f"{name} varies; leave it out of at=")
    numbers = {n: columns.number(n) for n in names if n not in columns.levels}
    points = _grid(numbers, len(names), grid)
    for name in points:
        if name not in names:
            raise OptionError(
                f"grid= has {name!r}, which does not vary{did_you_mean(name, names)}"
            )
    held = {**(at or {}), **points}
    table = means(fit, names, at=held, scale="link", level=level)
    frame = table.frame.rename(columns={"estimate": "effect"})
    values = {name: np.asarray(columns.columns[name]) for name in names}
    factors = tuple(name in columns.levels for name in names)
    return [Curve(tuple(names), factors, frame, values, predictor_text(fit))]


def is_network(term: str) -> bool:
    """Whether a text is meant to be a network term rather than a column.

    Examples
    --------
    >>> is_network("nn (x1, x2)"), is_network("nnodes")
    (True, False)
    """
    return "".join(term.split()).startswith("nn(")


def _grid(
    numbers: Mapping[str, NDArray[Any]],
    n_names: int,
    grid: int | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Numeric input -> values in equal steps over its range, where none are given."""
    if grid is None:
        grid = POINTS if n_names == 1 else POINTS_OF_TWO
    if isinstance(grid, Mapping):
        given, count = dict(grid), POINTS if n_names == 1 else POINTS_OF_TWO
    elif isinstance(grid, bool) or not isinstance(grid, (int, np.integer)) or grid < 2:
        raise OptionError(
            "grid must be a number of values from 2, or a mapping from inputs to "
            f"values; got {grid!r}"
        )
    else:
        given, count = {}, int(grid)
    axes = {name: _steps(values, count) for name, values in numbers.items()}
    return {**axes, **given}


def _steps(values: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Equal steps over a range; the values themselves where they are one or two."""
    x = np.asarray(values, dtype=np.float64)
    distinct = np.unique(x)
    return distinct if len(distinct) <= 2 else np.linspace(x.min(), x.max(), count)
