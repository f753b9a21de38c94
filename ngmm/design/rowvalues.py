"""Values given beside the formula, one a row: weights, trials, offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import row_listing
from ngmm.design.frame import Frame, check_length
from ngmm.errors import DataError

__all__ = ["RowValues", "row_values"]


@dataclass(frozen=True, eq=False)
class RowValues:
    """What was given for an argument such as ``weights``.

    Attributes
    ----------
    argument
        Name of the argument.
    column
        The column it names, or None if an array was given.
    values
        One value for each row of the data, possibly missing.
    """

    argument: str
    column: str | None
    values: pd.Series

    @property
    def label(self) -> str:
        """What counts of missing values call it."""
        return self.argument if self.column is None else self.column

    @property
    def name(self) -> str:
        """What messages call it: ``weights`` or ``weights="w"``."""
        if self.column is None:
            return self.argument
        return f'{self.argument}="{self.column}"'

    def numbers(
        self, rows: NDArray[np.int64], index: pd.Index, *, positive: bool
    ) -> NDArray[np.float64]:
        """Return the values of the rows in use as float64.

        Raises
        ------
        DataError
            If a value is not a number, not finite or, with ``positive``, negative; or
            if all are zero.
        """
        name = self.name
        try:
            numbers = self.values.iloc[rows].to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as cause:
            raise DataError(f"{name} is not numeric ({self.values.dtype})") from cause
        wrong = ~np.isfinite(numbers)
        if wrong.any():
            raise DataError(f"{name} is infinite {row_listing(wrong, index)}")
        if positive and (numbers < 0).any():
            raise DataError(
                f"{name} is negative {row_listing(numbers < 0, index)}; "
                "zero or more is needed"
            )
        if positive and not numbers.any():
            raise DataError(f"{name} is zero in all rows")
        return numbers


def row_values(
    argument: str, given: Any, frame: Frame, *, labelled: bool
) -> RowValues | None:
    """Return what was given for an argument, a column name or an array, or None.

    Parameters
    ----------
    argument
        Name of the argument.
    given
        What the user gave.
    frame
        The data, with the column if one is named.
    labelled
        Whether the data have row labels, which a Series must share.

    Raises
    ------
    DataError
        If an array has not one value for each row of the data, or is a Series whose
        index differs from that of the data.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return RowValues(argument, given, frame.columns[given])
    if isinstance(given, pd.Series):
        series = given
    else:
        array = np.asarray(given)
        if array.ndim != 1:
            got = f"shape {array.shape}" if array.ndim else repr(given)
            raise DataError(
                f"{argument} must be a column name or one value a row; got {got}"
            )
        series = pd.Series(array)
    check_length(argument, len(series), frame.n_rows)
    if (
        labelled
        and isinstance(given, pd.Series)
        and not given.index.equals(frame.index)
    ):
        raise DataError(
            f"{argument} is a Series whose index differs from that of data; put its "
            f"rows in the order of data and pass {argument}.to_numpy()"
        )
    return RowValues(argument, None, series)
