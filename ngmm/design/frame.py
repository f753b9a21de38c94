"""Intake of the user's data: only the used columns, as pandas Series.

A pandas frame is taken as it is, a mapping column by column, and any other frame
through narwhals. Nothing but the columns that the formula names is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import counted, listing
from ngmm.errors import DataError, did_you_mean

__all__ = ["Frame", "read_frame"]

# Names that an expression may use although they are no columns.
CONSTANT_NAMES = frozenset({"pi"})


@dataclass(frozen=True, eq=False)
class Frame:
    """The used columns of the user's data, all of one length.

    Attributes
    ----------
    columns
        Column name -> values.
    index
        Labels of the rows.
    arrays
        Column name -> values of more than one dimension, the first of which is the
        rows. Only networks read these.
    """

    columns: Mapping[str, pd.Series]
    index: pd.Index
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.index)

    def take(self, rows: NDArray[np.int64]) -> Frame:
        """Return the frame with the rows at these positions."""
        columns = {name: values.iloc[rows] for name, values in self.columns.items()}
        arrays = {name: values[rows] for name, values in self.arrays.items()}
        return Frame(columns, self.index[rows], arrays)


def read_frame(
    data: Any,
    names: Iterable[str],
    *,
    arrays: Collection[str] = (),
    argument: str = "data",
    error: type[DataError] = DataError,
) -> Frame:
    """Return the named columns of the user's data.

    Parameters
    ----------
    data
        A pandas frame, a mapping from names to one-dimensional values, or a frame of
        any library that narwhals knows (polars, pyarrow, modin, ...).
    names
        Columns to take. Names in `CONSTANT_NAMES` may be absent.
    arrays
        Those of them that may have more than one value a row, in a mapping.
    argument
        What messages call the data.
    error
        The exception to raise.

    Raises
    ------
    DataError
        If ``data`` is not a frame or has no rows, if a column is absent, appears twice
        or is not one-dimensional, or if columns differ in length.
    """
    wanted = tuple(dict.fromkeys(names))
    if isinstance(data, pd.DataFrame):
        return _from_pandas(data, wanted, argument, error)
    if isinstance(data, Mapping):
        return _from_mapping(data, wanted, arrays, argument, error)
    return _from_narwhals(data, wanted, argument, error)


def _from_pandas(
    data: pd.DataFrame, names: tuple[str, ...], argument: str, error: type[DataError]
) -> Frame:
    if len(data) == 0:
        raise error(f"{argument} has no rows")
    columns: dict[str, pd.Series] = {}
    repeated: list[str] = []
    for name in names:
        if name not in data.columns:
            if name not in CONSTANT_NAMES:
                raise _unknown_column(name, data.columns, argument, error, data.index)
            continue
        column = data[name]
        if isinstance(column, pd.DataFrame):
            repeated.append(name)
        else:
            columns[name] = column
    if repeated:
        raise error(
            f"{argument} has more than one column named "
            f"{listing(map(_quoted, repeated))}; give each column its own name"
        )
    return Frame(columns, data.index)


def _from_mapping(
    data: Mapping[Any, Any],
    names: tuple[str, ...],
    arrays: Collection[str],
    argument: str,
    error: type[DataError],
) -> Frame:
    columns: dict[str, pd.Series] = {}
    taken: dict[str, NDArray[Any]] = {}
    for name in names:
        if name in data and name in arrays and _is_array(data[name]):
            taken[name] = _numeric_array(name, data[name], argument, error)
        elif name in data:
            columns[name] = _one_column(name, data[name], argument, error)
        elif name not in CONSTANT_NAMES:
            raise _unknown_column(name, data, argument, error)
    lengths = {name: len(values) for name, values in {**columns, **taken}.items()}
    if len(set(lengths.values())) > 1:
        shown = listing(f'"{name}" {length:,}' for name, length in lengths.items())
        raise error(f"the columns of {argument} differ in length: {shown}")
    n_rows = next(iter(lengths.values()), None)
    if n_rows is None:
        # Only a prediction from an intercept needs no column at all.
        n_rows = next((len(v) for v in data.values() if np.ndim(v) > 0), 0)
    if n_rows == 0:
        raise error(f"{argument} has no rows")
    return Frame(columns, pd.RangeIndex(n_rows), taken)


def _is_array(values: Any) -> bool:
    """Whether a value of a mapping is an array with more than one value a row."""
    return len(getattr(values, "shape", ())) > 1 and not isinstance(
        values, pd.DataFrame
    )


def _numeric_array(
    name: str, values: Any, argument: str, error: type[DataError]
) -> NDArray[Any]:
    """Return an array-valued column of a mapping as it is."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise error(
            f'column "{name}" of {argument} is an array of {array.dtype}; a network '
            "reads arrays of numbers"
        )
    return array


