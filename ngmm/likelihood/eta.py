r"""The marginal log-likelihood of whole levels as a function of the fixed predictor.

With one grouping factor and :math:`\eta_i = \eta_{0i} + a_i' u_{g(i)}`,
:math:`a_i = \Lambda' z_i`, u standard normal,

.. math:: \ell(\eta_0, a, \xi) = \sum_g \log \int \prod_{i \in g}
          p(y_i \mid \eta_{0i} + a_i' u, \xi)\, \phi(u)\, du .

What produces eta_0, a network or a linear form, needs no more than its gradient. For a
Gaussian response that is :math:`V^{-1} r`; for all others Fisher's identity gives the
posterior mean of the row's score, a weighted mean over the nodes that the integral has
used already:

.. math:: \partial\ell / \partial\eta_{0i} = E[s_i \mid y], \quad
          \partial\ell / \partial a_i = E[s_i u \mid y], \quad
          s_i = \partial \log p(y_i \mid \eta_i) / \partial \eta_i .

Nodes are held fixed under derivatives, as in `ngmm.likelihood.quadrature`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import covariance, linalg
from ngmm.covariance import Pattern
from ngmm.families import Family
from ngmm.likelihood.nodes import hermite, trapezoid
from ngmm.likelihood.observations import Rows, dispersion_slopes, log_prob
from ngmm.likelihood.quadrature import (
    Placement,
    Placing,
    Predictor,
    SingleLayout,
    node_predictors,
    occupied,
    place_nodes,
    posterior_weights,
    table,
    with_prior,
)

LOG_2PI = float(np.log(2.0 * np.pi))

# Nodes per dimension of a batch, by number of dimensions; the final estimate of a fit
# is made with as many as it needs.
NODES = {1: 15, 2: 9, 3: 7, 4: 5}
# Nodes by which the others are moved to the posterior mean and covariance.
MOVING = {1: 9, 2: 7, 3: 5, 4: 4}


@dataclass(frozen=True)
class EtaLayout:
    """Static shape of a batch of whole levels of one grouping factor.

    Attributes
    ----------
    family
        Response distribution.
    pattern
        Covariance parameters.
    n_levels
        Levels that a batch has room for.
    """

    family: Family
    pattern: Pattern
    n_levels: int

    @property
    def placing(self) -> Placing:
        """Nodes about the posterior: few, as every step meets them."""
        k = self.pattern.k
        if k not in NODES:
            return Placing(hermite(1))
        return Placing(trapezoid(NODES[k], k), (trapezoid(MOVING[k], k),))


class Parameters(NamedTuple):
    """What a batch takes as known beside eta_0.

    Attributes
    ----------
    theta
        Covariance parameters, one for each of the pattern's; relative to sigma if the
        response is Gaussian.
    xi
        Log-dispersion; log sigma if the response is Gaussian.
    """

    theta: Array
    xi: Array


def batch_loglik(
    eta0: Array, parameters: Parameters, rows: Rows, layout: EtaLayout
) -> Array:
    """Marginal log-likelihood of the levels of a batch, with all constants.

    Parameters
    ----------
    eta0
        (n,) linear predictor without random effects; `rows.offset` is not added.
    parameters
        Covariance and dispersion parameters.
    rows
        The rows; those of mask zero count for nothing. X is not looked at, and Z and
        codes have one element.
    layout
        What is static.

    Notes
    -----
    Differentiable once in eta0 and in the parameters. Cost O(n k^2) if the response is
    Gaussian, O(n K) with K nodes otherwise, for value and gradient together.
    """
    a = rows.Z[0] @ covariance.factor(parameters.theta, layout.pattern)
    if layout.family.has_residual:
        return _gaussian(eta0, a, parameters.xi, rows, layout)
    return _integrated(eta0, a, parameters.xi, rows, layout)


def _gaussian(
    eta0: Array, a: Array, log_sigma: Array, rows: Rows, layout: EtaLayout
) -> Array:
    """Levels one by one: |V| = |M|, V^-1 = W - W A M^-1 A' W, M = I + A' W A."""
    k, codes = layout.pattern.k, rows.codes[0]
    weight = rows.weights * rows.mask
    r = (rows.y - eta0) * rows.mask
    outer = (weight[:, None] * a)[:, :, None] * a[:, None, :]
    flat = jnp.concatenate(
        [(weight * r)[:, None] * a, outer.reshape(-1, k * k)],
        1,
    )
    total = segment_sum(flat, codes, layout.n_levels)
    chol = linalg.cholesky(total[:, k:].reshape(-1, k, k) + jnp.eye(k))
    half = linalg.solve_lower(chol, total[:, :k, None])
    square = (weight * r * r).sum() - (half * half).sum()
    log_weights = jnp.log(jnp.where(rows.mask > 0, rows.weights, 1.0)).sum()
    n = rows.mask.sum()
    constant = n * (LOG_2PI + 2.0 * log_sigma) - log_weights
    log_det = linalg.log_det_from_cholesky(chol)
    return -0.5 * (constant + log_det + square * jnp.exp(-2.0 * log_sigma))


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _integrated(
    eta0: Array, a: Array, xi: Array, rows: Rows, layout: EtaLayout
) -> Array:
    single = _single(layout)
    at = Predictor(eta0, a, xi)
    place, nodes, log_weights = _nodes(at, rows, single)
    density = log_prob(node_predictors(at, place, nodes, rows), xi, rows, layout.family)
    value, _ = posterior_weights(with_prior(density, place, nodes, rows), log_weights)
    return jnp.where(occupied(rows, single), value, 0.0).sum()


class _Slopes(NamedTuple):
    """Gradient of the log-likelihood, and the rows, whose cotangents are none."""

    eta0: Array
    a: Array
    xi: Array


def _forward(
    eta0: Array, a: Array, xi: Array, rows: Rows, layout: EtaLayout
) -> tuple[Array, _Slopes]:
    single = _single(layout)
    at = Predictor(eta0, a, xi)
    place, nodes, log_weights = _nodes(at, rows, single)
    eta = node_predictors(at, place, nodes, rows)
    value, first = jax.jvp(
        lambda e: log_prob(e, xi, rows, layout.family), (eta,), (jnp.ones_like(eta),)
    )
    density = with_prior(value, place, nodes, rows)
    levels, weight = posterior_weights(density, log_weights)
    codes = rows.codes[0]
    row_weight = weight[codes]
    weighted = row_weight * first
    mean = weighted.sum(1)
    along = jnp.einsum("nij,nj->ni", place.scale[codes], weighted @ nodes)
    to_xi = jnp.zeros_like(xi)
    if layout.family.dispersion is not None:
        slopes = dispersion_slopes(eta, xi, rows, layout.family)
        to_xi = (row_weight * slopes.first).sum()
    total = jnp.where(occupied(rows, single), levels, 0.0).sum()
    return total, _Slopes(mean, mean[:, None] * place.centre[codes] + along, to_xi)


def _backward(
    layout: EtaLayout, kept: _Slopes, cotangent: Array
) -> tuple[Array, Array, Array, None]:
    del layout
    return cotangent * kept.eta0, cotangent * kept.a, cotangent * kept.xi, None


_integrated.defvjp(_forward, _backward)


def _single(layout: EtaLayout) -> SingleLayout:
    return SingleLayout(
        layout.family, layout.pattern, 0, layout.n_levels, layout.placing
    )


def _nodes(
    at: Predictor, rows: Rows, layout: SingleLayout
) -> tuple[Placement, Array, Array]:
    """Placement about the posterior of every level, and the table of nodes."""
    at = lax.stop_gradient(at)
    start = jnp.zeros((layout.n_levels, layout.pattern.k), at.eta0.dtype)
    place, _ = place_nodes(at, rows, start, layout)
    nodes, log_weights = table(layout.placing.grid, layout.pattern.k)
    return lax.stop_gradient(place), nodes, log_weights
