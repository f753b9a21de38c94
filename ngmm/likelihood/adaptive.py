r"""Adaptive Gauss-Hermite quadrature about the mode, with derivatives through the mode.

With few nodes the sum depends on where they stand, so that its derivatives must follow
the mode and the curvature as psi changes; with one node the sum is Laplace's
approximation and little else. Two Newton steps with a fixed matrix, started from the
mode, leave it where it is and have its exact first and second derivatives in psi: an
error of order two in a change of psi after the first step becomes one of order three
after the second. So machine differentiation of those two steps is exact, and
needs neither the search for the mode nor a Cholesky factor to be differentiated.

References
----------
Liu & Pierce (1994), Biometrika 81, 624-629; Pinheiro & Bates (1995), JCGS 4, 12-35, for
the rule.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import linalg
from ngmm.likelihood.modes import Modes, conditional_modes
from ngmm.likelihood.observations import Rows, slopes
from ngmm.likelihood.quadrature import (
    Placement,
    Predictor,
    SingleLayout,
    Sums,
    joint_log_density,
    posterior_weights,
    predictor,
    table,
)


def chunk_exact(x: Array, rows: Rows, start: Array, layout: SingleLayout) -> Sums:
    """Log-likelihood of one chunk, with the derivatives of the sum itself."""
    at = predictor(lax.stop_gradient(x), rows, layout)
    modes = conditional_modes(
        at.eta0, at.a, at.xi, rows, rows.codes[0], start, layout.family
    )

    def value(psi: Array) -> tuple[Array, Array]:
        found = adaptive_values(psi, rows, modes, layout).sum()
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


def adaptive_values(x: Array, rows: Rows, modes: Modes, layout: SingleLayout) -> Array:
    """Log-likelihood of every level (levels,), differentiable through the mode."""
    at = predictor(x, rows, layout)
    inverse = lax.stop_gradient(linalg.inverse_from_cholesky(modes.chol))
    u = lax.stop_gradient(modes.u)
    for _ in range(2):
        u = u + jnp.einsum("gij,gj->gi", inverse, _gradient(u, at, rows, layout))
    precision = _precision(u, at, rows, layout)
    scale = linalg.cholesky(linalg.inverse_from_cholesky(linalg.cholesky(precision)))
    nodes, log_weights = table(layout.placing.grid, layout.pattern.k)
    density = joint_log_density(at, Placement(u, scale), nodes, rows, layout)
    return posterior_weights(density, log_weights)[0]


def _gradient(u: Array, at: Predictor, rows: Rows, layout: SingleLayout) -> Array:
    codes = rows.codes[0]
    eta = at.eta0 + (at.a * u[codes]).sum(1)
    first = slopes(eta, at.xi, rows, layout.family).first
    return segment_sum(first[:, None] * at.a, codes, layout.n_levels) - u


def _precision(u: Array, at: Predictor, rows: Rows, layout: SingleLayout) -> Array:
    codes, q = rows.codes[0], layout.pattern.k
    eta = at.eta0 + (at.a * u[codes]).sum(1)
    weight = -slopes(eta, at.xi, rows, layout.family).second
    outer = (weight[:, None] * at.a)[:, :, None] * at.a[:, None, :]
    total = segment_sum(outer.reshape(-1, q * q), codes, layout.n_levels)
    return total.reshape(-1, q, q) + jnp.eye(q)
