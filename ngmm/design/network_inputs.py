"""The inputs of a network, as arrays and as what rebuilds them for new data.

Numbers are standardised, factors are indicators or codes, arrays stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import counted, level_label, listing, row_listing
from ngmm.design.columns import Column, Factor, as_factor, match_levels
from ngmm.design.expressions import called_functions, evaluate, parse_python
from ngmm.design.frame import Frame
from ngmm.design.functions import ELEMENTWISE, numpy_function
from ngmm.design.matrix import MatrixSpec, build_matrix, check_finite
from ngmm.errors import DataError, DesignError
from ngmm.formula import ModelFormula, NetworkTerm, columns_of, to_python

__all__ = [
    "ArrayInput",
    "FactorInput",
    "InputSpec",
    "NumericInput",
    "array_names",
    "build_input",
]

# A factor with more levels than this is a code for an embedding to learn.
MAX_INDICATORS = 10

# The standard deviation of rounding errors, relative to the largest value.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class NumericInput:
    """A number a row: ``x``, ``log(x)``, or a boolean as 0 and 1.

    Attributes
    ----------
    text
        The input as written.
    mean, sd
        Of the training rows, which are standardised by them.
    matrix
        How to evaluate a transform that depends on the whole column, such as
        ``scale(x)``; None for one that does not.
    """

    text: str
    mean: float
    sd: float
    matrix: MatrixSpec | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of ``x``."""
        return (_unquoted(self.text),)

    def fill(
        self,
        x: NDArray[np.float64],
        columns: Mapping[str, Column],
        frame: Frame,
        error: type[DataError],
    ) -> None:
        """Put the standardised values into columns (n, 1) of zeros."""
        values = _numbers(self.text, self.matrix, columns, frame, error)
        x[:, 0] = (values - self.mean) / self.sd


