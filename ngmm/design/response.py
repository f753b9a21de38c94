"""The left-hand side of a formula as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import counted, level_label, listing, row_listing
from ngmm.design.columns import Column, Factor
from ngmm.design.expressions import evaluate
from ngmm.design.functions import RESPONSE_FUNCTIONS
from ngmm.errors import DataError
from ngmm.formula import Response

__all__ = ["ResponseValues", "check_varies", "response_values"]


@dataclass(frozen=True, eq=False)
class ResponseValues:
    """The response as numbers.

    Attributes
    ----------
    y
        A number for each row; the successes if it was ``cbind(successes, failures)``.
    trials
        Successes and failures together, or None.
    levels
        The two labels that count as 0 and 1, or None for a response of numbers.
    """

    y: NDArray[np.float64]
    trials: NDArray[np.float64] | None = None
    levels: tuple[str, str] | None = None


def response_values(
    response: Response,
    columns: Mapping[str, Column],
    index: pd.Index,
    *,
    binary: bool = False,
) -> ResponseValues:
    """Return the response of each row.

    Parameters
    ----------
    response
        One expression, evaluated as R would (``k/n`` is a division), or the two parts
        of ``cbind(successes, failures)``. True and False count as 1 and 0.
    columns
        The columns of the data.
    index
        Labels of the rows, for messages.
    binary
        Whether a factor with two levels may be the response: its second level counts
        as 1.

    Raises
    ------
    DataError
        If a value is not a number, or a count of ``cbind`` is negative or not whole.
    """
    if not response.is_cbind:
        values = _evaluate(response.expr, columns, index)
        if binary and isinstance(values, Factor) and not values.is_boolean:
            return _two_levels(response.expr, values)
        return ResponseValues(_numbers(response.expr, values, index, binary=binary))
    if len(response.parts) != 2:
        raise DataError(
            f"the response {response.expr} has {counted(len(response.parts), 'part')}; "
            "write cbind(successes, failures)"
        )
    successes, failures = (
        _count(part, response, columns, index) for part in response.parts
    )
    return ResponseValues(successes, successes + failures)


def check_varies(
    y: NDArray[np.float64], name: str, offset: NDArray[np.float64] | None = None
) -> None:
    """Raise if the response is the same in all rows.

    Parameters
    ----------
    y
        The response.
    name
        What messages call it.
    offset
        Known part of the linear predictor: if it varies, a constant response has
        something to explain, such as one event in different times of exposure.

    Raises
    ------
    DataError
        If there is one value only, so that there is nothing to explain.
    """
    if (y != y[0]).any() or (offset is not None and (offset != offset[0]).any()):
        return
    raise _constant(name, len(y), level_label(float(y[0])))


def _constant(name: str, n_rows: int, value: str) -> DataError:
    return DataError(
        f"response {name} is constant: {counted(n_rows, 'row')} with the value "
        f"{value}, so there is nothing to explain"
    )


def _two_levels(expr: str, factor: Factor) -> ResponseValues:
    """Return 1 for the second of two levels and 0 for the first."""
    labels = factor.labels
    if len(labels) == 1:
        raise _constant(expr, len(factor.codes), labels[0])
    if len(labels) != 2:
        raise DataError(
            f'response "{expr}" has {len(labels):,} values, '
            f"{listing(labels, most=5)}; two are needed. Recode it, e.g. "
            f'data["{expr}"] == "{labels[-1]}"'
        )
    return ResponseValues(
        factor.codes.astype(np.float64), levels=(labels[0], labels[1])
    )


def _count(
    part: str, response: Response, columns: Mapping[str, Column], index: pd.Index
) -> NDArray[np.float64]:
    """Return one part of ``cbind``."""
    values = _numbers(part, _evaluate(part, columns, index), index)
    for wrong, what in (
        (values < 0, "negative"),
        (values != np.floor(values), "not whole"),
    ):
        if wrong.any():
            raise DataError(
                f"{part} in {response.expr} is {what} "
                f"{row_listing(wrong, index)}; counts are needed"
            )
    return values


def _evaluate(expr: str, columns: Mapping[str, Column], index: pd.Index) -> Any:
    return evaluate(expr, columns, RESPONSE_FUNCTIONS, len(index))


def _numbers(
    expr: str, values: Any, index: pd.Index, *, binary: bool = False
) -> NDArray[np.float64]:
    if isinstance(values, Factor):
        if values.is_boolean:
            return np.asarray(values.values(), dtype=np.float64)
        raise _not_numeric(expr, values.labels, binary=binary)
    if values.dtype.kind not in "biuf":
        raise _not_numeric(expr, dict.fromkeys(values.tolist()), binary=binary)
    numbers = np.asarray(values, dtype=np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        raise DataError(
            f"response {expr} is infinite or undefined {row_listing(wrong, index)}, "
            "where its columns are not missing; change the transform or leave these "
            "rows out"
        )
    return numbers


def _not_numeric(expr: str, labels: Any, *, binary: bool) -> DataError:
    shown = list(labels)
    two = len(shown) == 2 and not binary
    remedy = ', or use family="bernoulli"' if two else ""
    return DataError(
        f'response "{expr}" is not numeric: it has values {listing(shown, most=5)}. '
        f'Recode it, e.g. data["{expr}"] == "{shown[-1]}"{remedy}'
    )
