"""Fitted lines level by level over the rows they were fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import chosen_levels, one_group, term_of
from ngmm.drawing import ACROSS, panels
from ngmm.plots.labels import response_text
from ngmm.plots.rows import check_held, numeric_column, typical, used_columns
from ngmm.results import MixedModelFit

WHAT = "plots.lattice"
# Panels where no levels are asked for, points of a line, and the size of a panel.
MOST_LEVELS, POINTS, WIDE, HIGH = 20, 50, 2.4, 2.0


def lattice(
    fit: MixedModelFit,
    x: str,
    group: str | None = None,
    levels: Any = None,
    *,
    at: Mapping[str, Any] | None = None,
    ax: Any = None,
) -> Any:
    """Draw a panel a level: its rows, its fitted line, and that of the population.

    Parameters
    ----------
    fit
        A fit with random effects.
    x
        Numeric column on the horizontal axis.
    group
        The grouping factor; None for the only one.
    levels
        Levels to show, one or several; None for all, or the 20 with the most rows.
    at
        Other input -> the value it has in every panel. Those left out are at values
        typical of the rows of the level: the median of numbers, else the most
        frequent.
    ax
        Axes to draw on, one a level; None for a new figure, whose panels share axes.

    Returns
    -------
    array of matplotlib.axes.Axes
        One a level, or what was given. Dots are responses (shares where the response
        counts successes); the solid line is the mean at the conditional modes, over
        the range of x in all rows; the dashed one is the mean with random effects
        zero.

    Raises
    ------
    OptionError
        If there is no such column, factor, level or value, or a network reads arrays.
    NewDataError
        If the fit has offset= given as an array, which other rows do not have.
    MissingPackageError
        Without matplotlib.

    Notes
    -----
    Of several grouping factors those within whose levels the levels of ``group`` lie
    enter the solid line as well; the effects of others are zero.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> axes = ngmm.plots.lattice(fit, "Days", levels=["308", "309"])
    >>> rows, line, population = axes[0].lines
    >>> [round(float(line.get_ydata()[i])) for i in (0, -1)]
    [254, 430]
    """
    name = one_group(fit, group, WHAT)
    frame = used_columns(fit, WHAT)
    values = numeric_column(fit, frame, x, WHAT)
    held = check_held(at, frame, x, WHAT)
    term = term_of(fit, name)
    size = np.bincount(term.codes, minlength=term.n_levels)
    most = np.sort(np.argsort(-size, kind="stable")[:MOST_LEVELS])
    chosen = chosen_levels(term.levels, levels, name, most)
    grid = np.linspace(values.min(), values.max(), POINTS)
    lines = _lines(fit, name, frame, x, grid, held, chosen)
    y = _responses(fit)
    returned, axes = panels(len(chosen), ax, sharex=True, sharey=True)
    for axis, code, (own, population) in zip(axes, chosen, lines, strict=True):
        here = term.codes == code
        (dots,) = axis.plot(values[here], y[here], "o", markersize=3, label="rows")
        color = dots.get_color()
        axis.plot(grid, own, color=color, label=f"{name} {term.levels[code]}")
        axis.plot(grid, population, "--", color="0.5", label="population")
        axis.set_title(str(term.levels[code]), fontsize="medium")
    _label(axes, x, response_text(fit), name, shared=ax is None)
    return returned


def _lines(
    fit: MixedModelFit,
    group: str,
    frame: pd.DataFrame,
    x: str,
    grid: NDArray[np.float64],
    held: Mapping[str, Any],
    chosen: NDArray[np.intp],
) -> NDArray[np.float64]:
    """(levels, 2, points) means with the effects of each level, and with none."""
    codes = term_of(fit, group).codes
    parts = [
        pd.DataFrame({**typical(frame.loc[codes == code]), **held, x: grid})
        for code in chosen
    ]
    new = pd.concat(parts, ignore_index=True)
    own = fit.predict(new, re=_outer(fit, group))
    population = fit.predict(new, re="none")
    both = np.stack([own, population]).reshape(2, len(chosen), len(grid))
    return both.swapaxes(0, 1)


def _outer(fit: MixedModelFit, group: str) -> list[str]:
    """The factor itself, and those within whose levels its levels lie."""
    codes = term_of(fit, group).codes
    out = []
    for other in fit.spec.groups:
        pairs = np.unique(np.stack([codes, term_of(fit, other).codes]), axis=1)
        if pairs.shape[1] == len(np.unique(codes)):
            out.append(other)
    return out


def _responses(fit: MixedModelFit) -> NDArray[np.float64]:
    """Responses of the rows used, shares where there are trials."""
    design = fit.model.design
    return design.y if design.trials is None else design.y / design.trials


def _label(axes: Sequence[Any], x: str, y: str, group: str, *, shared: bool) -> None:
    """Names of the axes: one for all panels of a figure of its own."""
    if not shared:
        for axis in axes:
            axis.set(xlabel=x, ylabel=y)
        return
    figure, across = axes[0].figure, min(len(axes), ACROSS)
    down = -(-len(axes) // across)
    figure.set_size_inches(across * WIDE + 0.6, down * HIGH + 0.8)
    figure.supxlabel(x)
    figure.supylabel(y)
    figure.suptitle(f"{group}: fitted lines, dashed for the population")
    for axis in axes[-across:]:
        axis.tick_params(labelbottom=True)
