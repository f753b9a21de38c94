"""Quantile residuals: their distribution, against the fit, and by level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.clusters.groups import one_group, term_of
from ngmm.diagnostics.checks import check_fit
from ngmm.drawing import panels
from ngmm.plots.labels import predictor_text
from ngmm.results import MixedModelFit

WHAT = "plots.residuals"
# Bins of the running mean, and boxes of levels.
MOST_BINS, MOST_LEVELS = 20, 30
BAND = 0.95
NAME = "quantile residual"

Vector = NDArray[np.float64]


def residuals(fit: MixedModelFit, group: str | None = None, *, ax: Any = None) -> Any:
    """Draw quantile residuals: against normal quantiles, the fit, and by level.

    Parameters
    ----------
    fit
        A fitted model.
    group
        Grouping factor of the third panel; None for the first one.
    ax
        Three axes to draw on; None for a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes
        Three panels, or what was given. First the residuals in order against normal
        quantiles, with the 95 % band of each order statistic of independent ones. Then
        against the linear predictor, with means of up to 20 equal parts of the rows.
        Then boxes of the levels, of the 30 with the most rows if there are more.

    Raises
    ------
    OptionError
        If there is no such grouping factor.
    MissingPackageError
        Without matplotlib.

    Notes
    -----
    They are those of ``fit.resid("quantile")``: standard normal under the model given
    the random effects, randomised from the seed of the fit for discrete responses
    (Dunn and Smyth 1996). The conditional modes follow the data, so that they vary
    a little less than that; `ngmm.diagnostics.residual_tests` allows for it.

    References
    ----------
    Dunn & Smyth (1996), J. Comput. Graph. Stat. 5, 236-244.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> axes = ngmm.plots.residuals(fit)
    >>> [axis.get_xlabel() for axis in axes]
    ['normal quantile', 'Reaction, fitted', 'Subject']
    """
    check_fit(fit, WHAT)
    name = fit.spec.groups[0] if group is None else one_group(fit, group, WHAT)
    r = fit.resid("quantile").to_numpy()
    returned, axes = panels(3, ax)
    _normal(axes[0], r)
    _against_fit(axes[1], fit, r)
    _by_level(axes[2], fit, name, r)
    for axis in axes:
        axis.set_ylabel(NAME)
    return returned


def _normal(axis: Any, r: Vector) -> None:
    """Order statistics; the i-th of n uniform ones has a beta(i, n + 1 - i) law."""
    from scipy.special import betaincinv, ndtri  # loads slowly

    n = len(r)
    i = np.arange(1, n + 1)
    x = ndtri((i - 0.5) / n)
    low, high = (
        ndtri(betaincinv(i, n + 1 - i, p)) for p in ((1 - BAND) / 2, (1 + BAND) / 2)
    )
    axis.fill_between(x, low, high, color="0.85", linewidth=0, label="95% band")
    axis.plot(x, x, color="0.5", linewidth=1, label="normal")
    axis.plot(x, np.sort(r), "o", markersize=3, label="rows")
    axis.set_xlabel("normal quantile")


def _against_fit(axis: Any, fit: MixedModelFit, r: Vector) -> None:
    eta = np.asarray(fit.predict(kind="link"))
    axis.axhline(0.0, color="0.5", linewidth=1)
    axis.plot(eta, r, "o", markersize=3, label="rows")
    n_bins = max(1, min(MOST_BINS, len(r) // 10))
    parts = np.array_split(np.argsort(eta, kind="stable"), n_bins)
    x, y = ([float(v[p].mean()) for p in parts] for v in (eta, r))
    axis.plot(x, y, linewidth=2, label="mean")
    axis.set_xlabel(f"{predictor_text(fit)}, fitted")


def _by_level(axis: Any, fit: MixedModelFit, group: str, r: Vector) -> None:
    term = term_of(fit, group)
    size = np.bincount(term.codes, minlength=term.n_levels)
    shown = np.sort(np.argsort(-size, kind="stable")[:MOST_LEVELS])
    axis.axhline(0.0, color="0.5", linewidth=1)
    labels = [str(term.levels[code]) for code in shown]
    axis.boxplot([r[term.codes == code] for code in shown], tick_labels=labels)
    axis.tick_params(axis="x", labelrotation=90, labelsize="x-small")
    hidden = term.n_levels - len(shown)
    more = f" ({len(shown)} of {term.n_levels} levels)" if hidden else ""
    axis.set_xlabel(f"{group}{more}")
