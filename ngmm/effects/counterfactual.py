"""The rows of a fit with some of their values changed, and averages over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.estimable import estimable
from ngmm.effects.linearised import Linearised, stacked
from ngmm.effects.population import MOST_NUMBERS, Population
from ngmm.effects.variables import Variables, as_column, as_names, repeated
from ngmm.errors import DataError, OptionError

Vector = NDArray[np.float64]
Positions = NDArray[np.intp]

# Rows that are predicted at once.
BLOCK = 100_000


@dataclass(frozen=True, eq=False)
class Node:
    """The rows with one variable set to other values, and their weights.

    Attributes
    ----------
    values
        (n,) of the variable.
    weight
        (n,) by which the means are multiplied.
    """

    values: NDArray[Any]
    weight: Vector


# What is done to a variable: from its values in some rows to nodes, whose weighted
# means are added up within each of the parts that a comparison is made of.
Change = Callable[[NDArray[Any]], Sequence[Sequence[Node]]]


@dataclass(frozen=True, eq=False)
class Subset:
    """Rows over which an effect is averaged.

    Attributes
    ----------
    labels
        What tables say of it.
    rows
        Their positions.
    held
        Variable -> the value it has in all of them.
    """

    labels: Mapping[str, Any]
    rows: Positions
    held: Mapping[str, Any]


def subsets(
    columns: Variables, by: Any, at: Mapping[str, Any] | None, *, average: bool
) -> list[Subset]:
    """The rows by the levels of `by` at each combination of the values in `at`.

    Raises
    ------
    OptionError
        If a variable is in both, or unknown.
    """
    names = as_names(by, "by")
    given = columns.chosen_values(at)
    for name in names:
        if name in given:
            raise OptionError(f"{name} is in by= and in at=; leave one out")
    if names and not average:
        raise OptionError("by= makes averages; leave it out with average=False")
    groups = _groups(columns, names)
    out = []
    for values in product(*given.values()):
        held = dict(zip(given, values, strict=True))
        out += [Subset({**held, **label}, rows, held) for label, rows in groups]
    return out


def _groups(
    columns: Variables, names: Sequence[str]
) -> list[tuple[dict[str, Any], Positions]]:
    every = np.arange(columns.n_rows)
    if not names:
        return [({}, every)]
    frame = pd.DataFrame({n: np.asarray(columns.columns[n]) for n in names})
    for name in names:
        missing = int(np.count_nonzero(pd.isna(frame[name].to_numpy())))
        if missing:
            raise DataError(
                f'by= column "{name}" is missing in {missing} rows of the fit; fill it '
                "in or leave it out"
            )
        levels = columns.levels.get(name)
        if levels is not None:
            frame[name] = pd.Categorical(frame[name], categories=list(levels))
    out = []
    for key, rows in frame.groupby(names, observed=True, sort=True).indices.items():
        labels = key if isinstance(key, tuple) else (key,)
        out.append((dict(zip(names, labels, strict=True)), np.asarray(rows)))
    return out


def averages(
    population: Population,
    columns: Variables,
    found: Sequence[Subset],
    name: str,
    change: Change,
) -> list[Linearised]:
    """For each part of a comparison, its averages over each of the subsets.

    Parameters
    ----------
    population, columns
        The means, and the columns they depend on.
    found
        The subsets.
    name
        The variable that is changed.
    change
        What is done to it.
    """
    by_subset = []
    for subset in found:
        total: list[Linearised] | None = None
        n = len(subset.rows)
        for start in range(0, n, BLOCK):
            rows = subset.rows[start : start + BLOCK]
            weight = np.full((1, len(rows)), 1.0 / n)
            parts = _parts(population, columns, subset, rows, name, change, weight)
            total = parts if total is None else _added(total, parts)
        assert total is not None
        by_subset.append(total)
    return [stacked(parts) for parts in zip(*by_subset, strict=True)]


def each_row(
    population: Population,
    columns: Variables,
    subset: Subset,
    name: str,
    change: Change,
) -> Iterator[tuple[Positions, list[Linearised]]]:
    """For each part of a comparison its values row by row, in blocks of rows."""
    from scipy import sparse  # loads slowly

    width = sum(len(p.covariance) for p in population.parameters)
    if population.conditions:
        width += sum(t.n_levels * t.Z.shape[1] for t in population.fit.design.random)
    size = max(1, MOST_NUMBERS // width)
    for start in range(0, len(subset.rows), size):
        rows = subset.rows[start : start + size]
        weight = sparse.eye_array(len(rows))
        yield rows, _parts(population, columns, subset, rows, name, change, weight)


def _parts(
    population: Population,
    columns: Variables,
    subset: Subset,
    rows: Positions,
    name: str,
    change: Change,
    weight: Any,
) -> list[Linearised]:
    from scipy import sparse

    data = {key: repeated(values, rows) for key, values in columns.columns.items()}
    for key, value in subset.held.items():
        data[key] = as_column(np.repeat(value, len(rows)))
    out = []
    for nodes in change(np.asarray(data[name])):
        total: Linearised | None = None
        for node in nodes:
            changed = {**data, name: as_column(node.values)}
            points = population.points(changed)
            known = estimable(population, columns, changed, len(rows))
            if not known.all():
                raise OptionError(_unknown(name, int((~known).sum())))
            G = sparse.csr_array(weight * node.weight[None, :])
            part = population.totals(points, G)
            total = part if total is None else _added([total], [part])[0]
        assert total is not None
        out.append(total)
    return out


def _added(one: Sequence[Linearised], other: Sequence[Linearised]) -> list[Linearised]:
    """Sums of the same functions of the parameters over further rows."""
    out = []
    for a, b in zip(one, other, strict=True):
        t = len(a.estimate)
        out.append(stacked([a, b]).combine(np.hstack([np.eye(t), np.eye(t)])))
    return out


def _unknown(name: str, n: int) -> str:
    return (
        f"changing {name} makes {n:,} rows whose mean the data do not determine: "
        "columns of the model were left out as copies of others (fit.aliased), and "
        "these rows tell them apart. Leave the copies out of the formula, or restrict "
        "values with at="
    )
