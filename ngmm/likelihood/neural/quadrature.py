r"""A likelihood by quadrature with network terms, to second order at one point.

Parameters are x = (beta, w, theta, log phi) in the engine's units. The rows enter with
the networks' output in their offset and the Jacobian beside X, at weights of zero: the
closed-form derivatives of `ngmm.likelihood.quadrature` then are those wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ngmm.likelihood.neural.local import Local
from ngmm.likelihood.neural.terms import GeneralizedStack, Term, jacobian, outputs
from ngmm.likelihood.observations import Rows
from ngmm.likelihood.single import AnyLayout, loglik, total
from ngmm.linalg import Values

# Step of the differences that give the slope of log|H| in the variance parameters,
# whose own error of 1e-3 changes them by 1e-3 of what the networks' flexibility does.
STEP = 1e-3


@dataclass(frozen=True)
class NeuralQuadratureLayout(GeneralizedStack):
    """Static shape of this likelihood."""

    random: AnyLayout


class NeuralQuadratureData(NamedTuple):
    """Rows in chunks of whole levels, and what the networks read, row by row.

    Attributes
    ----------
    rows
        As `ngmm.likelihood.chunks.Chunks.rows`.
    terms
        The network terms over the rows of all chunks, one after the other.
    """

    rows: Rows
    terms: tuple[Term, ...]


def _at(
    x: Array, data: NeuralQuadratureData, layout: NeuralQuadratureLayout
) -> tuple[Array, Rows]:
    """Parameters without the weights, and rows with the networks in their offset."""
    p, n_w = layout.n_beta, layout.stack.n_weights
    f = outputs(x[p : p + n_w], data.terms, layout.stack).sum(1)
    offset = data.rows.offset + f.reshape(data.rows.offset.shape) * data.rows.mask
    rest = jnp.concatenate([x[:p], x[p + n_w :]])
    return rest, data.rows._replace(offset=offset)


def value(
    x: Array, data: NeuralQuadratureData, kept: Values, layout: NeuralQuadratureLayout
) -> Array:
    """Log-likelihood."""
    rest, rows = _at(x, data, layout)
    return loglik(rest, rows, kept, layout.random)


def local(
    x: Array, data: NeuralQuadratureData, kept: Values, layout: NeuralQuadratureLayout
) -> tuple[Local, Values, tuple[Array, Rows]]:
    """Log-likelihood at x with gradient and Gauss-Newton Hessian, modes, and rows."""
    p, n_w = layout.n_beta, layout.stack.n_weights
    rest, rows = _at(x, data, layout)
    J = jacobian(x[p : p + n_w], data.terms, layout.stack)
    J = J.reshape(*rows.mask.shape, n_w) * rows.mask[..., None]
    wide = rows._replace(X=jnp.concatenate([rows.X, J], -1))
    at = jnp.concatenate([rest[:p], jnp.zeros(n_w), rest[p:]])
    s = total(at, wide, kept, _widened(layout))
    return Local(s.value, s.gradient, s.hessian), s.u, (at, wide)


def _widened(layout: NeuralQuadratureLayout) -> AnyLayout:
    p = layout.n_beta + layout.stack.n_weights
    return replace(layout.random, n_beta=p)


def log_det_slope(
    inverse: Array,
    hessian: Array,
    kept: Values,
    pieces: tuple[Array, Rows],
    layout: NeuralQuadratureLayout,
) -> Array:
    """Derivative in (theta, log phi) of log|H + D|, (H + D)^-1 given, by differences.

    Each costs another evaluation.
    """
    at, wide = pieces
    p, n_w = layout.n_beta, layout.stack.n_weights
    part = slice(p, p + n_w)

    def trace(t: Array) -> Array:
        return -jnp.sum(
            inverse * total(t, wide, kept, _widened(layout)).hessian[part, part]
        )

    here = -jnp.sum(inverse * hessian[part, part])
    steps = jnp.eye(layout.n_tau) * STEP

    def along(step: Array) -> Array:
        moved = at.at[-layout.n_tau :].add(step)
        return (trace(moved) - here) / STEP

    return jax.lax.map(along, steps)
