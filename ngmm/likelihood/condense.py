"""Rows to cross-products: done once per fit, in numpy, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern
from ngmm.errors import NotSupportedError
from ngmm.likelihood.arrangement import is_nested
from ngmm.likelihood.coupling import Coupling, FullCoupling, SparseCoupling
from ngmm.likelihood.elimination import System
from ngmm.likelihood.layout import DenseFactor, Layout
from ngmm.likelihood.standardise import GroupedColumns, Matrix, Standardised

Ints = NDArray[np.int64]

# One (m, m) matrix of the dense part, and about eight more like it while derivatives
# are formed, must fit in memory: 12,000 columns are 1.2 GB each.
MAX_DENSE_CELLS = 150_000_000
# Forty bytes each while the dense part is collected.
MAX_PAIRS = 100_000_000
# Seconds of a multiply-add in a matrix product, and of one pair in a segment sum,
# as a ratio: measured 60 to 200 on x86 with two cores.
PAIR_COST = 100


@dataclass(frozen=True)
class Slots:
    """Where the levels of the dense factors stand.

    Attributes
    ----------
    factors
        Layout of each dense factor within a component.
    n_components
        Number of components.
    column
        For each dense factor, the first column of each of its levels, counted
        through all components: component * m + column.
    """

    factors: tuple[DenseFactor, ...]
    n_components: int
    column: tuple[Ints, ...]


@dataclass(frozen=True)
class Condensed:
    """Cross-products, their static shape, and where dense levels stand.

    Attributes
    ----------
    system, layout
        What the likelihood takes.
    column
        For each dense factor, the first column of each of its levels, counted
        through all components.
    """

    system: System
    layout: Layout
    column: tuple[Ints, ...]


def condense(
    data: Standardised,
    groups: Sequence[GroupedColumns],
    patterns: Sequence[Pattern],
    *,
    reml: bool,
) -> Condensed:
    """Cross-products of the standardised rows; `groups` in elimination order."""
    first, z = groups[0], data.columns[0]
    n, k = z.shape
    g, whiten = level_bases(z, first.codes, first.n_levels)
    basis = (
        np.einsum("nij,nj->ni", whiten[first.codes], z)
        if k > 1
        else (z * whiten[first.codes, 0])
    )
    rho = _sum_outer(basis, data.tail, first.codes, first.n_levels)
    rest = data.tail - np.einsum("nk,nkw->nw", basis, rho[first.codes])
    slots = place_slots(groups, patterns)
    layout = Layout(
        first=patterns[0],
        dense=slots.factors,
        n_components=slots.n_components,
        n_beta=data.tail.shape[1] - 1,
        reml=reml,
    )
    coupling, dense, dense_tail = _dense_part(data, groups, slots, layout, basis, rho)
    system = System(
        n_rows=np.float64(n),
        g=g,
        rho=rho,
        within=rest.T @ rest,
        coupling=coupling,
        dense=dense,
        dense_tail=dense_tail,
    )
    return Condensed(system, layout, slots.column)


def _sum_outer(a: Matrix, b: Matrix, codes: NDArray[Any], n_levels: int) -> Matrix:
    """Sum of a_i b_i' over the rows of each level: (levels, columns a, columns b)."""
    out = np.empty((n_levels, a.shape[1], b.shape[1]))
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            out[:, i, j] = np.bincount(codes, a[:, i] * b[:, j], n_levels)
    return out


def level_bases(z: Matrix, codes: NDArray[Any], n_levels: int) -> tuple[Matrix, Matrix]:
    """G with Z_l' Z_l = G G', and the pseudo-inverse of G, for each level.

    Directions whose share of a level's variation is below rounding (1e-13 of the
    largest) are taken as absent, as when a level has fewer rows than effects.
    """
    gram = _sum_outer(z, z, codes, n_levels)
    if z.shape[1] == 1:
        g = np.sqrt(gram)
        return g, np.divide(1.0, g, out=np.zeros_like(g), where=g > 0)
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-13 * values[:, -1:]
    root = np.sqrt(np.where(keep, values, 0.0))
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=keep)
    return vectors * root[:, None, :], np.swapaxes(vectors * inverse[:, None, :], 1, 2)


