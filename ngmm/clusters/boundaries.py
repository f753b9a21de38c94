"""Predictions over two inputs, and where they cross a threshold, level by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import chosen_levels, one_group, term_of
from ngmm.clusters.predictor import Predictor
from ngmm.clusters.slopes import numeric_inputs
from ngmm.clusters.surfaces import Boundaries
from ngmm.diagnostics.checks import additive
from ngmm.effects.variables import Variables, as_column
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit

Vector = NDArray[np.float64]

WHAT = "clusters.boundaries"
# Panels of levels where no levels are asked for.
MOST_LEVELS = 11


def boundaries(
    fit: MixedModelFit,
    x1: str,
    x2: str,
    levels: Any = None,
    at: Mapping[str, Any] | None = None,
    n: int = 50,
    threshold: float = 0.5,
    *,
    group: str | None = None,
) -> Boundaries:
    """Predicted means over two inputs, for the population and for chosen levels.

    Parameters
    ----------
    fit
        A fit with random effects.
    x1, x2
        Numeric columns of the data, each over the range of its values.
    levels
        Levels of the grouping factor; None for all, or the 11 with the most rows.
    at
        Other input -> its value. Those left out are at their typical values: means of
        numbers, the most frequent levels of factors.
    n
        Number of values of each input.
    threshold
        Mean at the boundary.
    group
        The grouping factor; None for the only one. The effects of other factors are
        zero.

    Returns
    -------
    Boundaries
        Means on the scale of the response at the conditional modes; ``.plot()`` draws
        them.

    Raises
    ------
    OptionError
        If there is no such input, level or value, or a network reads arrays, which have
        no typical value.
    NotSupportedError
        If the model has a neural random effect.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy").assign(x=lambda d: d["Days"] % 3)
    >>> fit = ngmm.fit("Reaction ~ Days + x + (Days | Subject)", data)
    >>> found = ngmm.clusters.boundaries(
    ...     fit, "Days", "x", levels=["308", "309"], n=20, threshold=300
    ... )
    >>> print(found)
    Boundaries     above 300   other side
      population         49%            -
      308                73%          24%
      309                 0%          49%
      shares of a grid of Days and x; other side: of the threshold than the
      population
    """
    name = one_group(fit, group, WHAT)
    analysis = additive(fit, WHAT, "fit.predict() of rows of your own")
    if x1 == x2:
        raise OptionError(f"{WHAT}: x1 and x2 are both {x1!r}; give two inputs")
    columns, _ = numeric_inputs(fit, [x1, x2], WHAT, random=True)
    count = _count(n)
    line = _threshold(threshold)
    term = term_of(fit, name)
    sizes = np.bincount(term.codes, minlength=term.n_levels)
    most = np.sort(np.argsort(-sizes, kind="stable")[:MOST_LEVELS])
    chosen = chosen_levels(term.levels, levels, name, most)
    held = _held(columns, at, (x1, x2))
    axes = [np.linspace(*_ends(columns.number(x)), count) for x in (x1, x2)]
    first, second = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    data = {k: as_column(np.repeat(v, len(first))) for k, v in held.items()}
    data |= {x1: as_column(first), x2: as_column(second)}
    found = Predictor(fit, analysis)
    new = found.rows(data, groups=[name], levels=False)
    base, b = found.fixed(new), found.by_level(new, name)[:, chosen]
    return Boundaries(
        names=(x1, x2),
        x1=axes[0],
        x2=axes[1],
        group=name,
        levels=term.levels[chosen],
        population=found.mean(base).reshape(count, count),
        means=found.mean(base[:, None] + b).T.reshape(-1, count, count),
        held=held,
        threshold=line,
        rows=_rows(fit, columns, (x1, x2), name),
    )


def _count(n: object) -> int:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise OptionError(f"n must be a number of values from 2; got {n!r}")
    return int(n)


def _threshold(value: Any) -> float:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not np.isfinite(value):
        raise OptionError(f"threshold= must be a finite number; got {value!r}")
    return float(value)


def _ends(values: Vector) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _held(
    columns: Variables, at: Mapping[str, Any] | None, names: Sequence[str]
) -> dict[str, Any]:
    """Other inputs at the values given, or at typical ones."""
    if columns.arrays:
        raise OptionError(
            f'{WHAT}: "{min(columns.arrays)}" is an array a row and has no typical '
            "value; clusters.counterfactuals predicts rows of the data"
        )
    given = columns.chosen_values(at)
    for name, values in given.items():
        if name in names:
            raise OptionError(f"{WHAT}: {name} varies; leave it out of at=")
        if len(values) > 1:
            raise OptionError(f"at= holds {name} at one value; got {len(values)}")
    out: dict[str, Any] = {}
    for name in columns.names:
        if name in given:
            out[name] = given[name][0]
        elif name in columns.levels:
            out[name] = pd.Series(columns.columns[name]).mode().iloc[0]
        elif name not in names:
            out[name] = float(columns.number(name).mean())
    return out


def _rows(
    fit: MixedModelFit, columns: Variables, names: Sequence[str], group: str
) -> pd.DataFrame:
    """The rows of the fit, to be shown on the grid."""
    term, design = term_of(fit, group), fit.model.design
    y = design.y if design.trials is None else design.y / design.trials
    x1, x2 = (columns.number(name) for name in names)
    level = term.levels.to_numpy()[term.codes]
    return pd.DataFrame({"x1": x1, "x2": x2, "y": y, "level": level})
