r"""Scales on which the estimates of variance parameters are taken to be normal.

Those of the Wald intervals: the logarithms of standard deviations, and Fisher's z of
correlations. With three columns or more, correlations drawn one by one need not make a
correlation matrix; partial ones in the order of the columns do,

.. math:: c_{ij} = L_{ij} \Big/ \sqrt{1 - \sum_{l < j} L_{il}^2}, \quad j < i,

with L the Cholesky factor of the correlation matrix, and those with the first column
are the correlations themselves. A standard deviation that the data hardly tell from
zero has no bound on the log scale: it is normal itself, and folded at zero. Where the
covariance matrix has less than full rank the entries of Lambda are normal, and those
of its zero columns are zero.

References
----------
Lewandowski, Kurowicka & Joe (2009), J. Multivar. Anal. 100, 1989-2001, section 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern, factor_numpy

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Standard error of log sd beyond which a 95 % interval spans a factor of 50 and more.
LARGEST_LOG_SE = 1.0
# Fisher's z beyond which a correlation is one to the last digit.
LARGEST_Z = 15.0


class Roots(NamedTuple):
    """Draws of one term's Lambda.

    Attributes
    ----------
    lam
        (draws, k, k) lower triangles, in units of the linear predictor.
    note
        What is special about the scale; empty if nothing is.
    """

    lam: NDArray[np.float64]
    note: str


def to_chart(lam: NDArray[Any]) -> NDArray[Any]:
    """Log sds, then Fisher's z of the partial correlations, from one Lambda (k, k).

    Analytic in the entries of Lambda, which may be complex.
    """
    k = len(lam)
    sd = np.sqrt((lam * lam).sum(1))
    L = lam / sd[:, None]
    left = 1.0 - np.cumsum(L * L, axis=1) + L * L
    z = [np.arctanh(L[i, j] / np.sqrt(left[i, j])) for i in range(k) for j in range(i)]
    return np.concatenate([np.log(sd), np.array(z, dtype=lam.dtype)])


def _correlation_roots(z: Matrix, k: int) -> NDArray[np.float64]:
    """Cholesky factors of correlation matrices (draws, k, k); one without any z."""
    if not z.shape[1]:
        return np.broadcast_to(np.eye(k), (len(z), k, k))
    c = np.tanh(np.clip(z, -LARGEST_Z, LARGEST_Z))
    L = np.zeros((len(z), k, k))
    at = 0
    for i in range(k):
        left = np.ones(len(z))
        for j in range(i):
            L[:, i, j] = c[:, at] * np.sqrt(left)
            left = left * (1.0 - c[:, at] ** 2)
            at += 1
        L[:, i, i] = np.sqrt(left)
    return L


def draw_roots(
    theta: Vector, sigma: float, p: Pattern, moves: Matrix, covariance: Matrix
) -> Roots:
    """Lambda of one term at estimates that are normal on the right scale.

    Parameters
    ----------
    theta, sigma
        The estimate: entries of Lambda over sigma, and sigma.
    p
        Where theta stands.
    moves
        (draws, n_theta + 1) deviations of theta and of log sigma from the estimate.
    covariance
        Their covariance.
    """
    lam = factor_numpy(theta, p)
    if (np.diag(lam) == 0.0).any():
        return Roots(_natural(lam, sigma, p, moves), _held(lam))
    centre, slope = _centre_and_slope(theta, sigma, p)
    sds = slice(0, p.k)
    error = np.sqrt(np.einsum("ia,ab,ib->i", slope, covariance, slope))[sds]
    folded = error > LARGEST_LOG_SE
    step = moves @ slope.T
    values = centre + step
    with np.errstate(over="ignore"):
        sd = np.where(
            folded,
            np.abs(np.exp(centre[sds]) * (1.0 + step[:, sds])),
            np.exp(values[:, sds]),
        )
    note = "near zero: normal and folded at zero" if folded.any() else ""
    return Roots(sd[:, :, None] * _correlation_roots(values[:, p.k :], p.k), note)


def _centre_and_slope(theta: Vector, sigma: float, p: Pattern) -> tuple[Vector, Matrix]:
    """The estimate on its chart, and the derivative in (theta, log sigma)."""
    kept = p.k if p.n_theta == p.k else p.k * (p.k + 1) // 2
    scaled = sigma * theta
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = to_chart(factor_numpy(scaled, p))[:kept]
        slope = np.zeros((kept, p.n_theta + 1))
        for a in range(p.n_theta):
            # A complex step: the derivative without a difference.
            moved = np.zeros((p.k, p.k), dtype=complex)
            moved[list(p.rows), list(p.cols)] = scaled
            moved[p.rows[a], p.cols[a]] += 1e-30j
            slope[:, a] = sigma * np.imag(to_chart(moved)[:kept]) / 1e-30
    slope[: p.k, -1] = 1.0
    # A correlation of one to the last digit stays what it is.
    known = np.isfinite(centre) & np.isfinite(slope).all(1)
    centre = np.nan_to_num(centre, nan=0.0, posinf=LARGEST_Z, neginf=-LARGEST_Z)
    return centre, np.where(known[:, None], slope, 0.0)


def _natural(
    lam: Matrix, sigma: float, p: Pattern, moves: Matrix
) -> NDArray[np.float64]:
    """Entries of Lambda that are normal themselves; zero columns stay zero."""
    free = np.diag(lam)[list(p.cols)] != 0.0
    out = np.zeros((len(moves), p.k, p.k))
    theta = lam[list(p.rows), list(p.cols)] + np.where(free, moves[:, :-1], 0.0)
    out[:, list(p.rows), list(p.cols)] = theta
    return sigma * np.exp(moves[:, -1])[:, None, None] * out


def _held(lam: Matrix) -> str:
    if not lam.any():
        return "estimated at zero, and zero in every draw"
    return (
        "estimated with less than full rank (a standard deviation of zero or a "
        "correlation of one), and drawn with that rank"
    )
