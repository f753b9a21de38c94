"""The mean that fits each response best, where it is not the response itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_probability"]


def best_probability(
    score: Callable[[Any, Any], Any], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities at which a log-likelihood that is concave in them peaks.

    Parameters
    ----------
    score
        Derivative of the log-likelihood in the probability p, as a function of p and
        1 - p: decreasing in p, elementwise.
    shape
        Shape of what `score` returns.

    Returns
    -------
    p, one_minus_p
        Both with full relative precision, by bisection of logit p over [-700, 700].
    """
    from scipy.special import expit

    low = np.full(shape, -700.0)
    high = np.full(shape, 700.0)
    for _ in range(62):  # 1400 / 2^62 is below the rounding of 1
        middle = 0.5 * (low + high)
        rising = score(expit(middle), expit(-middle)) > 0
        low = np.where(rising, middle, low)
        high = np.where(rising, high, middle)
    return expit(low), expit(-low)
