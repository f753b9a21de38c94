"""Derivatives by other means: differences of values, and jax on a dense objective."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.linalg import precise
from ngmm.model import Model
from tests.engine.dense import random_columns, term_factors

# Room for every structure, so that few programs are compiled.
MAX_THETA, MAX_EFFECTS = 7, 48


def quick_jit(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled for one or two calls: as fast as compiling goes."""
    return jax.jit(fun, compiler_options={"xla_backend_optimization_level": 0})


def differences(
    fun: Callable[[NDArray[Any]], Any], x: NDArray[Any], step: float
) -> NDArray[Any]:
    """Derivatives of fun, leading axis for x, by central differences of order four."""
    out = []
    for e in np.eye(len(x)) * step:
        near = np.asarray(fun(x + e)) - np.asarray(fun(x - e))
        far = np.asarray(fun(x + 2 * e)) - np.asarray(fun(x - 2 * e))
        out.append((8 * near - far) / (12 * step))
    return np.array(out)


def relative_error(actual: Any, expected: Any) -> float:
    """Largest error over the largest element: small elements are differences."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def lambda_derivatives(model: Model) -> NDArray[np.float64]:
    """Derivatives of the whole Lambda in the user's theta: (n_theta, q, q)."""
    design = model.design
    out = []
    for unit in np.eye(model.n_theta):
        blocks = [
            np.kron(np.eye(t.n_levels), lam.astype(float))
            for t, lam in zip(design.random, term_factors(design, unit), strict=True)
        ]
        starts = np.cumsum([0] + [len(b) for b in blocks])
        full = np.zeros((starts[-1], starts[-1]))
        for block, start in zip(blocks, starts, strict=False):
            full[start : start + len(block), start : start + len(block)] = block
        out.append(full)
    return np.array(out)


def columns(model: Model) -> tuple[NDArray[np.float64], ...]:
    """Z, orthonormal X and least-squares residual, all times root weights."""
    d = model.design
    root = np.sqrt(d.weights)
    Z = np.hstack([random_columns(t) for t in d.random]).astype(float)
    X, y = d.X * root[:, None], (d.y - d.offset) * root
    scale = np.abs(X).max(0)
    Q = np.linalg.qr(X / scale)[0] if X.shape[1] else X
    for _ in range(2):
        y = y - Q @ (Q.T @ y)
    return Z * root[:, None], Q, y / np.sqrt(y @ y / len(y))


def dense_derivatives(
    model: Model, theta: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradient and Hessian of the objective in the user's theta, by jax."""
    Z, X, y = columns(model)
    q, k = Z.shape[1], len(theta)
    wide = np.zeros((len(y), MAX_EFFECTS))
    wide[:, :q] = Z
    basis = np.zeros((MAX_THETA, MAX_EFFECTS, MAX_EFFECTS))
    basis[:k, :q, :q] = lambda_derivatives(model)
    # Parameters of similar size, as badly scaled columns would cost digits here.
    size = np.ones(MAX_THETA)
    size[:k] = np.abs(theta)
    point = np.r_[theta / size[:k], np.zeros(MAX_THETA - k)]
    with precise():
        found = _derivatives()(
            point, basis * size[:, None, None], wide, X, y, float(model.reml)
        )
    gradient, hessian = (np.asarray(a) for a in found)
    return gradient[:k] / size[:k], hessian[:k, :k] / np.outer(size[:k], size[:k])


@cache
def _derivatives() -> Callable[..., tuple[Array, Array]]:
    return quick_jit(lambda *a: (jax.grad(_objective)(*a), jax.hessian(_objective)(*a)))


def _objective(
    theta: Array, basis: Array, Z: Array, X: Array, y: Array, reml: Array
) -> Array:
    """log|V| + n log s (+ log|X' V^-1 X|, n - p), from dense matrices."""
    n, p = X.shape
    half = Z @ jnp.einsum("a,aij->ij", theta, basis)
    chol = jnp.linalg.cholesky(jnp.eye(n) + half @ half.T)
    value = 2 * jnp.log(jnp.diagonal(chol)).sum()
    white = jax.scipy.linalg.solve_triangular(
        chol, jnp.column_stack([X, y]), lower=True
    )
    root = jnp.linalg.cholesky(white.T @ white)
    sizes = jnp.log(jnp.diagonal(root))
    return value + 2 * (n - reml * p) * sizes[p] + 2 * reml * sizes[:p].sum()
