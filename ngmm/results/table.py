"""The one type of all printable tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ngmm.results.columns import default_columns
from ngmm.results.latex import grid_to_latex
from ngmm.results.render import (
    Grid,
    grid_to_html,
    grid_to_markdown,
    grid_to_text,
    one_line,
)

if TYPE_CHECKING:
    import pandas as pd

    from ngmm.results.columns import Column


@dataclass(frozen=True, repr=False, eq=False)
class Table:
    """A data frame that knows how it is printed.

    The frame has the numbers at full precision; text, Markdown and HTML are views of
    it. Printing a table, or leaving it at the end of a notebook cell, shows it.

    Parameters
    ----------
    frame
        The numbers. The table keeps this very frame and never changes it; hand over a
        copy if you go on to change yours.
    caption
        What the reader must know, such as the method behind the tests; printed below.
        May have several lines.
    columns
        The columns to print, in order, each with its format (see
        `ngmm.results.columns`); all of the frame when empty. Those that name the rows
        come first.
    title
        Printed over the row names.

    Examples
    --------
    >>> import pandas as pd
    >>> from ngmm.results import Table
    >>> frame = pd.DataFrame({"sd": [23.7806, 5.7168]}, index=["Intercept", "Days"])
    >>> table = Table(frame, caption="on the scale of the response")
    >>> print(table)
                   sd
    Intercept   23.78
    Days         5.72
    on the scale of the response
    >>> table.to_frame().equals(frame), table.to_text() == str(table)
    (True, True)
    >>> print(table.to_markdown())
    |  | sd |
    | :-- | --: |
    | Intercept | 23.78 |
    | Days | 5.72 |
    <BLANKLINE>
    *on the scale of the response*
    >>> table.to_html()[:6], "toprule" in table.to_latex()
    ('<table', True)
    """

    frame: pd.DataFrame
    caption: str = ""
    columns: tuple[Column, ...] = ()
    title: str = ""

    def to_frame(self) -> pd.DataFrame:
        """The numbers at full precision, as a copy that is yours to change.

        Returns
        -------
        DataFrame
            A row for each row of the table, with more columns than it prints.
        """
        return self.frame.copy()

    def to_text(self, width: int = 80) -> str:
        """The table as text; columns that do not fit ``width`` go to further blocks.

        Parameters
        ----------
        width
            Characters in a line.

        Returns
        -------
        str
            Lines without a last line break.
        """
        return grid_to_text(self._grid(), width)

    def to_markdown(self) -> str:
        """The table in Markdown.

        Returns
        -------
        str
            Lines of a table, the caption behind it.
        """
        return grid_to_markdown(self._grid())

    def to_html(self) -> str:
        """The table in HTML, with its style inside.

        Returns
        -------
        str
            One element, everything escaped.
        """
        return grid_to_html(self._grid())

    def to_latex(self, label: str | None = None) -> str:
        r"""The table in LaTeX, a ``table`` with its title as caption.

        Parameters
        ----------
        label
            What ``\ref`` calls it; None for no label.

        Returns
        -------
        str
            A ``table`` environment.

        Notes
        -----
        The document needs ``\usepackage{booktabs}`` for the rules.

        Examples
        --------
        >>> import pandas as pd
        >>> from ngmm.results import Table
        >>> frame = pd.DataFrame({"sd": [23.7806]}, index=["Intercept"])
        >>> print(Table(frame).to_latex())
        \begin{table}
        \centering
        \begin{tabular}{lr}
        \toprule
         & sd \\
        \midrule
        Intercept & 23.8 \\
        \bottomrule
        \end{tabular}
        \end{table}
        """
        return grid_to_latex(self._grid(), label)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()

    def _grid(self) -> Grid:
        """The cells as text, the same for all three formats."""
        columns = self.columns or default_columns(self.frame)
        texts = [[one_line(c) for c in column.cells(self.frame)] for column in columns]
        return Grid(
            headers=tuple(one_line(column.header) for column in columns),
            rows=tuple(zip(*texts, strict=True)),
            align=tuple(column.align for column in columns),
            n_labels=sum(column.labels_rows for column in columns),
            title=one_line(self.title),
            caption=self.caption,
        )


class Tabled:
    """A result that is shown as a table, in a terminal and in a notebook."""

    def to_table(self) -> Table:
        """The result as a table."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.to_table().to_text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.to_table().to_html()
