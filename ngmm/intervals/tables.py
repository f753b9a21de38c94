"""How intervals are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngmm.results.columns import Column, Interval, Label, Number, Text
from ngmm.results.formatting import percent
from ngmm.results.table import Table

if TYPE_CHECKING:
    import pandas as pd


def interval_table(frame: pd.DataFrame, level: float, caption: str = "") -> Table:
    """A table of estimates and limits.

    Parameters
    ----------
    frame
        Columns estimate, conf_low, conf_high; a column note is printed if any row has
        one.
    level
        Confidence level.
    caption
        Where the limits come from.
    """
    header = f"{percent(level)} CI"
    columns: list[Column] = [
        Label(),
        Number("estimate", "estimate"),
        Interval("conf_low", "conf_high", "estimate", header),
    ]
    if "note" in frame and any(frame["note"] != ""):
        columns.append(Text("note", "note"))
    return Table(frame.copy(), caption, tuple(columns), "Confidence intervals")
