r"""Two nested factors by the nested recursion: the inner integral at each outer node.

For an outer level a with inner levels b,

.. math:: L_a = \int \phi(u) \prod_{b \in a} \Bigl[ \int \phi(v)
   \prod_{i \in b} p(y_i \mid u, v)\, dv \Bigr] du ,

so that K nodes in each integral cost K^2 evaluations a row and not K to the number of
inner levels. Outer nodes stand about the posterior mean of u; inner nodes, about the
posterior mean of v given that the outer effect is at its node.

References
----------
Rabe-Hesketh, Skrondal & Pickles (2005), J. Econometrics 128, 301-323.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import linalg
from ngmm.likelihood.nested_modes import (
    NestedLayout,
    NestedModes,
    NestedPredictor,
    Pair,
    by_outer,
    nested_modes,
    nested_predictor,
    parents,
)
from ngmm.likelihood.nodes import Grid, checks
from ngmm.likelihood.observations import Rows, Taylor, log_prob, taylor
from ngmm.likelihood.quadrature import (
    LOG_2PI,
    Assessment,
    Sums,
    table,
    tail_mass,
)

__all__ = ["NestedLayout", "Pair", "assess_nested", "nested_sums", "nested_values"]


class NestedNodes(NamedTuple):
    """Nodes, their log-weights, and the log-scales of both placements.

    Attributes
    ----------
    outer
        (outer levels, K, k) nodes of u.
    outer_weight
        (outer levels, K) log-weights, the log-determinant of the scale included.
    inner
        (inner levels, K, L, k) nodes of v at every outer node.
    inner_weight
        (inner levels, K, L) the same for them.
    """

    outer: Array
    outer_weight: Array
    inner: Array
    inner_weight: Array


class _Spot(NamedTuple):
    """Centre (..., k) and scale (..., k, k) of nodes."""

    centre: Array
    scale: Array


def _nodes(
    centre: Array, scale: Array, grid: Grid, dimensions: int
) -> tuple[Array, Array]:
    """Nodes (..., K, k) and their log-weights (..., K), log|scale| included."""
    v, log_weights = table(grid, dimensions)
    u = centre[..., None, :] + jnp.einsum("...ij,kj->...ki", scale, v)
    log_scale = jnp.log(jnp.diagonal(scale, axis1=-2, axis2=-1)).sum(-1)
    prior = -0.5 * (u * u).sum(-1) - 0.5 * dimensions * LOG_2PI
    return u, log_weights + log_scale[..., None] + prior


def _inner_integrals(
    at: NestedPredictor, rows: Rows, nodes: NestedNodes, layout: NestedLayout
) -> Array:
    """Log joint density of inner levels at all nodes, (inner levels, K, L)."""
    value = log_prob(_predictors(at, rows, nodes), at.xi, _wide(rows), layout.family)
    return segment_sum(value, rows.codes[0], layout.n_inner) + nodes.inner_weight


def _predictors(at: NestedPredictor, rows: Rows, nodes: NestedNodes) -> Array:
    outer = jnp.einsum("nq,nkq->nk", at.a.outer, nodes.outer[rows.codes[1]])
    inner = jnp.einsum("nq,nklq->nkl", at.a.inner, nodes.inner[rows.codes[0]])
    return at.eta0[:, None, None] + outer[:, :, None] + inner


def _wide(rows: Rows) -> Rows:
    """The rows with responses (n, 1), for arrays of three dimensions."""
    return rows._replace(
        y=rows.y[:, None],
        weights=rows.weights[:, None],
        trials=rows.trials[:, None],
        mask=rows.mask[:, None],
    )


def _integrate(
    inner: Array, nodes: NestedNodes, rows: Rows, layout: NestedLayout
) -> tuple[Array, Array, Array]:
    """Log L of outer levels, and the posterior weights over outer and inner nodes."""
    by_node = jax.scipy.special.logsumexp(inner, axis=2)
    given = jnp.exp(inner - by_node[:, :, None])
    # Places without rows hold no level.
    real = segment_sum(rows.mask, rows.codes[0], layout.n_inner) > 0
    by_node = jnp.where(real[:, None], by_node, 0.0)
    terms = by_outer(by_node, parents(rows, layout), layout) + nodes.outer_weight
    value = jax.scipy.special.logsumexp(terms, axis=1)
    weight = jnp.exp(terms - value[:, None])
    real = segment_sum(rows.mask, rows.codes[1], layout.n_outer) > 0
    return jnp.where(real, value, 0.0), weight, given


def place_nested(
    at: NestedPredictor,
    rows: Rows,
    modes: NestedModes,
    layout: NestedLayout,
    outer: Grid,
    inner: Grid,
) -> NestedNodes:
    """Where the nodes of both integrals stand at one psi."""
    k, q = (p.k for p in layout.patterns)
    parent = parents(rows, layout)
    centre = modes.u.outer
    inverse = linalg.inverse_from_cholesky(modes.chol_outer)
    scale = linalg.cholesky(inverse)
    own = linalg.cholesky(linalg.inverse_from_cholesky(modes.chol_inner))

    def given(u: Array, n: int) -> _Spot:
        """Inner placement at outer nodes (A, K, q), to first order."""
        shift = jnp.einsum(
            "bij,bkj->bki", modes.slope, u[parent] - modes.u.outer[parent][:, None]
        )
        return _Spot(
            modes.u.inner[:, None] - shift,
            jnp.broadcast_to(own[:, None], (layout.n_inner, n, k, k)),
        )

    def moments(weight: Array, u: Array) -> tuple[Array, Array]:
        mean = jnp.einsum("...k,...ki->...i", weight, u)
        d = u - mean[..., None, :]
        return mean, jnp.einsum("...k,...ki,...kj->...ij", weight, d, d)

    def build(grid_out: Grid, grid_in: Grid, place: _Spot | None) -> NestedNodes:
        u, w = _nodes(centre, scale, grid_out, q)
        at_nodes = given(u, u.shape[1]) if place is None else place
        v, v_weight = _nodes(at_nodes.centre, at_nodes.scale, grid_in, k)
        return NestedNodes(u, w, v, v_weight)

    if not layout.placing.centred:
        centre = jnp.zeros_like(centre)
        scale = jnp.broadcast_to(jnp.eye(q), scale.shape)
        n = table(outer, q)[0].shape[0]
        flat = _Spot(
            jnp.zeros((layout.n_inner, n, k)),
            jnp.broadcast_to(jnp.eye(k), (layout.n_inner, n, k, k)),
        )
        return build(outer, inner, flat)
    coarse = layout.placing.passes[0]
    nodes = build(coarse, coarse, None)
    densities = _inner_integrals(at, rows, nodes, layout)
    _, weight, _ = _integrate(densities, nodes, rows, layout)
    centre, cov = moments(weight, nodes.outer)
    scale = linalg.cholesky(cov + 1e-4 * inverse)
    # Inner moments at the outer nodes that will be used.
    nodes = build(outer, layout.placing.passes[-1], None)
    densities = _inner_integrals(at, rows, nodes, layout)
    _, _, conditional = _integrate(densities, nodes, rows, layout)
    mean, cov = moments(conditional, nodes.inner)
    floor = 1e-4 * linalg.inverse_from_cholesky(modes.chol_inner)
    return build(outer, inner, _Spot(mean, linalg.cholesky(cov + floor[:, None])))


def nested_sums(x: Array, rows: Rows, start: Pair, layout: NestedLayout) -> Sums:
    """Log-likelihood of one chunk, with derivatives at fixed nodes."""
    at = nested_predictor(lax.stop_gradient(x), rows, layout)
    modes = nested_modes(at, rows, start, layout)
    grid = layout.placing.grid
    nodes = place_nested(at, rows, modes, layout, grid, grid)
    about = taylor(_predictors(at, rows, nodes), at.xi, _wide(rows), layout.family, 2)
    nodes = lax.stop_gradient(nodes)

    def value(psi: Array) -> tuple[Array, Array]:
        found = _values(psi, rows, nodes, about, layout).sum()
        return found, found

    def slope(psi: Array) -> tuple[Array, tuple[Array, Array]]:
        gradient, found = jax.grad(value, has_aux=True)(psi)
        return gradient, (gradient, found)

    hessian, (gradient, found) = jax.jacfwd(slope, has_aux=True)(x)
    return Sums(
        found,
        gradient,
        0.5 * (hessian + hessian.T),
        modes.u,
        (~modes.settled).sum(),
    )


def _values(
    x: Array, rows: Rows, nodes: NestedNodes, about: Taylor, layout: NestedLayout
) -> Array:
    """Log-likelihood of outer levels at fixed nodes, differentiable in psi."""
    at = nested_predictor(x, rows, layout)
    value = about.derivative(0, _predictors(at, rows, nodes), at.xi)
    inner = segment_sum(value, rows.codes[0], layout.n_inner) + nodes.inner_weight
    return _integrate(inner, nodes, rows, layout)[0]


def nested_values(x: Array, rows: Rows, start: Pair, layout: NestedLayout) -> Array:
    """Log-likelihood of each outer level, without derivatives."""
    at = nested_predictor(x, rows, layout)
    modes = nested_modes(at, rows, start, layout)
    grid = layout.placing.grid
    nodes = place_nested(at, rows, modes, layout, grid, grid)
    return _integrate(_inner_integrals(at, rows, nodes, layout), nodes, rows, layout)[0]


def assess_nested(
    x: Array, rows: Rows, start: Pair, layout: NestedLayout
) -> Assessment:
    """Outer levels by the rule, and by rules shifted in either integral."""
    at = nested_predictor(x, rows, layout)
    modes = nested_modes(at, rows, start, layout)
    grid, parent = layout.placing.grid, parents(rows, layout)
    k, q = (p.k for p in layout.patterns)

    def by(outer: Grid, inner: Grid) -> tuple[Array, Array, Array]:
        nodes = place_nested(at, rows, modes, layout, outer, inner)
        densities = _inner_integrals(at, rows, nodes, layout)
        return _integrate(densities, nodes, rows, layout)

    value, weight, given = by(grid, grid)
    shifted = [by(g, grid)[0] for g in checks(grid, q)]
    shifted += [by(grid, g)[0] for g in checks(grid, k)]
    difference = sum(jnp.abs(value - other) for other in shifted)
    flat = given.reshape(-1, given.shape[2])
    inner = tail_mass(flat, grid, k).reshape(given.shape[:2])
    inner = by_outer((inner * weight[parent]).sum(1), parent, layout)
    real = segment_sum(rows.mask, rows.codes[1], layout.n_outer) > 0
    beyond = jnp.where(real, tail_mass(weight, grid, q) + inner, 0.0)
    return Assessment(value, difference, beyond)
