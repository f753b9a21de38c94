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

__all__ = ["ResponseValues", "response_values"]


@dataclass(frozen=True, eq=False)
class ResponseValues:
    """The response, and the trials if it was written ``cbind(successes, failures)``."""

    y: NDArray[np.float64]
    trials: NDArray[np.float64] | None


def response_values(
    response: Response, columns: Mapping[str, Column], index: pd.Index
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

    Raises
    ------
    DataError
        If a value is not a number, or a count of ``cbind`` is negative.
    """
    if not response.is_cbind:
        return ResponseValues(_numbers(response.expr, columns, index), None)
    if len(response.parts) != 2:
        raise DataError(
            f"the response {response.expr} has {counted(len(response.parts), 'part')}; "
            "write cbind(successes, failures)"
        )
    successes, failures = (_numbers(part, columns, index) for part in response.parts)
    for part, values in zip(response.parts, (successes, failures), strict=True):
        if (values < 0).any():
            raise DataError(
                f"{part} in {response.expr} is negative "
                f"{row_listing(values < 0, index)}; counts are needed"
            )
    return ResponseValues(successes, successes + failures)


def check_varies(y: NDArray[np.float64], name: str) -> None:
    """Raise if the response is the same in all rows.

    Raises
    ------
    DataError
        If there is one value only, so that there is nothing to explain.
    """
    if (y == y[0]).all():
        raise DataError(
            f"response {name} is constant: {counted(len(y), 'row')} with the value "
            f"{level_label(float(y[0]))}, so there is nothing to explain"
        )


def _numbers(
    expr: str, columns: Mapping[str, Column], index: pd.Index
) -> NDArray[np.float64]:
    values = evaluate(expr, columns, RESPONSE_FUNCTIONS, len(index))
    if isinstance(values, Factor):
        if values.is_boolean:
            return np.asarray(values.values(), dtype=np.float64)
        raise _not_numeric(expr, values.labels)
    if values.dtype.kind not in "biuf":
        raise _not_numeric(expr, dict.fromkeys(values.tolist()))
    numbers = np.asarray(values, dtype=np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        raise DataError(
            f"response {expr} is infinite or undefined {row_listing(wrong, index)}, "
            "where its columns are not missing; change the transform or leave these "
            "rows out"
        )
    return numbers


def _not_numeric(expr: str, labels: Any) -> DataError:
    shown = list(labels)
    return DataError(
        f'response "{expr}" is not numeric: it has values {listing(shown, most=5)}. '
        f'Recode it, e.g. data["{expr}"] == "{shown[-1]}"'
    )
