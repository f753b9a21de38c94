"""Which columns of a matrix are linear combinations of columns to their left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["independent_columns", "select_columns"]

# R's tolerance in qr(): a column is aliased if less than this share of its length is
# left after the columns before it are projected out.
_TOLERANCE = 1e-7

# The Gram matrix has squared lengths, with an error of about p * 2e-16: a share above
# 1e-4 (squared 1e-8) is certain, below that the exact factor decides.
_CERTAIN = 1e-8

# Rows in a block of the QR factorisation.
_BLOCK = 4096


def independent_columns(X: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the positions of the columns to keep, as R's ``qr(X)`` and lme4 do.

    Going from left to right, a column is left out if it is (to a relative 1e-7) a
    linear combination of the columns kept before it. Columns are normalised first, so
    the units of a column do not matter.

    Parameters
    ----------
    X
        Shape (n, p).

    Notes
    -----
    Cost O(n p^2): one Gram matrix, and a QR factor only if that is close to singular.

    Examples
    --------
    >>> x = np.arange(4.0)
    >>> independent_columns(np.column_stack([x + 1, x, 2 * x + 5, x**2])).tolist()
    [0, 1, 3]
    """
    n, p = X.shape
    if p == 0:
        return np.arange(0)
    # Scaling by the largest value first keeps the squares from overflowing.
    largest = np.maximum(np.abs(X.max(axis=0)), np.abs(X.min(axis=0)))
    if p <= n and (largest > 0).all() and _surely_full_rank(X, largest):
        return np.arange(p)
    return _sweep(_triangular_factor(X, np.where(largest > 0, largest, 1.0)))


def select_columns(
    X: NDArray[np.float64], kept: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return these columns in C order, without a copy if they are all."""
    return X if len(kept) == X.shape[1] else np.ascontiguousarray(X[:, kept])


def _surely_full_rank(X: NDArray[np.float64], largest: NDArray[np.float64]) -> bool:
    """Return True if the Cholesky factor of the Gram matrix is far from singular."""
    if largest.max() > 1e150 or largest.min() < 1e-150:
        return False
    gram = X.T @ X
    length = np.sqrt(np.diag(gram))
    gram /= np.outer(length, length)
    try:
        factor = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return False
    return bool((np.diag(factor) ** 2 > _CERTAIN).all())


def _triangular_factor(
    X: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return R of the QR factorisation of ``X / scale``, by blocks of rows.

    The factor of stacked factors is the factor of the whole, and blocks that stay in
    the cache are much faster for a million rows.
    """
    blocks = [
        _qr_r(X[start : start + _BLOCK] / scale) for start in range(0, len(X), _BLOCK)
    ]
    return blocks[0] if len(blocks) == 1 else _qr_r(np.concatenate(blocks))


def _qr_r(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.qr(X, mode="r"))


def _sweep(R: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the independent columns of a triangular factor by Gram-Schmidt."""
    basis = np.empty((R.shape[0], 0))
    kept: list[int] = []
    for column in range(R.shape[1]):
        vector = R[:, column]
        length = np.linalg.norm(vector)
        rest = vector - basis @ (basis.T @ vector)
        # A second pass removes what rounding left of the first.
        rest = rest - basis @ (basis.T @ rest)
        left = np.linalg.norm(rest)
        if length > 0 and left > _TOLERANCE * length:
            kept.append(column)
            basis = np.column_stack([basis, rest / left])
    return np.array(kept, dtype=np.intp)
