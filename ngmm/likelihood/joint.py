r"""All random effects at once: modes, and the factored Hessian, for any structure.

With eta = eta0 + A u, the spherical effects u of all factors maximise

.. math:: F(u) = \sum_i \log p(y_i \mid \eta_i) - |u|^2 / 2,
   \qquad -F'' = H = I + A' W A .

The first factor is block-diagonal in H and is eliminated level by level; what remains
of the others, S, is small and dense, one block for every set of levels that no row
connects (`ngmm.likelihood.layout`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.ops import segment_sum
from numpy.typing import NDArray

from ngmm import covariance, linalg
from ngmm.covariance import Pattern
from ngmm.families import Family
from ngmm.likelihood.blocks import apply_left, apply_right, transpose
from ngmm.likelihood.condense import Slots, choose_coupling, place_slots
from ngmm.likelihood.coupling import Coupling, FullCoupling
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.modes import CLOSE
from ngmm.likelihood.observations import Rows, slopes
from ngmm.likelihood.standardise import GroupedColumns
from ngmm.linalg import Values

MAX_STEPS = 100
# As for the levels of one factor (`ngmm.likelihood.modes`), in total.
SETTLED = 1e-13


class Meeting(NamedTuple):
    """Which entries of the coupling and which dense columns a row contributes to.

    Attributes
    ----------
    coupling
        The coupling of the first factor with the dense part, values zero.
    entry, slot
        For each dense factor, (n,) the first of the row's consecutive entries of the
        coupling, and of its consecutive columns through all components.
    """

    coupling: Coupling
    entry: tuple[Values, ...]
    slot: tuple[Values, ...]


class Effects(NamedTuple):
    """Spherical random effects: (levels, k) of the first factor, (c, m) of the rest."""

    first: Values
    dense: Values


class Factored(NamedTuple):
    """Cholesky factors of H, block by block.

    Attributes
    ----------
    chol
        (levels, k, k) factors of the diagonal blocks of the first factor.
    coupling
        Off-diagonal blocks, multiplied by the inverse of those factors; columns of the
        dense part not yet by Lambda.
    chol_rest
        (c, m, m) factors of the Schur complement.
    """

    chol: Array
    coupling: Coupling
    chol_rest: Array


class JointPredictor(NamedTuple):
    """Parameters at one psi, and the part of eta without random effects."""

    eta0: Array
    lam: tuple[Array, ...]
    xi: Array


@dataclass(frozen=True)
class JointLayout:
    """Static shape of a generalized model with several grouping factors."""

    family: Family
    layout: Layout
    n_levels: int

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Covariance parameters of all factors in the order of theta."""
        return self.layout.patterns

    @property
    def n_beta(self) -> int:
        """Number of fixed-effect columns."""
        return self.layout.n_beta


