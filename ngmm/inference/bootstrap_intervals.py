r"""Confidence limits from bootstrap draws of one parameter.

References
----------
Davison & Hinkley (1997), Bootstrap Methods and their Application, sec. 5.2 and 5.3;
Efron (1987), JASA 82, 171-185, for BCa.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def draws_needed(level: float) -> int:
    """Fewest draws whose extreme order statistics reach out to the level.

    Examples
    --------
    >>> draws_needed(0.95), draws_needed(0.99)
    (39, 199)
    """
    # 2 / (1 - level) is off by rounding: 39.99999999999996 for 0.95.
    return int(np.ceil(2.0 / (1.0 - level) - 1.0 - 1e-9))


def quantile(draws: Vector, p: float) -> float:
    """The (B + 1) p-th order statistic, interpolated; the extremes beyond them."""
    at = np.clip((len(draws) + 1) * p, 1, len(draws))
    return float(np.interp(at, np.arange(1, len(draws) + 1), np.sort(draws)))


def percentile_limits(draws: Vector, level: float) -> tuple[float, float]:
    """Quantiles of the draws."""
    tail = 0.5 * (1.0 - level)
    return quantile(draws, tail), quantile(draws, 1.0 - tail)


def basic_limits(draws: Vector, estimate: float, level: float) -> tuple[float, float]:
    """The quantiles of the draws reflected at the estimate."""
    low, high = percentile_limits(draws, level)
    return 2.0 * estimate - high, 2.0 * estimate - low


def bca_shares(
    draws: Vector, estimate: float, acceleration: float, level: float
) -> tuple[float, float]:
    r"""Which quantiles of the draws are the limits, by Efron's (1987) eq. 2.3.

    .. math:: \Phi\Bigl(z_0 + \frac{z_0 + z_p}{1 - a (z_0 + z_p)}\Bigr)

    with z_0 the normal quantile of the share of draws below the estimate, those equal
    to it counted by half. NaN if all draws are on one side.
    """
    from scipy.special import ndtr, ndtri

    below = float(np.mean(draws < estimate) + 0.5 * np.mean(draws == estimate))
    if not 0.0 < below < 1.0:
        return np.nan, np.nan
    z0 = float(ndtri(below))
    tail = 0.5 * (1.0 - level)
    z = z0 + ndtri(np.array([tail, 1.0 - tail]))
    low, high = ndtr(z0 + z / (1.0 - acceleration * z))
    return float(low), float(high)


def acceleration(influence: Vector) -> float:
    """Skewness of the influence of the groups over six: Efron (1987), eq. 7.3.

    Parameters
    ----------
    influence
        (G,) change of the estimate with the weight of each group.

    Returns
    -------
    float
        NaN where the influence is, at a boundary of the parameter.
    """
    if not np.isfinite(influence).all():
        return np.nan
    centred = influence - influence.mean()
    square = float((centred**2).sum())
    if not square > 0:
        return 0.0
    return float((centred**3).sum() / (6.0 * square**1.5))
