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

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import linalg
from ngmm.likelihood.modes import Modes, conditional_modes
from ngmm.likelihood.observations import Rows, Taylor, taylor
from ngmm.likelihood.quadrature import (
    Placement,
    Predictor,
    SingleLayout,
    Sums,
    node_predictors,
    occupied,
    posterior_weights,
    precision,
    predictor,
    table,
    with_prior,
)


def chunk_exact(x: Array, rows: Rows, start: Array, layout: SingleLayout) -> Sums:
    """Log-likelihood of one chunk, with the derivatives of the sum itself."""
    at = predictor(lax.stop_gradient(x), rows, layout)
    modes = conditional_modes(
        at.eta0, at.a, at.xi, rows, rows.codes[0], start, layout.family
    )
    expansion = expand_about(at, modes, rows, layout)

    def value(psi: Array) -> tuple[Array, Array]:
        found = adaptive_values(psi, rows, expansion, layout).sum()
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


class Expansion(NamedTuple):
    """What is held fixed while the sum is differentiated.

    Attributes
    ----------
    u
        (levels, q) modes.
    inverse
        (levels, q, q) inverse Hessians there.
    about_mode
        Log-probabilities about the mode, to fourth degree.
    about_nodes
        The same about every node, to second degree; None if the only node is the mode.
    """

    u: Array
    inverse: Array
    about_mode: Taylor
    about_nodes: Taylor | None


def expand_about(
    at: Predictor, modes: Modes, rows: Rows, layout: SingleLayout
) -> Expansion:
    """Expand the log-probabilities about the mode and the nodes of one psi."""
    codes = rows.codes[0]
    eta = at.eta0 + (at.a * modes.u[codes]).sum(1)
    about_mode = taylor(eta, at.xi, rows, layout.family, 4)
    chol = modes.chol
    if not layout.family.concave:
        # The search leaves out rows of negative curvature; here they count.
        weight = -about_mode.terms[0][2]
        chol = linalg.cholesky(precision(weight, at, rows, layout))
    inverse = linalg.inverse_from_cholesky(chol)
    if layout.placing.grid.n == 1:
        return Expansion(modes.u, inverse, about_mode, None)
    place = Placement(modes.u, linalg.cholesky(inverse))
    nodes, _ = table(layout.placing.grid, layout.pattern.k)
    at_nodes = node_predictors(at, place, nodes, rows)
    about_nodes = taylor(at_nodes, at.xi, rows, layout.family, 2)
    return Expansion(modes.u, inverse, about_mode, about_nodes)


def adaptive_values(
    x: Array, rows: Rows, fixed: Expansion, layout: SingleLayout
) -> Array:
    """Log-likelihood of every level (levels,), differentiable through the mode."""
    at = predictor(x, rows, layout)
    codes, mode = rows.codes[0], fixed.about_mode
    u = lax.stop_gradient(fixed.u)
    inverse = lax.stop_gradient(fixed.inverse)
    for _ in range(2):
        eta = at.eta0 + (at.a * u[codes]).sum(1)
        first = mode.derivative(1, eta, at.xi)
        g = segment_sum(first[:, None] * at.a, codes, layout.n_levels) - u
        u = u + jnp.einsum("gij,gj->gi", inverse, g)
    eta = at.eta0 + (at.a * u[codes]).sum(1)
    weight = -mode.derivative(2, eta, at.xi)
    chol = linalg.cholesky(precision(weight, at, rows, layout))
    place = Placement(u, linalg.cholesky(linalg.inverse_from_cholesky(chol)))
    nodes, log_weights = table(layout.placing.grid, layout.pattern.k)
    if fixed.about_nodes is None:
        value = mode.derivative(0, eta, at.xi)[:, None]
    else:
        at_nodes = node_predictors(at, place, nodes, rows)
        value = fixed.about_nodes.derivative(0, at_nodes, at.xi)
    density = with_prior(value, place, nodes, rows)
    value = posterior_weights(density, log_weights)[0]
    return jnp.where(occupied(rows, layout), value, 0.0)
