"""Grouping factors: integer codes and levels, single or of an interaction a:b."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import level_label
from ngmm.design.columns import factorize
from ngmm.design.frame import Frame

__all__ = ["Grouping", "group_codes"]


@dataclass(frozen=True, eq=False)
class Grouping:
    """How rows map to the levels of a grouping factor.

    Attributes
    ----------
    columns
        The columns of data that are crossed; one for a plain factor.
    components
        The levels of each column.
    pairs
        For each column after the first, the sorted keys of the observed combinations
        of the columns so far with this one; a key is
        ``code so far * number of levels of this column + code of this column``.
    levels
        Labels of the levels.
    """

    columns: tuple[str, ...]
    components: tuple[pd.Index, ...]
    pairs: tuple[NDArray[np.int64], ...]
    levels: pd.Index

    @property
    def name(self) -> str:
        """Name of the grouping factor: ``"g"`` or ``"a:b"``."""
        return ":".join(self.columns)

    def codes(self, frame: Frame) -> NDArray[np.int32]:
        """Return the code of each row, -1 where its level is not known."""
        result = self._component_codes(frame, 0)
        for step, keys in enumerate(self.pairs, start=1):
            right = self._component_codes(frame, step)
            wanted = result * len(self.components[step]) + right
            position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            known = (result >= 0) & (right >= 0) & (keys[position] == wanted)
            result = np.where(known, position, -1)
        return result.astype(np.int32)

    def unseen(
        self, frame: Frame, codes: NDArray[np.int32]
    ) -> tuple[pd.Series, NDArray[np.intp]]:
        """Return the rows of each label that is not a level, and each row's label.

        The first counts rows by label; the second has for each row the position of its
        label among them, and -1 where the level is known.
        """
        rows = np.flatnonzero(codes < 0)
        parts = [frame.columns[name].iloc[rows] for name in self.columns]
        if len(parts) == 1:
            labels = pd.Series(parts[0].to_numpy(dtype=object), dtype=object)
        else:
            texts = zip(*(map(level_label, part) for part in parts), strict=True)
            labels = pd.Series([":".join(text) for text in texts], dtype=object)
        counts = labels.value_counts(sort=False).rename("rows")
        position = np.full(len(codes), -1, dtype=np.intp)
        position[rows] = counts.index.get_indexer(pd.Index(labels))
        return counts, position

    def _component_codes(self, frame: Frame, step: int) -> NDArray[np.int64]:
        values = pd.Index(frame.columns[self.columns[step]])
        return self.components[step].get_indexer(values).astype(np.int64)


def group_codes(
    columns: tuple[str, ...], data: Mapping[str, pd.Series]
) -> tuple[NDArray[np.int32], Grouping]:
    """Return the codes of a grouping factor and how to get them for new data.

    Only levels and combinations that occur count. Levels are in the order of the
    categories for a categorical, otherwise sorted; combinations are sorted by the first
    column, then by the next.

    Parameters
    ----------
    columns
        Names of the columns to cross; one for a plain factor.
    data
        Column name -> values without missing ones.

    Examples
    --------
    >>> data = {"a": pd.Series(["y", "x", "y"]), "b": pd.Series([2, 1, 2])}
    >>> codes, grouping = group_codes(("a", "b"), data)
    >>> codes.tolist(), list(grouping.levels)
    ([1, 0, 1], ['x:1', 'y:2'])
    """
    single = [factorize(data[name], name) for name in columns]
    codes, levels = single[0]
    pairs: list[NDArray[np.int64]] = []
    for right, right_levels in single[1:]:
        combined = codes.astype(np.int64) * len(right_levels) + right
        positions, keys = pd.factorize(combined, sort=True)
        keys = np.asarray(keys, dtype=np.int64)
        left_labels = _labels(levels)[keys // len(right_levels)]
        right_labels = _labels(right_levels)[keys % len(right_levels)]
        levels = pd.Index(left_labels + ":" + right_labels, dtype=object)
        codes = positions.astype(np.int32)
        pairs.append(keys)
    components = tuple(component for _, component in single)
    return codes, Grouping(columns, components, tuple(pairs), levels)


def _labels(levels: pd.Index) -> NDArray[np.object_]:
    """Return the levels as Python strings, which ``+`` joins elementwise."""
    return np.array([level_label(level) for level in levels], dtype=object)
