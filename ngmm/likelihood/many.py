r"""The maximum of one Gaussian model for many responses, all in one program.

Responses of the same rows share everything but the last column of [X y]: the cross-
products of a block of them are formed together, and the trust-region search is mapped
over the block. A search that has ended waits for the slowest of its block, so blocks
are of moderate size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.condense import condense
from ngmm.likelihood.elimination import System
from ngmm.likelihood.gaussian import Profile, profile
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.problem import GaussianProblem
from ngmm.likelihood.retraction import retract, vanish
from ngmm.likelihood.standardise import Matrix, Vector
from ngmm.linalg import Values, precise


class Responses(NamedTuple):
    """What the cross-products of one response have beside those of the columns.

    Attributes
    ----------
    rho
        (l, k) of the first factor's basis with the response.
    across, own
        (p,) of the columns with the response, and its own, first factor projected out.
    dense
        (c, m) of the dense part with the response.
    """

    rho: Values
    across: Values
    own: Values
    dense: Values


class Peak(NamedTuple):
    """A maximum, as far as it is needed of each response."""

    theta: Values
    value: Values
    rss: Values
    tail: Values
    status: Values


class Block(NamedTuple):
    """Standardised responses, and the way back.

    Attributes
    ----------
    tail
        (n, b) residuals of unit mean square.
    beta_ols
        (b, p) least-squares coefficients.
    scale
        (b,) root mean square of the residuals; zero where nothing is left.
    """

    tail: Matrix
    beta_ols: Matrix
    scale: Vector


def standardise_block(Y: Matrix, problem: GaussianProblem, root: Vector) -> Block:
    """Bring responses (b, n), offset removed, to the scale of the problem.

    Parameters
    ----------
    Y
        The responses.
    problem
        The model.
    root
        (n,) square roots of the prior weights.
    """
    data, p = problem.data, problem.layout.n_beta
    yw = (Y * root).T
    q = data.tail[:, :p]
    effects = q.T @ yw
    residual = yw - q @ effects
    residual -= q @ (q.T @ residual)
    n = len(yw)
    scale = np.sqrt(np.einsum("nb,nb->b", residual, residual) / n)
    size = np.sqrt(np.einsum("nb,nb->b", yw, yw) / n)
    scale = np.where(scale > 1e-13 * size, scale, 0.0)
    tail = residual / np.where(scale > 0, scale, 1.0)
    beta = np.linalg.solve(data.triangle, effects).T if p else effects.T
    return Block(tail, np.asarray(beta, dtype=np.float64), scale)


def cross_products(block: Block, problem: GaussianProblem) -> Responses:
    """Of every response of a block, with a leading axis."""
    data, p = problem.data, problem.layout.n_beta
    tail = np.column_stack([data.tail[:, :p], block.tail])
    arranged, reml = problem.arranged, problem.layout.reml
    wide = replace(data, tail=tail)
    s = condense(wide, arranged.groups, arranged.patterns, reml=reml).system
    return Responses(
        rho=np.moveaxis(s.rho[..., p:], -1, 0),
        across=s.within[p:, :p],
        own=np.diag(s.within)[p:],
        dense=np.moveaxis(s.dense_tail[..., p:], -1, 0),
    )


def _with_response(system: System, y: Responses, p: int) -> System:
    """The cross-products with another response."""
    across = y.across[:, None]
    return system._replace(
        rho=jnp.concatenate([system.rho[..., :p], y.rho[..., None]], -1),
        within=jnp.block(
            [[system.within[:p, :p], across], [across.T, y.own[None, None]]]
        ),
        dense_tail=jnp.concatenate([system.dense_tail[..., :p], y.dense[..., None]], -1)
        if system.dense_tail.size
        else system.dense_tail,
    )


def _peak(
    theta: Array, y: Responses, system: System, max_steps: Array, layout: Layout
) -> Peak:
    own = _with_response(system, y, layout.n_beta)

    def evaluate(x: Array) -> tuple[Evaluation, Profile]:
        found = profile(x, own, layout)
        return Evaluation(found.value, found.gradient, found.hessian), found

    result: NewtonResult = minimise(
        evaluate,
        theta,
        retract=lambda x, p: retract(x, p, 0, layout.patterns),
        polish=lambda x: vanish(x, 0, layout.patterns),
        max_steps=max_steps,
    )
    at: Profile = result.aux
    return Peak(result.x, result.value, at.rss, at.tail, result.status)


def _peaks(
    theta: Array, ys: Responses, system: System, max_steps: Array, *, layout: Layout
) -> Peak:
    return jax.vmap(lambda t, y: _peak(t, y, system, max_steps, layout))(theta, ys)


peaks_of: Compiled = Compiled(_peaks, heavy=lambda _: True)
"""(theta (b, q), Responses, System, max_steps, layout=) -> Peak with a leading axis."""


def peaks(
    ys: Responses, problem: GaussianProblem, theta: Vector, max_steps: int
) -> Peak:
    """Maxima for a block of responses, each searched from the same theta."""
    start = np.broadcast_to(theta, (len(ys.own), len(theta)))
    with precise():
        found = peaks_of(
            start, ys, problem.system, np.int64(max_steps), layout=problem.layout
        )
    return to_numpy(found)
