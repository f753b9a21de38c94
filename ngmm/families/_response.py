"""Checks of a response, in words a user can act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import DataError

__all__ = ["check_counts", "check_positive", "check_successes", "rows", "values"]

_MOST = 5


def rows(flagged: NDArray[np.bool_], index: Sequence[Any]) -> str:
    """Return ``"in 12 rows (3, 17, 20, 21, 40, ...)"``, by the labels of the rows."""
    positions = np.flatnonzero(flagged)
    shown = ", ".join(str(index[i]) for i in positions[:_MOST])
    dots = ", ..." if len(positions) > _MOST else ""
    noun = "row" if len(positions) == 1 else "rows"
    return f"in {len(positions):,} {noun} ({shown}{dots})"


def values(y: NDArray[np.float64]) -> str:
    """Return the first few distinct values, ``"1, 2, 2.5, ..."``."""
    distinct = np.unique(y)
    shown = ", ".join(f"{value:g}" for value in distinct[:_MOST])
    return f"{shown}, ..." if len(distinct) > _MOST else shown


def check_counts(
    family: str, y: NDArray[np.float64], name: str, index: Sequence[Any]
) -> None:
    """Raise unless the response is a count.

    Raises
    ------
    DataError
        If a value is negative or not whole.
    """
    negative = y < 0
    if negative.any():
        raise DataError(
            f"response {name} is negative {rows(negative, index)}; family {family} "
            "needs counts 0, 1, 2, ... Correct these rows or leave them out; for a "
            'response of either sign use family="gaussian"'
        )
    broken = y != np.floor(y)
    if broken.any():
        raise DataError(
            f"response {name} is not a whole number {rows(broken, index)}; family "
            f"{family} needs counts 0, 1, 2, ... A rate is modelled as its count with "
            'offset=np.log(exposure); for a positive measurement use family="gamma"'
        )


def check_positive(
    family: str, y: NDArray[np.float64], name: str, index: Sequence[Any]
) -> None:
    """Raise unless the response is positive.

    Raises
    ------
    DataError
        If a value is zero or negative.
    """
    wrong = y <= 0
    if wrong.any():
        which = "zero or negative" if (y < 0).any() else "zero"
        raise DataError(
            f"response {name} is {which} {rows(wrong, index)}; family {family} needs "
            "values above 0. Leave these rows out or model them separately (whether "
            f'{name} > 0 by family="bernoulli"); for a response of either sign use '
            'family="gaussian"'
        )


def check_successes(
    family: str,
    y: NDArray[np.float64],
    trials: NDArray[np.float64] | None,
    name: str,
    index: Sequence[Any],
) -> None:
    """Raise unless the response is a number of successes among the trials.

    Raises
    ------
    DataError
        If the trials are missing but needed, not positive whole numbers, or fewer than
        the successes; if the successes are negative or not whole.
    """
    if trials is None:
        _check_single(family, y, name, index)
        return
    trials = np.broadcast_to(trials, y.shape)
    wrong = ~((trials >= 1) & (trials == np.floor(trials)) & np.isfinite(trials))
    if wrong.any():
        which = "zero" if (trials[wrong] == 0).all() else "not a whole number above 0"
        raise DataError(
            f"trials: the number of trials of response {name} is {which} "
            f"{rows(wrong, index)}; a row without trials says nothing about a "
            "probability: correct it or leave it out"
        )
    negative = y < 0
    if negative.any():
        raise DataError(
            f"response {name} is negative {rows(negative, index)}; family {family} "
            "needs the number of successes, from 0 to the number of trials"
        )
    broken = y != np.floor(y)
    if broken.any():
        raise DataError(
            f"response {name} is not a whole number of successes "
            f"{rows(broken, index)}; family {family} needs counts: give {name} as the "
            "number of successes, and trials= as the number of trials of each row"
        )
    above = y > trials
    if above.any():
        raise DataError(
            f"response {name} is larger than the number of trials "
            f"{rows(above, index)}; trials= is successes and failures together: write "
            "cbind(successes, failures) if you have the failures"
        )


def _check_single(
    family: str, y: NDArray[np.float64], name: str, index: Sequence[Any]
) -> None:
    """Without trials, a row is one trial."""
    wrong = (y != 0) & (y != 1)
    if not wrong.any():
        return
    if ((y >= 0) & (y <= 1)).all():
        what, give = "is a proportion", "the number behind each proportion"
    else:
        what, give = "is neither 0 nor 1", "the number of trials of each row"
    raise DataError(
        f"response {name} {what} {rows(wrong, index)}, and the number of trials is not "
        f'given: family {family} needs {give}, trials="n" for a column n of data, or '
        "the response cbind(successes, failures)"
    )
