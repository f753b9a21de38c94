r"""The mean of a response when part of its linear predictor is random.

All that a marginal prediction depends on is the distribution N(m, v) of the linear
predictor of a row:

.. math:: M(m, v) = \int \mu(m + \sqrt{v}\, t)\, \varphi(t)\, dt.

Where this has no closed form it is a trapezoid sum over t in [-9, 9]: the integrand is
smooth and vanishes at both ends, so that the error falls exponentially as the nodes
come closer. A mean that is analytic within d of the real axis needs a spacing h with
exp(-2 pi d / (h sqrt(v))) small, where Gauss-Hermite nodes, which spread out as their
number grows, gain digits far more slowly.

References
----------
Trefethen & Weideman (2014), SIAM Rev. 56, 385-458, theorem 5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.errors import OptionError
from ngmm.families import Link
from ngmm.linalg import precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# The normal density beyond is 1e-18.
RADIUS = 9.0
# Spacing over 1/sd. A cloglog is analytic and bounded within pi / 2 of the real axis,
# the least of the usual links: an error of exp(-pi^2 / 0.35) = 6e-13.
SPACING = 0.35
# Rows times nodes evaluated at once: bounds memory at real sizes.
CHUNK = 2_000_000
# Below this sd the slope is that at m: the next term of the expansion is v / 2.
KNOWN = 1e-5


def link_mean(link: Link, eta: Vector) -> Vector:
    """Means of linear predictors."""
    return np.asarray(link.mean(eta), dtype=np.float64)


def link_slope(link: Link, eta: Vector) -> Vector:
    """Derivatives of the means in the linear predictors."""
    with precise():
        return np.asarray(_slope_at(np.asarray(eta, np.float64), layout=link))


def marginal_mean(link: Link, m: Vector, v: Vector) -> Vector:
    """E mu(eta) for eta ~ N(m, v), for each row; a variance may be zero.

    Raises
    ------
    OptionError
        If the mean does not exist.
    """
    if link.name == "inverse" and np.any(v > 0):
        raise OptionError(
            "the mean over random effects does not exist for the inverse link, whose "
            'mean has a pole at eta = 0; use re="all" or re="none", and '
            'new_levels="population" or "sample"'
        )
    if link.name in CLOSED:
        return CLOSED[link.name].mean(m, v)
    out = link_mean(link, m)
    for rows, t, weight in _parts(np.sqrt(v)):
        out[rows] = _mu(link, m, v, rows, t) @ weight
    return out


def marginal_slope(link: Link, m: Vector, v: Vector) -> Vector:
    """Derivative of `marginal_mean` in m: E mu'(eta) = E[t mu(m + sd t)] / sd."""
    if link.name in CLOSED:
        return CLOSED[link.name].slope(m, v)
    sd = np.sqrt(v)
    out = np.empty_like(m)
    known = sd < KNOWN
    if known.any():
        out[known] = link_slope(link, m[known])
    for rows, t, weight in _parts(np.where(known, 0.0, sd)):
        out[rows] = _mu(link, m, v, rows, t) @ (weight * t) / sd[rows]
    return out


def marginal_variance(link: Link, m: Vector, v: Vector) -> Vector:
    """Var mu(eta) for eta ~ N(m, v)."""
    if link.name in CLOSED:
        return CLOSED[link.name].variance(m, v)
    out = np.zeros_like(m)
    for rows, t, weight in _parts(np.sqrt(v)):
        mu = _mu(link, m, v, rows, t)
        out[rows] = (mu - (mu @ weight)[:, None]) ** 2 @ weight
    return out


class _Closed(NamedTuple):
    """Mean, its slope, and variance as functions of m and v."""

    mean: Callable[[Vector, Vector], Vector]
    slope: Callable[[Vector, Vector], Vector]
    variance: Callable[[Vector, Vector], Vector]


CLOSED = {
    "identity": _Closed(
        mean=lambda m, v: m + 0.0 * v,
        slope=lambda m, v: np.ones_like(m + v),
        variance=lambda m, v: v + 0.0 * m,
    ),
    "log": _Closed(
        mean=lambda m, v: np.exp(m + 0.5 * v),
        slope=lambda m, v: np.exp(m + 0.5 * v),
        variance=lambda m, v: np.exp(2.0 * m + v) * np.expm1(v),
    ),
    "sqrt": _Closed(
        mean=lambda m, v: m**2 + v,
        slope=lambda m, v: 2.0 * m + 0.0 * v,
        variance=lambda m, v: 4.0 * m**2 * v + 2.0 * v**2,
    ),
}


def nodes(sd: float) -> tuple[Vector, Vector]:
    """Trapezoid nodes and weights for the standard normal density.

    Examples
    --------
    >>> t, weight = nodes(2.0)
    >>> len(t), round(float(weight.sum()), 12), round(float(weight @ t**2), 12)
    (105, 1.0, 1.0)
    """
    half = int(np.ceil(RADIUS * max(1.0, sd) / SPACING))
    t = RADIUS * np.arange(-half, half + 1) / half
    density = np.exp(-0.5 * t**2)
    return t, density / density.sum()


def _parts(sd: Vector) -> Iterator[tuple[NDArray[np.intp], Vector, Vector]]:
    """Rows with sds up to 1, 2, 4, ... and their nodes; none where the sd is zero."""
    random = np.flatnonzero(sd > 0)
    octave = np.ceil(np.log2(np.maximum(sd[random], 1.0)))
    for value in np.unique(octave):
        t, weight = nodes(2.0**value)
        rows = random[octave == value]
        size = max(1, CHUNK // len(t))
        for start in range(0, len(rows), size):
            yield rows[start : start + size], t, weight


def _mu(link: Link, m: Vector, v: Vector, rows: NDArray[np.intp], t: Vector) -> Matrix:
    """Means of the rows at every node."""
    return link_mean(link, m[rows, None] + np.sqrt(v[rows, None]) * t)


def _slope(eta: Array, *, layout: Link) -> Array:
    return jax.jvp(layout.mean, (eta,), (jnp.ones_like(eta),))[1]


_slope_at = Compiled(_slope)
