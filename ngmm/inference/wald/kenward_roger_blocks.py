"""Rows that share no random effect, block by block, for products with V^-1.

Rows of different levels of an outermost grouping factor are independent. Blocks of
equal shape are stacked, so that a thousand small ones cost a few array operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.errors import NotSupportedError

Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]

# A dense block of this many random effects is 200 MB, and a few are held at once.
MAX_BLOCK = 5_000
# Numbers in all blocks together: 1.2 GB.
MAX_CELLS = 150_000_000


@dataclass(frozen=True, eq=False)
class Stack:
    """Blocks of one shape: the cross-products of their columns Z with Z and X.

    Attributes
    ----------
    zz, zx
        (blocks, q, q) and (blocks, q, p).
    shapes
        For each term (first column, levels, columns per level) within a block.
    """

    zz: Matrix
    zx: Matrix
    shapes: tuple[tuple[int, int, int], ...]

    def solved(self, covariances: Sequence[Matrix]) -> tuple[Matrix, Matrix]:
        """Z' V^-1 Z and Z' V^-1 X for V = I + Z D Z'.

        Parameters
        ----------
        covariances
            Covariance of the random effects of a level, for each term.
        """
        q = self.zz.shape[1]
        d = np.zeros((q, q))
        for (start, levels, k), one in zip(self.shapes, covariances, strict=True):
            stop = start + levels * k
            d[start:stop, start:stop] = np.kron(np.eye(levels), one)
        both = np.concatenate([self.zz, self.zx], axis=2)
        found: Matrix = np.asarray(
            np.linalg.solve(np.eye(q) + self.zz @ d, both), dtype=np.float64
        )
        M = found[:, :, :q]
        return np.asarray(0.5 * (M + M.transpose(0, 2, 1))), found[:, :, q:]

    def part(self, B: Matrix, term: int) -> Matrix:
        """Rows of one term of (blocks, q, w) as (blocks, levels, k, w)."""
        start, levels, k = self.shapes[term]
        rows = B[:, start : start + levels * k]
        return rows.reshape(len(B), levels, k, B.shape[2])

    def columns(self, M: Matrix, term: int, column: int) -> Matrix:
        """Columns of one effect of a term: (blocks, q, levels)."""
        start, levels, k = self.shapes[term]
        return M[:, :, start + column : start + levels * k : k]

    def diagonal(self, M: Matrix, term: int) -> Matrix:
        """Sum over the levels of a term of the (k, k) blocks of M."""
        part = self.part(M, term)
        start, levels, k = self.shapes[term]
        blocks = part[..., start : start + levels * k]
        blocks = blocks.reshape(len(M), levels, k, levels, k)
        return np.einsum("xlalb->ab", blocks)

    def pair_products(self, M: Matrix, one: int, other: int) -> Matrix:
        """Sums of M[la, mc] M[lb, md] over levels l and m: (a, c, b, d)."""
        start, levels, k = self.shapes[other]
        part = self.part(M, one)[..., start : start + levels * k]
        part = part.reshape(*part.shape[:3], levels, k)
        kt = part.shape[2]
        flat = np.moveaxis(part, (2, 4), (0, 1)).reshape(kt * k, -1)
        return np.asarray(flat @ flat.T).reshape(kt, k, kt, k)


@dataclass(frozen=True, eq=False)
class Blocks:
    """All blocks of a model, equal shapes together."""

    stacks: tuple[Stack, ...]


def independent_blocks(
    terms: Sequence[RandomDesign], root: NDArray[np.float64], x: Matrix
) -> Blocks:
    """The blocks of a model with residual variance one over the weights.

    Parameters
    ----------
    terms
        Random-effects terms.
    root
        (n,) square roots of the prior weights.
    x
        (n, p) fixed-effect columns, multiplied by them.

    Raises
    ------
    NotSupportedError
        If the blocks do not fit in memory.
    """
    component, n_components = _components(terms)
    counts = np.stack(
        [
            np.bincount(component[t][: term.n_levels], minlength=n_components)
            for t, term in enumerate(terms)
        ],
        axis=1,
    )
    sizes = np.array([len(term.names) for term in terms])
    _check_size(counts @ sizes)
    place, owner = _places(terms, component, counts, sizes)
    shapes, kind = np.unique(counts, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    zz, zx = _cross_products(terms, root, x)
    stacks: list[Stack] = []
    for index, shape in enumerate(shapes):
        members = np.flatnonzero(kind == index)
        slot = np.full(n_components, -1)
        slot[members] = np.arange(len(members))
        q = int(shape @ sizes)
        dense = np.zeros((len(members), q, q))
        inside = slot[owner[zz.row]] >= 0
        i, j = zz.row[inside], zz.col[inside]
        dense[slot[owner[i]], place[i], place[j]] = zz.data[inside]
        right = np.zeros((len(members), q, x.shape[1]))
        mine = np.flatnonzero(slot[owner] >= 0)
        right[slot[owner[mine]], place[mine]] = zx[mine]
        starts = np.concatenate([[0], np.cumsum(shape * sizes)[:-1]])
        described = np.stack([starts, shape, sizes], axis=1).tolist()
        stacks.append(Stack(dense, right, tuple((a, b, c) for a, b, c in described)))
    return Blocks(tuple(stacks))


def _components(terms: Sequence[RandomDesign]) -> tuple[list[Ints], int]:
    """For each term the block of each of its levels, and the number of blocks."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.concatenate([[0], np.cumsum([t.n_levels for t in terms])])
    total = int(starts[-1])
    first = terms[0].codes.astype(np.int64)
    rows = np.concatenate([first for _ in terms])
    cols = np.concatenate(
        [t.codes.astype(np.int64) + s for t, s in zip(terms, starts[:-1], strict=True)]
    )
    links = coo_array((np.ones(len(rows)), (rows, cols)), shape=(total, total))
    n, labels = connected_components(links, directed=False)
    found = [labels[a:b].astype(np.int64) for a, b in pairwise(starts)]
    return found, int(n)


