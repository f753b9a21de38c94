r"""Marginal likelihood of one grouping factor by quadrature over each level's u.

With nodes :math:`u_{gk} = m_g + C_g v_k`,

.. math:: \log L_g = \log|C_g| + \log \sum_k e^{w_k + \log p(y_g, u_{gk})} .

Any placement (m, C) approximates the same integral, so it is held fixed under
derivatives, which are those of the sum: with posterior weights pi over the nodes of a
level,

.. math::
   \partial \log L_g   &= E_\pi[\partial \log p] \quad\text{(Fisher's identity)} \\
   \partial^2 \log L_g &= E_\pi[\partial^2 \log p] + \mathrm{Cov}_\pi(\partial \log p)

(Louis 1982). Both are sums of products of row terms with the columns of X and Z; no
derivative of the placement, and none by machine, enters.

Nodes stand about the posterior mean, scaled by the posterior covariance (Naylor & Smith
1982), which the same sum gives; skewed densities, whose mode says little about where
their mass is, need that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import covariance, linalg
from ngmm.covariance import Pattern
from ngmm.families import Family
from ngmm.likelihood.modes import Modes, conditional_modes
from ngmm.likelihood.nodes import Grid, checks
from ngmm.likelihood.nodes import nodes as node_table
from ngmm.likelihood.observations import (
    Rows,
    dispersion_slopes,
    log_prob,
    slopes,
)
from ngmm.linalg import Values

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Placing:
    """Which nodes are used, and how they are placed.

    Attributes
    ----------
    grid
        The nodes.
    passes
        Rules that move the nodes from mode and curvature to posterior mean and
        covariance, one after the other.
    centred
        Whether nodes follow the level at all; otherwise they stand about zero.
    exact
        Whether derivatives follow the placement, as they must with few nodes
        (`ngmm.likelihood.adaptive`).
    """

    grid: Grid
    passes: tuple[Grid, ...] = ()
    centred: bool = True
    exact: bool = False


@dataclass(frozen=True)
class SingleLayout:
    """Static shape of a model with one grouping factor.

    Attributes
    ----------
    family
        Response distribution.
    pattern
        Covariance parameters.
    n_beta
        Number of fixed-effect columns.
    n_levels
        Levels in each chunk of rows.
    placing
        Nodes.
    """

    family: Family
    pattern: Pattern
    n_beta: int
    n_levels: int
    placing: Placing

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The pattern, as that of layouts with several factors."""
        return (self.pattern,)


class Predictor(NamedTuple):
    """The linear predictor of a chunk at one psi: eta0 + a' u."""

    eta0: Array
    a: Array
    xi: Array


class Placement(NamedTuple):
    """Centre (levels, q) and lower triangular scale (levels, q, q) of the nodes."""

    centre: Array
    scale: Array


class Assessment(NamedTuple):
    """How well a rule does at one psi, level by level.

    Attributes
    ----------
    value
        (chunks, levels) log-likelihood by the rule.
    difference
        (chunks, levels) sum of the absolute differences from the rule's checks.
    beyond
        (chunks, levels) share of the integral estimated to lie beyond the nodes.
    """

    value: Values
    difference: Values
    beyond: Values


class Sums(NamedTuple):
    """What quadrature gives for a chunk.

    Attributes
    ----------
    value, gradient, hessian
        Log-likelihood and its derivatives in psi.
    u
        (levels, q) conditional modes, for a warm start.
    unsettled
        Number of levels whose mode search did not settle.
    """

    value: Values
    gradient: Values
    hessian: Values
    u: Values
    unsettled: Values


def table(grid: Grid, dimensions: int) -> tuple[Array, Array]:
    """Nodes and log-weights as arrays of jax."""
    points, log_weights = node_table(grid, dimensions)
    return jnp.asarray(points), jnp.asarray(log_weights)


