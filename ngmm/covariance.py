r"""The covariance parameters theta and the factor Lambda they fill.

The random effects of one level of a grouping factor are b = Lambda u with u ~ N(0, I);
theta holds the entries of Lambda that are free: the lower triangle of every correlated
term, column by column, and the diagonal of every uncorrelated one (`||`). Terms on the
same factor share one block-diagonal Lambda. theta is unconstrained, and the likelihood
is even in the sign of a column of Lambda, so a variance of zero is an interior point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pattern:
    """Where theta stands in the k x k factor Lambda of one grouping factor.

    Attributes
    ----------
    k
        Number of random effects per level.
    rows, cols
        Position of each element of theta.
    """

    k: int
    rows: tuple[int, ...]
    cols: tuple[int, ...]

    @property
    def n_theta(self) -> int:
        """Number of free elements."""
        return len(self.rows)

    @property
    def diagonal(self) -> tuple[int, ...]:
        """Index in theta of Lambda[i, i], for each i."""
        where = {
            (r, c): i for i, (r, c) in enumerate(zip(self.rows, self.cols, strict=True))
        }
        return tuple(where[i, i] for i in range(self.k))

    def basis(self) -> NDArray[np.float64]:
        """Derivative of Lambda in each element of theta: (n_theta, k, k) of 0 and 1."""
        e = np.zeros((self.n_theta, self.k, self.k))
        e[np.arange(self.n_theta), self.rows, self.cols] = 1.0
        return e


def pattern(terms: Sequence[tuple[int, bool]]) -> Pattern:
    """Pattern of a factor from the (size, correlated) of its terms, in order.

    Examples
    --------
    >>> pattern([(2, True)])
    Pattern(k=2, rows=(0, 1, 1), cols=(0, 0, 1))
    >>> pattern([(1, True), (2, False)])
    Pattern(k=3, rows=(0, 1, 2), cols=(0, 1, 2))
    """
    rows: list[int] = []
    cols: list[int] = []
    start = 0
    for size, correlated in terms:
        for c in range(size):
            for r in range(c, size if correlated else c + 1):
                rows.append(start + r)
                cols.append(start + c)
        start += size
    return Pattern(start, tuple(rows), tuple(cols))


def factor(theta: Array, p: Pattern) -> Array:
    """Lambda (k, k) of one grouping factor; traceable by jax."""
    zero = jnp.zeros((p.k, p.k), theta.dtype)
    return zero.at[np.array(p.rows), np.array(p.cols)].set(theta)


def factor_numpy(theta: NDArray[np.float64], p: Pattern) -> NDArray[np.float64]:
    """Lambda (k, k) of one grouping factor."""
    lam = np.zeros((p.k, p.k))
    lam[list(p.rows), list(p.cols)] = theta
    return lam


def rectify(theta: NDArray[np.float64], p: Pattern) -> NDArray[np.float64]:
    """Theta with the same Lambda Lambda' and no negative diagonal.

    The sign of a column of Lambda is arbitrary. So is a rotation of the columns that
    follow a zero on the diagonal; there Lambda is made the semidefinite Cholesky
    factor, whose zero pivots have zero columns.
    """
    lam = factor_numpy(theta, p)
    if np.all(np.diag(lam) != 0.0):
        lam = lam * np.sign(np.diag(lam))
    else:
        lam = _semidefinite_cholesky(lam @ lam.T, zero_at=1e-13)
    return lam[list(p.rows), list(p.cols)] + 0.0


def _semidefinite_cholesky(a: NDArray[np.float64], zero_at: float) -> NDArray[Any]:
    """Cholesky factor of a positive semidefinite matrix, zero columns at zero pivots.

    A pivot counts as zero below `zero_at` times its own diagonal element: that is the
    rounding error of forming `a`.
    """
    k = len(a)
    lam = np.zeros((k, k))
    for j in range(k):
        pivot = a[j, j] - lam[j, :j] @ lam[j, :j]
        if pivot > zero_at * a[j, j]:
            lam[j, j] = np.sqrt(pivot)
            lam[j + 1 :, j] = (a[j + 1 :, j] - lam[j + 1 :, :j] @ lam[j, :j]) / lam[
                j, j
            ]
    return lam


def covariance_derivative(lam: Array, basis: Array) -> Array:
    """Derivatives of Sigma = Lambda Lambda' in theta: (n_theta, k, k)."""
    half = jnp.einsum("aij,kj->aik", basis, lam)
    return half + jnp.swapaxes(half, 1, 2)


def contract_second_derivative(a: Array, p: Pattern) -> Array:
    """tr(A d2Sigma) for every pair of elements of theta, A symmetric.

    Two elements of Lambda meet in Sigma only if they stand in the same column.
    """
    rows, cols = np.array(p.rows), np.array(p.cols)
    return 2.0 * a[rows[:, None], rows] * (cols[:, None] == cols)
