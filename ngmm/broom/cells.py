"""Estimates and what stands below them as text, cells of a table of several fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ngmm.results import formatting

STATISTICS = ("std_error", "statistic", "p_value", "conf_int")
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@dataclass(frozen=True)
class Style:
    """How estimates are shown.

    Attributes
    ----------
    statistic
        What stands below them: one of `STATISTICS`, or None.
    stars
        Whether small p-values are marked.
    """

    statistic: str | None
    stars: bool

    def caption(self, level: float, *, exponentiate: bool) -> str:
        """What the reader must know of the cells."""
        below = {
            None: "",
            "std_error": "standard errors in parentheses",
            "statistic": "t or z statistics in parentheses",
            "p_value": "p-values below estimates",
            "conf_int": f"{formatting.percent(level)} Wald intervals below estimates",
        }[self.statistic]
        ratios = "fixed effects exponentiated" if exponentiate else ""
        stars = "* p < 0.05, ** p < 0.01, *** p < 0.001" if self.stars else ""
        return "; ".join(filter(None, (ratios, below, stars)))


def stack_cells(
    frame: pd.DataFrame, names: Sequence[str], style: Style
) -> pd.DataFrame:
    """Texts: a row for each estimate, and one for what stands below it.

    Parameters
    ----------
    frame
        As `SideBySide.frame`.
    names
        Of the fits.
    style
        How estimates are shown.
    """
    rows: list[list[str]] = []
    for key, values in zip(frame.index, frame.to_numpy(), strict=True):
        cells = values.reshape(len(names), -1)
        part, term = key
        if part in ("networks", "size", "fit"):
            rows.append([term, *(_size(part, term, v) for v in cells[:, 0])])
            continue
        shown, below = _estimates(cells, _decimals(term, cells), style)
        rows.append([term, *shown])
        if any(below):
            rows.append(["", *below])
    terms = pd.Index([row[0] for row in rows], dtype=object)
    cells = [row[1:] for row in rows]
    return pd.DataFrame(cells, index=terms, columns=pd.Index(names), dtype=object)


def _decimals(term: str, cells: np.ndarray) -> int:
    """Decimals that the fits share."""
    estimate, se = cells[:, 0], cells[:, 1]
    if term.startswith("cor("):
        return 2
    return formatting.common_decimals(estimate, se if np.isfinite(se).any() else None)


def _estimates(
    cells: np.ndarray, decimals: int, style: Style
) -> tuple[list[str], list[str]]:
    """Estimates of one term, and what stands below them; empty where there is none."""
    estimate, p = cells[:, 0], cells[:, 3]
    shown = formatting.fixed(estimate, decimals, missing="")
    # A variance estimated at zero is no small number.
    shown = ["0" if v == 0 else s for v, s in zip(estimate, shown, strict=True)]
    if style.stars:
        shown = [s + _stars(v) for s, v in zip(shown, p, strict=True)]
    below = _below(cells, decimals, style)
    absent = np.isnan(estimate)
    return shown, ["" if a else b for a, b in zip(absent, below, strict=True)]


def _below(cells: np.ndarray, decimals: int, style: Style) -> list[str]:
    _, se, statistic, p, low, high = cells.T
    texts: dict[str | None, Callable[[], list[str]]] = {
        None: lambda: [""] * len(cells),
        "std_error": lambda: _bracketed(formatting.numbers(se, decimals, missing="")),
        "statistic": lambda: _bracketed(formatting.fixed(statistic, 2, missing="")),
        "p_value": lambda: ["" if np.isnan(v) else formatting.p_value(v) for v in p],
        "conf_int": lambda: [
            "" if np.isnan(a) else formatting.interval(a, b, decimals, scale=1.0)
            for a, b in zip(low, high, strict=True)
        ],
    }
    return texts[style.statistic]()


def _bracketed(texts: Sequence[str]) -> list[str]:
    return [f"({text})" if text else "" for text in texts]


def _stars(p: float) -> str:
    return next((mark for limit, mark in STARS if p < limit), "")


def _size(part: str, term: str, value: float) -> str:
    """A count, or a measure of fit."""
    if np.isnan(value):
        return ""
    if part == "size" or (term == "df" and value == round(value)):
        return formatting.integer(value)
    return formatting.number(value, 2 if term == "loglik" else 1)