def predictor(x: Array, rows: Rows, layout: SingleLayout) -> Predictor:
    """Split psi and form what does not depend on u."""
    p, n_theta = layout.n_beta, layout.pattern.n_theta
    lam = covariance.factor(x[p : p + n_theta], layout.pattern)
    xi = x[-1] if layout.family.dispersion is not None else jnp.zeros((), x.dtype)
    return Predictor(rows.offset + rows.X @ x[:p], rows.Z[0] @ lam, xi)


def joint_log_density(
    at: Predictor, place: Placement, nodes: Array, rows: Rows, layout: SingleLayout
) -> Array:
    """Log p(y_g, u_gk) plus log|C_g|, (levels, K)."""
    eta = node_predictors(at, place, nodes, rows)
    return with_prior(log_prob(eta, at.xi, rows, layout.family), place, nodes, rows)


def node_predictors(at: Predictor, place: Placement, nodes: Array, rows: Rows) -> Array:
    """Linear predictor of every row at every node of its level, (n, K)."""
    codes = rows.codes[0]
    base = at.eta0 + (at.a * place.centre[codes]).sum(1)
    along = jnp.einsum("nq,nqj->nj", at.a, place.scale[codes])
    return base[:, None] + along @ nodes.T


def with_prior(value: Array, place: Placement, nodes: Array, rows: Rows) -> Array:
    """Log joint density of the nodes of each level, from the rows' (n, K)."""
    n_levels, q = place.centre.shape
    total = segment_sum(value, rows.codes[0], n_levels)
    u = place.centre[:, None, :] + jnp.einsum("gij,kj->gki", place.scale, nodes)
    log_scale = jnp.log(jnp.diagonal(place.scale, axis1=1, axis2=2)).sum(1)
    return total - 0.5 * (u * u).sum(2) + (log_scale - 0.5 * q * LOG_2PI)[:, None]


def posterior_weights(density: Array, log_weights: Array) -> tuple[Array, Array]:
    """Log L_g (levels,) and the weights of the nodes (levels, K)."""
    terms = density + log_weights
    value = jax.scipy.special.logsumexp(terms, axis=1)
    return value, jnp.exp(terms - value[:, None])


def occupied(rows: Rows, layout: SingleLayout) -> Array:
    """Whether a place of the chunk holds a level (levels,)."""
    return segment_sum(rows.mask, rows.codes[0], layout.n_levels) > 0


def place_nodes(
    at: Predictor, rows: Rows, start: Array, layout: SingleLayout
) -> tuple[Placement, Modes]:
    """Where the nodes of each level stand at one psi."""
    q = layout.pattern.k
    if not layout.placing.centred:
        eye = jnp.broadcast_to(jnp.eye(q), (layout.n_levels, q, q))
        zero = jnp.zeros((layout.n_levels, q))
        everywhere = jnp.ones(layout.n_levels, bool)
        return Placement(zero, eye), Modes(zero, eye, zero[:, 0], everywhere)
    modes = conditional_modes(
        at.eta0, at.a, at.xi, rows, rows.codes[0], start, layout.family
    )
    chol = modes.chol
    if layout.placing.exact and not layout.family.concave:
        # The search leaves out rows of negative curvature; here they count.
        eta = at.eta0 + (at.a * modes.u[rows.codes[0]]).sum(1)
        weight = -slopes(eta, at.xi, rows, layout.family).second
        chol = linalg.cholesky(precision(weight, at, rows, layout))
    floor = 1e-4 * linalg.inverse_from_cholesky(chol)
    place = Placement(modes.u, _inverse_transpose(chol))
    for grid in layout.placing.passes:
        nodes, log_weights = table(grid, q)
        density = joint_log_density(at, place, nodes, rows, layout)
        _, weight = posterior_weights(density, log_weights)
        mean = weight @ nodes
        second = jnp.einsum("gk,ki,kj->gij", weight, nodes, nodes)
        spread = second - mean[:, :, None] * mean[:, None, :]
        cov = place.scale @ spread @ jnp.swapaxes(place.scale, 1, 2) + floor
        centre = place.centre + jnp.einsum("gij,gj->gi", place.scale, mean)
        place = Placement(centre, linalg.cholesky(cov))
    return place, modes


