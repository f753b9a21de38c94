r"""Joint modes of two nested factors: an arrow of small blocks for every outer level.

Given psi, outer levels are independent; each maximises the joint density of its own
effect u and of the effects v of the inner levels within it. Eliminating the inner
blocks one by one leaves a matrix of the size of u.
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
from ngmm.likelihood.modes import CLOSE, MAX_STEPS, SETTLED
from ngmm.likelihood.observations import Rows, slopes
from ngmm.likelihood.quadrature import Placing
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
        value = value - 0.5 * by_outer((u.inner**2).sum(1), parent, layout)
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
        taken = by_outer(jnp.swapaxes(v, 1, 2) @ half, parent, layout)
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
        decrement = decrement + by_outer((g_in * step_in).sum(1), parent, layout)
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
        near = s.look.decrement < CLOSE
        better = first | near | (new.value >= s.look.value - noise)
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


def by_outer(values: Array, parent: Array, layout: NestedLayout) -> Array:
    """Sums over the inner levels of each outer one."""
    return segment_sum(values, parent, layout.n_outer)
