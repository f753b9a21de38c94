r"""F and chi-square tests that linear combinations of beta have given values.

With d_m and P the eigenvalues and eigenvectors of L vcov L', the statistic

.. math:: F = \frac1q \sum_m t_m^2, \qquad t_m = (P' (L \hat\beta - r))_m / \sqrt{d_m}

is a mean of squares of t statistics with nu_m degrees of freedom each (Satterthwaite).
Its denominator follows from matching the expectation,

.. math:: \nu = \frac{2E}{E - q}, \qquad E = \sum_m \frac{\nu_m}{\nu_m - 2}.

References
----------
Fai & Cornelius (1996), J. Stat. Comput. Simul. 54, 363-378; Kuznetsova, Brockhoff &
Christensen (2017), J. Stat. Softw. 82(13), eqs. 6-9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# A combination whose variance is this small beside those of its rows is one of them.
_DEPENDENT = 1e-9
# Smallest share of the largest variance that an eigenvalue has to eight digits.
_UNITS = 1e-8
# Degrees of freedom this close are the same number.
_SAME = 1e-8


class WaldTest(NamedTuple):
    """A test of q linear combinations.

    Attributes
    ----------
    rank
        q, the number of independent combinations: the numerator degrees of freedom.
    den_df
        Denominator degrees of freedom; infinite for a chi-square test.
    statistic
        F; q F is the chi-square statistic.
    p_value
        Probability of a larger statistic.
    """

    rank: int
    den_df: float
    statistic: float
    p_value: float

    @property
    def chi2(self) -> float:
        """The statistic of the chi-square test."""
        return self.rank * self.statistic


class Combinations(NamedTuple):
    """Independent combinations with uncorrelated estimates.

    Attributes
    ----------
    rows
        (q, p) contrasts.
    variances
        (q,) of their estimates.
    differences
        (q,) estimates minus the values they are tested against.
    is_consistent
        Whether the values of dependent combinations agree with each other.
    """

    rows: Matrix
    variances: Vector
    differences: Vector
    is_consistent: bool


def combinations(L: Matrix, vcov: Matrix, beta: Vector, rhs: Vector) -> Combinations:
    """Principal combinations of the contrasts L beta - rhs.

    Parameters
    ----------
    L
        (c, p) contrasts of any rank.
    vcov, beta
        Estimates and their covariance.
    rhs
        (c,) values tested.
    """
    variance = L @ vcov @ L.T
    scale = np.sqrt(np.diag(variance))
    scale = np.where(scale > 0, scale, 1.0)
    values = np.linalg.eigvalsh(variance / np.outer(scale, scale))
    rank = int((values > _DEPENDENT * max(values[-1], 1e-300)).sum())
    d, P = np.linalg.eigh(variance)
    if rank and d[-rank] < _UNITS * d[-1]:
        # Rows in units so different that the larger ones cost the smaller their digits.
        L, rhs = L / scale[:, None], rhs / scale
        variance = variance / np.outer(scale, scale)
        d, P = np.linalg.eigh(variance)
    rows = P[:, ::-1].T @ L
    differences = rows @ beta - P[:, ::-1].T @ rhs
    left = (P[:, ::-1].T @ rhs)[rank:]
    consistent = bool(np.all(np.abs(left) <= 1e-8 * (1.0 + np.abs(rhs).max())))
    return Combinations(rows[:rank], d[::-1][:rank], differences[:rank], consistent)


def wald_test(
    found: Combinations, degrees: Callable[[Matrix], Vector] | None
) -> WaldTest:
    """F test, or a chi-square test without degrees of freedom.

    Parameters
    ----------
    found
        From `combinations`.
    degrees
        Degrees of freedom of the t tests of (q, p) contrasts.
    """
    q = len(found.variances)
    F = float(np.mean(found.differences**2 / found.variances))
    nu = np.inf if degrees is None else f_denominator(degrees(found.rows))
    return WaldTest(q, nu, F, f_tail(F, q, nu))


def f_denominator(nu: Vector) -> float:
    """Denominator degrees of freedom from those of independent t tests.

    Examples
    --------
    >>> f_denominator(np.array([10.0, 10.0]))
    10.0
    >>> round(f_denominator(np.array([10.0, 20.0])), 4)
    13.0769
    >>> f_denominator(np.array([1.5, 20.0]))
    2.0
    """
    if len(nu) == 1 or np.isinf(nu).all() or np.ptp(nu) < _SAME:
        return float(nu.mean())
    if (nu <= 2.0).any():
        return 2.0
    excess = float(np.sum(2.0 / (nu - 2.0)))
    return 2.0 * (excess + len(nu)) / excess


def f_tail(statistic: float, num_df: int, den_df: float) -> float:
    """P(F > statistic); chi-square where den_df is infinite."""
    from scipy.special import chdtrc, fdtrc

    if np.isinf(den_df):
        return float(chdtrc(num_df, num_df * statistic))
    return float(fdtrc(num_df, den_df, statistic))
