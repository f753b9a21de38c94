"""Observed shares of successes against predicted probabilities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.diagnostics.checks import check_fit
from ngmm.drawing import panels
from ngmm.errors import DataError, OptionError
from ngmm.inference.quantiles import check_level, critical
from ngmm.plots.labels import response_text
from ngmm.results import MixedModelFit
from ngmm.results.formatting import percent

WHAT = "plots.calibration"
FAMILIES = ("bernoulli", "binomial")

Vector = NDArray[np.float64]


class Bins(NamedTuple):
    """Rows in order of their prediction, in parts.

    Attributes
    ----------
    predicted, observed
        (bins,) mean prediction and share of successes, over trials.
    low, high
        (bins,) limits of the share.
    """

    predicted: Vector
    observed: Vector
    low: Vector
    high: Vector


def calibration(
    fit: MixedModelFit,
    bins: int = 10,
    re: str = "all",
    *,
    newdata: Any = None,
    y: Any = None,
    level: float = 0.95,
    ax: Any = None,
) -> Any:
    """Draw the share of successes against predicted probabilities, in bins.

    Parameters
    ----------
    fit
        A fit with family bernoulli or binomial.
    bins
        Number of bins, of equally many rows each; fewer where predictions are equal.
    re
        Random effects that enter the predictions, as in `MixedModelFit.predict`.
        ``"all"`` follows the rows of the fit; ``"marginal"`` is what it says of new
        levels.
    newdata, y
        Rows that were not in the fit, and their outcomes: zeros and ones. None for the
        rows of the fit. Levels that were not in the data are integrated out.
    level
        Level of the intervals.
    ax
        Axes to draw on; None for a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A point each bin, with Wilson's interval of the share, beside the diagonal.

    Raises
    ------
    OptionError
        If the response is not binary, or bins, re or level cannot be used.
    DataError
        If y has another length than newdata, or other values than zeros and ones.
    MissingPackageError
        Without matplotlib.

    Notes
    -----
    Intervals take rows as independent given their predictions: right for ``re="all"``,
    too short for ``re="marginal"``, where rows of a level share what is not predicted.
    Prior weights are not used.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("bacteria")
    >>> fit = ngmm.fit("y ~ trt + week + (1 | ID)", data, family="bernoulli")
    >>> axis = ngmm.plots.calibration(fit, bins=5)
    >>> axis.get_ylabel(), len(axis.lines[1].get_xdata())
    ('observed share, 95% intervals', 5)
    """
    check_fit(fit, WHAT)
    if fit.family not in FAMILIES:
        raise OptionError(
            f"{WHAT} is for binary responses, the families bernoulli and binomial; "
            f"this fit is {fit.family}. plots.residuals(fit) is for any family"
        )
    check_level(level)
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
        raise OptionError(f"{WHAT}: bins must be a whole number from 1; got {bins!r}")
    predicted, successes, trials = _rows(fit, re, newdata, y)
    found = binned(predicted, successes, trials, int(bins), level)
    _, (axis,) = panels(1, ax)
    axis.plot([0.0, 1.0], [0.0, 1.0], color="0.5", linewidth=1, label="calibrated")
    bars = np.stack([found.observed - found.low, found.high - found.observed])
    # Rounding may put a limit on the wrong side of a share of zero or one.
    axis.errorbar(found.predicted, found.observed, yerr=np.maximum(bars, 0), fmt="o-")
    axis.set(
        xlabel=f"predicted {response_text(fit)}",
        ylabel=f"observed share, {percent(level)} intervals",
    )
    return axis


def binned(
    predicted: Vector, successes: Vector, trials: Vector, bins: int, level: float
) -> Bins:
    """Rows in bins of predictions, with Wilson's limits of the shares.

    Equal predictions are never torn apart.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones(4)
    >>> p, k = np.array([0.1, 0.1, 0.6, 0.8]), np.array([0.0, 1.0, 1.0, 1.0])
    >>> binned(p, k, ones, 2, 0.95).observed.tolist()
    [0.5, 1.0]
    """
    inner = np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    part = np.searchsorted(np.unique(inner), predicted, side="left")
    _, part = np.unique(part, return_inverse=True)
    n = np.bincount(part, weights=trials)
    share = np.bincount(part, weights=successes) / n
    mean = np.bincount(part, weights=trials * predicted) / n
    z = float(critical(level))
    centre = (share + z**2 / (2.0 * n)) / (1.0 + z**2 / n)
    root = np.sqrt(share * (1.0 - share) / n + z**2 / (4.0 * n**2))
    half = z * root / (1.0 + z**2 / n)
    return Bins(mean, share, centre - half, centre + half)


def _rows(
    fit: MixedModelFit, re: str, newdata: Any, y: Any
) -> tuple[Vector, Vector, Vector]:
    """Predictions, successes and trials of the rows of the fit, or of new ones."""
    if (newdata is None) != (y is None):
        raise OptionError(
            f"{WHAT}: newdata= and y=, the outcomes of its rows, go together"
        )
    if newdata is None:
        design = fit.model.design
        trials = np.ones(fit.nobs) if design.trials is None else design.trials
        return np.asarray(fit.predict(re=re)), design.y, trials
    predicted = np.asarray(fit.predict(newdata, re=re, new_levels="marginal"))
    outcome = np.asarray(y)
    if outcome.shape != predicted.shape:
        raise DataError(
            f"{WHAT}: y has shape {outcome.shape}; newdata has {len(predicted)} rows"
        )
    if outcome.dtype.kind not in "biuf" or not np.isin(outcome, (0, 1)).all():
        hint = ""
        if fit.response_levels is not None:
            hint = f"; 1 stands for {fit.response_levels[1]!r}"
        raise DataError(f"{WHAT}: y must be zeros and ones{hint}")
    return predicted, outcome.astype(np.float64), np.ones(len(predicted))
