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

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import covariance, linalg
from ngmm.covariance import Pattern
from ngmm.families import Family
from ngmm.likelihood.modes import MAX_STEPS, SETTLED
from ngmm.likelihood.nodes import Grid, checks
from ngmm.likelihood.observations import Rows, Taylor, log_prob, slopes, taylor
from ngmm.likelihood.quadrature import (
    LOG_2PI,
    Assessment,
    Placing,
    Sums,
    table,
    tail_mass,
)
from ngmm.linalg import Values


@dataclass(frozen=True)
class NestedLayout:
    """Static shape of a model with an inner factor nested in an outer one.

    Attributes
    ----------
    family
        Response distribution.
    patterns
        Covariance parameters of the inner and of the outer factor.
    n_beta
        Number of fixed-effect columns.
    n_inner, n_outer
        Levels in each chunk of rows.
    placing
        Nodes of both integrals.
    """

    family: Family
    patterns: tuple[Pattern, Pattern]
    n_beta: int
    n_inner: int
    n_outer: int
    placing: Placing


class Pair(NamedTuple):
    """Something of the inner factor and something of the outer one."""

    inner: Values
    outer: Values


class NestedPredictor(NamedTuple):
    """The linear predictor of a chunk at one psi: eta0 + a_inner' v + a_outer' u."""

    eta0: Array
    a: Pair
    xi: Array


class NestedModes(NamedTuple):
    """The joint modes, and the factored Hessian there.

    Attributes
    ----------
    u
        (inner levels, k) and (outer levels, k) modes.
    chol_inner
        Cholesky factors of the inner blocks of minus the Hessian.
    slope
        (inner levels, k inner, k outer): the inner mode falls by this much when the
        outer effect rises by one.
    chol_outer
        Cholesky factors of the Schur complements, one an outer level.
    settled
        (outer levels,) whether the search ended at a stationary point.
    """

    u: Pair
    chol_inner: Array
    slope: Array
    chol_outer: Array
    settled: Array


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


def nested_predictor(x: Array, rows: Rows, layout: NestedLayout) -> NestedPredictor:
    """Split psi and form what does not depend on the random effects."""
    p = layout.n_beta
    lam = []
    for pattern in layout.patterns:
        lam.append(covariance.factor(x[p : p + pattern.n_theta], pattern))
        p += pattern.n_theta
    xi = x[-1] if layout.family.dispersion is not None else jnp.zeros((), x.dtype)
    eta0 = rows.offset + rows.X @ x[: layout.n_beta]
    return NestedPredictor(eta0, Pair(rows.Z[0] @ lam[0], rows.Z[1] @ lam[1]), xi)


def parents(rows: Rows, layout: NestedLayout) -> Array:
    """Outer level of each inner one; places without rows belong to the last."""
    blank = jnp.full(layout.n_inner, layout.n_outer - 1, rows.codes[1].dtype)
    real = jnp.where(rows.mask > 0, rows.codes[0], layout.n_inner)
    return blank.at[real].set(rows.codes[1], mode="drop")


class _Look(NamedTuple):
    value: Array
    step: Pair
    decrement: Array
    chol_inner: Array
    slope: Array
    chol_outer: Array


class _State(NamedTuple):
    u: Pair
    look: _Look
    share: Array
    settled: Array
    n: Array


