"""Tail probabilities and quantiles of t and z, infinite df allowed.

From scipy.special: scipy.stats takes longer to import than a small model to fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm.errors import OptionError


def two_sided(statistic: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """P(|T| > |statistic|) for t with df degrees of freedom, z where df is infinite."""
    from scipy.special import ndtr, stdtr

    t = -np.abs(np.asarray(statistic, dtype=np.float64))
    nu = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(nu)
    return 2.0 * np.where(finite, stdtr(np.where(finite, nu, 1.0), t), ndtr(t))


def critical(level: float, df: ArrayLike = np.inf) -> NDArray[np.float64]:
    """Value that |T| stays below with probability `level`."""
    from scipy.special import ndtri, stdtrit

    upper = 0.5 + 0.5 * check_level(level)
    nu = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(nu)
    return np.where(finite, stdtrit(np.where(finite, nu, 1.0), upper), ndtri(upper))


def check_level(level: float) -> float:
    """The level, if it is a probability.

    Raises
    ------
    OptionError
        If it is not strictly between 0 and 1.
    """
    if isinstance(level, bool) or not isinstance(level, (int, float, np.floating)):
        raise OptionError(f"level must be a number between 0 and 1, got {level!r}")
    if not 0 < level < 1:
        hint = f"; did you mean {level / 100:g}?" if 1 < level < 100 else ""
        raise OptionError(f"level must be between 0 and 1, got {level}{hint}")
    return float(level)
