"""What a column is to a formula: numbers, or a factor with levels.

Text, booleans and pandas categoricals are factors; every other number is numeric, and
becomes float64 so that `x^2` of a small integer type does not overflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import level_label, listing, row_listing
from ngmm.design.frame import Frame
from ngmm.errors import DataError, NewDataError

__all__ = [
    "Column",
    "ColumnSpec",
    "Factor",
    "Numeric",
    "as_factor",
    "column_specs",
    "factorize",
    "match_levels",
    "read_columns",
    "read_new_columns",
]


@dataclass(frozen=True, eq=False)
class Numeric:
    """A numeric column: float64 values without missing or infinite ones."""

    name: str
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factor:
    """A categorical column.

    Attributes
    ----------
    name
        Name of the column.
    codes
        Index into ``levels`` of each row.
    levels
        The levels in use: in the order of the categories, or sorted.
    ordered
        Whether the categories are ordered: their default contrasts are polynomial.
    """

    name: str
    codes: NDArray[np.int32]
    levels: pd.Index
    ordered: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The levels as text."""
        return tuple(level_label(level) for level in self.levels)

    @property
    def is_boolean(self) -> bool:
        """Whether the levels are True and False, which count as 1 and 0."""
        return all(isinstance(level, (bool, np.bool_)) for level in self.levels)

    def values(self) -> Any:
        """Return the levels row by row, to be used inside an expression."""
        if self.is_boolean:
            return np.asarray(self.levels, dtype=bool)[self.codes]
        return pd.Series(
            pd.Categorical.from_codes(
                self.codes, categories=self.levels, ordered=self.ordered
            ),
            name=self.name,
        )


Column: TypeAlias = Numeric | Factor


@dataclass(frozen=True, eq=False)
class ColumnSpec:
    """What new data must have in a column: these levels, or numbers if None."""

    name: str
    levels: pd.Index | None = None
    ordered: bool = False


def read_columns(
    frame: Frame, names: Iterable[str], *, error: type[DataError] = DataError
) -> dict[str, Column]:
    """Return the named columns of a frame without missing values, by kind.

    Raises
    ------
    DataError
        If a column is infinite somewhere, complex, a date, or of mixed types.
    """
    return {
        name: _read_column(name, frame.columns[name], frame.index, error)
        for name in dict.fromkeys(names)
        if name in frame.columns
    }


def column_specs(columns: Mapping[str, Column]) -> tuple[ColumnSpec, ...]:
    """Return what new data must look like to be used in the same way."""
    return tuple(
        ColumnSpec(name, column.levels, column.ordered)
        if isinstance(column, Factor)
        else ColumnSpec(name)
        for name, column in columns.items()
    )


def read_new_columns(
    frame: Frame, specs: Iterable[ColumnSpec], argument: str
) -> dict[str, Column]:
    """Return the columns of new data with the kinds and levels of the training data.

    Raises
    ------
    NewDataError
        If a column has another kind, or a factor a level that was not seen in training.
    """
    columns: dict[str, Column] = {}
    for spec in specs:
        if spec.levels is not None:
            codes = match_levels(frame.columns[spec.name], spec.levels, spec.name)
            columns[spec.name] = Factor(spec.name, codes, spec.levels, spec.ordered)
            continue
        values = frame.columns[spec.name]
        column = _read_column(spec.name, values, frame.index, NewDataError)
        if isinstance(column, Factor) and column.is_boolean:
            # True and False are 1 and 0 to a column that was numeric in training.
            column = Numeric(spec.name, column.values().astype(np.float64))
        if not isinstance(column, Numeric):
            raise NewDataError(
                f'column "{spec.name}" of {argument} is not numeric as it was in '
                f"training: it has values {listing(column.labels, most=5)}"
            )
        columns[spec.name] = column
    return columns


def match_levels(values: Any, levels: pd.Index, name: str) -> NDArray[np.int32]:
    """Return the codes of values among the levels that a factor had in training.

    Raises
    ------
    NewDataError
        If a value is not among them: it has no coefficient.
    """
    codes = levels.get_indexer(pd.Index(values)).astype(np.int32)
    unseen = codes < 0
    if unseen.any():
        new = pd.unique(np.asarray(values, dtype=object)[unseen])
        shown = listing((f"'{level_label(level)}'" for level in new), most=5)
        which = f"level {shown}" if len(new) == 1 else f"levels {shown}"
        known = listing((level_label(level) for level in levels), most=10)
        raise NewDataError(
            f"'{name}' has {which}, not seen in training; there is no coefficient for "
            f"it. Known levels: {known}. Recode it, or fit again with such rows"
        )
    return codes


