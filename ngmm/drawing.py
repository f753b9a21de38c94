"""Axes to draw on: new ones, or those that the user gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ngmm.errors import OptionError
from ngmm.extras import optional

# Panels in a row, and their size in inches.
ACROSS, WIDE, HIGH = 4, 3.2, 3.0


def panels(n: int, ax: Any, **sharing: Any) -> tuple[Any, list[Any]]:
    """What a plot returns, and the axes of its panels.

    Parameters
    ----------
    n
        Number of panels.
    ax
        Axes to draw on, as many as panels; None for a new figure.
    **sharing
        Options of ``matplotlib.pyplot.subplots``.

    Returns
    -------
    returned, axes
        The array of axes, or what was given; the axes one by one.

    Raises
    ------
    OptionError
        If there are too few axes, or too many.
    MissingPackageError
        Without matplotlib.
    """
    plt = optional("matplotlib.pyplot", "plot", "plot()")
    if ax is not None:
        given = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(given) != n:
            raise OptionError(
                f"the plot has {n} panels; ax= has {len(given)} axes. Give an array "
                f"of {n}, or leave ax= out"
            )
        return ax, given
    across = min(n, ACROSS)
    down = -(-n // across)
    _, grid = plt.subplots(
        down,
        across,
        squeeze=False,
        layout="constrained",
        figsize=(across * WIDE, down * HIGH),
        **sharing,
    )
    axes = list(grid.ravel())
    for spare in axes[n:]:
        spare.set_visible(False)
    return np.array(axes[:n], dtype=object), axes[:n]
