"""Charts whose lines have names, points with their intervals, colours and markers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#999999"
BAND = "#E8E8E8"
WIDTH = 7.2
INTERVAL = 1.96
# Height of a line of a chart whose lines have names, and of what stands around it.
LINE, AROUND = 0.3, 1.2
# Distance of points that share a line.
APART = 0.17
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 9, "ncols": 3}


class Look(NamedTuple):
    """Colour and marker of a series, and its name in the legend."""

    colour: str
    marker: str
    label: str


def lines(names: Sequence[str]) -> tuple[Figure, Axes]:
    """A chart with a named line for each entry."""
    size = (WIDTH, AROUND + LINE * len(names))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    name_lines(axes, names)
    return figure, axes


def name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Name the lines of an axis, the first one on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", color=BAND, linewidth=0.8)
    axes.set_axisbelow(True)


def guide(axes: Axes, at: float) -> None:
    """Draw a thin upright line."""
    axes.axvline(at, color=GREY, linewidth=0.8, zorder=1)


def points(
    axes: Axes,
    at: Sequence[tuple[float, float]],
    look: Look,
    errors: Sequence[float] | None = None,
    alpha: float = 1.0,
    markersize: float = 5.5,
) -> None:
    """Points (line, value) of a series, with their intervals."""
    if not at:
        return
    lines, values = zip(*at, strict=True)
    axes.errorbar(
        values,
        lines,
        xerr=None if errors is None else INTERVAL * np.asarray(errors, float),
        fmt=look.marker,
        color=look.colour,
        markersize=markersize,
        alpha=alpha,
        elinewidth=1.2,
        label=look.label or None,
    )


def shifts(series: Collection[object]) -> list[float]:
    """Distances from a line of the points that share it."""
    middle = (len(series) - 1) / 2
    # However many there are, they stay nearer to their own line than to the next.
    step = min(APART, 0.8 / max(1, len(series)))
    return [step * (k - middle) for k in range(len(series))]


def legend(figure: Figure) -> Figure:
    """With a legend above the chart, which takes no width from it."""
    figure.legend(**LEGEND, loc="outside upper center")
    return figure
