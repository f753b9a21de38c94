"""Which rows have every used value, and how many are missing by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import counted, listing, row_listing
from ngmm.errors import DataError, OptionError

__all__ = ["CompleteRows", "complete_rows", "refuse_missing"]


@dataclass(frozen=True, eq=False)
class CompleteRows:
    """The rows without a missing value.

    Attributes
    ----------
    rows
        Positions of the complete rows.
    missing
        Column name -> number of rows in which it is missing; only columns with any.
    n_dropped
        Number of rows that are not complete.
    """

    rows: NDArray[np.int64]
    missing: dict[str, int]
    n_dropped: int


def complete_rows(
    columns: Mapping[str, pd.Series | NDArray[Any]], index: pd.Index, na_action: str
) -> CompleteRows:
    """Return the rows in which no column is missing, as R's ``na.omit`` does.

    Parameters
    ----------
    columns
        Column name -> values. NaN, None, NA and NaT count as missing, and so does an
        array with a NaN in it.
    index
        Labels of the rows, for messages.
    na_action
        ``"drop"`` or ``"raise"``.

    Raises
    ------
    OptionError
        If ``na_action`` is neither.
    DataError
        If no row is complete, or if any is not and ``na_action`` is ``"raise"``.
    """
    if na_action not in ("drop", "raise"):
        raise OptionError(f'na_action must be "drop" or "raise"; got {na_action!r}')
    masks = _masks(columns)
    if not masks:
        return CompleteRows(np.arange(len(index), dtype=np.int64), {}, 0)
    if na_action == "raise":
        raise DataError(
            f"data has missing values: {_by_column(masks, index)}. "
            'Fill them, or use na_action="drop"'
        )
    incomplete = np.logical_or.reduce(list(masks.values()))
    missing = {name: int(mask.sum()) for name, mask in masks.items()}
    rows = np.flatnonzero(~incomplete).astype(np.int64, copy=False)
    if len(rows) == 0:
        counts = listing(f'"{name}" {count:,}' for name, count in missing.items())
        raise DataError(
            f"no row of data is complete: of {counted(len(index), 'row')} each has a "
            f"missing value (missing by column: {counts})"
        )
    return CompleteRows(rows, missing, len(index) - len(rows))


def refuse_missing(
    columns: Mapping[str, pd.Series | NDArray[Any]],
    index: pd.Index,
    argument: str,
    error: type[DataError],
) -> None:
    """Raise if any value is missing, naming the columns and the first rows."""
    masks = _masks(columns)
    if masks:
        raise error(
            f"{argument} has missing values: {_by_column(masks, index)}. "
            "Fill them or leave these rows out"
        )


def _masks(
    columns: Mapping[str, pd.Series | NDArray[Any]],
) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for name, values in columns.items():
        mask = _missing(values)
        if mask is not None and mask.any():
            masks[name] = mask
    return masks


def _missing(values: pd.Series | NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which values are missing; None for a dtype that has no missing value."""
    dtype = values.dtype
    if isinstance(values, np.ndarray):
        if dtype.kind != "f":
            return None
        return np.asarray(np.isnan(values).reshape(len(values), -1).any(axis=1))
    if isinstance(dtype, np.dtype):
        if dtype.kind in "biu":
            return None
        if dtype.kind == "f":
            return np.isnan(values.to_numpy())
    return values.isna().to_numpy()


def _by_column(masks: Mapping[str, NDArray[np.bool_]], index: pd.Index) -> str:
    return "; ".join(
        f'"{name}" {row_listing(mask, index)}' for name, mask in masks.items()
    )
