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
    n_levels
        Levels that a chunk has room for.
    level
        (chunks, n_levels) the level that stands in each place, -1 where none does.
    """

    rows: Rows
    n_levels: int
    level: Ints

    def spread(self, by_level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of levels (levels, ...) in the places of the chunks; zero if empty."""
        found = by_level[np.maximum(self.level, 0)]
        mask = (self.level >= 0).reshape(*self.level.shape, *[1] * (found.ndim - 2))
        return np.where(mask, found, 0.0)

    def collect(self, by_place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in the places of the chunks as values of levels."""
        used = self.level >= 0
        out = np.empty((used.sum(), *by_place.shape[2:]))
        out[self.level[used]] = by_place[used]
        return out


def in_chunks(rows: Rows, n_levels: int, n_nodes: int) -> Chunks:
    """Cut the rows of a model with one grouping factor.

    Parameters
    ----------
    rows
        All rows, in any order.
    n_levels
        Number of levels; every one has a row.
    n_nodes
        Nodes of a level, which decide how many rows make a chunk.
    """
    codes = np.asarray(rows.codes[0])
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
    return Chunks(
        Rows(
            y=rows.y[pick],
            offset=np.where(real, rows.offset[pick], 0.0),
            weights=rows.weights[pick],
            trials=rows.trials[pick],
            mask=real.astype(np.float64),
            X=np.where(real[..., None], rows.X[pick], 0.0),
            Z=(np.where(real[..., None], rows.Z[0][pick], 0.0),),
            codes=(local.astype(np.int32),),
        ),
        width,
        level,
    )


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