def meet(
    groups: Sequence[GroupedColumns], patterns: Sequence[Pattern], n_beta: int
) -> tuple[Meeting, Layout, Slots]:
    """Where rows meet in H, in numpy, once for every model.

    Raises
    ------
    NotSupportedError
        If the dense part would not fit in memory.
    """
    slots = place_slots(groups, patterns)
    layout = Layout(
        first=patterns[0],
        dense=slots.factors,
        n_components=slots.n_components,
        n_beta=n_beta,
        reml=False,
    )
    first = groups[0]
    levels, columns, rows, starts = [], [], [], []
    total = 0
    for group, column, pattern in zip(
        groups[1:], slots.column, patterns[1:], strict=True
    ):
        key = first.codes.astype(np.int64) * group.n_levels + group.codes
        pairs, where = np.unique(key, return_inverse=True)
        k = pattern.k
        slot = column[pairs % group.n_levels][:, None] + np.arange(k)
        levels.append(np.repeat(pairs // group.n_levels, k))
        columns.append(slot.ravel())
        rows.append(where.astype(np.int64))
        starts.append(total + np.arange(len(pairs)) * k)
        total += len(pairs) * k
    level, slot = np.concatenate(levels), np.concatenate(columns)
    order = np.lexsort((slot, level))
    rank = np.empty(total, dtype=np.int64)
    rank[order] = np.arange(total)
    coupling = choose_coupling(
        level[order],
        slot[order],
        np.zeros((total, patterns[0].k)),
        first.n_levels,
        layout,
    )
    if isinstance(coupling, FullCoupling):
        rank = level * layout.width + slot
    entry = tuple(
        rank[s][w].astype(np.int32) for s, w in zip(starts, rows, strict=True)
    )
    return (
        Meeting(
            coupling,
            entry,
            tuple(
                c[g.codes].astype(np.int32)
                for c, g in zip(slots.column, groups[1:], strict=True)
            ),
        ),
        layout,
        slots,
    )


def joint_predictor(x: Array, rows: Rows, layout: JointLayout) -> JointPredictor:
    """Split psi and form what does not depend on u."""
    p = layout.n_beta
    lam = []
    for pattern in layout.patterns:
        lam.append(covariance.factor(x[p : p + pattern.n_theta], pattern))
        p += pattern.n_theta
    xi = x[-1] if layout.family.dispersion is not None else jnp.zeros((), x.dtype)
    return JointPredictor(rows.offset + rows.X @ x[: layout.n_beta], tuple(lam), xi)


def linear_predictor(
    u: Effects, at: JointPredictor, rows: Rows, meeting: Meeting, layout: JointLayout
) -> Array:
    """Linear predictor of every row (n,)."""
    b = u.first @ at.lam[0].T
    eta = at.eta0 + (rows.Z[0] * b[rows.codes[0]]).sum(1)
    dense = apply_left(at.lam[1:], u.dense[:, :, None], layout.layout).reshape(-1)
    for z, slot in zip(rows.Z[1:], meeting.slot, strict=True):
        for i in range(z.shape[1]):
            eta = eta + z[:, i] * dense[slot + i]
    return eta


def pull_back(
    score: Array, at: JointPredictor, rows: Rows, meeting: Meeting, layout: JointLayout
) -> Effects:
    """Product of A' and a vector of rows."""
    shape = (layout.layout.n_components, layout.layout.width)
    first = segment_sum(score[:, None] * rows.Z[0], rows.codes[0], layout.n_levels)
    dense = jnp.zeros(shape[0] * shape[1], score.dtype)
    for z, slot in zip(rows.Z[1:], meeting.slot, strict=True):
        for i in range(z.shape[1]):
            dense = dense.at[slot + i].add(z[:, i] * score)
    lam_t = [transpose(lam) for lam in at.lam[1:]]
    rest = apply_left(lam_t, dense.reshape(*shape, 1), layout.layout)[:, :, 0]
    return Effects(first @ at.lam[0], rest)


def factorise(
    weight: Array, at: JointPredictor, rows: Rows, meeting: Meeting, layout: JointLayout
) -> Factored:
    """Cholesky factors of H = I + A' diag(weight) A."""
    z, codes, k = rows.Z[0], rows.codes[0], layout.layout.first.k
    m, c = layout.layout.width, layout.layout.n_components
    weighted = weight[:, None] * z
    outer = (weighted[:, :, None] * z[:, None, :]).reshape(-1, k * k)
    gram = segment_sum(outer, codes, layout.n_levels).reshape(-1, k, k)
    chol = linalg.cholesky(jnp.eye(k) + at.lam[0].T @ gram @ at.lam[0])
    values = meeting.coupling.values
    full = isinstance(meeting.coupling, FullCoupling)
    flat = jnp.zeros((layout.n_levels * m if full else values.shape[0], k), z.dtype)
    cells = jnp.zeros(c * m * m, z.dtype)
    for j, (x, entry, slot) in enumerate(
        zip(rows.Z[1:], meeting.entry, meeting.slot, strict=True)
    ):
        for i in range(x.shape[1]):
            flat = flat.at[entry + i].add(weighted * x[:, i : i + 1])
            for other, where in zip(rows.Z[1 + j :], meeting.slot[j:], strict=True):
                for h in range(other.shape[1]):
                    cell = (slot + i) * m + (where + h) % m
                    cells = cells.at[cell].add(weight * x[:, i] * other[:, h])
    # Blocks of a factor with itself are complete, those with another are one-sided.
    dense = _symmetric(cells.reshape(c, m, m), layout.layout)
    if full:
        flat = jnp.swapaxes(flat.reshape(-1, m, k), 1, 2)
    lam_first = jnp.broadcast_to(at.lam[0], chol.shape)
    coupling = meeting.coupling._replace(values=flat).lift(lam_first).whiten(chol)
    inner = dense - coupling.gram(None, (c, m))
    lam_t = [transpose(lam) for lam in at.lam[1:]]
    rest = apply_left(
        lam_t, apply_right(inner, at.lam[1:], layout.layout), layout.layout
    )
    return Factored(chol, coupling, linalg.cholesky(jnp.eye(m) + rest))


def _symmetric(upper: Array, layout: Layout) -> Array:
    """Fill the blocks below the diagonal from those above it."""
    label = np.concatenate(
        [np.full(d.stop - d.start, j) for j, d in enumerate(layout.dense)]
    )
    mirrored = jnp.asarray(label[:, None] > label[None, :])
    return jnp.where(mirrored, jnp.swapaxes(upper, 1, 2), upper)


def log_det(factored: Factored) -> Array:
    """Log-determinant of H."""
    return linalg.log_det_from_cholesky(factored.chol) + linalg.log_det_from_cholesky(
        factored.chol_rest
    )


def solve(
    factored: Factored, r: Effects, at: JointPredictor, layout: JointLayout
) -> Effects:
    """H^-1 r."""
    shape = (layout.layout.n_components, layout.layout.width)
    lam = at.lam[1:]
    t = linalg.solve_lower(factored.chol, r.first[:, :, None])
    pulled = factored.coupling.gather(t, shape)
    lam_t = [transpose(x) for x in lam]
    right = r.dense[:, :, None] - apply_left(lam_t, pulled, layout.layout)
    rest = jax.scipy.linalg.cho_solve((factored.chol_rest, True), right)
    back = factored.coupling.spread(
        apply_left(lam, rest, layout.layout), layout.n_levels
    )
    inverse = linalg.solve_lower(
        factored.chol, jnp.broadcast_to(jnp.eye(t.shape[1]), factored.chol.shape)
    )
    first = jnp.swapaxes(inverse, 1, 2) @ (t - back)
    return Effects(first[:, :, 0], rest[:, :, 0])


class JointModes(NamedTuple):
    """The joint mode of all random effects, with H there."""

    u: Effects
    eta: Array
    factored: Factored
    settled: Array


class _Look(NamedTuple):
    """A point: the objective, H, and the Newton step from there with its promise."""

    eta: Array
    value: Array
    factored: Factored
    step: Effects
    decrement: Array


class _State(NamedTuple):
    u: Effects
    look: _Look
    share: Array
    settled: Array
    n: Array


def joint_modes(
    at: JointPredictor,
    rows: Rows,
    meeting: Meeting,
    start: Effects,
    layout: JointLayout,
) -> JointModes:
    """Damped Newton on F, with rows of negative curvature left out of H."""

    def look(u: Effects) -> _Look:
        eta = linear_predictor(u, at, rows, meeting, layout)
        s = slopes(eta, at.xi, rows, layout.family)
        factored = factorise(jnp.maximum(-s.second, 0.0), at, rows, meeting, layout)
        g = _add(pull_back(s.first, at, rows, meeting, layout), u, -1.0)
        step = solve(factored, g, at, layout)
        value = s.value.sum() - 0.5 * _dot(u, u)
        return _Look(eta, value, factored, step, _dot(g, step))

    def going(s: _State) -> Array:
        return ~s.settled & (s.n < MAX_STEPS)

    def move(s: _State) -> _State:
        first = s.n == 0
        last = ~first & (s.look.decrement < SETTLED)
        trial = _add(s.u, s.look.step, s.share)
        new = look(trial)
        noise = 1e-12 * (1.0 + jnp.abs(s.look.value))
        near = s.look.decrement < CLOSE
        better = first | near | (new.value >= s.look.value - noise)
        share = jnp.where(better, jnp.minimum(1.0, 4.0 * s.share), 0.25 * s.share)
        u, kept = jax.tree.map(
            lambda a, b: jnp.where(better, a, b), (trial, new), (s.u, s.look)
        )
        return _State(u, kept, share, last, s.n + 1)

    blank = jax.tree.map(
        lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(look, start)
    )
    one = jnp.ones((), at.eta0.dtype)
    state = _State(start, blank, one, jnp.asarray(False), jnp.asarray(0))
    end = lax.while_loop(going, move, state)
    return JointModes(end.u, end.look.eta, end.look.factored, end.settled)


def _add(a: Effects, b: Effects, share: Array | float) -> Effects:
    return Effects(a.first + share * b.first, a.dense + share * b.dense)


def _dot(a: Effects, b: Effects) -> Array:
    return (a.first * b.first).sum() + (a.dense * b.dense).sum()


def to_levels(dense: NDArray[np.float64], column: NDArray[Any], k: int) -> NDArray[Any]:
    """Effects of one dense factor (levels, k) from (c, m)."""
    return dense.reshape(-1)[column[:, None] + np.arange(k)]
