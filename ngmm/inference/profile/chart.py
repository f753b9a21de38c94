r"""The maximum of a likelihood with one parameter held, by a change of coordinates.

Standard deviations and correlations are not coordinates of psi, but after a
permutation of the columns of a term they nearly are: with Lambda lower triangular the
standard deviation of the first column is the element (0, 0), and the correlation of
the first two columns is that of (sin a, cos a), the direction of the first two elements
of the second row. Holding one of them leaves

.. math:: \psi = D\,u(z) + d, \qquad u_i = z_i \text{ or } e^{z_i},

with the other parameters z free. One coordinate of z, that of what is held, has a zero
column in D and is idle, so that every parameter of a model shares one program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.covariance import Pattern
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.retraction import retract, vanish
from ngmm.linalg import Values

Vector = NDArray[np.float64]

# Newton steps of a search at most.
MAX_STEPS = 100

Evaluate = Callable[[Array, Values], tuple[Evaluation, Values]]


class Chart(NamedTuple):
    """psi = matrix @ u(z) + shift.

    Attributes
    ----------
    matrix, shift
        (P, P) and (P,).
    logs
        (P,) where u = exp(z): quantities that must not change sign.
    """

    matrix: Values
    shift: Values
    logs: Values


class Held(NamedTuple):
    """A constrained maximum.

    Attributes
    ----------
    z
        (P,) the free coordinates.
    value
        -2 log-likelihood, up to a constant.
    gain
        Decrease that a further Newton step promises.
    status
        How the search ended, a `Status`.
    """

    z: Values
    value: Values
    gain: Values
    status: Values


def free(size: int) -> Chart:
    """The chart that holds nothing."""
    return Chart(np.eye(size), np.zeros(size), np.zeros(size, dtype=bool))


def held_coordinate(size: int, at: int, value: float) -> Chart:
    """The chart that holds psi[at] = value."""
    chart = free(size)
    chart.matrix[at, at] = 0.0
    chart.shift[at] = value
    return chart


def held_angle(size: int, lead: int, along: int, across: int, angle: float) -> Chart:
    """The chart that holds (psi[along], psi[across]) to a direction (sin, cos).

    Parameters
    ----------
    size
        Length of psi.
    lead
        Element (0, 0) of the term's Lambda, which keeps its sign.
    along, across
        Elements (1, 0) and (1, 1).
    angle
        Arc sine of the correlation.
    """
    chart = free(size)
    chart.matrix[along, along] = np.sin(angle)
    chart.matrix[across, along] = np.cos(angle)
    chart.matrix[across, across] = 0.0
    chart.logs[[lead, along]] = True
    return chart


def minimise_held(
    evaluate: Evaluate,
    z: Array,
    chart: Chart,
    carry: Values,
    first: int,
    patterns: Sequence[Pattern],
    max_steps: Array,
) -> Held:
    """Trust-region Newton in the free coordinates.

    Parameters
    ----------
    evaluate
        (psi, what was kept at the best point) -> (-2 log-likelihood and its
        derivatives, what to keep).
    z
        Where to start.
    chart
        What is held.
    carry
        What the first evaluation takes as kept.
    first, patterns
        Where theta stands in psi, and its patterns.
    max_steps
        Evaluations before giving up.
    """

    def look(at: Array, kept: Values) -> tuple[Evaluation, Values]:
        u = jnp.where(chart.logs, jnp.exp(at), at)
        found, kept = evaluate(chart.matrix @ u + chart.shift, kept)
        slope = jnp.where(chart.logs, u, 1.0)
        g = slope * (chart.matrix.T @ found.gradient)
        h = chart.matrix.T @ found.hessian @ chart.matrix
        h = slope[:, None] * h * slope + jnp.diag(jnp.where(chart.logs, g, 0.0))
        return Evaluation(found.value, g, 0.5 * (h + h.T)), kept

    result: NewtonResult = minimise(
        look,
        z,
        carry=carry,
        retract=lambda at, p: jnp.where(
            chart.logs, at + p, retract(at, p, first, patterns)
        ),
        polish=lambda at: jnp.where(chart.logs, at, vanish(at, first, patterns)),
        max_steps=max_steps,
    )
    return Held(result.x, result.value, result.gain, result.status)