@dataclass(frozen=True, eq=False)
class FactorInput:
    """A factor: an indicator for each level, or its codes if it has many.

    Attributes
    ----------
    text
        The input as written.
    levels
        The levels of the training rows.
    """

    text: str
    levels: pd.Index

    @property
    def is_code(self) -> bool:
        """Whether the network gets codes rather than indicators."""
        return len(self.levels) > MAX_INDICATORS

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of ``x``; none for codes."""
        if self.is_code:
            return ()
        text = _unquoted(self.text)
        return tuple(f"{text}[{level_label(level)}]" for level in self.levels)

    def codes(
        self, columns: Mapping[str, Column], n_rows: int, error: type[DataError]
    ) -> NDArray[np.int32]:
        """Return the level of each row.

        Raises
        ------
        NewDataError
            If a level was not seen in training.
        """
        factor = _factor(self.text, columns, n_rows, error)
        if factor.levels.equals(self.levels):
            return factor.codes
        seen = match_levels(factor.levels, self.levels, _unquoted(self.text))
        return seen[factor.codes]

    def fill(
        self,
        x: NDArray[np.float64],
        columns: Mapping[str, Column],
        frame: Frame,
        error: type[DataError],
    ) -> None:
        """Put the indicators into columns (n, number of levels) of zeros."""
        codes = self.codes(columns, frame.n_rows, error)
        x[np.arange(frame.n_rows), codes] = 1.0


@dataclass(frozen=True, eq=False)
class ArrayInput:
    """An array a row, which only a user's network can read.

    Attributes
    ----------
    text
        The input as written.
    name
        The column.
    shape
        Shape of the array of one row.
    """

    text: str
    name: str
    shape: tuple[int, ...]

    def array(self, frame: Frame, error: type[DataError]) -> NDArray[Any]:
        """Return the arrays of all rows.

        Raises
        ------
        DataError
            If they are not finite, or not of the shape of the training data.
        """
        values = frame.arrays.get(self.name)
        shape = () if values is None else values.shape[1:]
        if values is None or shape != self.shape:
            raise error(
                f'column "{self.name}" has values of shape {shape} a row; the network '
                f"was fitted with shape {self.shape}"
            )
        finite = np.asarray(np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if not finite.all():
            raise error(
                f'column "{self.name}" is infinite {row_listing(~finite, frame.index)}'
                "; correct these values or set them to missing"
            )
        return values


InputSpec: TypeAlias = NumericInput | FactorInput | ArrayInput


def array_names(terms: ModelFormula) -> frozenset[str]:
    """Return the columns that may be arrays: those that only networks read as such."""
    latent = [network for term in terms.random for network in term.networks]
    texts = [text for term in (*terms.networks, *latent) for text in term.inputs]
    bare = {columns_of(text)[0] for text in texts if _is_name(text)}
    others = [text for text in texts if not _is_name(text)]
    exprs = [
        terms.response.expr,
        terms.fixed,
        *terms.offsets,
        *(term.expr for term in terms.random),
        *others,
    ]
    used = {name for expr in exprs for name in columns_of(expr)}
    grouping = {name for term in terms.random for name in term.group}
    return frozenset(bare - used - grouping)


def build_input(
    text: str, term: NetworkTerm, columns: Mapping[str, Column], frame: Frame
) -> InputSpec:
    """Return how to build one input of a network, found from the training rows.

    Raises
    ------
    DataError
        If it cannot be evaluated, or looks like an identifier.
    DesignError
        If it is the same in all rows, or has several columns.
    """
    name = _unquoted(text)
    if _is_name(text) and name in frame.arrays:
        values = frame.arrays[name]
        if (values == values[:1]).all():
            raise _constant(text, term, "array")
        return ArrayInput(text, name, values.shape[1:])
    matrix = _stateful(text, term, columns, frame)
    if matrix is None:
        factor = _evaluated(text, columns, frame.n_rows, DataError)
        if isinstance(factor, Factor) and not factor.is_boolean:
            _check_factor(factor, text, term, frame.n_rows)
            return FactorInput(text, factor.levels)
    values = _numbers(text, matrix, columns, frame, DataError)
    largest = np.abs(values).max()
    # Scaling by the largest value keeps the squares from overflowing.
    unit = largest if largest > 0 else 1.0
    mean, sd = float(unit * (values / unit).mean()), float(unit * (values / unit).std())
    if sd <= _ROUNDING * largest:
        raise _constant(text, term, f"{values[0]:.6g}")
    return NumericInput(text, mean, sd, matrix)


def _check_factor(factor: Factor, text: str, term: NetworkTerm, n_rows: int) -> None:
    """Refuse a factor with one level, and one that is a label of each row."""
    if len(factor.levels) == 1:
        raise _constant(text, term, f"'{factor.labels[0]}'")
    if 2 * len(factor.levels) > n_rows:
        raise DataError(
            f"input {text} of {term} has {counted(len(factor.levels), 'level')} in "
            f"{counted(n_rows, 'row')} ({listing(factor.labels, most=3)}): it looks "
            "like an identifier. Leave it out of the network; if its rows belong "
            f"together, write (1 | {text})"
        )


def _constant(text: str, term: NetworkTerm, value: str) -> DesignError:
    return DesignError(
        f"input {text} of {term} is the same in all rows ({value}), so the network "
        "cannot learn from it; remove it"
    )


def _stateful(
    text: str, term: NetworkTerm, columns: Mapping[str, Column], frame: Frame
) -> MatrixSpec | None:
    """Return how to build an input that depends on the whole column, or None."""
    if _is_name(text) or text.startswith("C("):
        return None
    names = called_functions(parse_python(to_python(text)))
    if all(
        name in ELEMENTWISE or numpy_function(name.removeprefix("np.")) is not None
        for name in names
    ):
        return None
    _, matrix = build_matrix(f"0 + {text}", columns, {}, frame.n_rows)
    if len(matrix.names) != 1:
        raise DesignError(
            f"input {text} of {term} has {len(matrix.names)} columns; give the network "
            f"the column itself: nn({columns_of(text)[0]})"
        )
    return matrix


def _numbers(
    text: str,
    matrix: MatrixSpec | None,
    columns: Mapping[str, Column],
    frame: Frame,
    error: type[DataError],
) -> NDArray[np.float64]:
    """Return the values of a numeric input, all finite."""
    if matrix is not None:
        values = matrix.build(columns, frame.n_rows)[:, 0]
    else:
        found = _evaluated(text, columns, frame.n_rows, error)
        values = found.values() if isinstance(found, Factor) else found
        if np.asarray(values).dtype.kind not in "biuf":
            raise error(f"input {text} of a network is not numeric")
        values = np.asarray(values, dtype=np.float64)
    check_finite(values[:, None], (text,), frame.index, error)
    return values


def _factor(
    text: str, columns: Mapping[str, Column], n_rows: int, error: type[DataError]
) -> Factor:
    found = _evaluated(text, columns, n_rows, error)
    return found if isinstance(found, Factor) else as_factor(text, found)


def _evaluated(
    text: str, columns: Mapping[str, Column], n_rows: int, error: type[DataError]
) -> NDArray[Any] | Factor:
    """Return the values of an input: numbers, or a factor for text and ``C(x)``."""
    if text.startswith("C("):
        inside = text.removeprefix("C(").removesuffix(")")
        return as_factor(text, evaluate(inside, columns, ELEMENTWISE, n_rows, error))
    return evaluate(text, columns, ELEMENTWISE, n_rows, error)


def _is_name(text: str) -> bool:
    """Whether an input is the name of a column."""
    return "(" not in text or (text.startswith("`") and text.endswith("`"))


def _unquoted(text: str) -> str:
    """Return a column name without its backticks."""
    return text[1:-1] if text.startswith("`") and text.endswith("`") else text
