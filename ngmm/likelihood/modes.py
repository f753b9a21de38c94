r"""Conditional modes of the random effects of one grouping factor.

Given psi, the levels are independent; each maximises

.. math:: f_g(u) = \sum_{i \in g} \log p(y_i \mid \eta_i) - |u|^2 / 2,
   \qquad \eta_i = \eta_{0i} + a_i' u,

by Newton steps on all levels at once. A level whose step does not raise f halves it,
without which the search diverges where variances are large. The Hessian is the
observed one, with rows of negative curvature left out so that it stays definite.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import linalg
from ngmm.families import Family
from ngmm.likelihood.observations import Rows, slopes
from ngmm.linalg import Values

MAX_STEPS = 60
# Squared length of the last Newton step in standard deviations of u given the data:
# the step is taken, and what remains is its square.
SETTLED = 1e-13
# Below this a step is taken whatever it does to the value, whose rounding may hide it:
# that of counts of a million is 1e-8 and more.
CLOSE = 1e-6


class Modes(NamedTuple):
    """Where the conditional densities peak.

    Attributes
    ----------
    u
        (levels, q) modes.
    chol
        (levels, q, q) lower Cholesky factors of minus the Hessian at the mode.
    value
        (levels,) log joint density at the mode, without the constant of the normal.
    settled
        (levels,) whether the search ended at a stationary point.
    """

    u: Values
    chol: Values
    value: Values
    settled: Values


class _Point(NamedTuple):
    value: Array
    gradient: Array
    hessian: Array


class _State(NamedTuple):
    u: Array
    point: _Point
    share: Array
    settled: Array
    n: Array


def conditional_modes(
    eta0: Array,
    a: Array,
    xi: Array,
    rows: Rows,
    codes: Array,
    start: Array,
    family: Family,
) -> Modes:
    """Maximise the joint density over u, level by level.

    Parameters
    ----------
    eta0
        (n,) linear predictor at u = 0.
    a
        (n, q) derivative of the linear predictor in the u of the row's level.
    xi
        Log-dispersion.
    rows
        Responses.
    codes
        (n,) level of each row.
    start
        (levels, q) first guess.
    family
        Response distribution.
    """
    n_levels, q = start.shape

    def evaluate(u: Array) -> _Point:
        s = slopes(eta0 + (a * u[codes]).sum(1), xi, rows, family)
        weight = jnp.maximum(-s.second, 0.0)
        outer = (weight[:, None] * a)[:, :, None] * a[:, None, :]
        flat = jnp.concatenate(
            [s.value[:, None], s.first[:, None] * a, outer.reshape(-1, q * q)], 1
        )
        total = segment_sum(flat, codes, n_levels)
        return _Point(
            total[:, 0] - 0.5 * (u * u).sum(1),
            total[:, 1 : q + 1] - u,
            total[:, q + 1 :].reshape(-1, q, q) + jnp.eye(q),
        )

    def going(s: _State) -> Array:
        return ~s.settled.all() & (s.n < MAX_STEPS)

    def step(s: _State) -> _State:
        chol = linalg.cholesky(s.point.hessian)
        half = linalg.solve_lower(chol, s.point.gradient[..., None])[..., 0]
        p = jnp.einsum(
            "gij,gj->gi", linalg.inverse_from_cholesky(chol), s.point.gradient
        )
        decrement = (half * half).sum(1)
        last = (decrement < SETTLED) & (s.n > 0)
        trial = s.u + s.share[:, None] * p
        new = evaluate(trial)
        noise = 1e-12 * (1.0 + jnp.abs(s.point.value))
        # Whatever the first point is, it is the first.
        better = new.value >= s.point.value - noise
        better = better | (decrement < CLOSE) | (s.n == 0)
        keep = better & ~s.settled

        def pick(x: Array, y: Array) -> Array:
            return jnp.where(keep.reshape(-1, *[1] * (x.ndim - 1)), x, y)

        point = _Point(*(pick(x, y) for x, y in zip(new, s.point, strict=True)))
        share = jnp.where(better, jnp.minimum(1.0, 4.0 * s.share), 0.25 * s.share)
        return _State(pick(trial, s.u), point, share, s.settled | last, s.n + 1)

    nothing = _Point(
        jnp.zeros(n_levels, eta0.dtype),
        jnp.zeros((n_levels, q), eta0.dtype),
        jnp.broadcast_to(jnp.eye(q, dtype=eta0.dtype), (n_levels, q, q)),
    )
    state = _State(
        start,
        nothing,
        jnp.ones(n_levels, eta0.dtype),
        jnp.zeros(n_levels, bool),
        jnp.asarray(0),
    )
    end = lax.while_loop(going, step, state)
    return Modes(
        end.u, linalg.cholesky(end.point.hessian), end.point.value, end.settled
    )
