"""Batches of whole levels: drawn anew for every epoch, all of one shape.

A level is never split, since the marginal likelihood of a part of it is that of
another model. Levels are put into strata of similar size, one level of a stratum to
each batch: which levels meet is random, yet every batch has about as many rows, and
the most that it can have is known before any is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


class Picks(NamedTuple):
    """Which rows the batches of an epoch take; the first axis is that of the batches.

    Attributes
    ----------
    rows
        (batches, height) positions of the rows in the data; zero for padding.
    places
        (batches, height) the place of the row's level within the batch, in increasing
        order; the last place for padding.
    sizes
        (batches,) number of rows that are not padding.
    """

    rows: Ints
    places: Ints
    sizes: Ints


@dataclass(frozen=True, eq=False)
class LevelIndex:
    """The rows of each level, as positions in the data.

    Attributes
    ----------
    order
        (n,) positions of the rows, sorted by level.
    start, size
        (levels,) where a level begins in `order`, and how many rows it has.
    """

    order: Ints
    start: NDArray[np.int64]
    size: NDArray[np.int64]


def index_levels(codes: NDArray[np.integer], n_levels: int) -> LevelIndex:
    """Sort the rows by level; the data themselves stay where they are."""
    order = np.argsort(codes, kind="stable").astype(np.int32)
    size = np.bincount(codes, minlength=n_levels)
    return LevelIndex(order, np.cumsum(size) - size, size)


@dataclass(frozen=True, eq=False)
class Batches:
    """Levels that are dealt to batches.

    Attributes
    ----------
    index
        Rows of all levels.
    levels
        The levels to use.
    n_batches
        Batches of an epoch.
    """

    index: LevelIndex
    levels: NDArray[np.int64]
    n_batches: int

    @property
    def n_rows(self) -> int:
        """Rows of all levels in use."""
        return int(self.index.size[self.levels].sum())

    @property
    def width(self) -> int:
        """Levels that a batch has room for."""
        return -(-len(self.levels) // self.n_batches)

    @cached_property
    def height(self) -> int:
        """Rows that a batch has room for: the largest level of every stratum.

        At most the mean number of rows of a batch and one largest level.
        """
        size = np.sort(self.index.size[self.levels])[::-1]
        return int(size[:: self.n_batches].sum())

    def draw(self, generator: np.random.Generator) -> Picks:
        """The batches of one epoch."""
        shuffled = generator.permutation(self.levels)
        by_size = np.argsort(-self.index.size[shuffled], kind="stable")
        dealt = np.full(self.width * self.n_batches, -1, dtype=np.int64)
        dealt[: len(shuffled)] = shuffled[by_size]
        strata = dealt.reshape(self.width, self.n_batches)
        return self._picks(generator.permuted(strata, axis=1).T)

    def fixed(self) -> Picks:
        """The same levels in an order that is always the same."""
        return self.draw(np.random.default_rng(0))

    def _picks(self, dealt: NDArray[np.int64]) -> Picks:
        """Rows of the levels (batches, width); -1 stands for no level."""
        used = dealt >= 0
        level = dealt[used]
        size = np.where(used, self.index.size[dealt], 0)
        sizes = size.sum(1)
        count = self.index.size[level]
        # The k-th row of a level stands k after its first one, in the data's order and
        # in the batch.
        within = np.arange(sizes.sum(), dtype=np.int64)
        within -= np.repeat(np.cumsum(count) - count, count)
        before = (np.cumsum(size, 1) - size)[used]
        batch = np.nonzero(used)[0]
        target = np.repeat(batch * self.height + before, count) + within
        source = np.repeat(self.index.start[level], count) + within
        rows = np.zeros((self.n_batches, self.height), dtype=np.int32)
        places = np.full((self.n_batches, self.height), self.width - 1, dtype=np.int32)
        rows.reshape(-1)[target] = self.index.order[source]
        place = (np.cumsum(used, 1) - 1)[used].astype(np.int32)
        places.reshape(-1)[target] = np.repeat(place, count)
        return Picks(rows, places, sizes.astype(np.int32))
