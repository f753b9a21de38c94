"""Standard deviations and correlations of random effects with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ngmm.diagnostics.checks import check_fit
from ngmm.drawing import panels
from ngmm.errors import OptionError
from ngmm.plots.labels import predictor_text
from ngmm.results import MixedModelFit
from ngmm.results.formatting import percent

WHAT = "plots.variances"
# Size of a panel in inches.
WIDE, HIGH = 5.0, 3.0


def variances(
    fit: MixedModelFit,
    level: float = 0.95,
    method: str = "wald",
    *,
    ax: Any = None,
    **options: Any,
) -> Any:
    """Draw the standard deviations of a fit with intervals, and its correlations.

    Parameters
    ----------
    fit
        A fitted model.
    level
        Level of the intervals.
    method
        ``"wald"``, ``"profile"`` or ``"bootstrap"``, as in `MixedModelFit.conf_int`.
    ax
        Axes to draw on, one a panel; None for a new figure.
    **options
        Of the method.

    Returns
    -------
    array of matplotlib.axes.Axes
        Standard deviations, the residual one of a Gaussian model among them; then
        correlations, and then the dispersion parameter of the family, if the model
        has them. Or what was given. A limit that is not known, as at a boundary, is
        not drawn, and the label says so.

    Raises
    ------
    OptionError
        If the level, the method or an option is not one of `MixedModelFit.conf_int`,
        or the model estimates no variance.
    MissingPackageError
        Without matplotlib.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> (axis,) = ngmm.plots.variances(fit, method="profile")
    >>> [label.get_text() for label in axis.get_yticklabels()]
    ['sd(Intercept | Batch)', 'sigma']
    """
    check_fit(fit, WHAT)
    names = fit.conf_int(level).frame.index[len(fit.fixef) :]
    if names.empty:
        raise OptionError(
            f"{WHAT}: the model `{fit.formula}` estimates no variance; those of neural "
            "random effects are one by definition, see fit.loadings()"
        )
    if method == "profile":
        options = {"parameters": list(names), **options}
    frame = fit.conf_int(level, method, **options).frame
    frame = frame.loc[frame.index.isin(names)]
    parts = _parts(frame, predictor_text(fit))
    returned, axes = panels(len(parts), ax)
    if ax is None:
        # Names of parameters stand beside every panel.
        axes[0].figure.set_size_inches(WIDE * len(parts), HIGH)
    how = "Wald" if method == "wald" else method
    for axis, (text, part) in zip(axes, parts.items(), strict=True):
        _draw(axis, part)
        axis.set_xlabel(f"{text}, {percent(level)} {how} intervals")
    return returned


def _parts(frame: pd.DataFrame, scale: str) -> dict[str, pd.DataFrame]:
    """What a panel shows -> its rows."""
    names = frame.index.astype(str)
    correlation = names.str.startswith("cor(")
    deviation = names.str.startswith("sd(") | (names == "sigma")
    parts = {
        f"sd on the scale of {scale}": frame.loc[deviation],
        "correlation": frame.loc[correlation],
        "dispersion parameter": frame.loc[~correlation & ~deviation],
    }
    return {text: part for text, part in parts.items() if len(part)}


def _draw(axis: Any, part: pd.DataFrame) -> None:
    """Estimates from the top down, with what limits there are."""
    at = np.arange(len(part))
    estimate = part["estimate"].to_numpy(dtype=np.float64)
    low, high = (part[c].to_numpy(dtype=np.float64) for c in ("conf_low", "conf_high"))
    axis.plot(estimate, at, "o", label="estimate")
    starts, ends = (np.where(np.isfinite(v), v, estimate) for v in (low, high))
    axis.hlines(at, starts, ends, label="interval")
    known = np.isfinite(low) & np.isfinite(high)
    labels = [
        str(name) if all_known else f"{name}\n(limits not known)"
        for name, all_known in zip(part.index, known, strict=True)
    ]
    axis.set_yticks(at, labels)
    axis.invert_yaxis()
    axis.margins(y=0.5 / len(part))
