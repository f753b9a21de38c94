"""Model matrices of plain sums of columns, ``1 + Days + recipe``, without formulaic.

Most formulas are of this kind. Building them here takes microseconds, and formulaic
(most of a second to import) is left alone. The columns and names are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design.coding import Coding, Contrast, factor_coding
from ngmm.design.columns import Column, Factor, Numeric

__all__ = ["PlainMatrix", "plain_matrix"]

_NAME = re.compile(r"[^\W\d][\w.]*|\.[^\W\d][\w.]*")
_QUOTED = re.compile(r"`[^`]+`")


@dataclass(frozen=True, eq=False)
class PlainMatrix:
    """How to build the matrix of a sum of columns.

    Attributes
    ----------
    intercept
        Whether the first column is ones.
    codings
        Column of data -> coding of a factor, or None for a numeric column.
    names, column_terms
        Name of each column of the matrix, and the term it belongs to.
    """

    intercept: bool
    codings: Mapping[str, Coding | None]
    names: tuple[str, ...]
    column_terms: tuple[str, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns of data that are needed."""
        return tuple(self.codings)

    @property
    def column_variables(self) -> tuple[tuple[str, ...], ...]:
        """For each column of the matrix, the columns of data in its term."""
        first = ((),) if self.intercept else ()
        return first + tuple((term,) for term in self.column_terms[len(first) :])

    def build(self, columns: Mapping[str, Column], n_rows: int) -> NDArray[np.float64]:
        """Return the matrix for these columns, shape (n_rows, len(names))."""
        matrix = np.empty((n_rows, len(self.names)))
        start = 0
        if self.intercept:
            matrix[:, 0] = 1.0
            start = 1
        for name, coding in self.codings.items():
            column = columns[name]
            if isinstance(column, Numeric):
                matrix[:, start] = column.values
                start += 1
            elif coding is not None:
                stop = start + len(coding.suffixes)
                matrix[:, start:stop] = coding.matrix[column.codes]
                start = stop
        return matrix


def plain_matrix(
    expr: str, columns: Mapping[str, Column], contrasts: Mapping[str, Contrast]
) -> PlainMatrix | None:
    """Return how to build a plain sum of columns, or None if it is not one.

    Parameters
    ----------
    expr
        Right-hand side of a formula or left of a bar, as the user wrote it.
    columns
        The columns of the data.
    contrasts
        Column name -> coding chosen by the user.
    """
    parsed = _plain_terms(expr)
    if parsed is None or not all(name in columns for name in parsed[1]):
        return None
    intercept, terms = parsed
    # As in R, the first factor has an indicator for each level if nothing else in the
    # formula spans the constant.
    spanned = intercept
    codings: dict[str, Coding | None] = {}
    names = ["Intercept"] if intercept else []
    column_terms = ["Intercept"] if intercept else []
    for name in terms:
        column = columns[name]
        if isinstance(column, Factor):
            coding = factor_coding(column, contrasts, reduced=spanned)
            spanned = True
            codings[name] = coding
            names += [name + suffix for suffix in coding.suffixes]
            column_terms += [name] * len(coding.suffixes)
        else:
            codings[name] = None
            names.append(name)
            column_terms.append(name)
    return PlainMatrix(intercept, codings, tuple(names), tuple(column_terms))


def _plain_terms(expr: str) -> tuple[bool, tuple[str, ...]] | None:
    """Return whether there is an intercept, and the names that are added."""
    names: dict[str, None] = {}
    constants: set[str] = set()
    for part in expr.split("+"):
        term = part.strip()
        if term in ("0", "1"):
            constants.add(term)
        elif _NAME.fullmatch(term):
            names[term] = None
        elif _QUOTED.fullmatch(term):
            names[term[1:-1]] = None
        else:
            return None
    if len(constants) > 1:
        return None
    return "0" not in constants, tuple(names)
