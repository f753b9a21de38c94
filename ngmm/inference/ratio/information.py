r"""Efficient information of variances that are zero in the model that was fitted.

The expected information of two covariance parameters of a linear mixed model is

.. math:: I_{ab} = \tfrac12 \operatorname{tr}(V^{-1} V_a V^{-1} V_b),

to which the fixed effects are orthogonal. Of a generalized model it is that of the
working linear model at the conditional modes (Lin 1997).

References
----------
Searle, Casella & McCulloch (1992), Variance Components, section 6.3.
Lin (1997), Biometrika 84, 309-326.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import NotSupportedError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Random effects beyond which the dense matrices of this file become too large.
MOST = 4000


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns whose coefficients vary between the levels of a grouping factor.

    Attributes
    ----------
    codes
        (n,) level of each row.
    n_levels
        Number of levels.
    Z
        (n, k) values.
    """

    codes: NDArray[np.int32]
    n_levels: int
    Z: Matrix

    def sparse(self) -> Any:
        """The (n, levels k) matrix, the k columns of a level together."""
        from scipy.sparse import csr_array

        n, k = self.Z.shape
        cols = self.codes[:, None].astype(np.int64) * k + np.arange(k)
        return csr_array(
            (self.Z.ravel(), cols.ravel(), np.arange(0, n * k + 1, k)),
            shape=(n, self.n_levels * k),
        )


@dataclass(frozen=True, eq=False)
class Direction:
    """Columns of a term of the larger model; the last ones are new.

    Attributes
    ----------
    columns
        Those of the smaller model first.
    n_new
        How many are new.
    """

    columns: Columns
    n_new: int


def efficient_information(
    null: Sequence[tuple[Columns, Matrix]],
    directions: Sequence[Direction],
    precision: Vector,
    *,
    residual: bool,
) -> Matrix:
    """Information of the new covariance matrices, all other variances being estimated.

    Parameters
    ----------
    null
        The random effects of the smaller model and their covariance matrices.
    directions
        The terms of the larger model.
    precision
        (n,) inverse residual variances, or working weights.
    residual
        Whether the residual variance is estimated.

    Returns
    -------
    Matrix
        Of the lower triangles, row by row, of one term after the other.

    Raises
    ------
    NotSupportedError
        If the models have too many random effects.
    """
    n_effects = sum(c.Z.shape[1] * c.n_levels for c, _ in null)
    n_effects = max(
        n_effects, sum(d.columns.Z.shape[1] * d.columns.n_levels for d in directions)
    )
    if n_effects > MOST:
        raise NotSupportedError(
            f"the mixture of several variances needs matrices of {n_effects:,} random "
            f'effects; at most {MOST:,} are supported: use method="bootstrap"'
        )
    whole, tested = _information(null, directions, precision, residual)
    other = ~tested
    cross = whole[np.ix_(tested, other)]
    inner = whole[np.ix_(other, other)]
    out = whole[np.ix_(tested, tested)]
    return out - cross @ np.linalg.pinv(inner, rcond=1e-12, hermitian=True) @ cross.T


def _information(
    null: Sequence[tuple[Columns, Matrix]],
    directions: Sequence[Direction],
    precision: Vector,
    residual: bool,
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Information of all covariance parameters, and which of them are tested."""
    M, N, trace = _inverse_products(null, directions, precision)
    pairs = [np.tril_indices(d.columns.Z.shape[1]) for d in directions]
    ends = np.cumsum([d.columns.Z.shape[1] * d.columns.n_levels for d in directions])
    slices = [
        slice(b - d.columns.Z.shape[1] * d.columns.n_levels, b)
        for b, d in zip(ends, directions, strict=True)
    ]
    rows = []
    for one, (i, j), at in zip(directions, pairs, slices, strict=True):
        row = [
            _traces(M[at, to], one.columns, two.columns)[j[:, None], k, i[:, None], h]
            + _traces(M[at, to], one.columns, two.columns)[j[:, None], h, i[:, None], k]
            for two, (k, h), to in zip(directions, pairs, slices, strict=True)
        ]
        rows.append(np.hstack(row))
    half = np.concatenate([np.where(i == j, 0.5, 1.0) for i, j in pairs])
    whole = np.vstack(rows) * np.outer(half, half)
    tested = np.concatenate(
        [
            j >= d.columns.Z.shape[1] - d.n_new
            for d, (_, j) in zip(directions, pairs, strict=True)
        ]
    )
    if residual:
        own = (
            np.concatenate(
                [
                    _diagonal_sums(N[at, at], d.columns)[i, j]
                    for d, (i, j), at in zip(directions, pairs, slices, strict=True)
                ]
            )
            * half
        )
        whole = np.block(
            [[whole, own[:, None]], [own[None], np.array([[0.5 * trace]])]]
        )
        tested = np.append(tested, False)
    return whole, tested


def _inverse_products(
    null: Sequence[tuple[Columns, Matrix]],
    directions: Sequence[Direction],
    precision: Vector,
) -> tuple[Matrix, Matrix, float]:
    """B' V^-1 B, B' V^-1 D V^-1 B and tr(V^-1 D V^-1 D), D the residual variances.

    By Woodbury's identity, with H = I + A' D^-1 A for V = D + A A'.
    """
    from scipy.linalg import cho_factor, cho_solve
    from scipy.sparse import hstack

    root = np.sqrt(precision)[:, None]
    b = hstack([d.columns.sparse() for d in directions]).multiply(root).tocsr()
    gram = (b.T @ b).toarray()
    if not null:
        return gram, gram, float(len(precision))
    a = hstack([_scaled(c, cov).sparse() for c, cov in null]).multiply(root).tocsr()
    r = a.shape[1]
    h = cho_factor(np.eye(r) + (a.T @ a).toarray(), lower=True)
    c = (a.T @ b).toarray()
    once = cho_solve(h, c)
    m = gram - c.T @ once
    inverse = cho_solve(h, np.eye(r))
    trace = float(len(precision) - r + (inverse * inverse).sum())
    return m, m - once.T @ once, trace


def _scaled(columns: Columns, covariance: Matrix) -> Columns:
    """Columns whose coefficients are independent with variance one."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return Columns(columns.codes, columns.n_levels, columns.Z @ root)


def _traces(m: Matrix, one: Columns, two: Columns) -> NDArray[np.float64]:
    """Sum over levels l, m of M[lj, mk] M[li, mh], as (j, k, i, h)."""
    k1, k2 = one.Z.shape[1], two.Z.shape[1]
    blocks = m.reshape(one.n_levels, k1, two.n_levels, k2)
    flat = np.moveaxis(blocks, (1, 3), (0, 1)).reshape(k1 * k2, -1)
    return (flat @ flat.T).reshape(k1, k2, k1, k2)


def _diagonal_sums(m: Matrix, columns: Columns) -> Matrix:
    """Sum over levels of the (k, k) diagonal blocks."""
    k, levels = columns.Z.shape[1], columns.n_levels
    blocks = m.reshape(levels, k, levels, k)
    return np.einsum("lilj->ij", blocks)
