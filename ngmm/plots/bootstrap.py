"""Distributions of bootstrap draws, parameter by parameter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.drawing import panels
from ngmm.errors import OptionError
from ngmm.inference.quantiles import check_level
from ngmm.intervals.bootstrap import Bootstrap
from ngmm.intervals.naming import chosen
from ngmm.results import MixedModelFit
from ngmm.results.formatting import percent

WHAT = "plots.bootstrap"
MOST_BARS = 40


def bootstrap(
    result: Bootstrap,
    parameters: str | Collection[str] | None = None,
    level: float = 0.95,
    kind: str = "percentile",
    *,
    ax: Any = None,
) -> Any:
    """Draw the density of the bootstrap draws of each parameter.

    Parameters
    ----------
    result
        What `MixedModelFit.bootstrap` gives.
    parameters
        Names as in `MixedModelFit.conf_int`, one or several; None for all.
    level, kind
        Of the interval, as in `Bootstrap.conf_int`.
    ax
        Axes to draw on, one a parameter; None for a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes
        A panel each, or what was given: bars whose area is one, a line at the estimate
        and dashed ones at the limits. Bars rather than a smooth curve, because standard
        deviations have draws of exactly zero. Refits that failed, or in which the
        parameter is not defined, are left out; the title says how many.

    Raises
    ------
    OptionError
        If there is no such parameter or kind, or too few draws for the level.
    MissingPackageError
        Without matplotlib.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> axes = ngmm.plots.bootstrap(fit.bootstrap(200, seed=1, progress=False))
    >>> [axis.get_xlabel() for axis in axes]
    ['Intercept', 'sd(Intercept | Batch)', 'sigma']
    """
    if not isinstance(result, Bootstrap):
        is_fit = isinstance(result, MixedModelFit)
        came = "a fit" if is_fit else type(result).__name__
        raise OptionError(f"{WHAT} draws what fit.bootstrap(1000) gives; got {came}")
    check_level(level)
    limits = result.conf_int(level, kind).frame
    at = chosen(result.estimate.index, parameters)
    names = [str(result.estimate.index[i]) for i in at]
    returned, axes = panels(len(names), ax)
    for axis, name in zip(axes, names, strict=True):
        values = result.draws[name].to_numpy(dtype=np.float64)
        lost = int(np.isnan(values).sum())
        _bars(axis, values[~np.isnan(values)])
        _lines(axis, float(result.estimate.to_dict()[name]), limits.loc[name])
        axis.set(xlabel=name, ylabel="density")
        if lost:
            axis.set_title(f"{lost} of {len(values)} left out", fontsize="small")
    axes[0].set_ylabel(f"density; {percent(level)} {kind} limits")
    return returned


def _bars(axis: Any, values: NDArray[np.float64]) -> None:
    if not len(values):
        middle = {"ha": "center", "va": "center", "transform": axis.transAxes}
        axis.text(0.5, 0.5, "not defined in any refit", **middle)
        return
    # The rule of Freedman and Diaconis has no bound where many draws are equal.
    count = min(len(np.histogram_bin_edges(values, _rule(values))) - 1, MOST_BARS)
    axis.hist(values, bins=max(count, 1), density=True, alpha=0.6)


def _rule(values: NDArray[np.float64]) -> str:
    """Sturges' rule where the middle half of the draws is one value."""
    low, high = np.quantile(values, [0.25, 0.75])
    width = 2.0 * (high - low) / len(values) ** (1 / 3)
    wide = width * 1000 > np.ptp(values)
    return "fd" if high > low and wide else "sturges"


def _lines(axis: Any, estimate: float, limits: Any) -> None:
    if np.isfinite(estimate):
        axis.axvline(estimate, color="k", linewidth=1, label="estimate")
    for limit in (limits["conf_low"], limits["conf_high"]):
        if np.isfinite(limit):
            axis.axvline(limit, color="k", linestyle="--", linewidth=1, label="limit")
