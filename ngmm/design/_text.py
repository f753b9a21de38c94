"""How names, labels and row numbers appear in column names and messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["counted", "level_label", "listing", "row_listing"]

_MAX_SHOWN = 10


def level_label(level: object) -> str:
    """Return a level as text; whole numbers are written without a decimal point."""
    if isinstance(level, float) and level.is_integer():
        return str(int(level))
    return str(level)


def counted(number: int, noun: str) -> str:
    """Return ``"1 row"``, ``"2,000 rows"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listing(items: Iterable[object], *, most: int = _MAX_SHOWN) -> str:
    """Return the items separated by commas, cut after ``most`` of them."""
    texts = [str(item) for item in items]
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[:most])}, ... ({len(texts):,} in all)"


def row_listing(
    flagged: NDArray[np.bool_] | Sequence[bool], index: pd.Index, *, most: int = 5
) -> str:
    """Return ``"in 12 rows (3, 17, 20, 21, 40, ...)"`` for the flagged rows."""
    positions = np.flatnonzero(np.asarray(flagged))
    shown = ", ".join(str(label) for label in index[positions[:most]])
    dots = ", ..." if len(positions) > most else ""
    return f"in {counted(len(positions), 'row')} ({shown}{dots})"
