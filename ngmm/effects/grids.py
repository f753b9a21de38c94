"""The values at which an effect is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design.network_inputs import FactorInput
from ngmm.effects.rows import Rows
from ngmm.effects.terms import Term
from ngmm.errors import OptionError
from ngmm.formula import columns_of

Values = NDArray[Any]


def is_categorical(name: str, term: Term, rows: Rows) -> bool:
    """Whether a column has levels, of its own or by ``C(x)``."""
    if rows.levels(name) is not None:
        return True
    return any(
        isinstance(part, FactorInput) and columns_of(part.text) == (name,)
        for part in term.network_spec.inputs
    )


def points(
    names: Sequence[str], grid: int | Mapping[str, Any], term: Term, rows: Rows
) -> dict[str, Values]:
    """Column -> its value at each point: all combinations, the first column slowest.

    Parameters
    ----------
    names
        Columns to vary.
    grid
        Number of quantiles of a numeric column, or the values of some columns.
    term
        The term that reads them.
    rows
        Rows of the data.

    Raises
    ------
    OptionError
        If the grid is neither, or has values that a column cannot take.
    """
    given: dict[str, Any] = {}
    count = 11
    if isinstance(grid, Mapping):
        given = {term.column(name): values for name, values in grid.items()}
    elif isinstance(grid, bool) or not isinstance(grid, (int, np.integer)) or grid < 2:
        raise OptionError(
            "grid must be a number of quantiles from 2, or a mapping from inputs to "
            f"values such as {{'{names[0]}': [0, 1]}}; got {grid!r}"
        )
    else:
        count = int(grid)
    axes = []
    for name in names:
        if name in given:
            axes.append(checked(name, given[name], rows))
        else:
            axes.append(_axis(name, count, term, rows))
    combined = list(product(*axes))
    return {
        name: np.array([point[i] for point in combined], dtype=axes[i].dtype)
        for i, name in enumerate(names)
    }


def checked(name: str, values: Any, rows: Rows) -> Values:
    """Values that a column can take, as an array.

    Raises
    ------
    OptionError
        If they are not levels of a factor, or not finite numbers.
    """
    levels = rows.levels(name)
    found = np.atleast_1d(np.asarray(values))
    if found.ndim > 1 or not found.size:
        raise OptionError(f"give {name} one value, or a list of values")
    if levels is None:
        if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
            raise OptionError(f"{name} is a number; got {values!r}")
        return found
    for value in found:
        if value not in levels:
            known = ", ".join(map(str, levels[:10]))
            raise OptionError(f"'{value}' is not a level of {name}. Levels: {known}")
    return found if found.dtype.kind in "biuf" else found.astype(object)


def _axis(name: str, count: int, term: Term, rows: Rows) -> Values:
    levels = rows.levels(name)
    if levels is not None:
        return np.asarray(levels)
    values = rows.columns[name].to_numpy(dtype=np.float64)
    distinct = np.unique(values)
    if len(distinct) <= count or is_categorical(name, term, rows):
        return distinct
    return np.unique(np.quantile(values, np.linspace(0.0, 1.0, count)))
