"""Slopes of the linear predictor of rows in numeric columns, by differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.effects.population import Population
from ngmm.effects.slopes import derivative
from ngmm.effects.variables import Variables, as_column, as_names, variables_of
from ngmm.errors import OptionError, did_you_mean
from ngmm.formula import columns_of
from ngmm.results import MixedModelFit

Vector = NDArray[np.float64]


def numeric_inputs(
    fit: MixedModelFit, inputs: Any, what: str, *, random: bool
) -> tuple[Variables, list[str]]:
    """Columns of the rows of a fit, and the numeric inputs that are asked for.

    Parameters
    ----------
    fit
        A fit.
    inputs
        Names; None for all of them.
    what
        What asks.
    random
        Whether columns of random terms are inputs, too.

    Raises
    ------
    OptionError
        If one is not an input, or has no slope; if there is none.
    """
    columns = variables_of(Population(fit, "all" if random else "none", "link"))
    known = set(_terms_read(fit, random=random))
    numeric = [name for name in columns.numeric if name in known]
    asked = numeric if inputs is None else as_names(inputs, "inputs")
    for name in asked:
        if name in columns.levels or name in columns.arrays:
            kind = "a factor" if name in columns.levels else "an array a row"
            raise OptionError(
                f"{what}: {name} is {kind} and has no slope. Numeric inputs: "
                f"{', '.join(numeric) or 'none'}"
            )
        if name not in numeric:
            raise OptionError(
                f"{what}: {name!r} is not an input of the model"
                f"{did_you_mean(name, numeric) or '.'} "
                f"Numeric inputs: {', '.join(numeric) or 'none'}"
            )
    if not asked:
        raise OptionError(
            f"{what}: the model `{fit.formula}` has no numeric inputs, and only these "
            "have slopes"
        )
    return columns, asked


def changed_rows(
    data: Mapping[str, Any], name: str
) -> Iterator[tuple[dict[str, Any], Vector]]:
    """Data with a column changed, and the weights that make differences a slope.

    The sum over what comes of weights times values of a function is its derivative in
    the column, row by row.
    """
    values = np.asarray(data[name], dtype=np.float64)
    ((*nodes,),) = derivative(values)(values)
    for node in nodes:
        yield {**data, name: as_column(node.values)}, node.weight


def row_slopes(
    value: Callable[[Mapping[str, Any]], Vector],
    data: Mapping[str, Any],
    names: Sequence[str],
) -> NDArray[np.float64]:
    """(n, names) derivatives of a function of the rows in some columns."""
    out = []
    for name in names:
        nodes = changed_rows(data, name)
        out.append(sum(weight * value(changed) for changed, weight in nodes))
    return np.column_stack(out)


def _terms_read(fit: MixedModelFit, *, random: bool) -> list[str]:
    """Columns that terms read; those of offsets alone have a slope that is known."""
    spec = fit.spec
    names = [*spec.fixed.variables]
    names += [name for part in spec.networks for name in part.variables]
    if random:
        names += [name for term in spec.random for name in term.matrix.variables]
    # A term may be written with a transform of a column.
    return [column for name in names for column in (name, *columns_of(name))]
