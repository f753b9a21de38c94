"""A page of results as a value: blocks that print as text, Markdown and HTML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ngmm.results.render import html_escape, markdown_escape, wrap

if TYPE_CHECKING:
    from ngmm.results.table import Table

_BETWEEN = "       "  # between two fields on one line
_FONT = "font-family:system-ui,sans-serif;font-size:90%;line-height:1.4"


class Block(Protocol):
    """A part of a document that knows its three formats."""

    @property
    def apart(self) -> bool:
        """Whether an empty line of text stands before the block."""
        ...

    def to_text(self, width: int) -> str:
        """Lines of at most ``width`` characters."""
        ...

    def to_markdown(self) -> str:
        """The block in Markdown."""
        ...

    def to_html(self) -> str:
        """The block in HTML, everything escaped."""
        ...


@dataclass(frozen=True)
class Title:
    """The name of the page, and a verdict at the right margin."""

    text: str
    tag: str = ""
    apart: bool = False

    def to_text(self, width: int) -> str:
        """The title, the tag ending in the last column."""
        space = max(1, width - len(self.text) - len(self.tag))
        return f"{self.text}{' ' * space}{self.tag}".rstrip()

    def to_markdown(self) -> str:
        """A heading."""
        return f"## {markdown_escape(f'{self.text} {self.tag}'.rstrip())}"

    def to_html(self) -> str:
        """A heading with the tag floating right."""
        tag = f'<span style="float:right">{html_escape(self.tag)}</span>'
        heading = html_escape(self.text) + (tag if self.tag else "")
        return f'<h3 style="margin:0 0 0.3em">{heading}</h3>'


@dataclass(frozen=True)
class Notes:
    """Messages to the reader, each behind a mark; a message may have several lines."""

    messages: tuple[str, ...]
    mark: str = "!"
    apart: bool = False

    def to_text(self, width: int) -> str:
        """Messages with a hanging indent."""
        rest = " " * (len(self.mark) + 3)
        lines = [
            line
            for message in self.messages
            for line in wrap(message, width, f"  {self.mark} ", rest)
        ]
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """A list."""
        mark = markdown_escape(self.mark)
        return "\n".join(
            f"- **{mark}** {markdown_escape(message).replace(chr(10), ' ')}"
            for message in self.messages
        )

    def to_html(self) -> str:
        """A list."""
        items = "".join(
            f"<li><strong>{html_escape(self.mark)}</strong> {html_escape(message)}</li>"
            for message in self.messages
        )
        return (
            f'<ul style="list-style:none;margin:0.3em 0;padding-left:1em">{items}</ul>'
        )


@dataclass(frozen=True)
class Field:
    """A label and a text; ``beside``: on the line of the one before, if it fits."""

    label: str
    text: str
    beside: bool = False


@dataclass(frozen=True)
class Fields:
    """Facts with a label each, the texts below one another."""

    fields: tuple[Field, ...]
    apart: bool = False

    def to_text(self, width: int) -> str:
        """A column of labels, then the texts with a hanging indent."""
        left = max((len(field.label) for field in self.fields), default=0) + 3
        lines: list[str] = []
        for field in self.fields:
            short = f"{_BETWEEN}{field.label}  {field.text}"
            if field.beside and lines and len(lines[-1] + short) <= width:
                lines[-1] += short
                continue
            lines += wrap(field.text, width, field.label.ljust(left), " " * left)
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """A list with the labels in bold."""
        return "\n".join(
            f"- **{markdown_escape(field.label)}**: "
            + markdown_escape(field.text).replace("\n", "; ")
            for field in self.fields
        )

    def to_html(self) -> str:
        """A description list in two columns."""
        items = "".join(
            f'<dt style="opacity:0.7">{html_escape(field.label)}</dt>'
            f'<dd style="margin:0">{html_escape(field.text)}</dd>'
            for field in self.fields
        )
        style = "display:grid;grid-template-columns:max-content auto;gap:0 1em;margin:0"
        return f'<dl style="{style}">{items}</dl>'


@dataclass(frozen=True)
class Line:
    """Figures in a row, each with its label."""

    figures: tuple[tuple[str, str], ...]
    apart: bool = True

    def to_text(self, width: int) -> str:
        """One line, or more if it does not fit."""
        lines: list[str] = []
        for label, text in self.figures:
            figure = f"{label} {text}"
            if lines and len(lines[-1]) + 4 + len(figure) <= width:
                lines[-1] += f"    {figure}"
            else:
                lines.append(f" {figure}")
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """One line, the labels in bold."""
        return ", ".join(
            f"**{markdown_escape(label)}** {markdown_escape(text)}"
            for label, text in self.figures
        )

    def to_html(self) -> str:
        """One paragraph."""
        figures = "".join(
            f'<span style="margin-right:2em"><strong>{html_escape(label)}</strong> '
            f"{html_escape(text)}</span>"
            for label, text in self.figures
        )
        return f'<p style="margin:0.6em 0">{figures}</p>'


@dataclass(frozen=True)
class Section:
    """A table under a title."""

    title: str
    table: Table
    apart: bool = True

    def to_text(self, width: int) -> str:
        """The table, the title over its row names."""
        return self._titled().to_text(width)

    def to_markdown(self) -> str:
        """A heading and the table."""
        table = replace(self.table, title="").to_markdown()
        return f"### {markdown_escape(self.title)}\n\n{table}"

    def to_html(self) -> str:
        """The table, the title as its caption."""
        return f"<section>\n{self._titled().to_html()}\n</section>"

    def _titled(self) -> Table:
        return replace(self.table, title=self.title)


@dataclass(frozen=True, repr=False)
class Document:
    """A printable page; printing it, or ending a notebook cell with it, shows it.

    Parameters
    ----------
    blocks
        From top to bottom.

    Examples
    --------
    >>> from ngmm.results.document import Document, Line, Title
    >>> page = Document((Title("Linear mixed model", "[OK]"), Line((("AIC", "1.0"),))))
    >>> print(page.to_text(width=30))
    Linear mixed model        [OK]
    <BLANKLINE>
     AIC 1.0
    >>> print(page.to_markdown())
    ## Linear mixed model [OK]
    <BLANKLINE>
    **AIC** 1.0
    >>> page.to_html()[:8]
    '<article'
    """

    blocks: tuple[Block, ...]

    def to_text(self, width: int = 80) -> str:
        """The page as text of at most ``width`` columns where the content allows it.

        Parameters
        ----------
        width
            Characters in a line.

        Returns
        -------
        str
            Lines without a last line break.
        """
        parts = [
            ("\n" if block.apart and i > 0 else "") + block.to_text(width)
            for i, block in enumerate(self.blocks)
        ]
        return "\n".join(parts)

    def to_markdown(self) -> str:
        """The page in Markdown.

        Returns
        -------
        str
            Headings, lists and tables.
        """
        return "\n\n".join(block.to_markdown() for block in self.blocks)

    def to_html(self) -> str:
        """The page in HTML: one element with its style inside, everything escaped.

        Returns
        -------
        str
            One ``article``.
        """
        body = "\n".join(block.to_html() for block in self.blocks)
        return f'<article style="max-width:60em;{_FONT}">\n{body}\n</article>'

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()
