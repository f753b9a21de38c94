r"""Log-likelihood of levels with a latent vector, its gradient and its Hessian.

With nodes v_gk and posterior weights pi_gk of level g,

.. math::
   \partial \log L_g   &= E_\pi[\partial \log p] \\
   \partial^2 \log L_g &= E_\pi[\partial^2 \log p] + \mathrm{Cov}_\pi(\partial \log p)

(Louis 1982), where :math:`\partial \log p` follows from the derivatives of each row's
log-probability in eta and from the Jacobian of eta at the nodes. The nodes are held
fixed, as the integral does not depend on where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.families import Family
from ngmm.likelihood.latent.data import LatentData
from ngmm.likelihood.latent.placement import (
    FIRST,
    LatentPlacing,
    NodeSet,
    Spread,
    fixed_nodes,
    following,
    moments,
    moved_nodes,
    pass_grid,
    posterior,
)
from ngmm.likelihood.nodes import checks
from ngmm.likelihood.observations import (
    Rows,
    dispersion_slopes,
    log_prob,
    slopes,
)
from ngmm.likelihood.quadrature import tail_mass
from ngmm.linalg import Values
from ngmm.networks.latent import LatentNetwork


@dataclass(frozen=True)
class WeightShape:
    """How a vector becomes a network's weights; hashable, so compiled code is reused.

    Attributes
    ----------
    tree, shapes
        Structure of the pytree, and shapes of its leaves.
    """

    tree: Any
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(_size(s) for s in self.shapes)

    def weights(self, vector: Array) -> Any:
        """The pytree."""
        leaves, at = [], 0
        for shape in self.shapes:
            leaves.append(vector[at : at + _size(shape)].reshape(shape))
            at += _size(shape)
        return jax.tree.unflatten(self.tree, leaves)


def _size(shape: tuple[int, ...]) -> int:
    out = 1
    for n in shape:
        out *= n
    return out


def weight_shape(weights: Any) -> WeightShape:
    """The shape of a pytree of arrays."""
    leaves, tree = jax.tree.flatten(weights)
    return WeightShape(tree, tuple(tuple(leaf.shape) for leaf in leaves))


@dataclass(frozen=True)
class LatentLayout:
    """Static shape of a model with a latent vector per level.

    Attributes
    ----------
    family
        Response distribution.
    network
        h(x, v; w).
    shape
        Of its weights.
    n_beta
        Number of fixed-effect columns.
    n_levels
        Levels in each chunk.
    placing
        Nodes.
    """

    family: Family
    network: LatentNetwork
    shape: WeightShape
    n_beta: int
    n_levels: int
    placing: LatentPlacing

    @property
    def has_scale(self) -> bool:
        """Whether psi ends in a log-dispersion (log sigma^2 of a Gaussian family)."""
        return self.family.has_residual or self.family.dispersion is not None

    @property
    def n_psi(self) -> int:
        """Number of parameters."""
        return self.n_beta + self.shape.size + self.has_scale


class Chunk(NamedTuple):
    """Some levels: their rows, or the cells of a table with counts of these."""

    rows: Rows
    inputs: Any
    counts: Array | None


class Psi(NamedTuple):
    """The parameters: beta, weights as a vector, log-dispersion."""

    beta: Array
    weights: Array
    xi: Array


class Sums(NamedTuple):
    """Log-likelihood, gradient (P,) and Hessian (P, P) in psi."""

    value: Values
    gradient: Values
    hessian: Values


class Posterior(NamedTuple):
    """What the data say of the latent vectors, by chunk and place.

    Attributes
    ----------
    value
        (levels,) log-likelihood.
    mean, cov
        (levels, d) and (levels, d, d).
    difference, beyond
        (levels,) estimated error of the rule, see `ngmm.likelihood.quadrature`.
    """

    value: Values
    mean: Values
    cov: Values
    difference: Values
    beyond: Values


def split(x: Array, layout: LatentLayout) -> Psi:
    """Beta, weights and log-dispersion."""
    p, m = layout.n_beta, layout.shape.size
    xi = x[-1] if layout.has_scale else jnp.zeros((), x.dtype)
    return Psi(x[:p], x[p : p + m], xi)


def effects(
    weights: Array, chunk: Chunk, nodes: NodeSet, layout: LatentLayout
) -> Array:
    """H (n, K) at the nodes of each row's level."""
    v = nodes.v if nodes.v.shape[0] == 1 else nodes.v[chunk.rows.codes[0]]
    tree = layout.shape.weights(weights)
    return layout.network.at_nodes(tree, chunk.inputs, v)


def predictor(psi: Psi, chunk: Chunk, nodes: NodeSet, layout: LatentLayout) -> Array:
    """Linear predictor (n, K)."""
    base = chunk.rows.offset + chunk.rows.X @ psi.beta
    return base[:, None] + effects(psi.weights, chunk, nodes, layout)


