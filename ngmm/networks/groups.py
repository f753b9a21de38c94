"""Numbers the ridge groups of a network's weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Groups"]


class Groups:
    """Hands out group numbers from zero; an empty array takes none.

    Examples
    --------
    >>> groups = Groups()
    >>> groups.by_row((3, 2), np.array([0, 0, 1])).tolist()
    [[0, 0], [0, 0], [1, 1]]
    >>> groups.one((2,)).tolist()
    [2, 2]
    """

    def __init__(self) -> None:
        self.count: int = 0

    def one(self, shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Return an array of this shape that is one group."""
        number = self.count
        self.count += int(np.prod(shape)) > 0
        return np.full(shape, number, dtype=np.int32)

    def by_row(
        self, shape: tuple[int, ...], labels: NDArray[np.int_]
    ) -> NDArray[np.int32]:
        """Return an array of this shape with a group for each label of its rows."""
        if int(np.prod(shape)) == 0:
            return np.zeros(shape, dtype=np.int32)
        distinct, position = np.unique(labels, return_inverse=True)
        numbers = (self.count + position).astype(np.int32)
        self.count += len(distinct)
        rows = numbers.reshape((-1,) + (1,) * (len(shape) - 1))
        return np.ascontiguousarray(np.broadcast_to(rows, shape))
