"""What a separation is, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Reasons and names spelled out before the rest is counted.
SHOWN = 3


def reason(
    names: Sequence[str],
    values: NDArray[np.float64],
    sign: NDArray[np.int8],
    counts: NDArray[np.int64],
    *,
    direction: NDArray[np.float64],
    highest: str,
    rest: bool,
) -> str:
    """Which rows are predicted perfectly, and by what.

    Parameters
    ----------
    names
        The columns that do it, without columns that are constant.
    values
        (k, len(names)) their values in those rows, equal rows merged.
    sign, counts
        (k,) whether the response is lowest (-1) or highest (1) there; how many rows.
    direction
        (len(names),) the direction, in these columns.
    highest
        What the highest value is called.
    rest
        Whether rows that other columns predict have been set aside.
    """
    n, other = int(counts.sum()), " other" if rest else ""
    one_end = bool((sign == sign[0]).all())
    end = "0" if sign[0] < 0 else highest
    if not names and one_end:
        return f"the response is {end} in {_every(n, other)}"
    if (values == values[0]).all() and one_end:
        where = " and ".join(
            f"{name} = {v:.6g}" for name, v in zip(names, values[0], strict=True)
        )
        return f"the response is {end} in {_every(n, other)} with {where}"
    if len(names) == 1:
        parts = []
        for word, side in (("0", -1), (highest, 1)):
            x, number = values[sign == side, 0], int(counts[sign == side].sum())
            if number:
                edge = (
                    f"<= {x.max():.6g}"
                    if side * direction[0] < 0
                    else f">= {x.min():.6g}"
                )
                parts.append(
                    f"{word} in {_every(number, other)} with {names[0]} {edge}"
                )
        return f"the response is {' and '.join(parts)}"
    many = f"{n}{other} row{'' if n == 1 else 's'}"
    if one_end:
        return (
            f"a combination of {_listed(names)} marks {many}, and the response is "
            f"{end} in each"
        )
    return (
        f"a combination of {_listed(names)} tells 0 from {highest} without error in "
        f"{many}"
    )


def summary(reasons: Sequence[str], columns: Sequence[str], *, complete: bool) -> str:
    """The reasons, and what they mean for the estimates."""
    told = list(reasons[:SHOWN])
    if len(reasons) > SHOWN:
        told.append(f"and so on for {len(reasons) - SHOWN} more")
    if complete:
        which, they = "No estimate is finite", True
    else:
        they = len(columns) > 1
        which = (
            f"The estimate{'s' if they else ''} of {_listed(columns)} "
            f"{'are' if they else 'is'} infinite"
        )
    return (
        f"{'; '.join(told)}. {which}: what is printed is where the search stopped, and "
        f"{'their' if they else 'its'} standard error{'s' if they else ''} and "
        f"test{'s' if they else ''} mean nothing"
    )


def remedy(names: Sequence[str]) -> str:
    """What to do about columns that predict the response perfectly."""
    if not names:
        return "check the response: all its values are at the same end of its range"
    drop = f"remove {_listed(names)} from the formula"
    if any("[" in name for name in names):
        return f"{drop}, or merge levels so that the response varies within each"
    return f"{drop}, or check that it was not made from the response"


def _every(n: int, other: str) -> str:
    return f"the one{other} row" if n == 1 else f"all {n}{other} rows"


def _listed(names: Sequence[str]) -> str:
    """A, b and c; the first few if there are many."""
    shown = list(names)
    if len(shown) > SHOWN + 2:
        shown = [*shown[:SHOWN], f"{len(shown) - SHOWN} other columns"]
    return " and ".join(
        [*([", ".join(shown[:-1])] if len(shown) > 1 else []), shown[-1]]
    )
