"""Grids of text as LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ngmm.results.render import Grid

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_SPECIAL_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))
_ALIGN = {"left": "l", "right": "r", "center": "c"}
# A hyphen before a digit, or alone in a cell, is a sign and no hyphen.
_MINUS = re.compile(r"(?<![\w.)])-(?=\d)")


def grid_to_latex(grid: Grid, label: str | None = None) -> str:
    """A grid as a table of LaTeX, with the rules of the package booktabs.

    The title is the caption and stands above, the caption of the grid below.

    Parameters
    ----------
    grid
        The cells.
    label
        Of the table; None for none.
    """
    lines = [r"\begin{table}", r"\centering"]
    if grid.title:
        lines.append(rf"\caption{{{latex_escape(grid.title)}}}")
    if label is not None:
        lines.append(rf"\label{{{label}}}")
    columns = "".join(_ALIGN[align] for align in grid.align)
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [_row(grid.headers), r"\midrule"]
    lines += [_row(row) for row in grid.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    for note in grid.caption.split("\n") if grid.caption else []:
        lines.append(rf"\par{{\footnotesize {latex_escape(note)}}}")
    lines.append(r"\end{table}")
    return "\n".join(lines)


def latex_escape(text: str) -> str:
    """Text that LaTeX shows as it is, minus signs as such."""
    escaped = _SPECIAL_PATTERN.sub(lambda match: _SPECIAL[match[0]], text)
    return _MINUS.sub("$-$", escaped)


def _row(cells: Sequence[str]) -> str:
    r"""A row; an opening bracket would be read as an option of the ``\\`` before it."""
    shown = [latex_escape(cell) for cell in cells]
    shown = [f"{{{cell}}}" if cell.startswith("[") else cell for cell in shown]
    return " & ".join(shown) + r" \\"
