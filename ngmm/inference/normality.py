"""How far a sample is from a normal distribution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Shape(NamedTuple):
    """Anderson and Darling's A2, and the skewness."""

    statistic: float
    skewness: float


def anderson_darling(x: Vector) -> Shape:
    r"""A2 of a sample against the normal distribution with its mean and variance.

    .. math:: A^2 = -n - \frac1n \sum_i (2i - 1) (\log\Phi(z_i) + \log\Phi(-z_{n+1-i}))

    References
    ----------
    Anderson & Darling (1954), JASA 49, 765-769, eq. 2.

    Examples
    --------
    >>> import numpy as np
    >>> round(anderson_darling(np.array([1.0, 2.0, 3.0, 4.0, 10.0])).statistic, 4)
    0.4708
    """
    from scipy.special import log_ndtr  # loads slowly

    n = len(x)
    away = x - x.mean()
    sd = np.sqrt(away @ away / (n - 1))
    if sd == 0.0:
        return Shape(np.nan, np.nan)
    z = np.sort(away / sd)
    weight = 2.0 * np.arange(1, n + 1) - 1.0
    a2 = -n - float(weight @ (log_ndtr(z) + log_ndtr(-z[::-1]))) / n
    return Shape(a2, float(np.mean((away / np.sqrt(np.mean(away**2))) ** 3)))
