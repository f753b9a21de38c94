r"""Tail probabilities of weighted sums of chi-squares, and of mixtures of chi-squares.

A sum :math:`Q = \sum_j w_j \chi^2_{d_j}` has the cumulant generating function

.. math:: K(s) = -\tfrac12 \sum_j d_j \log(1 - 2 w_j s),

and its upper tail is the inversion integral

.. math:: P(Q > q) = \frac{1}{2 \pi i} \int_{c - i\infty}^{c + i\infty}
          e^{K(s) - s q} \, \frac{ds}{s}, \qquad 0 < c < 1 / (2 \max w).

Imhof (1961) and Davies (1980) integrate along the imaginary axis, where a tail of
1e-12 is the difference of numbers of order one. Here the path goes through the saddle
point of the integrand instead (Rice 1980), where the integrand is as small as the
probability itself: the error is relative in the far tail too, where approximations
(Kuonen 1999; Liu, Tang and Zhang 2009) are usual. From there it follows the steepest
descent, so that nothing oscillates, in straight pieces with a Gauss-Legendre rule on
each: the integral does not depend on the path.

References
----------
Imhof (1961), Biometrika 48, 419-426. Davies (1980), Appl. Statist. 29, 323-333.
Rice (1980), SIAM J. Sci. Stat. Comput. 1, 438-448.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm.errors import OptionError

Vector = NDArray[np.float64]

# Gauss-Legendre nodes on each piece of the path, and pieces that are evaluated at once.
NODES = 20
BATCH = 16
# Longest piece, in distances from the nearest singularity: the rule then errs by less
# than 6**-40.
REACH = 0.5
# The path ends where what is left is below this share, in logarithms.
NEGLIGIBLE = -40.0
MOST = 5000
# Minus the logarithm of the smallest number; and what counts as zero beside one.
SMALLEST = 750.0
TINY = 1e-150


def survival(q: float, weights: ArrayLike, df: ArrayLike | None = None) -> float:
    r"""P(Q > q) for Q a sum of independent chi-squares with weights of any sign.

    .. math:: Q = \sum_j w_j \chi^2_{d_j}

    Parameters
    ----------
    q
        Where the tail begins.
    weights
        w_j; zeros are left out.
    df
        d_j, positive; None for one each.

    Returns
    -------
    float
        The probability, to about ten digits of its own: far tails are as good as
        the middle. Zero below the smallest number of double precision.

    Raises
    ------
    OptionError
        If q or a weight is not finite, a df is not positive, or lengths differ.

    Notes
    -----
    Cost O(m) a point of the path, some hundreds of points, for m distinct weights.

    References
    ----------
    Rice (1980), SIAM J. Sci. Stat. Comput. 1, 438-448.

    Examples
    --------
    >>> round(survival(3.841459, [1.0]), 6)
    0.05
    >>> survival(0.0, [1.0, -1.0])
    0.5
    >>> f"{survival(200.0, [2.0, 1.0, -0.5]):.4e}"
    '1.9354e-23'
    """
    q, w, d = _checked(q, weights, df)
    upper, lower = bool((w > 0).any()), bool((w < 0).any())
    if not upper and q >= 0.0:
        return 0.0
    if not lower and q <= 0.0:
        return 1.0 if upper or q < 0.0 else 0.0
    size = float(np.abs(w).max())
    w, q = w / size, q / size
    # A bound of Chernoff's, at a quarter: below the smallest number.
    if 0.25 * q - 0.35 * float(d[w > 0].sum()) > SMALLEST:
        return 0.0
    if abs(q) < TINY:
        q = 0.0
        if not (upper and lower):
            return float(upper)
    # A reflected sum has the same symmetric law: exact, and the text-book value.
    if q == 0.0 and _is_symmetric(w, d):
        return 0.5
    return float(min(_tail(q, w, d), 1.0))


def chibar_survival(q: float, weights: ArrayLike, dfs: ArrayLike) -> float:
    r"""P(T > q) for a mixture of chi-squares, :math:`\sum_j w_j P(\chi^2_{d_j} > q)`.

    Parameters
    ----------
    q
        Where the tail begins.
    weights
        Probabilities of the components.
    dfs
        Their degrees of freedom; 0 is a point mass at zero.

    Raises
    ------
    OptionError
        If the weights are not probabilities that sum to one, a df is negative, or the
        lengths differ.

    References
    ----------
    Self & Liang (1987), J. Am. Stat. Assoc. 82, 605-610.

    Examples
    --------
    A variance of zero against a positive one (Self and Liang 1987, case 5):

    >>> round(chibar_survival(2.705543, [0.5, 0.5], [0, 1]), 6)
    0.05
    """
    from scipy.special import chdtrc

    p = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    d = np.atleast_1d(np.asarray(dfs, dtype=np.float64))
    if p.shape != d.shape or p.ndim != 1:
        raise OptionError(f"{p.size} weights for {d.size} degrees of freedom")
    if not ((p >= 0).all() and abs(p.sum() - 1.0) < 1e-8):
        raise OptionError(f"the weights must be probabilities; they are {p.tolist()}")
    if not (d >= 0).all():
        raise OptionError(f"degrees of freedom must not be negative: {d.tolist()}")
    if q < 0:
        return 1.0
    positive = d > 0
    return float(p[positive] @ chdtrc(d[positive], q))


def _checked(
    q: float, weights: ArrayLike, df: ArrayLike | None
) -> tuple[float, Vector, Vector]:
    """The arguments as numbers, equal weights taken together, zeros left out."""
    w = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    if w.ndim != 1 or not np.isfinite(w).all():
        raise OptionError(f"the weights must be finite numbers; got {weights!r}")
    d = np.ones(len(w)) if df is None else np.asarray(df, dtype=np.float64)
    d = np.broadcast_to(d, w.shape) if d.ndim == 0 else d
    if d.shape != w.shape:
        raise OptionError(f"{len(w)} weights for {d.size} degrees of freedom")
    if not (np.isfinite(d) & (d > 0)).all():
        raise OptionError(f"degrees of freedom must be positive; got {df!r}")
    if not np.isfinite(q):
        raise OptionError(f"q must be a finite number; got {q!r}")
    distinct, where = np.unique(w, return_inverse=True)
    total = np.zeros(len(distinct))
    np.add.at(total, where.reshape(-1), d)
    keep = np.abs(distinct) > TINY * np.abs(distinct).max(initial=0.0)
    return float(q), distinct[keep], total[keep]


def _is_symmetric(w: Vector, d: Vector) -> bool:
    """Whether Q and -Q have the same law; the weights are in increasing order."""
    return bool(np.array_equal(w, -w[::-1]) and np.array_equal(d, d[::-1]))


def _tail(q: float, w: Vector, d: Vector) -> float:
    """The inversion integral, for a mixture whose support has q inside."""
    c, width = _saddle(q, w, d)
    top = float(_exponent(np.array([c + 0j]), q, w, d)[0].real)
    ends = _descent(c, width, top, q, w, d)
    x, gauss = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(ends)
    total = 0.0
    for first in range(0, len(half), BATCH):
        part = slice(first, first + BATCH)
        s = ends[:-1][part, None] + half[part, None] * (1.0 + x)
        heights = np.exp(_exponent(s.ravel(), q, w, d) - top).reshape(s.shape)
        total += float(((heights @ gauss) * half[part]).imag.sum())
    # The path is symmetric about the real axis: twice its upper half, over 2 pi.
    return float(np.exp(top + np.log(max(total, 1e-300) / np.pi)))


def _descent(
    c: float, width: float, top: float, q: float, w: Vector, d: Vector
) -> NDArray[np.complex128]:
    """Corners of a path from the saddle point down to where nothing is left.

    Every piece follows the steepest descent from where it starts. It is short beside
    its distance from the singularities, and the exponent changes little along it.
    """
    scale = np.log(width) + min(0.0, np.log(0.5 * d.sum()))
    s = complex(c)
    ends, direction, length = [s], 1j, min(width, REACH * _room(s, w))
    while True:
        s += length * direction
        ends.append(s)
        rise = 1.0 / (1.0 - 2.0 * w * s)
        first = complex((d * w) @ rise) - q - 1.0 / s
        second = complex((2.0 * d * w**2) @ (rise * rise)) + 1.0 / s**2
        height = _exponent(np.array([s]), q, w, d)[0].real - top
        if height + np.log(abs(s - c)) - scale < NEGLIGIBLE or len(ends) > MOST:
            return np.array(ends)
        direction = -np.conj(first) / abs(first)
        change = min(2.0 / abs(first), 1.0 / np.sqrt(abs(second) + 1e-300))
        length = min(REACH * _room(s, w), max(change, 1.0 / abs(first)))


def _room(s: complex, w: Vector) -> float:
    """Distance from the nearest singularity of the integrand."""
    return float(min(abs(s), np.abs(s - 0.5 / w).min()))


def _exponent(
    s: NDArray[np.complex128], q: float, w: Vector, d: Vector
) -> NDArray[np.complex128]:
    """K(s) - s q - log s; each logarithm on its principal branch."""
    return -s * q - np.log(s) - 0.5 * np.log(1.0 - 2.0 * np.outer(s, w)) @ d


def _saddle(q: float, w: Vector, d: Vector) -> tuple[float, float]:
    """Where the integrand is least on the real axis, and its width across."""
    largest = float(w.max())
    end = 0.5 / largest if largest > 0 else np.inf

    def slope(c: float) -> float:
        return float((d * w / (1.0 - 2.0 * w * c)).sum()) - q - 1.0 / c

    low = 1e-3 if np.isinf(end) else 0.5 * end
    high = low
    while slope(low) > 0.0:
        low *= 0.25
    while slope(high) < 0.0:
        high = 4.0 * high if np.isinf(end) else end - 0.25 * (end - high)
    for _ in range(60):
        middle = np.sqrt(low * high) if np.isinf(end) else 0.5 * (low + high)
        low, high = (low, middle) if slope(middle) > 0.0 else (middle, high)
    c = 0.5 * (low + high)
    curvature = float((2.0 * d * w**2 / (1.0 - 2.0 * w * c) ** 2).sum()) + c**-2
    return c, float(curvature**-0.5)
