"""Where the quadrature nodes of a latent vector stand.

h(x, v) need not be linear in v, so that a posterior density may have several peaks and
a search for its mode may find the wrong one. The nodes are placed without: a coarse
grid over the prior gives every level's posterior mean and covariance, and a few finer
grids about these improve them. What a grid cannot resolve counts as spread, half a
spacing, so that nodes close in on a narrow density by about a factor of three a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from ngmm import linalg
from ngmm.likelihood.nodes import Grid, trapezoid, truncated
from ngmm.likelihood.nodes import nodes as node_table
from ngmm.linalg import Values

# First grid, in standard deviations of the prior, and the grids that follow it, by the
# dimension of v.
FIRST = {1: truncated(31, 6.0), 2: truncated(15, 5.0), 3: truncated(9, 4.5)}
FOLLOWING = {1: 13, 2: 9, 3: 7}


@dataclass(frozen=True)
class LatentPlacing:
    """Which nodes are used, and how they are placed.

    Attributes
    ----------
    grid
        The nodes.
    passes
        Finer grids after the first, coarse one; 0 for nodes that all levels share.
    """

    grid: Grid
    passes: int = 0

    @property
    def common(self) -> bool:
        """Whether all levels share their nodes."""
        return self.passes == 0


class NodeSet(NamedTuple):
    """Nodes of each level with log-weights, the prior's density included.

    Attributes
    ----------
    v
        (levels or 1, K, d) latent vectors.
    log_weight
        (levels or 1, K) so that the integral of f(v) N(v; 0, I) is the sum of
        exp(log_weight) f(v).
    """

    v: Values
    log_weight: Values


class Spread(NamedTuple):
    """Centre (levels, d) and lower triangular scale (levels, d, d) of nodes."""

    centre: Values
    scale: Values


def fixed_nodes(grid: Grid, d: int) -> NodeSet:
    """Nodes about zero, in units of the prior."""
    spread = Spread(jnp.zeros((1, d)), jnp.eye(d)[None])
    return moved_nodes(grid, spread)


def moved_nodes(grid: Grid, spread: Spread) -> NodeSet:
    """Nodes about the centres of levels."""
    d = spread.centre.shape[1]
    points, log_weights = node_table(grid, d)
    v = spread.centre[:, None, :] + jnp.einsum(
        "gij,kj->gki", spread.scale, jnp.asarray(points)
    )
    log_det = jnp.log(jnp.diagonal(spread.scale, axis1=1, axis2=2)).sum(1)
    prior = -0.5 * (v * v).sum(2) - 0.5 * d * jnp.log(2.0 * jnp.pi)
    return NodeSet(v, jnp.asarray(log_weights) + prior + log_det[:, None])


def posterior(log_density: Array) -> tuple[Array, Array]:
    """Log of the integral (levels,) and posterior weights (levels, K)."""
    top = log_density.max(1, keepdims=True)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    weight = jnp.exp(log_density - top)
    total = weight.sum(1)
    return top[:, 0] + jnp.log(total), weight / total[:, None]


def moments(v: Array, weight: Array) -> tuple[Array, Array]:
    """Posterior mean (levels, d) and covariance (levels, d, d)."""
    mean = (weight[:, :, None] * v).sum(1)
    away = v - mean[:, None, :]
    return mean, jnp.einsum("gk,gki,gkj->gij", weight, away, away)


def following(grid: Grid, before: Spread | None, v: Array, weight: Array) -> Spread:
    """Where the next nodes stand, given the posterior on the last ones."""
    mean, cov = moments(v, weight)
    d = mean.shape[1]
    half = 0.5 * spacing(grid)
    if before is None:
        floor = half**2 * jnp.eye(d)
    else:
        floor = half**2 * before.scale @ jnp.swapaxes(before.scale, 1, 2)
    return Spread(mean, linalg.cholesky(cov + floor))


def spacing(grid: Grid) -> float:
    """Distance of neighbouring nodes in the middle of a grid."""
    return 2.0 * grid.reach / (grid.n - 1)


def pass_grid(d: int) -> Grid:
    """The finer grids that place the nodes."""
    return trapezoid(FOLLOWING[d], d)