def over_levels(values: Array, chunk: Chunk, layout: LatentLayout) -> Array:
    """Sums (levels, ...) over the rows of each level."""
    if chunk.counts is None:
        return segment_sum(values, chunk.rows.codes[0], layout.n_levels)
    return jnp.tensordot(chunk.counts, values, 1)


def over_rows(weight: Array, chunk: Chunk) -> Array:
    """Posterior weights (levels, K) as those of rows; summed, for a table."""
    if chunk.counts is None:
        return weight[chunk.rows.codes[0]]
    return chunk.counts.T @ weight


def occupied(chunk: Chunk, layout: LatentLayout) -> Array:
    """Whether a place of the chunk holds a level (levels,)."""
    return over_levels(chunk.rows.mask, chunk, layout) > 0


def density(psi: Psi, chunk: Chunk, nodes: NodeSet, layout: LatentLayout) -> Array:
    """Log joint density at the nodes with their log-weights (levels, K)."""
    eta = predictor(psi, chunk, nodes, layout)
    value = log_prob(eta, psi.xi, chunk.rows, layout.family)
    return over_levels(value, chunk, layout) + nodes.log_weight


def place(psi: Psi, chunk: Chunk, layout: LatentLayout) -> Spread | None:
    """Where the nodes of each level stand; None if they are the prior's."""
    if layout.placing.common:
        return None
    psi = lax.stop_gradient(psi)
    d = layout.network.n_latent
    grid, spread = FIRST[d], None
    for _ in range(layout.placing.passes + 1):
        nodes = _nodes(grid, spread, d)
        _, weight = posterior(density(psi, chunk, nodes, layout))
        spread = following(grid, spread, nodes.v, weight)
        grid = pass_grid(d)
    return spread


def _nodes(grid: Any, spread: Spread | None, d: int) -> NodeSet:
    return fixed_nodes(grid, d) if spread is None else moved_nodes(grid, spread)


def chunk_values(x: Array, chunk: Chunk, layout: LatentLayout) -> Array:
    """Log-likelihood of each level (levels,)."""
    psi = split(x, layout)
    spread = place(psi, chunk, layout)
    nodes = _nodes(layout.placing.grid, spread, layout.network.n_latent)
    value, _ = posterior(density(psi, chunk, nodes, layout))
    return jnp.where(occupied(chunk, layout), value, 0.0)


def chunk_posterior(x: Array, chunk: Chunk, layout: LatentLayout) -> Posterior:
    """Posterior moments of each level, and how well the rule does."""
    psi = split(x, layout)
    d, grid = layout.network.n_latent, layout.placing.grid
    spread = place(psi, chunk, layout)

    def by(rule: Any) -> tuple[Array, Array, Array]:
        nodes = _nodes(rule, spread, d)
        return (*posterior(density(psi, chunk, nodes, layout)), nodes.v)

    value, weight, v = by(grid)
    difference = sum(jnp.abs(value - by(check)[0]) for check in checks(grid, d))
    mean, cov = moments(v, weight)
    real = occupied(chunk, layout)
    return Posterior(
        jnp.where(real, value, 0.0),
        mean,
        cov,
        jnp.where(real, difference, 0.0),
        jnp.where(real, tail_mass(weight, grid, d), 0.0),
    )


def chunk_nodes(x: Array, chunk: Chunk, layout: LatentLayout) -> tuple[Array, Array]:
    """Nodes (levels or 1, K, d) and posterior weights (levels, K)."""
    psi = split(x, layout)
    spread = place(psi, chunk, layout)
    nodes = _nodes(layout.placing.grid, spread, layout.network.n_latent)
    return nodes.v, posterior(density(psi, chunk, nodes, layout))[1]


def chunk_sums(x: Array, chunk: Chunk, layout: LatentLayout) -> Sums:
    """Log-likelihood of a chunk, with gradient and Hessian."""
    psi = split(lax.stop_gradient(x), layout)
    spread = place(psi, chunk, layout)
    nodes = _nodes(layout.placing.grid, spread, layout.network.n_latent)
    rows, family = chunk.rows, layout.family
    eta = predictor(psi, chunk, nodes, layout)
    s = slopes(eta, psi.xi, rows, family)
    value, weight = posterior(over_levels(s.value, chunk, layout) + nodes.log_weight)
    real = occupied(chunk, layout)
    value = jnp.where(real, value, 0.0)
    weight = weight * real[:, None]
    row_weight = over_rows(weight, chunk)
    J = _jacobian(psi.weights, chunk, nodes, layout)
    score, hessian = J * s.first[:, :, None], _gram(J, row_weight * s.second)
    if not layout.network.is_bilinear:
        hessian = hessian + _bend(psi, chunk, nodes, row_weight * s.first, layout)
    if layout.has_scale:
        d = dispersion_slopes(eta, psi.xi, rows, family)
        score = jnp.concatenate([score, d.first[:, :, None]], 2)
        edge = jnp.einsum("nkp,nk->p", J, row_weight * d.cross)
        corner = (row_weight * d.second).sum()
        hessian = jnp.block([[hessian, edge[:, None]], [edge[None, :], corner]])
    mean, square = _scores(score, weight, chunk, layout)
    return Sums(value.sum(), mean.sum(0), hessian + square - mean.T @ mean)


