"""P-values and critical values for several comparisons at once.

References
----------
Holm (1979), Scand. J. Stat. 6, 65-70; Sidak (1967), JASA 62, 626-633; Tukey (1953) and
Kramer (1956), Biometrics 12, 307-310; Benjamini & Hochberg (1995), JRSS B 57, 289-300.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.quantiles import critical, two_sided

Vector = NDArray[np.float64]

ADJUSTMENTS = ("none", "holm", "bonferroni", "tukey", "sidak", "fdr")


def check_adjust(adjust: str) -> str:
    """The adjustment, if there is one of that name.

    Raises
    ------
    OptionError
        If there is not.
    """
    if adjust in ADJUSTMENTS:
        return adjust
    raise OptionError(
        f"there is no adjustment {adjust!r}"
        f"{did_you_mean(str(adjust), ADJUSTMENTS) or '.'} "
        f"Adjustments: {', '.join(ADJUSTMENTS)}"
    )


def adjusted(statistic: Vector, df: Vector, adjust: str, n_means: int) -> Vector:
    """Two-sided p-values of one family of comparisons.

    Parameters
    ----------
    statistic, df
        (c,) t or z statistics and their degrees of freedom, infinite for z.
    adjust
        One of `ADJUSTMENTS`.
    n_means
        Number of means that are compared in pairs, for ``"tukey"``.

    Examples
    --------
    >>> z, inf = np.array([2.5, 2.0]), np.full(2, np.inf)
    >>> adjusted(z, inf, "bonferroni", 3).round(4).tolist()
    [0.0248, 0.091]
    """
    p = two_sided(statistic, df)
    c = len(p)
    if adjust == "tukey":
        from scipy.stats import studentized_range  # loads slowly

        q = np.sqrt(2.0) * np.abs(statistic)
        return np.asarray(studentized_range.sf(q, n_means, df), dtype=np.float64)
    if adjust == "bonferroni":
        return np.minimum(c * p, 1.0)
    if adjust == "sidak":
        return -np.expm1(c * np.log1p(-np.minimum(p, 1.0 - 1e-16)))
    if adjust == "holm":
        order = np.argsort(p, kind="stable")
        scaled = np.maximum.accumulate(np.arange(c, 0, -1) * p[order])
        return _unsorted(scaled, order)
    if adjust == "fdr":
        order = np.argsort(-p, kind="stable")
        scaled = np.minimum.accumulate(p[order] * c / np.arange(c, 0, -1))
        return _unsorted(scaled, order)
    return p


def adjusted_critical(
    level: float, df: Vector, adjust: str, n_means: int
) -> NDArray[np.float64]:
    """Standard errors on either side of an estimate in intervals of one family.

    Holm's method and the false discovery rate have no intervals of their own: those of
    Bonferroni, which hold jointly, stand for them, as in emmeans.
    """
    c = len(df)
    if adjust == "tukey":
        from scipy.stats import studentized_range

        q = studentized_range.ppf(level, n_means, df)
        return np.asarray(q, dtype=np.float64) / np.sqrt(2.0)
    if adjust in ("bonferroni", "holm", "fdr"):
        return critical(1.0 - (1.0 - level) / c, df)
    if adjust == "sidak":
        return critical(level ** (1.0 / c), df)
    return critical(level, df)


def _unsorted(p: Vector, order: NDArray[np.intp]) -> Vector:
    out = np.empty(len(p))
    out[order] = np.minimum(p, 1.0)
    return out
