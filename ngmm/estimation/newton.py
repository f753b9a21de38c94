r"""Trust-region Newton with the exact Hessian, as one loop that jax can vmap.

Each step minimises the quadratic model within a ball,

.. math:: \min_p \; g'p + \tfrac12 p'Hp \quad \text{subject to } |p| \le \Delta,

exactly, from the eigendecomposition of H: with few parameters it costs nothing, and it
leaves saddle points along directions of negative curvature, which a variance that
starts at zero needs.

References
----------
More & Sorensen (1983), SIAM J. Sci. Stat. Comput. 4, 553-572; Conn, Gould & Toint
(2000), Trust-Region Methods, alg. 6.1.1 and sec. 7.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ngmm.estimation.status import Status
from ngmm.linalg import Values, precise

# When a full Newton step cannot gain more than this in the objective (-2 log-likelihood
# units, eight digits below what a test can notice), or than rounding lets one see in an
# objective of a million, that step is taken and is the last: Newton squares the error,
# so what remains after it is rounding.
GAIN_TOLERANCE = 1e-8
RELATIVE_GAIN_TOLERANCE = 1e-12
# The same for methods without a Hessian, which come to a halt earlier.
ARRIVED = 1e-6


class Evaluation(NamedTuple):
    """What the optimiser sees of a point."""

    value: Array
    gradient: Array
    hessian: Array


class NewtonResult(NamedTuple):
    """Where the search ended.

    Attributes
    ----------
    x, value, gradient, hessian
        Best point and the objective there.
    aux
        What the objective returned beside its derivatives, at x.
    gain
        Predicted gain still to be had, the decrease of a full Newton step.
    n_steps
        Evaluations used.
    status
        A `Status`.
    """

    x: Values
    value: Values
    gradient: Values
    hessian: Values
    aux: Values
    gain: Values
    n_steps: Values
    status: Values


class _State(NamedTuple):
    best: NewtonResult
    trial: Array
    predicted: Array
    radius: Array
    polishing: Array


def minimise(
    evaluate: Callable[..., tuple[Evaluation, Values]],
    x0: Array,
    *,
    carry: Values | None = None,
    retract: Callable[[Array, Array], Array] = lambda x, p: x + p,
    polish: Callable[[Array], Array] = lambda x: x,
    radius: float = 1.0,
    max_steps: int | Array = 100,
) -> NewtonResult:
    """Minimise a smooth function from x0.

    Parameters
    ----------
    evaluate
        x -> (value, gradient and Hessian; anything to keep at the best point). With
        `carry`, (x, what was kept at the best point so far) -> the same.
    x0
        Starting point (d,).
    carry
        What the first evaluation takes as kept: a warm start.
    retract
        (x, p) -> next trial point, x + p up to terms of second order in p; a curved
        path where the objective is closer to quadratic in other coordinates.
    polish
        Applied to the converged point; the result is kept if the objective does not
        rise beyond rounding. Used to set vanishing variances to exactly zero.
    radius
        First trust radius, in units of x.
    max_steps
        Evaluations before giving up with `Status.MAX_STEPS`.

    Notes
    -----
    One evaluation a step, and one copy of `evaluate` in the compiled program.
    """
    dtype = x0.dtype
    if carry is None:

        def look(x: Array, _: Values) -> tuple[Evaluation, Values]:
            return evaluate(x)

    else:
        look = evaluate
    blank = jax.eval_shape(look, x0, carry)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), blank)
    start = NewtonResult(
        x=x0,
        value=jnp.asarray(jnp.inf, dtype),
        gradient=zeros[0].gradient,
        hessian=zeros[0].hessian,
        aux=zeros[1] if carry is None else carry,
        gain=jnp.asarray(jnp.inf, dtype),
        n_steps=jnp.asarray(0),
        status=jnp.asarray(int(Status.RUNNING)),
    )
    state = _State(
        start,
        x0,
        jnp.asarray(jnp.inf, dtype),
        jnp.asarray(radius, dtype),
        jnp.asarray(False),
    )

    def running(s: _State) -> Array:
        return s.best.status == int(Status.RUNNING)

    def step(s: _State) -> _State:
        return _step(s, look, retract, polish, max_steps)

    return lax.while_loop(running, step, state).best


def _step(
    s: _State,
    evaluate: Callable[[Array, Values], tuple[Evaluation, Values]],
    retract: Callable[[Array, Array], Array],
    polish: Callable[[Array], Array],
    max_steps: int | Array,
) -> _State:
    """Evaluate the trial point, accept or reject it, and propose the next one."""
    new, aux = evaluate(s.trial, s.best.aux)
    first = s.best.n_steps == 0
    noise = 1e-14 * jnp.abs(new.value) + 1e-12
    finite = (
        jnp.isfinite(new.value)
        & jnp.isfinite(new.gradient).all()
        & jnp.isfinite(new.hessian).all()
    )
    actual = jnp.where(first, 0.0, s.best.value - new.value)
    ratio = jnp.where(
        s.predicted > noise, actual / s.predicted, jnp.where(actual > -noise, 1.0, -1.0)
    )
    # The first point is kept whatever it is: NaN there must show in the result.
    accept = first | (
        finite & jnp.where(s.polishing, actual > -1e3 * noise, ratio > 1e-4)
    )

    def pick(a: Array, b: Array) -> Array:
        return jnp.where(accept, a, b)

    best = s.best._replace(
        x=pick(s.trial, s.best.x),
        value=pick(new.value, s.best.value),
        gradient=pick(new.gradient, s.best.gradient),
        hessian=pick(new.hessian, s.best.hessian),
        aux=jax.tree.map(pick, aux, s.best.aux),
        n_steps=s.best.n_steps + 1,
    )
    radius = jnp.where(
        first,
        s.radius,
        jnp.where(
            ~accept | (ratio < 0.25),
            0.25 * jnp.linalg.norm(s.trial - s.best.x),
            jnp.where(ratio > 0.75, 2.0 * s.radius, s.radius),
        ),
    )
    p, predicted, gain, convex = trust_region_step(best.gradient, best.hessian, radius)
    scale = 1.0 + jnp.linalg.norm(best.x)
    enough = jnp.maximum(GAIN_TOLERANCE, RELATIVE_GAIN_TOLERANCE * jnp.abs(best.value))
    converged = convex & (gain < enough) & (best.n_steps > 1)
    stalled = ~converged & (radius < 1e-12 * scale)
    status = jnp.select(
        [
            first & ~finite,
            s.polishing,
            stalled,
            best.n_steps >= max_steps,
        ],
        [
            int(Status.NOT_FINITE),
            int(Status.CONVERGED),
            int(Status.STALLED),
            int(Status.MAX_STEPS),
        ],
        int(Status.RUNNING),
    )
    best = best._replace(gain=gain, status=status)
    trial = jnp.where(converged, polish(best.x + p), retract(best.x, p))
    return _State(best, trial, predicted, radius, converged)


def trust_region_step(
    g: Array, hessian: Array, radius: Array
) -> tuple[Array, Array, Array, Array]:
    """Exact step, its predicted decrease, the full Newton gain, and convexity.

    The gain is g' H^+ g / 2 over the directions of positive curvature; it is what
    convergence is judged by, and means something only when the Hessian is convex.
    A direction whose curvature is lost in rounding counts as having that much if the
    slope along it matters even so, and is left alone otherwise.
    """
    values, vectors = jnp.linalg.eigh(hessian)
    c = vectors.T @ g
    floor = 1e-10 * jnp.maximum(jnp.abs(values).max(), 1e-300)
    convex = values[0] > -floor
    flat = jnp.abs(values) <= floor
    sloping = flat & (0.5 * c * c > GAIN_TOLERANCE * floor)
    newton = jnp.where(flat, 0.0, -c / jnp.where(flat, 1.0, values))
    curvature = jnp.where(flat, floor, values)
    gain = 0.5 * jnp.where((values > floor) | sloping, c * c / curvature, 0.0).sum()
    inside = convex & ~sloping.any() & (jnp.linalg.norm(newton) <= radius)
    shifted = _boundary_step(values, c, radius)
    p = jnp.where(inside, newton, shifted)
    predicted = -(c @ p + 0.5 * (values * p) @ p)
    return vectors @ p, predicted, gain, convex


def ended(gain: float, max_steps_reached: bool) -> Status:
    """How a search by other means ended, judged by what a Newton step would gain.

    Other methods do not know when they have arrived: gains of a thousandth of what a
    test can notice count as none.
    """
    if not np.isfinite(gain):
        return Status.NOT_FINITE
    if gain < ARRIVED:
        return Status.CONVERGED
    return Status.MAX_STEPS if max_steps_reached else Status.STALLED


def predicted_gain(gradient: Values, hessian: Values) -> float:
    """Decrease of the objective that a full Newton step promises."""
    with precise():
        g, h = jnp.asarray(gradient), jnp.asarray(hessian)
        return float(trust_region_step(g, h, jnp.asarray(jnp.inf))[2])


def _boundary_step(values: Array, c: Array, radius: Array) -> Array:
    """Step on the boundary, in eigencoordinates: p = -c / (values + shift).

    The smallest shift of a fine geometric grid that brings the step inside the radius;
    what it lacks in length, at most a twentieth, costs nothing. When c has nothing
    along the lowest eigenvector (the hard case), that eigenvector fills the step.
    """
    low = jnp.maximum(0.0, -values[0])
    width = (1.0 + 1e-12) * jnp.linalg.norm(c) / radius + 1e-300
    shifts = low + width * jnp.concatenate([jnp.zeros(1), 1.05 ** jnp.arange(-600, 1)])
    gaps = values + shifts[:, None]
    tiny = 1e-14 * jnp.maximum(jnp.abs(values).max(), 1e-300)
    steps = jnp.where(gaps > tiny, -c / jnp.where(gaps > tiny, gaps, 1.0), 0.0)
    endless = (gaps <= tiny) & (jnp.abs(c) > 1e-12 * jnp.linalg.norm(c))
    inside = ((steps * steps).sum(1) <= radius**2) & ~endless.any(1)
    p = steps[jnp.argmax(inside)]
    missing = jnp.sqrt(jnp.maximum(radius**2 - p @ p, 0.0))
    sign = jnp.where(c[0] > 0, -1.0, 1.0)
    hard = (values[0] < 0) & (missing > 0.1 * radius)
    filled = p.at[0].set(sign * jnp.sqrt(p[0] ** 2 + missing**2))
    return jnp.where(hard, filled, p)
