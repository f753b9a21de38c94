"""Rows and counts in the words of a comparison."""

from __future__ import annotations

import pandas as pd


def listed_rows(index: pd.Index, most: int = 5) -> str:
    """Labels of some rows: ``rows 3, 7, ...``.

    Examples
    --------
    >>> listed_rows(pd.Index([3, 7, 9]), most=2)
    'rows 3, 7, ...'
    """
    shown = ", ".join(str(label) for label in index[:most])
    more = ", ..." if len(index) > most else ""
    return f"row{'s' * (len(index) > 1)} {shown}{more}"
