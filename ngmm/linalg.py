"""Batched dense linear algebra for blocks that are small and many.

LAPACK is called once per matrix, which for the 2 x 2 blocks of a hundred thousand
groups costs more than the arithmetic; up to `UNROLLED` rows the loops are written out
so that XLA vectorises them over the batch. Up to `LOOPED` rows they run over the rows
of all matrices at once. LAPACK's batched calls are not used for these because they can
wait for each other forever: with jaxlib 0.10 two batched triangular solves that have no
order between them take both threads of a machine with two cores, and each waits for a
third (`tests/test_linalg.py`). `precise()` is the scope in which ngmm computes:
float64, whatever the caller's jax configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax

UNROLLED = 4
LOOPED = 64

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
    if k > LOOPED:
        return _one_by_one(partial(lax.linalg.cholesky, symmetrize_input=False), a)
    return _unrolled_cholesky(a) if k <= UNROLLED else _looped_cholesky(a)


def solve_lower(factor: Array, b: Array) -> Array:
    """Solve L x = b for lower triangular (..., k, k) L and (..., k, w) b."""
    return _solve(factor, b, transpose=False)


def solve_upper(factor: Array, b: Array) -> Array:
    """Solve L' x = b for lower triangular (..., k, k) L and (..., k, w) b."""
    return _solve(factor, b, transpose=True)


def inverse_from_cholesky(factor: Array) -> Array:
    """Inverse of L L', symmetric to the last bit, from the lower factor L."""
    eye = jnp.broadcast_to(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
    half = solve_lower(factor, eye)
    if factor.shape[-1] <= UNROLLED:
        return jnp.swapaxes(half, -1, -2) @ half
    # A second triangular solve costs less than the product of the halves.
    inverse = solve_upper(factor, half)
    return 0.5 * (inverse + jnp.swapaxes(inverse, -1, -2))


def log_det_from_cholesky(factor: Array) -> Array:
    """Sum over the batch of log|L L'|."""
    return 2.0 * jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)).sum()


def _one_by_one(fun: Callable[..., Array], *arrays: Array) -> Array:
    """Apply LAPACK to one matrix after the other."""
    lead = jnp.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    if not lead:
        return fun(*arrays)
    each = (jnp.broadcast_to(a, (*lead, *a.shape[-2:])) for a in arrays)
    flat = tuple(a.reshape(-1, *a.shape[-2:]) for a in each)
    out = lax.map(lambda one: fun(*one), flat)
    return out.reshape(*lead, *out.shape[-2:])


def _unrolled_cholesky(a: Array) -> Array:
    k = a.shape[-1]
    zero = jnp.zeros_like(a[..., 0, 0]) if k else a
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


@jax.custom_jvp
def _looped_cholesky(a: Array) -> Array:
    """Column after column, of all matrices at once."""
    below = jnp.arange(a.shape[-1])

    def column(j: Array, L: Array) -> Array:
        row = lax.dynamic_index_in_dim(L, j, -2)
        s = lax.dynamic_index_in_dim(a, j, -1, keepdims=False) - (L * row).sum(-1)
        pivot = jnp.sqrt(lax.dynamic_index_in_dim(s, j, -1))
        return _with_column(L, jnp.where(below >= j, s / pivot, 0.0), j)

    return lax.fori_loop(0, a.shape[-1], column, jnp.zeros_like(a))


@_looped_cholesky.defjvp
def _cholesky_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # Smith (1995, JCGS 4, 134-147): dL = L phi(L^-1 dA L^-T), phi the lower triangle
    # with half of the diagonal.
    L = _looped_cholesky(*primals)
    half = solve_lower(
        L, jnp.tril(tangents[0]) + _transposed(jnp.tril(tangents[0], -1))
    )
    inner = _transposed(solve_lower(L, _transposed(half)))
    diagonal = jnp.eye(L.shape[-1], dtype=bool)
    return L, L @ jnp.where(diagonal, 0.5 * inner, jnp.tril(inner))


def _with_column(L: Array, column: Array, j: Array) -> Array:
    return lax.dynamic_update_index_in_dim(L, column, j, L.ndim - 1)


def _transposed(a: Array) -> Array:
    return jnp.swapaxes(a, -1, -2)


def _solve(factor: Array, b: Array, *, transpose: bool) -> Array:
    k = factor.shape[-1]
    if k > LOOPED:
        solve = partial(
            lax.linalg.triangular_solve,
            left_side=True,
            lower=True,
            transpose_a=transpose,
        )
        return _one_by_one(solve, factor, b)
    if k <= UNROLLED:
        return _unrolled_solve(factor, b, transpose=transpose)
    L = jnp.tril(factor)
    # Derivatives solve again instead of going through the loop.
    return lax.custom_linear_solve(
        lambda x: (_transposed(L) if transpose else L) @ x,
        b,
        solve=lambda _, c: _looped_solve(L, c, transpose=transpose),
        transpose_solve=lambda _, c: _looped_solve(L, c, transpose=not transpose),
    )


def _unrolled_solve(factor: Array, b: Array, *, transpose: bool) -> Array:
    k = factor.shape[-1]
    x: dict[int, Array] = {}
    for i in reversed(range(k)) if transpose else range(k):
        s = b[..., i, :]
        for j, known in x.items():
            entry = factor[..., j, i] if transpose else factor[..., i, j]
            s = s - entry[..., None] * known
        x[i] = s / factor[..., i, i, None]
    return jnp.stack([x[i] for i in range(k)], -2) if k else b


def _looped_solve(L: Array, b: Array, *, transpose: bool) -> Array:
    """Row after row, of all right sides at once."""
    k = L.shape[-1]
    full = jnp.broadcast_shapes(L.shape[:-2], b.shape[:-2])

    def row(step: Array, x: Array) -> Array:
        i = k - 1 - step if transpose else step
        own = lax.dynamic_index_in_dim(
            L, i, L.ndim - 1 - (not transpose), keepdims=False
        )
        pivot = lax.dynamic_index_in_dim(own, i, -1)
        s = lax.dynamic_index_in_dim(b, i, -2, keepdims=False)
        # What is not solved for yet is zero.
        solved = (s - (own[..., None] * x).sum(-2)) / pivot
        return lax.dynamic_update_index_in_dim(x, solved, i, x.ndim - 2)

    start = jnp.zeros((*full, *b.shape[-2:]), jnp.result_type(L, b))
    return lax.fori_loop(0, k, row, start)
