"""What a comparison does to a variable: from one value, or level, to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.effects.contrasts import CONTRASTS
from ngmm.effects.counterfactual import Change, Node
from ngmm.effects.estimates import value_text
from ngmm.effects.variables import Variables
from ngmm.errors import OptionError, did_you_mean


@dataclass(frozen=True, eq=False)
class Comparison:
    """One change of a variable.

    Attributes
    ----------
    variable
        The variable.
    high, low
        What tables call its values; ``low`` is None where it is the row's own.
    change
        Its values after and before.
    """

    variable: str
    high: str
    low: str | None
    change: Change

    def label(self, sign: str) -> str:
        """What tables call the change."""
        return self.high if self.low is None else f"{self.high} {sign} {self.low}"


def comparisons_of(columns: Variables, name: str, contrast: Any) -> list[Comparison]:
    """The changes of a variable that a contrast means.

    Parameters
    ----------
    columns
        The columns of the fit.
    name
        The variable.
    contrast
        For a factor ``"reference"``, ``"pairwise"``, ``"sequential"`` or two levels;
        for a number by how much it grows, ``"sd"``, or two values; None for what suits.

    Raises
    ------
    OptionError
        If it does not suit the variable.
    """
    if isinstance(contrast, Mapping):
        contrast = contrast.get(name)
    if isinstance(contrast, (list, tuple, np.ndarray)):
        low, high = _two(columns, name, contrast)
        return [_between(name, low, high)]
    levels = columns.levels.get(name)
    if levels is None:
        return [_numeric(columns, name, contrast)]
    return [_between(name, low, high) for low, high in _levels(name, levels, contrast)]


def _two(columns: Variables, name: str, contrast: Any) -> NDArray[Any]:
    values = columns.values(name, contrast)
    if len(values) != 2:
        raise OptionError(
            f"contrast= of {name} has {len(values)} values; give two, from and to"
        )
    return values


def _levels(
    name: str, levels: NDArray[Any], contrast: Any
) -> Sequence[tuple[Any, Any]]:
    """From and to."""
    if contrast in (None, "reference"):
        return [(levels[0], v) for v in levels[1:]]
    if contrast == "sequential":
        return list(pairwise(levels))
    if contrast == "pairwise":
        return list(combinations(levels, 2))
    raise OptionError(
        f"{name} is a factor: contrast= is one of {', '.join(CONTRASTS)}, or two of "
        f"its levels; got {contrast!r}{did_you_mean(contrast, CONTRASTS)}"
    )


def _numeric(columns: Variables, name: str, contrast: Any) -> Comparison:
    values = columns.number(name)
    if contrast is None:
        if np.isin(values, (0.0, 1.0)).all():
            return _between(name, 0.0, 1.0)
        contrast = 1
    if isinstance(contrast, str) and contrast == "sd":
        step = float(values.std(ddof=1))
        return _step(name, step, f"+sd ({value_text(step)})")
    is_number = isinstance(contrast, (int, float, np.integer, np.floating))
    if isinstance(contrast, bool) or not is_number or not np.isfinite(contrast):
        raise OptionError(
            f'{name} is a number: contrast= is by how much it grows, "sd", or a pair '
            f"of values such as [0, 1]; got {contrast!r}"
        )
    if contrast == 0:
        raise OptionError(f"contrast= of {name} is 0: nothing changes")
    step = float(contrast)
    return _step(name, step, ("+" if step > 0 else "") + value_text(step))


def _step(name: str, step: float, label: str) -> Comparison:
    def change(x: NDArray[Any]) -> list[list[Node]]:
        x = np.asarray(x, dtype=np.float64)
        ones = np.ones(len(x))
        return [[Node(x + step, ones)], [Node(x, ones)]]

    return Comparison(name, label, None, change)


def _between(name: str, low: Any, high: Any) -> Comparison:
    def change(x: NDArray[Any]) -> list[list[Node]]:
        ones = np.ones(len(x))
        return [[Node(np.repeat(value, len(x)), ones)] for value in (high, low)]

    return Comparison(name, value_text(high), value_text(low), change)