def precision(weight: Array, at: Predictor, rows: Rows, layout: SingleLayout) -> Array:
    """Minus the Hessian of the joint density of each level (levels, q, q)."""
    codes, q = rows.codes[0], layout.pattern.k
    outer = (weight[:, None] * at.a)[:, :, None] * at.a[:, None, :]
    total = segment_sum(outer.reshape(-1, q * q), codes, layout.n_levels)
    return total.reshape(-1, q, q) + jnp.eye(q)


def _inverse_transpose(chol: Array) -> Array:
    """A lower triangular C with C C' = (L L')^-1."""
    return linalg.cholesky(linalg.inverse_from_cholesky(chol))


def chunk_sums(x: Array, rows: Rows, start: Array, layout: SingleLayout) -> Sums:
    """Log-likelihood of one chunk of rows, with gradient and Hessian."""
    x = lax.stop_gradient(x)
    at = predictor(x, rows, layout)
    place, modes = place_nodes(at, rows, start, layout)
    nodes, log_weights = table(layout.placing.grid, layout.pattern.k)
    eta = node_predictors(at, place, nodes, rows)
    s = slopes(eta, at.xi, rows, layout.family)
    density = with_prior(s.value, place, nodes, rows)
    value, weight = posterior_weights(density, log_weights)
    row_weight = weight[rows.codes[0]]
    mean_score, cov_score = _scores(
        s.first, eta, at, place, nodes, weight, rows, layout
    )
    hessian = cov_score + _mean_hessian(
        s.second, eta, at, place, nodes, row_weight, rows, layout
    )
    value = jnp.where(occupied(rows, layout), value, 0.0)
    return Sums(value.sum(), mean_score, hessian, modes.u, (~modes.settled).sum())


def _scores(
    first: Array,
    eta: Array,
    at: Predictor,
    place: Placement,
    nodes: Array,
    weight: Array,
    rows: Rows,
    layout: SingleLayout,
) -> tuple[Array, Array]:
    """Sum over levels of the mean score, and of its covariance over the nodes."""
    p, pattern = layout.n_beta, layout.pattern
    columns = jnp.concatenate([rows.X, rows.Z[0]], 1)
    u = place.centre[:, None, :] + jnp.einsum("gij,kj->gki", place.scale, nodes)
    # (levels, columns, K): one segment sum of products for each column.
    products = first[:, None, :] * columns[:, :, None]
    total = segment_sum(products, rows.codes[0], layout.n_levels)
    parts = [total[:, :p]]
    for r, c in zip(pattern.rows, pattern.cols, strict=True):
        parts.append((total[:, p + r] * u[:, :, c])[:, None, :])
    if layout.family.dispersion is not None:
        d = dispersion_slopes(eta, at.xi, rows, layout.family)
        parts.append(segment_sum(d.first, rows.codes[0], layout.n_levels)[:, None, :])
    score = jnp.concatenate(parts, 1)
    mean = (score * weight[:, None, :]).sum(2)
    centred = (score - mean[:, :, None]) * jnp.sqrt(weight)[:, None, :]
    flat = jnp.swapaxes(centred, 0, 1).reshape(score.shape[1], -1)
    return mean.sum(0), flat @ flat.T


