"""Random effects of all levels in order, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ngmm.clusters.effects import ClusterEffects, effects
from ngmm.clusters.groups import one_group
from ngmm.diagnostics.checks import check_fit
from ngmm.plots.labels import effect_text
from ngmm.results import MixedModelFit
from ngmm.results.formatting import percent

WHAT = "plots.caterpillar"


def caterpillar(
    fit: MixedModelFit | ClusterEffects,
    group: str | None = None,
    level: float = 0.95,
    *,
    ax: Any = None,
) -> Any:
    """Draw the random effects of every level, from the smallest to the largest.

    Parameters
    ----------
    fit
        A fit with random effects, or what `ngmm.clusters.effects` gives of it, whose
        group and level then count.
    group
        Grouping factor; None for all of them.
    level
        Level of the intervals.
    ax
        Axes to draw on, one an effect; None for a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes
        A panel for each effect of each factor, or what was given. Conditional modes
        and normal intervals, on the scale of the linear predictor and per unit of the
        column that the panel is named after.

    Raises
    ------
    OptionError
        If there is no such factor, the level is not between 0 and 1, or there are too
        few axes.
    MissingPackageError
        Without matplotlib.

    Notes
    -----
    Intervals are those of `ngmm.clusters.effects`: given the parameters. Whether two
    of them overlap is no test of a difference.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> axes = ngmm.plots.caterpillar(fit)
    >>> [label.get_text() for label in axes[0].get_yticklabels()]
    ['F', 'D', 'A', 'B', 'C', 'E']
    """
    if isinstance(fit, ClusterEffects):
        found, what = fit, "effect"
    else:
        check_fit(fit, WHAT)
        if group is not None:
            group = one_group(fit, group, WHAT)
        found, what = effects(fit, group, level), effect_text(fit)
    returned = found.plot(ax)
    for axis in np.ravel(np.asarray(returned, dtype=object)):
        axis.set_xlabel(f"{what}, {percent(found.level)} intervals")
    return returned
