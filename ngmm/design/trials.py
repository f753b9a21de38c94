"""Binomial numbers of trials, and the successes among them."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import level_label, row_listing
from ngmm.design.frame import Frame
from ngmm.design.response import ResponseValues
from ngmm.design.rowvalues import RowValues, row_values
from ngmm.errors import DataError

__all__ = ["check_successes", "successes", "trial_counts", "trials_argument"]

# A proportion times its trials differs from a count by rounding only.
_TOLERANCE = 1e-6


def trials_argument(given: Any, frame: Frame, *, labelled: bool) -> RowValues | None:
    """Return what was given for ``trials``; a number stands for itself in every row."""
    if isinstance(given, Real) and not isinstance(given, (bool, np.bool_)):
        same = pd.Series(np.full(frame.n_rows, float(given)))
        return RowValues("trials", None, same)
    return row_values("trials", given, frame, labelled=labelled)


def trial_counts(
    response: ResponseValues,
    response_name: str,
    given: RowValues | None,
    rows: NDArray[np.int64],
    index: pd.Index,
) -> NDArray[np.float64] | None:
    """Return the number of trials of each row, or None if there are none.

    Parameters
    ----------
    response
        The response, with trials if it was ``cbind(successes, failures)``.
    response_name
        What messages call it.
    given
        What was given for the argument ``trials``.
    rows
        Positions of the rows in use.
    index
        Labels of those rows.

    Raises
    ------
    DataError
        If trials are given twice, for a response of labels, or if a number of trials
        is not whole or below one.
    """
    if given is None:
        if response.trials is not None:
            _check_positive(response.trials, response_name, index)
        return response.trials
    if response.trials is not None:
        raise DataError("cbind() in the formula gives the trials already; drop trials=")
    if response.levels is not None:
        shown = ", ".join(response.levels)
        raise DataError(
            f'response "{response_name}" has the values {shown}: each row is one '
            "trial, so leave trials= out"
        )
    counts = given.numbers(rows, index, positive=False)
    wrong = counts != np.floor(counts)
    if wrong.any():
        raise DataError(
            f"{given.name} is not a whole number {row_listing(wrong, index)}; the "
            "number of trials of each row is needed"
        )
    _check_positive(counts, given.name, index)
    return counts


def successes(
    y: NDArray[np.float64], trials: NDArray[np.float64], name: str, index: pd.Index
) -> NDArray[np.float64]:
    """Return the counts of successes, from counts or from proportions.

    Parameters
    ----------
    y
        The response: counts, or proportions if any value is not whole.
    trials
        Number of trials of each row.
    name
        What messages call the response.
    index
        Labels of the rows.

    Raises
    ------
    DataError
        If values are neither counts nor proportions, or a proportion of its trials is
        not a whole number.
    """
    fractional = y != np.floor(y)
    if not fractional.any():
        return y
    outside = (y < 0) | (y > 1)
    if outside.any():
        raise DataError(
            f"response {name} has values that are not whole "
            f"{row_listing(fractional, index)} and values outside 0 to 1 "
            f"{row_listing(outside, index)}: with trials it must be counts of "
            "successes, or proportions"
        )
    counts = np.rint(y * trials)
    wrong = np.abs(y * trials - counts) > _TOLERANCE
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"response {name} times its trials is not whole "
            f"{row_listing(wrong, index)}, e.g. {y[row]:.6g} of "
            f"{level_label(float(trials[row]))}: a proportion is the number of "
            "successes divided by the number of trials"
        )
    return counts


def check_successes(
    y: NDArray[np.float64], trials: NDArray[np.float64], name: str
) -> None:
    """Raise if no trial succeeded, or if every one did.

    Raises
    ------
    DataError
        If so: the likelihood has no maximum.
    """
    for all_of, what in ((not y.any(), "no"), (bool((y == trials).all()), "every")):
        if all_of:
            raise DataError(
                f"{what} trial of the response {name} is a success, so there is "
                "nothing to explain"
            )


def _check_positive(counts: NDArray[np.float64], name: str, index: pd.Index) -> None:
    negative = counts < 0
    if negative.any():
        raise DataError(f"{name} is negative {row_listing(negative, index)}")
    empty = counts == 0
    if empty.any():
        raise DataError(
            f"{name} has zero trials {row_listing(empty, index)}: nothing was observed "
            "there; leave these rows out of the data"
        )
