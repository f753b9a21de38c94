"""Contrast codings of factors: treatment, sum, Helmert, polynomial, or a given matrix.

The matrices are those of R's ``contr.treatment``, ``contr.sum``, ``contr.helmert`` and
``contr.poly``: a row for each level, a column for each coefficient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ngmm.design._text import counted
from ngmm.design.columns import Factor
from ngmm.errors import DataError, OptionError, did_you_mean

__all__ = ["CODINGS", "Coding", "Contrast", "check_codable", "factor_coding"]

# The name of a coding, or a matrix with a row for each level.
Contrast: TypeAlias = str | ArrayLike | pd.DataFrame

# More than this many numbers (16 GB) in the columns of one factor is an oversight.
_MAX_ELEMENTS = 2_000_000_000


@dataclass(frozen=True, eq=False)
class Coding:
    """How the levels of a factor become columns.

    Attributes
    ----------
    matrix
        Shape (levels, columns).
    suffixes
        What follows the name of the factor in the name of each column: ``"[T.b]"``.
    """

    matrix: NDArray[np.float64]
    suffixes: tuple[str, ...]


def factor_coding(
    factor: Factor, contrasts: Mapping[str, Contrast], *, reduced: bool
) -> Coding:
    """Return the coding of a factor.

    Parameters
    ----------
    factor
        The factor. Ordered ones have polynomial contrasts unless told otherwise, all
        others treatment contrasts.
    contrasts
        Column name -> coding chosen by the user.
    reduced
        Contrasts (one column fewer than levels) or an indicator column for each level.

    Raises
    ------
    DataError
        If the factor has one level only, or its columns would not fit in memory.
    OptionError
        If a contrast is unknown or has the wrong shape.
    """
    check_codable(factor)
    labels = factor.labels
    if not reduced:
        return Coding(np.eye(len(labels)), tuple(f"[{label}]" for label in labels))
    contrast = contrasts.get(factor.name, "poly" if factor.ordered else "treatment")
    if isinstance(contrast, str):
        return _named_coding(contrast, labels, factor.name)
    return _matrix_coding(contrast, labels, factor.name)


def check_codable(factor: Factor) -> None:
    """Raise if a factor cannot be made into columns.

    Raises
    ------
    DataError
        If it has one level only, or its columns would not fit in memory.
    """
    labels = factor.labels
    if len(labels) == 1:
        raise DataError(
            f"factor '{factor.name}' has one level, '{labels[0]}': "
            "remove it from the formula"
        )
    if len(labels) * len(factor.codes) > _MAX_ELEMENTS:
        raise DataError(
            f"factor '{factor.name}' has {len(labels):,} levels in "
            f"{counted(len(factor.codes), 'row')}: too many for a fixed effect. "
            f"Make it a grouping factor, (1 | {factor.name}), or a number"
        )


def _named_coding(contrast: str, labels: tuple[str, ...], name: str) -> Coding:
    if contrast not in CODINGS:
        known = ", ".join(f'"{known}"' for known in CODINGS)
        raise OptionError(
            f'contrasts={{"{name}": "{contrast}"}} is unknown'
            f"{did_you_mean(contrast, CODINGS) or '.'} Choose one of {known}, "
            "or give a matrix with a row for each level"
        )
    return CODINGS[contrast](labels)


def _matrix_coding(contrast: Any, labels: tuple[str, ...], name: str) -> Coding:
    try:
        matrix = np.asarray(contrast, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise OptionError(f'contrasts["{name}"] is not a matrix of numbers') from cause
    k = len(labels)
    if matrix.ndim == 1:
        matrix = matrix[:, np.newaxis]
    if matrix.ndim != 2 or matrix.shape[0] != k or not 1 <= matrix.shape[1] < k:
        raise OptionError(
            f'contrasts["{name}"] has shape {np.shape(contrast)}; {k} rows, one for '
            f"each level ({', '.join(labels)}), and 1 to {k - 1} columns are needed"
        )
    if not np.isfinite(matrix).all():
        raise OptionError(f'contrasts["{name}"] has values that are not finite')
    columns = contrast.columns if isinstance(contrast, pd.DataFrame) else None
    fields = range(1, matrix.shape[1] + 1) if columns is None else columns
    return Coding(matrix, tuple(f"[{field}]" for field in fields))


def _treatment(labels: tuple[str, ...]) -> Coding:
    """Differences from the first level."""
    matrix = np.eye(len(labels))[:, 1:]
    return Coding(matrix, tuple(f"[T.{label}]" for label in labels[1:]))


def _sum(labels: tuple[str, ...]) -> Coding:
    """Differences from the mean of the levels; the last level is -1 everywhere."""
    matrix = np.eye(len(labels))[:, :-1]
    matrix[-1] = -1.0
    return Coding(matrix, tuple(f"[S.{label}]" for label in labels[:-1]))


def _helmert(labels: tuple[str, ...]) -> Coding:
    """Each level against the mean of the levels before it, not scaled."""
    k = len(labels)
    matrix = -np.triu(np.ones((k, k - 1)))
    below = np.arange(k - 1)
    matrix[below + 1, below] = below + 1.0
    return Coding(matrix, tuple(f"[H.{label}]" for label in labels[1:]))


def _poly(labels: tuple[str, ...]) -> Coding:
    """Orthonormal polynomials of the equally spaced scores 1, 2, ..."""
    k = len(labels)
    scores = np.arange(k) - (k - 1) / 2.0
    q, r = np.linalg.qr(np.vander(scores, k, increasing=True))
    # The sign of a QR factor is arbitrary; the leading coefficient is positive here.
    matrix = (q * np.sign(np.diag(r)))[:, 1:]
    short = (".L", ".Q", ".C")
    suffixes = tuple(
        short[degree - 1] if degree <= 3 else f"^{degree}" for degree in range(1, k)
    )
    return Coding(matrix, suffixes)


CODINGS: Mapping[str, Callable[[tuple[str, ...]], Coding]] = MappingProxyType(
    {"treatment": _treatment, "sum": _sum, "helmert": _helmert, "poly": _poly}
)
