"""Rows of a model with a latent vector per level, arranged for the integration.

Two arrangements give the same sums. *Rows in chunks* of whole levels suit any data. A
*table* suits data in which few rows differ, as answers to forty items: with the same
nodes for all levels the network and the log-probability are evaluated once for each
distinct row, a cell of the table, and a level is its counts of cells, so that sums over
rows become products of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ngmm.likelihood.chunks import in_chunks
from ngmm.likelihood.observations import Rows
from ngmm.linalg import Values

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# A table takes levels times cells; it is formed if that is this many times the rows.
DENSE = 8
# Numbers in the largest array of a chunk.
CELLS = 2_000_000


class LatentData(NamedTuple):
    """Rows, what the network reads, and how they meet the levels.

    Attributes
    ----------
    rows
        In chunks, with codes of levels in the chunk; or the cells of a table, without.
    inputs
        What the network reads, with the same leading axes.
    counts
        (chunks, places, cells) how often a level has each cell; None without a table.
    """

    rows: Rows
    inputs: Values
    counts: Values | None


@dataclass(frozen=True, eq=False)
class LatentRows:
    """All rows of a model, in the order of the data.

    Attributes
    ----------
    y, offset, weights, trials
        (n,) response, known part of the linear predictor, prior weights, trials.
    X
        (n, p) fixed-effect columns of full rank.
    inputs
        What the network reads; leading axis n.
    codes
        (n,) level of each row.
    n_levels
        Number of levels; every one has a row.
    """

    y: Vector
    offset: Vector
    weights: Vector
    trials: Vector
    X: Matrix
    inputs: Any
    codes: NDArray[np.int32]
    n_levels: int


@dataclass(frozen=True, eq=False)
class Cells:
    """The distinct rows.

    Attributes
    ----------
    first
        (cells,) a row that shows the cell.
    of_row
        (n,) cell of each row.
    """

    first: NDArray[np.int64]
    of_row: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.first)


def distinct_rows(columns: Sequence[NDArray[Any]]) -> Cells:
    """Rows that agree in all columns, each (n,) or (n, ...).

    Rows are found by a hash of their bits and compared with the row that stands for
    them; should two different rows ever share one, no row is merged.
    """
    n = len(columns[0])
    generator = np.random.default_rng(0)
    key = np.zeros(n, dtype=np.uint64)
    flat = [np.asarray(c, dtype=np.float64).reshape(n, -1) for c in columns]
    for block in flat:
        for j in range(block.shape[1]):
            # Adding zero makes -0.0 and 0.0 one number.
            bits = (block[:, j] + 0.0).view(np.uint64)
            odd = generator.integers(1, 2**63, dtype=np.uint64) * np.uint64(
                2
            ) + np.uint64(1)
            mixed = bits * odd
            key = (key ^ (mixed ^ (mixed >> np.uint64(29)))) * odd
    _, first, of_row = np.unique(key, return_index=True, return_inverse=True)
    of_row = of_row.reshape(-1)
    if len(first) < n:
        for block in flat:
            for j in range(block.shape[1]):
                if not np.array_equal(block[:, j], block[first[of_row], j]):
                    return Cells(np.arange(n), np.arange(n))
    return Cells(first, of_row)


def cells_of(rows: LatentRows) -> Cells:
    """The distinct rows of a model, levels apart."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(rows.inputs)]
    return distinct_rows(
        [rows.y, rows.offset, rows.weights, rows.trials, rows.X, *leaves]
    )


def suits_table(rows: LatentRows, cells: Cells) -> bool:
    """Whether levels times cells is in proportion to the rows."""
    return rows.n_levels * cells.n <= DENSE * len(rows.y)


def in_table(rows: LatentRows, cells: Cells, X: Matrix, n_nodes: int) -> LatentData:
    """Distinct rows, and levels as counts of them.

    Parameters
    ----------
    rows
        The data.
    cells
        Their distinct rows.
    X
        Fixed-effect columns to use in place of those of the data.
    n_nodes
        Nodes, which decide how many levels make a chunk.
    """
    c = cells.n
    per_chunk = int(np.clip(CELLS // (c * n_nodes), 1, rows.n_levels))
    n_chunks = -(-rows.n_levels // per_chunk)
    per_chunk = -(-rows.n_levels // n_chunks)
    at = rows.codes.astype(np.int64) * c + cells.of_row
    counts = np.bincount(at, minlength=n_chunks * per_chunk * c)
    take = cells.first
    return LatentData(
        Rows(
            y=rows.y[take],
            offset=rows.offset[take],
            weights=rows.weights[take],
            trials=rows.trials[take],
            mask=np.ones(c),
            X=X[take],
            Z=(),
            codes=(),
        ),
        jax.tree.map(lambda a: np.asarray(a)[take], rows.inputs),
        counts.reshape(n_chunks, per_chunk, c).astype(np.float64),
    )


def in_row_chunks(rows: LatentRows, X: Matrix, width: int) -> LatentData:
    """Rows sorted by level in chunks of whole levels.

    Parameters
    ----------
    rows
        The data.
    X
        Fixed-effect columns to use in place of those of the data.
    width
        Numbers formed for a row at a time, which decide how many rows make a chunk.
    """
    n = len(rows.y)
    # The place of a row in the data travels as a column, for its inputs to follow.
    whole = Rows(
        y=rows.y,
        offset=rows.offset,
        weights=rows.weights,
        trials=rows.trials,
        mask=np.ones(n),
        X=X,
        Z=(np.arange(n, dtype=np.float64)[:, None],),
        codes=(rows.codes,),
    )
    found = in_chunks(whole, rows.n_levels, width).rows
    place = found.Z[0][..., 0].astype(np.int64)
    return LatentData(
        found._replace(Z=()),
        jax.tree.map(lambda a: np.asarray(a)[place], rows.inputs),
        None,
    )