def nested_modes(
    at: NestedPredictor, rows: Rows, start: Pair, layout: NestedLayout
) -> NestedModes:
    """Damped Newton on the joint density of each outer level and what it contains."""
    codes, parent = Pair(*rows.codes), parents(rows, layout)
    k, q = (p.k for p in layout.patterns)

    def look(u: Pair) -> _Look:
        eta = at.eta0 + (at.a.inner * u.inner[codes.inner]).sum(1)
        eta = eta + (at.a.outer * u.outer[codes.outer]).sum(1)
        s = slopes(eta, at.xi, rows, layout.family)
        weight = jnp.maximum(-s.second, 0.0)
        value = segment_sum(s.value, codes.outer, layout.n_outer)
        value = value - 0.5 * (u.outer**2).sum(1)
        value = value - 0.5 * _by_outer((u.inner**2).sum(1), parent, layout)
        g_in = segment_sum(s.first[:, None] * at.a.inner, codes.inner, layout.n_inner)
        g_in = g_in - u.inner
        g_out = segment_sum(s.first[:, None] * at.a.outer, codes.outer, layout.n_outer)
        g_out = g_out - u.outer
        weighted = weight[:, None] * at.a.inner
        own = _outer_sum(weighted, at.a.inner, codes.inner, layout.n_inner)
        cross = _outer_sum(weighted, at.a.outer, codes.inner, layout.n_inner)
        top = _outer_sum(
            weight[:, None] * at.a.outer, at.a.outer, codes.outer, layout.n_outer
        )
        chol = linalg.cholesky(own + jnp.eye(k))
        half = linalg.solve_lower(chol, jnp.concatenate([cross, g_in[..., None]], 2))
        v = half[..., :q]
        taken = _by_outer(jnp.swapaxes(v, 1, 2) @ half, parent, layout)
        chol_outer = linalg.cholesky(top + jnp.eye(q) - taken[..., :q])
        right = g_out - taken[..., q]
        step_out = jnp.einsum(
            "aij,aj->ai", linalg.inverse_from_cholesky(chol_outer), right
        )
        inverse = linalg.inverse_from_cholesky(chol)
        slope = inverse @ cross
        step_in = jnp.einsum("bij,bj->bi", inverse, g_in)
        step_in = step_in - jnp.einsum("bij,bj->bi", slope, step_out[parent])
        decrement = (g_out * step_out).sum(1)
        decrement = decrement + _by_outer((g_in * step_in).sum(1), parent, layout)
        return _Look(value, Pair(step_in, step_out), decrement, chol, slope, chol_outer)

    def going(s: _State) -> Array:
        return ~s.settled.all() & (s.n < MAX_STEPS)

    def move(s: _State) -> _State:
        first = s.n == 0
        last = ~first & (s.look.decrement < SETTLED)
        trial = Pair(
            s.u.inner + s.share[parent][:, None] * s.look.step.inner,
            s.u.outer + s.share[:, None] * s.look.step.outer,
        )
        new = look(trial)
        noise = 1e-12 * (1.0 + jnp.abs(s.look.value))
        better = first | (new.value >= s.look.value - noise)
        keep = better & ~s.settled

        def pick_inner(a: Array, b: Array) -> Array:
            return jnp.where(keep[parent].reshape(-1, *[1] * (a.ndim - 1)), a, b)

        def pick_outer(a: Array, b: Array) -> Array:
            return jnp.where(keep.reshape(-1, *[1] * (a.ndim - 1)), a, b)

        old = s.look
        kept = _Look(
            pick_outer(new.value, old.value),
            Pair(
                pick_inner(new.step.inner, old.step.inner),
                pick_outer(new.step.outer, old.step.outer),
            ),
            pick_outer(new.decrement, old.decrement),
            pick_inner(new.chol_inner, old.chol_inner),
            pick_inner(new.slope, old.slope),
            pick_outer(new.chol_outer, old.chol_outer),
        )
        u = Pair(pick_inner(trial.inner, s.u.inner), pick_outer(trial.outer, s.u.outer))
        share = jnp.where(better, jnp.minimum(1.0, 4.0 * s.share), 0.25 * s.share)
        return _State(u, kept, share, s.settled | last, s.n + 1)

    blank = jax.tree.map(
        lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(look, start)
    )
    state = _State(
        start,
        blank,
        jnp.ones(layout.n_outer, at.eta0.dtype),
        jnp.zeros(layout.n_outer, bool),
        jnp.asarray(0),
    )
    end = lax.while_loop(going, move, state)
    look_end = end.look
    return NestedModes(
        end.u, look_end.chol_inner, look_end.slope, look_end.chol_outer, end.settled
    )


def _outer_sum(a: Array, b: Array, codes: Array, n: int) -> Array:
    return segment_sum(a[:, :, None] * b[:, None, :], codes, n)


def _by_outer(values: Array, parent: Array, layout: NestedLayout) -> Array:
    return segment_sum(values, parent, layout.n_outer)


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
    terms = _by_outer(by_node, parents(rows, layout), layout) + nodes.outer_weight
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
    inner = _by_outer((inner * weight[parent]).sum(1), parent, layout)
    real = segment_sum(rows.mask, rows.codes[1], layout.n_outer) > 0
    beyond = jnp.where(real, tail_mass(weight, grid, q) + inner, 0.0)
    return Assessment(value, difference, beyond)