def _places(
    terms: Sequence[RandomDesign], component: list[Ints], counts: Ints, sizes: Ints
) -> tuple[Ints, Ints]:
    """Place of each column of Z within its block, and its block."""
    offsets = np.cumsum(counts * sizes, axis=1) - counts * sizes
    places: list[Ints] = []
    owners: list[Ints] = []
    for t in range(len(terms)):
        of = component[t]
        order = np.argsort(of, kind="stable")
        first = np.cumsum(counts[:, t]) - counts[:, t]
        rank = np.empty(len(of), dtype=np.int64)
        rank[order] = np.arange(len(of)) - first[of[order]]
        k = int(sizes[t])
        start = offsets[of, t] + rank * k
        places.append((start[:, None] + np.arange(k)).reshape(-1))
        owners.append(np.repeat(of, k))
    return np.concatenate(places), np.concatenate(owners)


def _cross_products(
    terms: Sequence[RandomDesign], root: NDArray[np.float64], x: Matrix
) -> tuple[Any, Matrix]:
    """Z'Z as coordinates and Z'X, for weighted rows."""
    from scipy.sparse import csr_array, hstack

    n = len(root)
    parts: list[object] = []
    for term in terms:
        k = len(term.names)
        columns = term.codes.astype(np.int64)[:, None] * k + np.arange(k)
        values = (term.Z * root[:, None]).reshape(-1)
        pointer = np.arange(n + 1) * k
        shape = (n, term.n_levels * k)
        parts.append(csr_array((values, columns.reshape(-1), pointer), shape=shape))
    z = csr_array(hstack(parts))
    return (z.T @ z).tocoo(), np.asarray(z.T @ x)


def _check_size(sizes: Ints) -> None:
    largest, cells = int(sizes.max()), float((sizes.astype(float) ** 2).sum())
    if largest > MAX_BLOCK or cells > MAX_CELLS:
        raise NotSupportedError(
            f"Kenward and Roger's method needs a dense matrix of {largest:,} x "
            f"{largest:,} random effects that share rows; it is available up to "
            f'{MAX_BLOCK:,}. Use df="satterthwaite", which costs nothing more than '
            "the fit"
        )
