"""Grids of text as plain text, Markdown and HTML: the one renderer of all tables."""

from __future__ import annotations

import html as _html
import re
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ngmm.results.columns import Align

_INDENT = "  "
_NBSP = "\u00a0"
_INTERVAL = re.compile(r"\[(\S+), (\S+)\]")
_MARKDOWN_SPECIAL = re.compile(r"[\\`*_<>|~$]|\](?=\()")

_CELL_STYLE = "padding:0.1em 0.7em;text-align:"
_RULE_STYLE = ";border-bottom:1px solid currentColor"


@dataclass(frozen=True)
class Grid:
    """Cells as text: the headings, the rows, and how many columns name the rows."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: tuple[Align, ...]
    n_labels: int
    title: str = ""
    caption: str = ""

    def column(self, j: int) -> list[str]:
        """Cells of column ``j``, the heading not included."""
        return [row[j] for row in self.rows]


# --- plain text -----------------------------------------------------------------------


def grid_to_text(grid: Grid, width: int = 80) -> str:
    """A grid as lines of at most ``width`` characters where the content allows it.

    The title stands over the row names. A grid that is too wide first loses space
    between its columns and is then cut into blocks of columns, each with the row names.
    """
    labels = _label_column(grid)
    columns = [
        _text_column(grid.headers[j], grid.column(j), grid.align[j])
        for j in range(grid.n_labels, len(grid.headers))
    ]
    gap, blocks = _blocks(labels, columns, width)
    tables = ["\n".join(_join([labels, *block], gap)) for block in blocks]
    indent = _INDENT if grid.title else ""
    notes = wrap(grid.caption, width, indent, indent) if grid.caption else []
    return "\n".join(["\n\n".join(tables), *notes])


def wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most ``width`` characters, ``first`` and ``rest`` being the indents.

    What stands in parentheses is kept together if it fits a line, and an operator goes
    with what follows it, so that formulas stay readable.
    """
    room = width - max(len(first), len(rest))
    lines: list[str] = []
    for part in text.split("\n"):
        glued = " ".join(
            piece if len(piece) <= room else piece.replace(_NBSP, " ")
            for piece in _glue(part).split(" ")
        )
        lines += textwrap.wrap(
            glued,
            width,
            initial_indent=rest if lines else first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [line.replace(_NBSP, " ") for line in lines]


def one_line(text: str) -> str:
    """Text without line breaks, tabs and other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _glue(text: str) -> str:
    """Spaces at which a line must not end become non-breaking ones."""
    depth = 0
    glued: list[str] = []
    for i, char in enumerate(text):
        depth = max(0, depth + (char in "([{") - (char in ")]}"))
        after_operator = text[max(0, i - 2) : i] in (" +", " -", "->")
        keep = char == " " and (depth > 0 or after_operator)
        glued.append(_NBSP if keep else char)
    return "".join(glued)


def _label_column(grid: Grid) -> list[str]:
    """The columns that name the rows joined to one, headed by the title if any."""
    parts = [
        _padded([grid.headers[j] if not grid.title else "", *grid.column(j)], "left")
        for j in range(grid.n_labels)
    ]
    joined = ["  ".join(cells).rstrip() for cells in zip(*parts, strict=True)]
    if not joined:
        joined = [""] * (len(grid.rows) + 1)
    if grid.title:
        joined = [grid.title, *(_INDENT + cell for cell in joined[1:])]
    return _padded(joined, "left")


def _text_column(header: str, cells: Sequence[str], align: Align) -> list[str]:
    return _padded([header, *_align_intervals(cells)], align)


def _align_intervals(cells: Sequence[str]) -> list[str]:
    """Pad the bounds of intervals so that they stand below each other."""
    bounds = [match.groups() for cell in cells if (match := _INTERVAL.fullmatch(cell))]
    low = max((len(pair[0]) for pair in bounds), default=0)
    high = max((len(pair[1]) for pair in bounds), default=0)

    def pad(match: re.Match[str]) -> str:
        return f"[{match[1]:>{low}}, {match[2]:>{high}}]"

    return [
        pad(match) if (match := _INTERVAL.fullmatch(cell)) else cell for cell in cells
    ]


def _padded(cells: Sequence[str], align: Align) -> list[str]:
    """Cells of equal width on the screen."""
    width = max((_screen_width(cell) for cell in cells), default=0)
    padded: list[str] = []
    for cell in cells:
        space = width - _screen_width(cell)
        left = {"left": 0, "right": space, "center": space // 2}[align]
        padded.append(" " * left + cell + " " * (space - left))
    return padded


def _screen_width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, accents none."""
    return sum(
        0
        if unicodedata.combining(char)
        else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _blocks(
    labels: list[str], columns: list[list[str]], width: int
) -> tuple[int, list[list[list[str]]]]:
    """The gap between columns, and the columns of each block."""
    first = _screen_width(labels[0])
    widths = [_screen_width(column[0]) for column in columns]
    for gap in (3, 2):
        if first + sum(widths) + gap * len(columns) <= width:
            return gap, [columns]
    blocks: list[list[list[str]]] = []
    used = width + 1
    for column, size in zip(columns, widths, strict=True):
        if used + 2 + size > width:
            blocks.append([])
            used = first
        blocks[-1].append(column)
        used += 2 + size
    return 2, blocks or [[]]


def _join(columns: list[list[str]], gap: int) -> list[str]:
    space = " " * gap
    return [space.join(cells).rstrip() for cells in zip(*columns, strict=True)]


# --- Markdown -------------------------------------------------------------------------


def grid_to_markdown(grid: Grid) -> str:
    """A grid as a pipe table, below its title in bold, above its caption in italics."""
    rules = {"left": ":--", "right": "--:", "center": ":-:"}
    lines = [grid.headers, tuple(rules[align] for align in grid.align)]
    table = [_markdown_row(lines[0]), "| " + " | ".join(lines[1]) + " |"]
    table += [_markdown_row(row) for row in grid.rows]
    parts = [f"**{markdown_escape(grid.title)}**"] if grid.title else []
    parts.append("\n".join(table))
    parts += [f"*{markdown_escape(line)}*" for line in grid.caption.split("\n") if line]
    return "\n\n".join(parts)


def markdown_escape(text: str) -> str:
    """Text that Markdown, also within a table, shows as it is."""
    return _MARKDOWN_SPECIAL.sub(lambda match: "\\" + match[0], text)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown_escape(cell) for cell in cells) + " |"


# --- HTML -----------------------------------------------------------------------------


def grid_to_html(grid: Grid) -> str:
    """A grid as a table element with its own inline style, everything escaped."""
    head = "".join(
        f'<th scope="col" style="{_CELL_STYLE}{align}{_RULE_STYLE}">'
        f"{html_escape(header)}</th>"
        for header, align in zip(grid.headers, grid.align, strict=True)
    )
    body = "\n".join(f"<tr>{_html_row(row, grid)}</tr>" for row in grid.rows)
    caption = (
        '<caption style="caption-side:top;text-align:left;font-weight:bold">'
        f"{html_escape(grid.title)}</caption>\n"
        if grid.title
        else ""
    )
    foot = (
        f'<tfoot><tr><td colspan="{len(grid.headers)}" '
        f'style="{_CELL_STYLE}left;white-space:normal;font-style:italic">'
        f"{html_escape(grid.caption)}</td></tr></tfoot>\n"
        if grid.caption
        else ""
    )
    return (
        '<table style="border-collapse:collapse;white-space:nowrap;margin:0.5em 0">\n'
        f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        f"{foot}</table>"
    )


def html_escape(text: str) -> str:
    """Text as HTML, line breaks kept."""
    return _html.escape(text).replace("\n", "<br>")


def _html_row(row: Sequence[str], grid: Grid) -> str:
    cells: list[str] = []
    for j, cell in enumerate(row):
        tag, scope = ("th", ' scope="row"') if j < grid.n_labels else ("td", "")
        weight = ";font-weight:normal" if scope else ""
        style = f"{_CELL_STYLE}{grid.align[j]}{weight}"
        cells.append(f'<{tag}{scope} style="{style}">{html_escape(cell)}</{tag}>')
    return "".join(cells)
