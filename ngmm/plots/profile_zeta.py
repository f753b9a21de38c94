"""Profiles of the likelihood on the scale on which a quadratic one is a line."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.diagnostics.checks import check_fit
from ngmm.drawing import panels
from ngmm.errors import OptionError
from ngmm.inference.quantiles import critical
from ngmm.intervals.naming import chosen
from ngmm.intervals.profile import Profile
from ngmm.intervals.profile import profile as profile_of
from ngmm.results import MixedModelFit
from ngmm.results.formatting import percent

WHAT = "plots.profile_zeta"
POINTS = 200


def profile_zeta(
    profile: Profile | MixedModelFit,
    parameters: str | Collection[str] | None = None,
    *,
    ax: Any = None,
) -> Any:
    r"""Draw zeta, the signed root of twice the fall of the log-likelihood.

    .. math:: \zeta(t) = \mathrm{sign}(t - \hat t)
        \sqrt{2 (\hat\ell - \max_{\text{others}} \ell(t))}

    Parameters
    ----------
    profile
        From `ngmm.intervals.profile`; or a fit, of which it is computed at 95 %.
    parameters
        Names as in `MixedModelFit.conf_int`, one or several; None for all.
    ax
        Axes to draw on, one a parameter; None for a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes
        A panel each parameter that has a profile, or what was given. The points where
        the likelihood was maximised, with a curve through them; the straight line that
        touches it at the estimate, on which Wald intervals rest; dashed lines at the
        critical values, and dotted ones at the limits.

    Raises
    ------
    OptionError
        If there is no such parameter, or none that has a profile.
    NotSupportedError
        If a fit has networks.
    MissingPackageError
        Without matplotlib.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sec. 5.1.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> (axis,) = ngmm.plots.profile_zeta(fit, "sigma")
    >>> axis.get_xlabel(), axis.get_ylabel()
    ('sigma', 'zeta; 95% limits')
    """
    if isinstance(profile, Profile):
        found = profile
        at = chosen(profile.limits.index, parameters)
        names = profile.limits.index[at]
    else:
        check_fit(profile, WHAT)
        found = profile_of(profile, parameters=parameters)
        names = found.limits.index
    curves = {
        str(name): part
        for name in names
        if len(part := found.curve.loc[found.curve["parameter"] == name]) > 1
    }
    if not curves:
        raise OptionError(
            f"{WHAT}: {', '.join(map(str, names))} has no profile: "
            f"{found.limits['note'].loc[names[0]]}"
        )
    returned, axes = panels(len(curves), ax)
    z = float(critical(found.level))
    for axis, (name, part) in zip(axes, curves.items(), strict=True):
        _draw(axis, part, found.limits.loc[name], z)
        axis.set(xlabel=name, ylabel="zeta")
    axes[0].set_ylabel(f"zeta; {percent(found.level)} limits")
    return returned


def _draw(axis: Any, part: pd.DataFrame, limits: Any, z: float) -> None:
    from scipy.interpolate import PchipInterpolator  # loads slowly

    # Points may coincide at a boundary, where interpolation has no slope.
    part = part.drop_duplicates("value")
    value, zeta = (part[c].to_numpy(dtype=np.float64) for c in ("value", "zeta"))
    fine = np.linspace(value[0], value[-1], POINTS)
    if len(value) > 1:
        axis.plot(fine, PchipInterpolator(value, zeta)(fine), label="profile")
        slope = _slope(value, zeta)
        if slope is not None:
            line = slope * (fine - float(limits["estimate"]))
            axis.plot(fine, line, color="0.6", linewidth=1, label="Wald")
    axis.plot(value, zeta, "o", markersize=3, label="maxima")
    for critical_value in (-z, z):
        axis.axhline(critical_value, color="0.6", linestyle="--", linewidth=1)
    for limit in (limits["conf_low"], limits["conf_high"]):
        if np.isfinite(limit):
            axis.axvline(limit, color="0.6", linestyle=":", linewidth=1)
    # The line leaves the picture where the profile bends.
    axis.set_ylim(min(zeta.min(), -z) * 1.1, max(zeta.max(), z) * 1.1)


def _slope(value: NDArray[Any], zeta: NDArray[Any]) -> float | None:
    """Slope at the estimate, by a parabola through it and its neighbours."""
    at = int(np.argmin(np.abs(zeta)))
    if at in (0, len(value) - 1):
        return None
    near = slice(at - 1, at + 2)
    return float(np.polyfit(value[near] - value[at], zeta[near], 2)[1])