def place_slots(groups: Sequence[GroupedColumns], patterns: Sequence[Pattern]) -> Slots:
    """Split the dense factors into components that no row connects."""
    dense = groups[1:]
    if not dense:
        return Slots((), 0, ())
    component = _components(groups)
    slots = _arrange(patterns[1:], component)
    width = slots.factors[-1].stop
    if slots.n_components * width**2 > MAX_DENSE_CELLS:
        one = [np.zeros(d.n_levels, dtype=np.int64) for d in dense]
        slots = _arrange(patterns[1:], one)
        width = slots.factors[-1].stop
        if width**2 > MAX_DENSE_CELLS:
            raise NotSupportedError(
                f"the grouping factors beside the largest one have {width:,} random "
                f"effects, whose dense {width:,} x {width:,} matrix needs "
                f"{8e-9 * width**2:.1f} GB; up to "
                f"{int(MAX_DENSE_CELLS**0.5):,} are supported. Remove a term, or "
                "merge rare levels of the second largest factor."
            )
    return slots


def _components(groups: Sequence[GroupedColumns]) -> list[Ints]:
    """Connected component of each level of the dense factors."""
    if len(groups) == 2 and is_nested(groups[0].codes, groups[1].codes):
        return [np.arange(groups[1].n_levels, dtype=np.int64)]
    # scipy loads slowly and only models with several factors need it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.cumsum([0] + [g.n_levels for g in groups])
    edges = [
        np.unique(groups[0].codes.astype(np.int64) * starts[-1] + (starts[j] + g.codes))
        for j, g in enumerate(groups[1:], 1)
    ]
    edge = np.concatenate(edges)
    graph = coo_array(
        (np.ones(len(edge), dtype=np.int8), (edge // starts[-1], edge % starts[-1])),
        shape=(starts[-1], starts[-1]),
    )
    _, label = connected_components(graph, directed=False)
    return [
        label[starts[j] : starts[j + 1]].astype(np.int64) for j in range(1, len(groups))
    ]


def _arrange(
    patterns: Sequence[Pattern],
    component: Sequence[Ints],
) -> Slots:
    """Give every level its columns, factor by factor within its component."""
    n_components = 1 + max(int(c.max()) for c in component)
    factors: list[DenseFactor] = []
    local: list[Ints] = []
    start = 0
    for p, c in zip(patterns, component, strict=True):
        rank = _rank_within(c, n_components)
        factors.append(DenseFactor(p, int(rank.max()) + 1, start))
        local.append(start + rank * p.k)
        start = factors[-1].stop
    column = tuple(c * start + where for c, where in zip(component, local, strict=True))
    return Slots(tuple(factors), n_components, column)


def _rank_within(label: Ints, n_labels: int) -> Ints:
    """Position of each element among those with its label."""
    order = np.argsort(label, kind="stable")
    counts = np.bincount(label, minlength=n_labels)
    first = np.cumsum(counts) - counts
    rank = np.empty(len(label), dtype=np.int64)
    rank[order] = np.arange(len(label)) - first[label[order]]
    return rank


def _dense_part(
    data: Standardised,
    groups: Sequence[GroupedColumns],
    slots: Slots,
    layout: Layout,
    basis: Matrix,
    rho: Matrix,
) -> tuple[Coupling | None, Matrix, Matrix]:
    """Coupling to the first factor, and dense cross-products less its projection."""
    m, c = layout.width, layout.n_components
    p1 = data.tail.shape[1]
    if not layout.dense:
        return None, np.zeros((0, 0, 0)), np.zeros((0, 0, p1))
    dense = np.zeros(c * m * m)
    tail = np.zeros((c * m, p1))
    parts = []
    columns = list(zip(groups[1:], data.columns[1:], slots.column, strict=True))
    for group, z, column in columns:
        at = column[group.codes]
        for i in range(z.shape[1]):
            for w in range(p1):
                tail[:, w] += np.bincount(at + i, z[:, i] * data.tail[:, w], c * m)
        parts.append(_entries(group, z, column, groups[0], basis))
        for other, x, where in columns:
            to = where[other.codes]
            for i in range(z.shape[1]):
                for j in range(x.shape[1]):
                    cell = (at + i) * m + (to + j) % m
                    dense += np.bincount(cell, z[:, i] * x[:, j], c * m * m)
    level, slot, values = (np.concatenate(x) for x in zip(*parts, strict=True))
    order = np.lexsort((slot, level))
    level, slot, values = level[order], slot[order], values[order]
    coupling = choose_coupling(level, slot, values, groups[0].n_levels, layout)
    projection = _projection(coupling, c, m)
    explained = np.einsum("ek,ekw->ew", values, rho[level])
    for w in range(p1):
        tail[:, w] -= np.bincount(slot, explained[:, w], c * m)
    return (
        coupling,
        dense.reshape(c, m, m) - projection,
        tail.reshape(c, m, p1),
    )


def _entries(
    group: GroupedColumns,
    z: Matrix,
    column: Ints,
    first: GroupedColumns,
    basis: Matrix,
) -> tuple[Ints, Ints, Matrix]:
    """Level, column and value of the entries of nu that one dense factor has."""
    key = first.codes.astype(np.int64) * group.n_levels + group.codes
    pairs, where = np.unique(key, return_inverse=True)
    values = _sum_outer(basis, z, where, len(pairs))
    level, other = pairs // group.n_levels, pairs % group.n_levels
    k = z.shape[1]
    slot = column[other][:, None] + np.arange(k)
    return (
        np.repeat(level, k),
        slot.ravel(),
        np.swapaxes(values, 1, 2).reshape(-1, basis.shape[1]),
    )


def choose_coupling(
    level: Ints, slot: Ints, values: Matrix, n_levels: int, layout: Layout
) -> Coupling:
    """The cheaper of the two forms."""
    m, k = layout.width, layout.first.k
    counts = np.bincount(level, minlength=n_levels)
    n_pairs = int((counts * (counts + 1) // 2).sum())
    full_cost, full_cells = int(n_levels) * m * m, int(n_levels) * k * m
    prefers_full = full_cost < PAIR_COST * n_pairs or n_pairs > MAX_PAIRS
    if layout.n_components == 1 and full_cells <= MAX_DENSE_CELLS and prefers_full:
        full = np.zeros((n_levels, k, m))
        full[level, :, slot] = values
        return FullCoupling(full)
    if n_pairs > MAX_PAIRS:
        raise NotSupportedError(
            f"the levels of the largest grouping factor meet {n_pairs:,} pairs of "
            f"levels of the others, which needs {4e-8 * n_pairs:.0f} GB; up to "
            f"{MAX_PAIRS:,} pairs "
            "are supported. Remove a term, or merge rare levels"
        )
    # 32-bit integers throughout: there are millions of pairs.
    short = slot.astype(np.int32)
    left, right = _pairs_within(counts)
    row, column = short[left], (short % m)[right]
    order = _order_by(row, column)
    left, right, row, column = left[order], right[order], row[order], column[order]
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    target = np.cumsum(new, dtype=np.int32) - 1
    cell = row[new].astype(np.int64) * m + column[new]
    small = np.int32 if layout.n_components * m * m < 2**31 else np.int64
    return SparseCoupling(
        values=values,
        level=level.astype(np.int32),
        slot=short,
        left=left,
        right=right,
        target=target,
        cell=cell.astype(small),
    )


def _order_by(row: NDArray[np.int32], column: NDArray[np.int32]) -> NDArray[np.intp]:
    """Stable order by row, then column; numbers below 2^16 are sorted by radix."""
    narrow = np.uint16 if max(row.max(), column.max()) < 2**16 else np.int32
    by_column = np.argsort(column.astype(narrow), kind="stable")
    by_row = np.argsort(row.astype(narrow)[by_column], kind="stable")
    order: NDArray[np.intp] = by_column[by_row]
    return order


def _pairs_within(counts: Ints) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """All pairs left <= right of consecutive entries that share a level."""
    stop = np.repeat(np.cumsum(counts), counts)
    entry = np.arange(len(stop))
    n_right = stop - entry
    left = np.repeat(entry.astype(np.int32), n_right)
    first = np.cumsum(n_right) - n_right
    shift = np.repeat((entry - first).astype(np.int32), n_right)
    return left, np.arange(len(left), dtype=np.int32) + shift


def _projection(coupling: Coupling, c: int, m: int) -> Matrix:
    """Sum over levels of nu' nu, in numpy."""
    values = np.asarray(coupling.values)
    if isinstance(coupling, FullCoupling):
        flat = values.reshape(-1, m)
        return (flat.T @ flat)[None]
    left, right = np.asarray(coupling.left), np.asarray(coupling.right)
    products = np.einsum("qk,qk->q", values[left], values[right])
    upper = np.zeros(c * m * m)
    upper[np.asarray(coupling.cell)] = np.bincount(
        np.asarray(coupling.target), products
    )
    upper = upper.reshape(c, m, m)
    full = upper + np.swapaxes(upper, 1, 2)
    i = np.arange(m)
    full[:, i, i] *= 0.5
    return full
