r"""The law of the likelihood ratio when variances of the smaller model are zero.

With variances at the edge of their range the ratio of two models is, in the limit,

.. math:: T = \max_{\psi \in C} \{ Z' J Z - (Z - \psi)' J (Z - \psi) \},
          \qquad Z \sim N(0, J^{-1}),

the squared length of the projection of Z onto a cone C, in the metric of the efficient
information J of what is tested: a mixture of chi-squares, "chi-bar-squared" (Self and
Liang 1987; Silvapulle and Sen 2005, chapter 3). The cone of one variance is a half
line; of several columns of a term, the positive semidefinite matrices; parameters away
from their bounds add a chi-square of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.inference.mixtures import chibar_survival

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

DRAWS = 50_000
# Accelerated gradient steps of a projection at most, and after how many it is seen
# which points have moved less than this since.
STEPS, LOOK = 2000, 20
SETTLED = 1e-6


class Tail(NamedTuple):
    """A tail probability.

    Attributes
    ----------
    p_value
        P(T >= statistic).
    std_error
        Monte Carlo standard error; zero if nothing was simulated.
    weights, dfs
        The mixture where it is known in closed form, otherwise None.
    """

    p_value: float
    std_error: float
    weights: Vector | None
    dfs: Vector | None


def chibar_tail(
    statistic: float,
    n_free: int,
    cones: Sequence[int],
    information: Matrix | None = None,
    *,
    n: int = DRAWS,
    seed: int = 0,
) -> Tail:
    """P(T >= statistic) for variances at zero.

    Parameters
    ----------
    statistic
        The likelihood ratio.
    n_free
        Tested parameters that have no bound: fixed effects, and covariances of the
        columns that stay.
    cones
        Sizes of the covariance matrices that are zero in the smaller model.
    information
        Efficient information of their lower triangles, row by row, one matrix after
        the other; not needed for a single variance.
    n, seed
        Draws, where the mixture has no closed form, and their seed.

    Notes
    -----
    One variance with its covariances is the half-half mixture of Stram and Lee (1994);
    up to three variances have weights in closed form (Kudo 1963). Beyond, the cosine of
    a uniform direction with the cone is simulated, and its law integrated over the
    length, which is exact: the error is relative in the tail.

    Examples
    --------
    One column of a term of two, with its covariance:

    >>> chibar_tail(5.138, 1, [1]).p_value.__round__(3)
    0.05
    """
    sizes = list(cones)
    if statistic <= 0.0:
        return Tail(1.0, 0.0, None, None)
    if all(k == 1 for k in sizes) and len(sizes) <= 3:
        weights = orthant_weights(information, len(sizes))
        dfs = n_free + np.arange(len(weights), dtype=np.float64)
        p = chibar_survival(statistic, weights, dfs)
        return Tail(p, 0.0, weights, dfs)
    assert information is not None
    from scipy.special import chdtrc

    cosine = squared_cosines(n_free, sizes, information, n, seed)
    with np.errstate(divide="ignore"):
        chance = chdtrc(n_free + len(information), statistic / cosine)
    error = float(chance.std(ddof=1) / np.sqrt(n))
    return Tail(float(chance.mean()), error, None, None)


def orthant_weights(information: Matrix | None, size: int) -> Vector:
    r"""Weights of chi-squares with 0 to `size` df, for up to three variances.

    Z lies in the orthant with a probability that its correlations give, and in the
    polar cone with one that those of J Z give. Kudo (1963), Biometrika 50, 403-418.
    """
    if size < 2:
        return np.full(size + 1, 0.5) if size else np.ones(1)
    assert information is not None
    full = _orthant(np.asarray(np.linalg.inv(information), dtype=np.float64))
    none = _orthant(information)
    if size == 2:
        return np.array([none, 0.5, full])
    return np.array([none, 0.5 - full, 0.5 - none, full])


def _orthant(covariance: Matrix) -> float:
    """P(all positive) of two or three normal variables."""
    sd = np.sqrt(np.diag(covariance))
    r = np.clip(covariance / np.outer(sd, sd), -1.0, 1.0)
    upper = np.arcsin(r[np.triu_indices(len(r), 1)]).sum()
    if len(r) == 2:
        return float(0.25 + upper / (2.0 * np.pi))
    return float(0.125 + upper / (4.0 * np.pi))


def squared_cosines(
    n_free: int, sizes: Sequence[int], information: Matrix, n: int, seed: int
) -> Vector:
    """Share of the squared length of each draw that its projection keeps: (n,)."""
    generator = np.random.default_rng(seed)
    scale = _scales(sizes, information)
    metric = information * np.outer(scale, scale)
    triangle = np.linalg.cholesky(metric)
    white = generator.standard_normal((n, len(metric)))
    free = generator.chisquare(n_free, n) if n_free else np.zeros(n)
    z = np.asarray(np.linalg.solve(triangle.T, white.T).T, dtype=np.float64)
    onto = project(z, metric, sizes)
    kept = np.einsum("ni,ij,nj->n", onto, metric, 2.0 * z - onto)
    length = (white * white).sum(axis=1)
    return np.clip((free + kept) / (free + length), 0.0, 1.0)


def project(z: Matrix, metric: Matrix, sizes: Sequence[int]) -> Matrix:
    """Nearest points of the cone in a metric, by accelerated projected gradients.

    Coordinates are those in which the Euclidean length of a symmetric matrix is its
    Frobenius norm. Beck and Teboulle (2009), SIAM J. Imaging Sci. 2, 183-202.
    """
    step = 1.0 / np.linalg.eigvalsh(metric)[-1]
    out = _semidefinite(z, sizes)
    left = np.arange(len(z))
    x = ahead = before = out
    momentum = 1.0
    for i in range(1, STEPS + 1):
        new = _semidefinite(ahead - step * (ahead - z[left]) @ metric, sizes)
        # Momentum that has turned uphill is dropped.
        turned = ((ahead - new) * (new - x)).sum(axis=1, keepdims=True) > 0.0
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        push = (momentum - 1.0) / following
        ahead = new + np.where(turned, 0.0, push) * (new - x)
        x, momentum = new, following
        if i % LOOK == 0:
            moving = np.abs(x - before).max(axis=1) > SETTLED
            out[left] = x
            if not moving.any():
                break
            left, x, ahead = left[moving], x[moving], ahead[moving]
            before = x
    return out


def _semidefinite(x: Matrix, sizes: Sequence[int]) -> Matrix:
    """Nearest points in the Euclidean metric: negative eigenvalues become zero."""
    out = np.empty_like(x)
    first = 0
    for k in sizes:
        part = slice(first, first + k * (k + 1) // 2)
        first = part.stop
        if k == 1:
            out[:, part] = np.maximum(x[:, part], 0.0)
            continue
        rows, cols = np.tril_indices(k)
        share = np.where(rows == cols, 1.0, np.sqrt(0.5))
        if k == 2:
            out[:, part] = _semidefinite_pair(x[:, part])
            continue
        full = np.zeros((len(x), k, k))
        full[:, rows, cols] = x[:, part] * share
        full[:, cols, rows] = x[:, part] * share
        values, vectors = np.linalg.eigh(full)
        kept = np.maximum(values, 0.0)[:, None, :]
        near = (vectors * kept) @ np.swapaxes(vectors, 1, 2)
        out[:, part] = near[:, rows, cols] / share
    return out


def _semidefinite_pair(x: Matrix) -> Matrix:
    """The same for 2 x 2 matrices, without a decomposition each.

    With eigenvalues m +- r of A, the positive part is (A - (m - r) I) (m + r) / 2r
    where they have opposite signs.
    """
    a, b, c = x[:, 0], x[:, 1], x[:, 2]
    middle = 0.5 * (a + c)
    radius = np.sqrt(0.25 * (a - c) ** 2 + 0.5 * b * b)
    high, low = middle + radius, middle - radius
    share = np.where(low >= 0, 1.0, 0.5 * high / np.maximum(radius, 1e-300))
    share = np.where(high <= 0, 0.0, share)
    shift = np.minimum(low, 0.0)
    return np.column_stack([share * (a - shift), share * b, share * (c - shift)])


def _scales(sizes: Sequence[int], information: Matrix) -> Vector:
    """Units in which each variance has information one, as matrices allow them.

    A covariance has the product of the roots, and 1 / sqrt(2) for the Frobenius norm.
    """
    parts, first = [], 0
    for k in sizes:
        rows, cols = np.tril_indices(k)
        own = information.diagonal()[first : first + len(rows)][rows == cols]
        root = own**-0.25
        parts.append(root[rows] * root[cols] * np.where(rows == cols, 1, np.sqrt(0.5)))
        first += len(rows)
    return np.concatenate(parts)