def _mean_hessian(
    second: Array,
    eta: Array,
    at: Predictor,
    place: Placement,
    nodes: Array,
    weight: Array,
    rows: Rows,
    layout: SingleLayout,
) -> Array:
    """Sum over rows of the mean second derivative of the log-probability."""
    q, pattern, codes = layout.pattern.k, layout.pattern, rows.codes[0]
    pairs = nodes[:, :, None] * nodes[:, None, :]
    basis = jnp.concatenate(
        [jnp.ones_like(nodes[:, :1]), nodes, pairs.reshape(-1, q * q)], 1
    )
    moments = (weight * second) @ basis
    centre, scale = place.centre[codes], place.scale[codes]
    m0 = moments[:, 0]
    v1 = jnp.einsum("nij,nj->ni", scale, moments[:, 1 : q + 1])
    m1 = m0[:, None] * centre + v1
    v2 = scale @ moments[:, q + 1 :].reshape(-1, q, q) @ jnp.swapaxes(scale, 1, 2)
    cross = centre[:, :, None] * v1[:, None, :]
    m2 = (
        m0[:, None, None] * centre[:, :, None] * centre[:, None, :]
        + cross
        + jnp.swapaxes(cross, 1, 2)
        + v2
    )
    r, c = np.array(pattern.rows), np.array(pattern.cols)
    z = rows.Z[0][:, r]
    to_theta = z * m1[:, c]
    beta_beta = rows.X.T @ (m0[:, None] * rows.X)
    beta_theta = rows.X.T @ to_theta
    products = z[:, :, None] * z[:, None, :] * m2[:, c[:, None], c]
    theta_theta = products.sum(0)
    top = jnp.concatenate([beta_beta, beta_theta], 1)
    bottom = jnp.concatenate([beta_theta.T, theta_theta], 1)
    block = jnp.concatenate([top, bottom], 0)
    if layout.family.dispersion is None:
        return block
    d = dispersion_slopes(eta, at.xi, rows, layout.family)
    moments = (weight * d.cross) @ basis[:, : q + 1]
    c1 = moments[:, :1] * centre + jnp.einsum("nij,nj->ni", scale, moments[:, 1:])
    edge = jnp.concatenate([rows.X.T @ moments[:, 0], (z * c1[:, c]).sum(0)])
    corner = (weight * d.second).sum()
    return jnp.block([[block, edge[:, None]], [edge[None, :], corner[None, None]]])


def single_values(x: Array, rows: Rows, u: Array, layout: SingleLayout) -> Array:
    """Log-likelihood of each level (levels,), without derivatives."""
    at = predictor(x, rows, layout)
    place, _ = place_nodes(at, rows, u, layout)
    nodes, log_weights = table(layout.placing.grid, layout.pattern.k)
    density = joint_log_density(at, place, nodes, rows, layout)
    value = posterior_weights(density, log_weights)[0]
    return jnp.where(occupied(rows, layout), value, 0.0)


def assess_single(x: Array, rows: Rows, u: Array, layout: SingleLayout) -> Assessment:
    """Levels by the rule, and by the rules it is compared with."""
    at = predictor(x, rows, layout)
    place, _ = place_nodes(at, rows, u, layout)
    grid, q = layout.placing.grid, layout.pattern.k

    def by(rule: Grid) -> tuple[Array, Array]:
        nodes, log_weights = table(rule, q)
        density = joint_log_density(at, place, nodes, rows, layout)
        return posterior_weights(density, log_weights)

    value, weight = by(grid)
    difference = sum(jnp.abs(value - by(check)[0]) for check in checks(grid, q))
    real = occupied(rows, layout)
    return Assessment(
        jnp.where(real, value, 0.0),
        jnp.where(real, difference, 0.0),
        jnp.where(real, tail_mass(weight, grid, q), 0.0),
    )


def tail_mass(weight: Array, grid: Grid, q: int) -> Array:
    """Tail mass by geometric continuation of the two outermost nodes on each side."""
    out = jnp.zeros(weight.shape[0])
    if grid.name == "hermite":
        return out
    first = weight[:, : grid.n**q].reshape(-1, *[grid.n] * q)
    share = weight.shape[1] / grid.n**q
    for axis in range(1, q + 1):
        others = tuple(a for a in range(1, q + 1) if a != axis)
        marginal = share * first.sum(others)
        for edge, inner in ((0, 1), (-1, -2)):
            last, before = marginal[:, edge], marginal[:, inner]
            ratio = jnp.clip(last / jnp.maximum(before, 1e-300), 0.0, 0.95)
            out = out + last * ratio / (1.0 - ratio)
    # Twice, as the grids between stand half a spacing further in on one side.
    return 2.0 * out
