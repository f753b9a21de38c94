r"""Scales in which the Gaussian likelihood is computed, and the way back.

The fixed-effect columns are orthonormalised, the response is replaced by its
least-squares residual at unit mean square, and random-effect columns get unit mean
square. None of this changes the model; all of it keeps digits when columns are badly
scaled or the response has a large mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import DataError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class GroupedColumns:
    """All random-effect columns of one grouping factor.

    Attributes
    ----------
    codes
        (n,) level of each row.
    columns
        (n, k) columns, in the user's units.
    n_levels
        Number of levels.
    """

    codes: NDArray[np.int32]
    columns: Matrix
    n_levels: int


@dataclass(frozen=True)
class Standardised:
    """The rows in standard units, square roots of the weights multiplied in.

    Attributes
    ----------
    tail
        (n, p + 1): orthonormal fixed-effect columns, then the scaled residual.
    columns
        Random-effect columns of each factor, unit mean square.
    triangle
        (p, p) upper triangular R with sqrt(w) X = Q R.
    beta_ols
        (p,) least-squares coefficients, which the residual is taken from.
    y_scale
        Root mean square of that residual.
    column_scales
        Root mean square of each random-effect column, by factor.
    sum_log_weights
        Sum of the logarithms of the weights.
    """

    tail: Matrix
    columns: tuple[Matrix, ...]
    triangle: Matrix
    beta_ols: Vector
    y_scale: float
    column_scales: tuple[Vector, ...]
    sum_log_weights: float


def standardise(
    y: Vector, X: Matrix, weights: Vector | None, groups: Sequence[GroupedColumns]
) -> Standardised:
    """Bring response (offset already removed), X and the columns of Z to scale.

    Raises
    ------
    DataError
        When the fixed effects reproduce the response exactly: no variance is left.
    """
    n = len(y)
    root = None if weights is None else np.sqrt(weights)
    yw = y if root is None else y * root
    xw = X if root is None else X * root[:, None]
    q, r = np.linalg.qr(xw) if X.shape[1] else (xw, np.zeros((0, 0)))
    effects = q.T @ yw
    residual = yw - q @ effects
    residual -= q @ (q.T @ residual)
    y_scale = float(np.sqrt(residual @ residual / n))
    if y_scale <= 1e-13 * float(np.sqrt(yw @ yw / n)):
        raise DataError(
            "the fixed effects reproduce the response exactly: no residual variance "
            "is left to estimate. Remove fixed terms, or check that the response is "
            "not a function of them."
        )
    columns, scales = [], []
    for group in groups:
        z = group.columns if root is None else group.columns * root[:, None]
        scale = np.sqrt(np.einsum("ij,ij->j", z, z) / n)
        columns.append(z / scale)
        scales.append(scale)
    return Standardised(
        tail=np.column_stack([q, residual / y_scale]),
        columns=tuple(columns),
        triangle=r,
        beta_ols=np.asarray(np.linalg.solve(r, effects), dtype=np.float64),
        y_scale=y_scale,
        column_scales=tuple(scales),
        sum_log_weights=0.0 if weights is None else float(np.log(weights).sum()),
    )
