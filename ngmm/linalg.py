"""Batched dense linear algebra for blocks that are small and many.

LAPACK is called once per matrix, which for the 2 x 2 blocks of a hundred thousand
groups costs more than the arithmetic; up to `UNROLLED` rows the loops are written out
so that XLA vectorises them over the batch. `precise()` is the scope in which ngmm
computes: float64, whatever the caller's jax configuration.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

UNROLLED = 4

# Fields of records that hold jax arrays while a function is traced, and numpy arrays
# once its result has been read off.
Values: TypeAlias = Any


def precise() -> AbstractContextManager[object]:
    """Scope in which jax computes in float64; the global setting is untouched."""
    return jax.enable_x64(True)


def cholesky(a: Array) -> Array:
    """Lower Cholesky factors of a batch (..., k, k) of positive definite matrices.

    A matrix that is not positive definite gives NaN, never a repaired factor.
    """
    k = a.shape[-1]
    if k > UNROLLED:
        return jax.lax.linalg.cholesky(a, symmetrize_input=False)
    zero = jnp.zeros_like(a[..., 0, 0])
    rows: list[list[Array]] = []
    for i in range(k):
        row: list[Array] = []
        for j in range(i):
            s = a[..., i, j] - sum((row[m] * rows[j][m] for m in range(j)), zero)
            row.append(s / rows[j][j])
        row.append(jnp.sqrt(a[..., i, i] - sum((r * r for r in row), zero)))
        rows.append(row)
    full = [row + [zero] * (k - len(row)) for row in rows]
    return jnp.stack([jnp.stack(row, -1) for row in full], -2) if k else a


def solve_lower(factor: Array, b: Array) -> Array:
    """Solve L x = b for lower triangular (..., k, k) L and (..., k, w) b."""
    k = factor.shape[-1]
    if k > UNROLLED:
        return jax.lax.linalg.triangular_solve(factor, b, left_side=True, lower=True)
    x: list[Array] = []
    for i in range(k):
        s = b[..., i, :]
        for j in range(i):
            s = s - factor[..., i, j, None] * x[j]
        x.append(s / factor[..., i, i, None])
    return jnp.stack(x, -2) if k else b


def inverse_from_cholesky(factor: Array) -> Array:
    """Inverse of L L', symmetric to the last bit, from the lower factor L."""
    eye = jnp.broadcast_to(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
    half = solve_lower(factor, eye)
    if factor.shape[-1] <= UNROLLED:
        return jnp.swapaxes(half, -1, -2) @ half
    # A second triangular solve costs less than the product of the halves.
    inverse = jax.lax.linalg.triangular_solve(
        factor, half, left_side=True, lower=True, transpose_a=True
    )
    return 0.5 * (inverse + jnp.swapaxes(inverse, -1, -2))


def log_det_from_cholesky(factor: Array) -> Array:
    """Sum over the batch of log|L L'|."""
    return 2.0 * jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)).sum()
