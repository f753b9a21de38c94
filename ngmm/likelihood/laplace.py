r"""Laplace's approximation for any structure of random effects, crossed ones included.

.. math:: \log L \approx F(\hat u) - \tfrac12 \log |H(\hat u)|

with the observed Hessian H. First and second derivatives in psi are exact: see
`ngmm.likelihood.adaptive` for how they pass through the mode.

References
----------
Tierney & Kadane (1986), JASA 81, 82-86; Skaug & Fournier (2006), Comput. Stat. Data
Anal. 51, 699-709, for derivatives by machine.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.joint import (
    Effects,
    Factored,
    JointLayout,
    JointModes,
    JointPredictor,
    Meeting,
    factorise,
    joint_modes,
    joint_predictor,
    linear_predictor,
    log_det,
    pull_back,
    solve,
)
from ngmm.likelihood.observations import Rows, Taylor, slopes, taylor
from ngmm.likelihood.retraction import retract, vanish
from ngmm.linalg import Values


class JointKept(NamedTuple):
    """Joint modes for a warm start, and whether the search for them settled."""

    u: Effects
    unsettled: Values


class JointSums(NamedTuple):
    """Log-likelihood with derivatives in psi, and the modes."""

    value: Values
    gradient: Values
    hessian: Values
    kept: JointKept


class Fixed(NamedTuple):
    """What is held fixed while Laplace's approximation is differentiated."""

    u: Effects
    factored: Factored
    about_mode: Taylor


def expand_about(
    at: JointPredictor,
    modes: JointModes,
    rows: Rows,
    meeting: Meeting,
    layout: JointLayout,
) -> Fixed:
    """Expand the log-probabilities about the mode, to fourth degree."""
    about = taylor(modes.eta, at.xi, rows, layout.family, 4)
    factored = modes.factored
    if not layout.family.concave:
        # The search leaves out rows of negative curvature; here they count.
        factored = factorise(-about.terms[0][2], at, rows, meeting, layout)
    return lax.stop_gradient(Fixed(modes.u, factored, about))


def laplace(
    x: Array, rows: Rows, meeting: Meeting, fixed: Fixed, layout: JointLayout
) -> Array:
    """Laplace's log-likelihood, differentiable in psi through the given modes."""
    at = joint_predictor(x, rows, layout)
    before = joint_predictor(lax.stop_gradient(x), rows, layout)
    u, about = fixed.u, fixed.about_mode
    for _ in range(2):
        eta = linear_predictor(u, at, rows, meeting, layout)
        first = about.derivative(1, eta, at.xi)
        pulled = pull_back(first, at, rows, meeting, layout)
        g = Effects(pulled.first - u.first, pulled.dense - u.dense)
        step = solve(fixed.factored, g, before, layout)
        u = Effects(u.first + step.first, u.dense + step.dense)
    eta = linear_predictor(u, at, rows, meeting, layout)
    norm = (u.first * u.first).sum() + (u.dense * u.dense).sum()
    weight = -about.derivative(2, eta, at.xi)
    curvature = factorise(weight, at, rows, meeting, layout)
    value = about.derivative(0, eta, at.xi).sum()
    return value - 0.5 * norm - 0.5 * log_det(curvature)


def _sums(
    x: Array, rows: Rows, meeting: Meeting, kept: JointKept, layout: JointLayout
) -> JointSums:
    at = joint_predictor(lax.stop_gradient(x), rows, layout)
    modes = joint_modes(at, rows, meeting, kept.u, layout)
    fixed = expand_about(at, modes, rows, meeting, layout)

    def value(psi: Array) -> tuple[Array, Array]:
        found = laplace(psi, rows, meeting, fixed, layout)
        return found, found

    def slope(psi: Array) -> tuple[Array, tuple[Array, Array]]:
        gradient, found = jax.grad(value, has_aux=True)(psi)
        return gradient, (gradient, found)

    hessian, (gradient, found) = jax.jacfwd(slope, has_aux=True)(x)
    unsettled = (~modes.settled).astype(jnp.int64)
    hessian = 0.5 * (hessian + hessian.T)
    return JointSums(found, gradient, hessian, JointKept(modes.u, unsettled))


def _evaluate(
    x: Array, rows: Rows, meeting: Meeting, kept: JointKept, *, layout: JointLayout
) -> JointSums:
    return _sums(x, rows, meeting, kept, layout)


def _maximise(
    x: Array,
    rows: Rows,
    meeting: Meeting,
    kept: JointKept,
    max_steps: Array,
    *,
    layout: JointLayout,
) -> NewtonResult:
    def evaluate(at: Array, last: JointKept) -> tuple[Evaluation, JointKept]:
        s = _sums(at, rows, meeting, last, layout)
        return (
            Evaluation(-2.0 * s.value, -2.0 * s.gradient, -2.0 * s.hessian),
            s.kept,
        )

    p, patterns = layout.n_beta, layout.patterns
    return minimise(
        evaluate,
        x,
        carry=kept,
        retract=lambda at, step: retract(at, step, p, patterns),
        polish=lambda at: vanish(at, p, patterns),
        max_steps=max_steps,
    )


def negative(
    x: Array, rows: Rows, meeting: Meeting, kept: JointKept, *, layout: JointLayout
) -> Array:
    """Minus the log-likelihood, for first-order methods."""
    at = joint_predictor(lax.stop_gradient(x), rows, layout)
    modes = joint_modes(at, rows, meeting, kept.u, layout)
    fixed = expand_about(at, modes, rows, meeting, layout)
    return -laplace(x, rows, meeting, fixed, layout)


# Every step factorises and differentiates: worth good code from a few thousand rows on.
SMALL = 40_000


def loglik(
    x: Array, rows: Rows, meeting: Meeting, kept: JointKept, layout: JointLayout
) -> Array:
    """Log-likelihood alone."""
    at = joint_predictor(x, rows, layout)
    modes = joint_modes(at, rows, meeting, kept.u, layout)
    s = slopes(modes.eta, at.xi, rows, layout.family)
    factored = modes.factored
    if not layout.family.concave:
        factored = factorise(-s.second, at, rows, meeting, layout)
    u = modes.u
    norm = (u.first * u.first).sum() + (u.dense * u.dense).sum()
    return s.value.sum() - 0.5 * norm - 0.5 * log_det(factored)


def _value(
    x: Array, rows: Rows, meeting: Meeting, kept: JointKept, *, layout: JointLayout
) -> Array:
    return loglik(x, rows, meeting, kept, layout)


value: Compiled = Compiled(_value, small=SMALL)
"""(x, rows, meeting, kept, layout=) -> log-likelihood."""

evaluate: Compiled = Compiled(_evaluate, small=SMALL)
"""(x, rows, meeting, kept, layout=) -> JointSums."""

maximise: Compiled = Compiled(_maximise, small=SMALL)
"""(x, rows, meeting, kept, max_steps, layout=) -> NewtonResult with a JointKept."""
