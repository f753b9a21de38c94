"""What a printed column shows: a heading and the cells made from a frame.

Formats are small frozen records, so a table is data: it can be pickled, compared and
extended with a record of one's own that has the same four members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd

from ngmm.results import formatting

if TYPE_CHECKING:
    from numpy.typing import NDArray

Align = Literal["left", "right", "center"]

AT_BOUNDARY = "[at boundary]"
"""Stands for the interval of an estimate that lies on the edge of its range."""

_ON_THE_EDGE = 1e-8  # correlations are computed to about this accuracy


class Column(Protocol):
    """A heading, an alignment and a function from the frame to the cells."""

    @property
    def header(self) -> str:
        """The heading."""
        ...

    @property
    def align(self) -> Align:
        """Where the cells stand in the column."""
        ...

    @property
    def labels_rows(self) -> bool:
        """Whether the column names the rows and is repeated when a table is split."""
        ...

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """One text per row of ``frame``."""
        ...


@dataclass(frozen=True)
class Label:
    """Names of the rows: the index when ``name`` is None.

    ``once`` leaves out a name that repeats the one above it.
    """

    name: str | None = None
    header: str = ""
    once: bool = False
    align: Align = "left"
    labels_rows: bool = True

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The labels, empty where missing."""
        values = frame.index if self.name is None else frame[self.name]
        labels = ["" if pd.isna(value) else str(value) for value in values]
        if not self.once:
            return labels
        before = [None, *labels[:-1]]
        return [
            "" if label == above else label
            for label, above in zip(labels, before, strict=True)
        ]


@dataclass(frozen=True)
class Text:
    """Words, left-aligned; a missing one is a dash."""

    name: str
    header: str
    align: Align = "left"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The words as they are."""
        return [
            formatting.MISSING if pd.isna(value) else str(value)
            for value in frame[self.name]
        ]


@dataclass(frozen=True)
class Number:
    """Numbers with common decimals, chosen from the values and the column ``scale``.

    Columns that share ``like`` and ``scale`` share their decimals: estimates and their
    standard errors line up.
    """

    name: str
    header: str
    like: str | None = None
    scale: str | None = None
    decimals: int | None = None
    exact_zero: bool = False
    missing: str = formatting.MISSING
    align: Align = "right"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The numbers; an exact zero prints as 0 when ``exact_zero`` asks for it."""
        values = floats(frame, self.name)
        texts = self._texts(frame)
        if not self.exact_zero:
            return texts
        return [
            "0" if value == 0 else text
            for value, text in zip(values, texts, strict=True)
        ]

    def _texts(self, frame: pd.DataFrame) -> list[str]:
        values = floats(frame, self.name)
        if self.decimals is not None:
            return formatting.fixed(values, self.decimals, missing=self.missing)
        decimals = decimals_of(frame, self.like or self.name, self.scale)
        scale = None if self.scale is None else floats(frame, self.scale)
        return formatting.numbers(values, decimals, scale=scale, missing=self.missing)


@dataclass(frozen=True)
class Count:
    """Whole numbers with commas between thousands."""

    name: str
    header: str
    align: Align = "right"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The counts."""
        return [formatting.integer(value) for value in floats(frame, self.name)]


@dataclass(frozen=True)
class Size:
    """Numbers of any size, each with three significant digits or more."""

    name: str
    header: str
    align: Align = "right"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The numbers; a dash where missing."""
        return [formatting.significant(value) for value in floats(frame, self.name)]


@dataclass(frozen=True)
class Percent:
    """Shares as whole percentages."""

    name: str
    header: str
    align: Align = "right"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The percentages; a dash where missing."""
        return [formatting.share(value) for value in floats(frame, self.name)]


@dataclass(frozen=True)
class PValue:
    """P-values to three decimals."""

    name: str
    header: str = "p"
    align: Align = "right"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The p-values."""
        return [formatting.p_value(value) for value in floats(frame, self.name)]


@dataclass(frozen=True)
class Interval:
    """Intervals around the column ``estimate``, with one decimal less than it has.

    A row without an estimate stays empty. A row without an interval says so when its
    estimate is one of the values in ``edges``, and shows a dash otherwise.
    """

    low: str
    high: str
    estimate: str
    header: str
    scale: str | None = None
    decimals: int | None = None
    edges: tuple[float, ...] = ()
    align: Align = "center"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The intervals."""
        decimals = self.decimals
        if decimals is None:
            decimals = max(0, decimals_of(frame, self.estimate, self.scale) - 1)
        columns = (floats(frame, name) for name in (self.estimate, self.low, self.high))
        return [
            self._cell(estimate, low, high, decimals)
            for estimate, low, high in zip(*columns, strict=True)
        ]

    def _cell(self, estimate: float, low: float, high: float, decimals: int) -> str:
        if np.isnan(estimate):
            return ""
        if np.isnan(low) and np.isnan(high):
            on_edge = any(abs(estimate - edge) < _ON_THE_EDGE for edge in self.edges)
            return AT_BOUNDARY if on_edge else formatting.MISSING
        # Decimals given by the caller are meant; chosen ones can fail a tiny estimate.
        scale = None if self.decimals is None else 1.0
        return formatting.interval(low, high, decimals, scale=scale)


@dataclass(frozen=True)
class Fixed:
    """Marks rows whose value is a convention and not an estimate; empty elsewhere."""

    name: str
    header: str
    align: Align = "center"
    labels_rows: bool = False

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The marks."""
        return ["(fixed)" if value is True else "" for value in frame[self.name]]


@dataclass(frozen=True)
class FirstOf:
    """One column made of two: where ``first`` is empty, the cells of ``second``."""

    first: Column
    second: Column

    @property
    def header(self) -> str:
        """The heading of the first column."""
        return self.first.header

    @property
    def align(self) -> Align:
        """The alignment of the first column."""
        return self.first.align

    @property
    def labels_rows(self) -> bool:
        """Whether the first column names the rows."""
        return self.first.labels_rows

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The merged cells; a dash where both are empty."""
        pairs = zip(self.first.cells(frame), self.second.cells(frame), strict=True)
        return [one or other or formatting.MISSING for one, other in pairs]


def default_columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    """The index, counts for whole numbers, numbers, and words for everything else."""
    index = Label(header=str(frame.index.name or ""))
    return (index, *(_default(frame, str(name)) for name in frame.columns))


def floats(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as floats, missing ones as NaN."""
    return frame[name].to_numpy(dtype=float, na_value=np.nan)


def decimals_of(frame: pd.DataFrame, name: str, scale: str | None) -> int:
    """Common decimals of a column, from the column ``scale`` where one is given."""
    sizes = None if scale is None else floats(frame, scale)
    return formatting.common_decimals(floats(frame, name), sizes)


def _default(frame: pd.DataFrame, name: str) -> Column:
    dtype = frame[name].dtype
    if pd.api.types.is_bool_dtype(dtype) or not pd.api.types.is_numeric_dtype(dtype):
        return Text(name, name)
    if pd.api.types.is_integer_dtype(dtype):
        return Count(name, name)
    return Number(name, name)
