"""Effects of one input or two, with bands and partial residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ngmm.diagnostics.checks import additive, check_fit
from ngmm.drawing import ACROSS, panels
from ngmm.effects.variables import as_names
from ngmm.errors import OptionError
from ngmm.plots.effect_curves import Curve, is_network, mean_curves, network_curves
from ngmm.plots.labels import effect_text
from ngmm.results import MixedModelFit

WHAT = "plots.partial"
SURFACES = {"conf_low": "lower limit", "effect": "effect", "conf_high": "upper limit"}


def partial(
    fit: MixedModelFit,
    term: str | Sequence[str],
    variables: str | Sequence[str] | None = None,
    *,
    grid: int | Mapping[str, Any] | None = None,
    at: Mapping[str, Any] | None = None,
    level: float = 0.95,
    residuals: bool = False,
    ax: Any = None,
) -> Any:
    """Draw what one input or two do to the linear predictor, with pointwise bands.

    Parameters
    ----------
    fit
        A fitted model.
    term
        A network term, ``"nn(x1, x2)"``: its partial dependence, see
        `ngmm.effects.partial`. Or a column of the data, or two: the mean of the linear
        predictor over their values with random effects zero, numbers at their means
        and averaged over factors, see `ngmm.effects.means`; networks enter.
    variables
        Of a network: one input or two; None for a panel each.
    grid
        Number of values of a number, in equal steps over its range, or input -> values.
        50 of one input and 25 of each of two by default.
    at
        Input -> value at which it is held.
    level
        Level of the bands.
    residuals
        Whether to show partial residuals: the curve at the input of each row plus its
        working residual (Fox and Weisberg 2018). One input only.
    ax
        Axes to draw on, one a panel; None for a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes
        One input: a line with its band, or points with intervals for a factor. A
        factor and a number: a line a level. Two numbers: three panels on one scale of
        colours, the lower limit, the effect and the upper limit; the effect alone where
        there are no standard errors. Or what was given.

    Raises
    ------
    OptionError
        If there is no such term, column, level or value, or residuals are asked for
        with two inputs.
    NotSupportedError
        If the model has a neural random effect.
    MissingPackageError
        Without matplotlib.

    References
    ----------
    Fox & Weisberg (2018), J. Stat. Softw. 87(9), for partial residuals.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (Days | Subject)", data)
    >>> (axis,) = ngmm.plots.partial(fit, "nn(Days)")
    >>> axis.get_xlabel(), [round(float(y), 1) for y in axis.lines[0].get_ydata()[:2]]
    ('Days', [-47.1, -45.2])
    """
    additive(check_fit(fit, WHAT), WHAT, "fit.loadings()")
    if isinstance(term, str) and is_network(term):
        curves = network_curves(fit, term, variables, grid, at, level)
        text = f"{term} on {effect_text(fit).removeprefix('effect on ')}"
    else:
        curves = mean_curves(fit, _columns(term, variables), grid, at, level)
        text = curves[0].label
    if residuals and len(curves[0].names) > 1:
        raise OptionError(f"{WHAT}: partial residuals are drawn for one input")
    if len(curves[0].names) == 2 and not any(curves[0].categorical):
        return _surfaces(curves[0], text, ax)
    returned, axes = panels(len(curves), ax, sharey=True)
    extra = np.asarray(fit.resid("working")) if residuals else None
    for i, (axis, curve) in enumerate(zip(axes, curves, strict=True)):
        _draw(axis, curve)
        if extra is not None:
            _scatter(axis, curve, curve.at_rows() + extra)
        if ax is not None or i % ACROSS == 0:
            axis.set_ylabel(text)
    return returned


def _columns(term: Any, variables: Any) -> list[str]:
    """One column or two."""
    names = as_names(term, "term")
    if variables is not None:
        raise OptionError(
            f"{WHAT}: variables= names inputs of a network term; {term!r} is none. For "
            "two columns write term=[x1, x2]"
        )
    if len(names) not in (1, 2):
        raise OptionError(f"{WHAT}: term is one column or two; got {term!r}")
    return names


def _draw(axis: Any, curve: Curve) -> None:
    """One input, or a line for each level of one of two."""
    # The number lies along the axis; of two factors the first does.
    along = 1 if curve.categorical == (True, False) else 0
    x, factor = curve.names[along], curve.categorical[along]
    axis.set_xlabel(x)
    if len(curve.names) == 1:
        _line(axis, curve.frame, x, factor=factor)
        return
    by = curve.names[1 - along]
    for level, part in curve.frame.groupby(by, sort=False, observed=True):
        _line(axis, part, x, factor=factor, label=str(level))
    axis.legend(title=by)


def _line(
    axis: Any, frame: Any, name: str, *, factor: bool, label: str | None = None
) -> None:
    """A curve with its band; points with intervals where the input is a factor."""
    effect, low, high = (frame[c].to_numpy() for c in SURFACES_ORDER)
    if factor:
        x = [str(value) for value in frame[name]]
        bars = np.nan_to_num(np.stack([effect - low, high - effect]))
        axis.errorbar(x, effect, yerr=bars, fmt="o", capsize=2, label=label)
        return
    x = frame[name].to_numpy(dtype=np.float64)
    (line,) = axis.plot(x, effect, label=label)
    if np.isfinite(low).all():
        axis.fill_between(x, low, high, alpha=0.25, color=line.get_color(), linewidth=0)


SURFACES_ORDER = ("effect", "conf_low", "conf_high")


def _scatter(axis: Any, curve: Curve, values: Any) -> None:
    """Partial residuals beneath a curve."""
    x = np.asarray(curve.rows[curve.names[0]])
    if curve.categorical[0]:
        x = np.array([str(value) for value in x])
    axis.plot(x, values, ".", color="0.6", markersize=3, zorder=1, label="rows")


def _surfaces(curve: Curve, text: str, ax: Any) -> Any:
    """Two numbers: the limits beside the effect on one scale of colours."""
    finite = np.isfinite(curve.frame["conf_low"]).all()
    shown = SURFACES if finite else {"effect": "effect"}
    returned, axes = panels(len(shown), ax, sharex=True, sharey=True)
    first, second = (np.unique(curve.frame[name]) for name in curve.names)
    values = curve.frame[list(shown)].to_numpy()
    ends = {"vmin": float(values.min()), "vmax": float(values.max())}
    mesh = None
    ordered = curve.frame.sort_values(list(curve.names), kind="stable")
    for axis, (column, title) in zip(axes, shown.items(), strict=True):
        z = ordered[column].to_numpy().reshape(len(first), len(second)).T
        mesh = axis.pcolormesh(first, second, z, shading="nearest", **ends)
        # matplotlib warns of lines of a plane without heights.
        if np.ptp(z) > 0:
            axis.contour(first, second, z, colors="k", linewidths=0.5)
        axis.set(title=title, xlabel=curve.names[0], ylabel=curve.names[1])
    axes[0].figure.colorbar(mesh, ax=axes, label=text)
    return returned