def _one_column(
    name: str, values: Any, argument: str, error: type[DataError]
) -> pd.Series:
    """Return one value of a mapping as a Series with the default index."""
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    if isinstance(values, (pd.Categorical, pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(values, name=name)
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise error(
            f'column "{name}" of {argument} is a single {type(values).__name__}; '
            "give one value a row"
        )
    # A list of lists is two-dimensional as well, a ragged one holds objects.
    array = values if isinstance(values, (list, tuple)) else np.asarray(values)
    nested = isinstance(array, (list, tuple)) and any(
        isinstance(value, (list, tuple, np.ndarray)) for value in array
    )
    if nested or np.ndim(array) != 1:
        shape = "nested" if nested else f"of shape {np.shape(array)}"
        raise error(
            f'column "{name}" of {argument} is {shape}; a column has one value a row. '
            f"Only a network reads arrays, as nn({name})"
        )
    return pd.Series(array, name=name)


def _from_narwhals(
    data: Any, names: tuple[str, ...], argument: str, error: type[DataError]
) -> Frame:
    # Imported here because most data are pandas frames and never need it.
    import narwhals as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError as cause:
        hint = ""
        if isinstance(data, str):
            hint = "; read the file first, e.g. with pandas.read_csv"
        elif hasattr(data, "collect"):
            hint = "; collect the lazy frame first"
        raise error(
            f"{argument} must be a data frame or a mapping from column names to "
            f"values; got {type(data).__name__}{hint}"
        ) from cause
    if len(frame) == 0:
        raise error(f"{argument} has no rows")
    columns: dict[str, pd.Series] = {}
    for name in names:
        if name in frame.columns:
            columns[name] = _narwhals_column(name, frame[name])
        elif name not in CONSTANT_NAMES:
            raise _unknown_column(name, frame.columns, argument, error)
    return Frame(columns, pd.RangeIndex(len(frame)))


def _narwhals_column(name: str, column: Any) -> pd.Series:
    """Return a narwhals Series as a pandas one without needing pyarrow."""
    import narwhals as nw

    if column.dtype == nw.Enum:
        levels = list(column.dtype.categories)
        values = pd.Categorical(column.to_list(), categories=levels)
        return pd.Series(values, name=name)
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        return pd.Series(column.to_numpy(), name=name)
    return pd.Series(column.to_list(), name=name)


def _unknown_column(
    name: str,
    columns: Iterable[object],
    argument: str,
    error: type[DataError],
    index: pd.Index | None = None,
) -> DataError:
    known = list(columns)
    hint = did_you_mean(name, known)
    if index is not None and name in index.names:
        hint = f"; it is in the index: use {argument}.reset_index()"
    shown = listing(known, most=20) if known else "none"
    end = "." if not hint.endswith("?") else ""
    return error(f'"{name}" is not a column of {argument}{hint}{end} Columns: {shown}.')


def _quoted(name: object) -> str:
    return f'"{name}"'


def check_length(role: str, length: int, n_rows: int) -> None:
    """Raise if an array given beside the data has not one value a row."""
    if length != n_rows:
        raise DataError(
            f"{role} has {counted(length, 'value')} but data has "
            f"{counted(n_rows, 'row')}"
        )
