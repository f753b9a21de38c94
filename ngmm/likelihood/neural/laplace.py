r"""Laplace's approximation with network terms, to second order at one point.

Crossed random effects of a response that is not Gaussian. The gradient is exact: that
in a weight is the gradient in the linear predictor of the rows times the Jacobian. The
Hessian in the coefficients M = [X J] is that of the working Gaussian model at the mode,

.. math:: -M' (W - W A H^{-1} A' W) M,

and what involves the variance parameters follows by differences of gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.likelihood.joint import (
    Effects,
    JointLayout,
    Meeting,
    joint_modes,
    joint_predictor,
    pull_back,
    solve,
)
from ngmm.likelihood.laplace import (
    JointKept,
    expand_about,
    laplace,
    loglik,
)
from ngmm.likelihood.neural.local import Local
from ngmm.likelihood.neural.terms import GeneralizedStack, Term, jacobian, outputs
from ngmm.likelihood.observations import Rows

# Step of the differences in the variance parameters: rounding of a gradient, 1e-12 of
# its size, and the neglected third derivative are then of the same order.
STEP = 1e-4


@dataclass(frozen=True)
class NeuralLaplaceLayout(GeneralizedStack):
    """Static shape of this likelihood."""

    random: JointLayout


class NeuralLaplaceData(NamedTuple):
    """Rows, where they meet, and what the networks read.

    Attributes
    ----------
    rows
        Standardised rows.
    meeting
        As `ngmm.likelihood.joint`.
    terms
        The network terms, in the order of the rows.
    """

    rows: Rows
    meeting: Meeting
    terms: tuple[Term, ...]


class _Bent(NamedTuple):
    """Gradient and curvature at one point, in (beta, tau) and the rows' predictor."""

    value: Array
    by_row: Array
    tau: Array
    curvature: Array
    kept: JointKept


def _split(x: Array, layout: NeuralLaplaceLayout) -> tuple[Array, Array]:
    """Parameters without the weights, and the weights."""
    p, n_w = layout.n_beta, layout.stack.n_weights
    return jnp.concatenate([x[:p], x[p + n_w :]]), x[p : p + n_w]


def _rows(w: Array, data: NeuralLaplaceData, layout: NeuralLaplaceLayout) -> Rows:
    f = outputs(w, data.terms, layout.stack).sum(1)
    return data.rows._replace(offset=data.rows.offset + f)


def value(
    x: Array, data: NeuralLaplaceData, kept: JointKept, layout: NeuralLaplaceLayout
) -> Array:
    """Log-likelihood."""
    rest, w = _split(x, layout)
    rows = _rows(w, data, layout)
    return loglik(rest, rows, data.meeting, kept, layout.random)


def _bend(
    rest: Array,
    rows: Rows,
    M: Array,
    meeting: Meeting,
    kept: JointKept,
    layout: NeuralLaplaceLayout,
) -> _Bent:
    inner = layout.random
    at = joint_predictor(rest, rows, inner)
    modes = joint_modes(at, rows, meeting, kept.u, inner)
    fixed = expand_about(at, modes, rows, meeting, inner)

    def found(psi: Array, offset: Array) -> Array:
        moved = rows._replace(offset=offset)
        return laplace(psi, moved, meeting, fixed, inner)

    total, (psi, by_row) = jax.value_and_grad(found, argnums=(0, 1))(rest, rows.offset)
    weight = -fixed.about_mode.terms[0][2]

    def pulled(column: Array) -> Effects:
        return pull_back(weight * column, at, rows, meeting, inner)

    b = jax.vmap(pulled, 1)(M)
    s = jax.vmap(lambda r: solve(fixed.factored, r, at, inner))(b)
    columns = M.shape[1]
    left = jnp.concatenate(
        [b.first.reshape(columns, -1), b.dense.reshape(columns, -1)], 1
    )
    right = jnp.concatenate(
        [s.first.reshape(columns, -1), s.dense.reshape(columns, -1)], 1
    )
    curvature = M.T @ (weight[:, None] * M) - left @ right.T
    unsettled = (~modes.settled).astype(jnp.int64)
    return _Bent(
        total,
        by_row,
        psi[layout.n_beta :],
        0.5 * (curvature + curvature.T),
        JointKept(modes.u, unsettled),
    )


class _Pieces(NamedTuple):
    """What the slope of log|H| in the variance parameters is made of."""

    rest: Array
    rows: Rows
    M: Array


def local(
    x: Array, data: NeuralLaplaceData, kept: JointKept, layout: NeuralLaplaceLayout
) -> tuple[Local, JointKept, _Pieces]:
    """Log-likelihood at x, exact gradient, and the working model's Hessian."""
    p = layout.n_beta
    rest, w = _split(x, layout)
    rows = _rows(w, data, layout)
    M = jnp.concatenate([data.rows.X, jacobian(w, data.terms, layout.stack)], 1)
    here = _bend(rest, rows, M, data.meeting, kept, layout)
    slope = jnp.concatenate([M.T @ here.by_row, here.tau])

    def along(step: Array) -> Array:
        moved = _bend(rest.at[p:].add(step), rows, M, data.meeting, here.kept, layout)
        return (jnp.concatenate([M.T @ moved.by_row, moved.tau]) - slope) / STEP

    edge = lax.map(along, STEP * jnp.eye(layout.n_tau))
    c = M.shape[1]
    corner = 0.5 * (edge[:, c:] + edge[:, c:].T)
    hessian = jnp.block([[-here.curvature, edge[:, :c].T], [edge[:, :c], corner]])
    return Local(here.value, slope, hessian), here.kept, _Pieces(rest, rows, M)


def log_det_slope(
    inverse: Array,
    hessian: Array,
    data: NeuralLaplaceData,
    kept: JointKept,
    pieces: _Pieces,
    layout: NeuralLaplaceLayout,
) -> Array:
    """Slope in (theta, log phi) of log|H + D|, (H + D)^-1 given, by differences."""
    p, n_w = layout.n_beta, layout.stack.n_weights
    part = slice(p, p + n_w)
    here = -jnp.sum(inverse * hessian[part, part])

    def along(step: Array) -> Array:
        rest = pieces.rest.at[p:].add(step)
        moved = _bend(rest, pieces.rows, pieces.M, data.meeting, kept, layout)
        return (jnp.sum(inverse * moved.curvature[part, part]) - here) / STEP

    return lax.map(along, STEP * jnp.eye(layout.n_tau))