def as_factor(name: str, values: Any) -> Factor:
    """Return values of any kind as a factor, as ``C(x)`` does."""
    if isinstance(values, Factor):
        return values
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values))
    codes, levels = factorize(series, name)
    return Factor(name, codes, levels, _is_ordered(series))


def factorize(values: pd.Series, name: str) -> tuple[NDArray[np.int32], pd.Index]:
    """Return codes and used levels of a column without missing values.

    Levels are in the order of the categories for a categorical, otherwise sorted. Whole
    numbers that are stored as floats, as pandas does beside missing values, become
    integers.

    Raises
    ------
    DataError
        If the values cannot be sorted because they are of different types.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
        categories = values.cat.categories
        used = np.bincount(codes, minlength=len(categories)) > 0
        if used.all():
            return codes.astype(np.int32), categories
        position = np.cumsum(used, dtype=np.int32) - 1
        return position[codes], categories[used]
    if pd.api.types.is_object_dtype(values.dtype):
        values = _homogeneous(name, values)
    codes, levels = pd.factorize(values, sort=True)
    levels = _numpy_index(pd.Index(levels))
    if levels.dtype.kind == "f":
        whole = levels.to_numpy()
        # Beyond 2**53 a float is not an exact label.
        if np.all(np.abs(whole) < 2**53) and np.all(whole == np.floor(whole)):
            levels = levels.astype(np.int64)
    return codes.astype(np.int32), levels


def _read_column(
    name: str, values: pd.Series, index: pd.Index, error: type[DataError]
) -> Column:
    dtype = values.dtype
    if pd.api.types.is_object_dtype(dtype):
        values = _homogeneous(name, values, error)
        dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        flags = values.to_numpy(dtype=bool)
        codes, levels = factorize(pd.Series(flags), name)
        return Factor(name, codes, levels)
    if pd.api.types.is_complex_dtype(dtype):
        raise error(
            f'column "{name}" is complex; use its real part, e.g. data["{name}"].real'
        )
    if pd.api.types.is_numeric_dtype(dtype):
        numbers = values.to_numpy(dtype=np.float64)
        _refuse_infinite(name, numbers, index, error)
        return Numeric(name, numbers)
    if dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype):
        raise error(
            f'column "{name}" holds dates or times ({dtype}); make it a number, e.g. '
            f'(data["{name}"] - data["{name}"].min()) / pandas.Timedelta("1D")'
        )
    codes, levels = factorize(values, name)
    return Factor(name, codes, levels, _is_ordered(values))


def _homogeneous(
    name: str, values: pd.Series, error: type[DataError] = DataError
) -> pd.Series:
    """Return an object column with the dtype of its values, all of one kind."""
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return values.astype(np.float64)
    if kind == "boolean":
        return values.astype(bool)
    if kind in ("string", "categorical"):
        return values
    if kind in ("datetime", "datetime64", "date", "timedelta", "timedelta64", "period"):
        return values.infer_objects() if kind != "date" else pd.to_datetime(values)
    if kind == "complex":
        return values.astype(np.complex128)
    types = sorted({type(value).__name__ for value in values})
    what = "mixes values of types" if len(types) > 1 else "has values of type"
    raise error(
        f'column "{name}" {what} {listing(types)}; numbers or text are needed: '
        f'convert it, e.g. data["{name}"].astype(str)'
    )


def _refuse_infinite(
    name: str, numbers: NDArray[np.float64], index: pd.Index, error: type[DataError]
) -> None:
    finite = np.isfinite(numbers)
    if not finite.all():
        raise error(
            f'column "{name}" is infinite {row_listing(~finite, index)}; '
            "correct these values or set them to missing"
        )


def _numpy_index(levels: pd.Index) -> pd.Index:
    """Return numbers in numpy's dtype instead of pandas' nullable or Arrow ones."""
    dtype = levels.dtype
    if isinstance(dtype, np.dtype) or not pd.api.types.is_numeric_dtype(dtype):
        return levels
    return pd.Index(levels.to_numpy(dtype=getattr(dtype, "numpy_dtype", np.float64)))


def _is_ordered(values: pd.Series) -> bool:
    dtype = values.dtype
    return isinstance(dtype, pd.CategoricalDtype) and bool(dtype.ordered)
