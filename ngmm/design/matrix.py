"""Model matrices: the fast path for plain sums, formulaic for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import row_listing
from ngmm.design.coding import Contrast
from ngmm.design.columns import Column
from ngmm.design.formulaic_adapter import formulaic_matrix
from ngmm.design.plain import plain_matrix
from ngmm.errors import DataError

__all__ = ["MatrixSpec", "build_matrix", "check_finite"]


class MatrixSpec(Protocol):
    """How to build a model matrix again, for the training data or for new ones."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of the matrix."""
        ...

    @property
    def column_terms(self) -> tuple[str, ...]:
        """The term that each column belongs to."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns of data that are needed."""
        ...

    @property
    def column_variables(self) -> tuple[tuple[str, ...], ...]:
        """For each column of the matrix, the columns of data in its term."""
        ...

    def build(self, columns: Mapping[str, Column], n_rows: int) -> NDArray[np.float64]:
        """Return the matrix for these columns, shape (n_rows, len(names))."""
        ...


def build_matrix(
    expr: str,
    columns: Mapping[str, Column],
    contrasts: Mapping[str, Contrast],
    n_rows: int,
) -> tuple[NDArray[np.float64], MatrixSpec]:
    """Return the model matrix of an expression and how to build it again.

    Parameters
    ----------
    expr
        Right-hand side of a formula, or what stands left of a bar.
    columns
        The columns of the data.
    contrasts
        Column name -> coding chosen by the user.
    n_rows
        Number of rows.
    """
    plain = plain_matrix(expr, columns, contrasts)
    if plain is not None:
        return plain.build(columns, n_rows), plain
    return formulaic_matrix(expr, columns, contrasts, n_rows)


def check_finite(
    matrix: NDArray[np.float64],
    names: tuple[str, ...],
    index: pd.Index,
    error: type[DataError] = DataError,
) -> None:
    """Raise if a transform made values that are not finite, naming term and rows."""
    if np.isfinite(matrix).all():
        return
    column = int(np.argmin(np.isfinite(matrix).all(axis=0)))
    wrong = ~np.isfinite(matrix[:, column])
    raise error(
        f'term "{names[column]}" is infinite or undefined {row_listing(wrong, index)}, '
        "where its columns are not missing; change the transform or leave these "
        "rows out"
    )
