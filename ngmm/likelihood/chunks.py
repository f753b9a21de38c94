"""Rows sorted by level and cut into equal chunks of whole levels.

Arrays of rows by nodes are formed one chunk at a time: they stay in the cache, and the
memory they need does not grow with the data. A level is never split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.likelihood.observations import Rows

Ints = NDArray[np.int64]

# Elements of a rows-by-nodes array: about the size of a core's cache.
CELLS = 200_000


@dataclass(frozen=True)
class Chunks:
    """Rows in chunks, and where the levels went.

    Attributes
    ----------
    rows
        As `Rows`, with a leading axis of chunks; codes count within the chunk.
    levels
        For each factor, (chunks, places) the level that stands in each place of a
        chunk, -1 where none does.
    pick
        (chunks, rows) which row of the data stands there; any, where none does.
    """

    rows: Rows
    levels: tuple[Ints, ...]
    pick: Ints

    def collect(
        self, by_place: NDArray[np.float64], factor: int = 0
    ) -> NDArray[np.float64]:
        """Values in the places of the chunks as values of levels."""
        level = self.levels[factor]
        used = level >= 0
        out = np.empty((used.sum(), *by_place.shape[2:]))
        out[level[used]] = by_place[used]
        return out


def in_chunks(rows: Rows, n_levels: int, n_nodes: int) -> Chunks:
    """Cut the rows of a model with one grouping factor, or with nested ones.

    Parameters
    ----------
    rows
        All rows, in any order; the outermost factor comes last.
    n_levels
        Number of levels of the outermost factor; every one has a row.
    n_nodes
        Nodes of a row, which decide how many rows make a chunk.
    """
    codes = np.asarray(rows.codes[-1])
    order = np.argsort(codes, kind="stable")
    size = np.bincount(codes, minlength=n_levels)
    room = max(int(size.max()), CELLS // n_nodes)
    chunk = _assign(size, room)
    n_chunks = int(chunk[-1]) + 1
    first_level = np.searchsorted(chunk, np.arange(n_chunks))
    per_chunk = np.bincount(chunk, minlength=n_chunks)
    rows_per_chunk = np.bincount(chunk, size, n_chunks).astype(np.int64)
    height, width = int(rows_per_chunk.max()), int(per_chunk.max())
    start = np.cumsum(rows_per_chunk) - rows_per_chunk
    at = start[:, None] + np.arange(height)
    real = np.arange(height) < rows_per_chunk[:, None]
    pick = order[np.where(real, at, 0)]
    local = np.where(real, codes[pick] - first_level[:, None], width - 1)
    place = first_level[:, None] + np.arange(width)
    level = np.where(np.arange(width) < per_chunk[:, None], place, -1)
    inner = [_within(np.asarray(c)[pick], real) for c in rows.codes[:-1]]
    return Chunks(
        Rows(
            y=rows.y[pick],
            # A linear predictor that every link allows: -inf would not vanish
            # under the mask.
            offset=np.where(real, rows.offset[pick], 1.0),
            weights=rows.weights[pick],
            trials=rows.trials[pick],
            mask=real.astype(np.float64),
            X=np.where(real[..., None], rows.X[pick], 0.0),
            Z=tuple(np.where(real[..., None], z[pick], 0.0) for z in rows.Z),
            codes=(*(c for c, _ in inner), local.astype(np.int32)),
        ),
        (*(where for _, where in inner), level),
        pick,
    )


def _within(codes: Ints, real: NDArray[np.bool_]) -> tuple[NDArray[np.int32], Ints]:
    """Codes within each chunk, and the levels that they stand for.

    Parameters
    ----------
    codes
        (chunks, rows) levels of a factor none of whose levels is in two chunks.
    real
        (chunks, rows) whether there is such a row.
    """
    found = [np.unique(c[r]) for c, r in zip(codes, real, strict=True)]
    width = max(len(f) for f in found)
    level = np.full((len(codes), width), -1, dtype=np.int64)
    local = np.empty(codes.shape, dtype=np.int32)
    for i, levels in enumerate(found):
        level[i, : len(levels)] = levels
        place = np.searchsorted(levels, codes[i])
        local[i] = np.where(real[i], place, width - 1)
    return local, level


def _assign(size: Ints, room: int) -> Ints:
    """Chunk of each level: consecutive levels until the room is full."""
    out = np.empty(len(size), dtype=np.int64)
    total = np.cumsum(size)
    level, chunk, used = 0, 0, 0
    while level < len(size):
        stop = int(np.searchsorted(total, used + room, side="right"))
        out[level:stop] = chunk
        used = int(total[stop - 1])
        level, chunk = stop, chunk + 1
    return out
