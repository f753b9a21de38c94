"""The Gaussian model with the network's tangent as columns, from dense matrices."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.linalg import precise
from ngmm.model import Model
from tests.engine.dense import random_columns
from tests.engine.derivatives import lambda_derivatives, quick_jit
from tests.engine.neural.problems import Vector

# Room for every structure, so that one program serves all.
MOST_THETA, MOST_EFFECTS = 3, 32


def dense_loglik(
    point: Array,
    basis: Array,
    Z: Array,
    M: Array,
    y: Array,
    weights: Array,
) -> Array:
    """Normal log-density of y in (beta, change of w, theta, log sigma)."""
    m = M.shape[1]
    theta, log_sigma = point[m : m + MOST_THETA], point[-1]
    half = Z @ jnp.einsum("a,aij->ij", theta, basis)
    V = jnp.exp(2 * log_sigma) * (jnp.diag(1 / weights) + half @ half.T)
    chol = jnp.linalg.cholesky(V)
    white = jax.scipy.linalg.solve_triangular(chol, y - M @ point[:m], lower=True)
    log_det = 2 * jnp.log(jnp.diagonal(chol)).sum()
    return -0.5 * (white @ white + log_det + len(y) * jnp.log(2 * jnp.pi))


def _all(*a: Array) -> tuple[Array, Array, Array]:
    return dense_loglik(*a), jax.grad(dense_loglik)(*a), jax.hessian(dense_loglik)(*a)


_derivatives = quick_jit(_all)


class Dense(NamedTuple):
    """Log-likelihood, gradient and Hessian in (beta, change of w, theta, log sigma)."""

    value: float
    gradient: Vector
    hessian: Vector


def effects_matrix(model: Model) -> Vector:
    """Z of all terms side by side."""
    return np.hstack([random_columns(t) for t in model.design.random]).astype(float)


def derivatives(
    model: Model, J: Vector, beta: Vector, theta: Vector, sigma: float
) -> Dense:
    """The model, whose offset has the network's output, with J beside X."""
    d = model.design
    Z = effects_matrix(model)
    q, k = Z.shape[1], model.n_theta
    wide = np.zeros((d.n_rows, MOST_EFFECTS))
    wide[:, :q] = Z
    basis = np.zeros((MOST_THETA, MOST_EFFECTS, MOST_EFFECTS))
    basis[:k, :q, :q] = lambda_derivatives(model)
    M = np.column_stack([d.X, J])
    padded = np.r_[theta, np.zeros(MOST_THETA - k)]
    point = np.r_[beta, np.zeros(J.shape[1]), padded, np.log(sigma)]
    with precise():
        found = _derivatives(point, basis, wide, M, d.y - d.offset, d.weights)
    value, gradient, hessian = (np.asarray(a) for a in found)
    used = np.r_[np.arange(M.shape[1] + k), len(point) - 1]
    return Dense(float(value), gradient[used], hessian[np.ix_(used, used)])