def _jacobian(
    weights: Array, chunk: Chunk, nodes: NodeSet, layout: LatentLayout
) -> Array:
    """Derivatives of eta in beta and the weights (n, K, p + m)."""
    by_weight = jax.jacfwd(lambda w: effects(w, chunk, nodes, layout))(weights)
    X = chunk.rows.X[:, None, :]
    by_beta = jnp.broadcast_to(X, (*by_weight.shape[:2], X.shape[2]))
    return jnp.concatenate([by_beta, by_weight], 2)


def _gram(J: Array, weight: Array) -> Array:
    """Sum over rows and nodes of weight times J J'."""
    flat = J.reshape(-1, J.shape[2])
    return (weight.reshape(-1, 1) * flat).T @ flat


def _bend(
    psi: Psi, chunk: Chunk, nodes: NodeSet, slope: Array, layout: LatentLayout
) -> Array:
    """Curvature of the network itself, along the slope of the log-probability."""

    def along(w: Array) -> Array:
        return (slope * effects(w, chunk, nodes, layout)).sum()

    p = layout.n_beta
    return jnp.pad(jax.hessian(along)(psi.weights), (p, 0))


def _scores(
    score: Array, weight: Array, chunk: Chunk, layout: LatentLayout
) -> tuple[Array, Array]:
    """Mean score of each level (levels, P), and the sum of E[score score'].

    Parameters
    ----------
    score
        (n, K, P) of rows, or cells, at the nodes.
    weight
        (levels, K) posterior weights.
    chunk, layout
        As elsewhere.
    """
    n_psi = score.shape[2]
    if chunk.counts is None:
        total = over_levels(score, chunk, layout)
        mean = jnp.einsum("gk,gkp->gp", weight, total)
        flat = (total * jnp.sqrt(weight)[:, :, None]).reshape(-1, n_psi)
        return mean, flat.T @ flat
    # Pairs of cells meet at each node, so that the cost does not grow with P^2.
    by_node = jnp.swapaxes(score, 0, 1)
    spread = weight.T[:, :, None] * chunk.counts[None]
    mean = jnp.einsum("kgc,kcp->gp", spread, by_node)
    pairs = jnp.swapaxes(spread, 1, 2) @ chunk.counts
    return mean, jnp.einsum("kcp,kcq->pq", by_node, pairs @ by_node)


def each_chunk(f: Callable[[Chunk], Any], data: LatentData) -> Any:
    """Apply a function to the chunks, one at a time, and stack what it gives."""
    if data.counts is None:
        return lax.map(lambda c: f(Chunk(c[0], c[1], None)), (data.rows, data.inputs))
    return lax.map(lambda n: f(Chunk(data.rows, data.inputs, n)), data.counts)


def _value(x: Array, data: LatentData, *, layout: LatentLayout) -> Array:
    return each_chunk(lambda c: chunk_values(x, c, layout), data).sum()


def total(x: Array, data: LatentData, layout: LatentLayout) -> Sums:
    """Sum over chunks."""
    parts = each_chunk(lambda c: chunk_sums(x, c, layout), data)
    return jax.tree.map(lambda a: a.sum(0), parts)


def _posterior(x: Array, data: LatentData, *, layout: LatentLayout) -> Posterior:
    return each_chunk(lambda c: chunk_posterior(x, c, layout), data)


def _maximise(
    x: Array,
    data: LatentData,
    penalty: Array,
    max_steps: Array,
    *,
    layout: LatentLayout,
) -> NewtonResult:
    """Minimise -2 log-likelihood + sum_j penalty_j x_j^2; aux is the log-likelihood."""

    def evaluate(at: Array) -> tuple[Evaluation, Array]:
        s = total(at, data, layout)
        ridge = penalty * at
        return (
            Evaluation(
                -2.0 * s.value + ridge @ at,
                -2.0 * s.gradient + 2.0 * ridge,
                -2.0 * s.hessian + 2.0 * jnp.diag(penalty),
            ),
            s.value,
        )

    return minimise(evaluate, x, max_steps=max_steps)


def _always(_: LatentLayout) -> bool:
    return True


value: Compiled = Compiled(_value, heavy=_always)
"""(x, data, layout=) -> log-likelihood."""

posterior_of: Compiled = Compiled(_posterior, heavy=_always)
"""(x, data, layout=) -> Posterior of every chunk."""

maximise: Compiled = Compiled(_maximise, heavy=_always)
"""(x, data, penalty, max_steps, layout=) -> NewtonResult."""
