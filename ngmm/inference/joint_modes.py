r"""Conditional modes and fixed effects together: the variance of any sum of both.

With spherical random effects u, b = Lambda u, the model at the estimate is a Gaussian
one with row weights W, and given beta the estimated u has the covariance

.. math:: \sigma^2 T, \quad T = (\Lambda' Z' W Z \Lambda + I)^{-1},

and moves with beta by -T Lambda' Z' W X. A sum g' beta + h' u therefore has the
variance of a' beta with a = g - X' W Z Lambda T h, and sigma^2 h' T h.

References
----------
Henderson (1975), Biometrics 31, 423-447.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointModes:
    """The spherical random effects of all terms, given the data.

    Attributes
    ----------
    columns
        (n, q) sparse, Z Lambda of the rows of the fit.
    weight
        (n,) precision of each row over sigma^2.
    sigma
        Residual standard deviation; 1 where there is none.
    solve
        Function that applies T to a matrix (q, k).
    """

    columns: Any
    weight: Vector
    sigma: float
    solve: Any

    def response_to(self, X: Matrix) -> Matrix:
        """(q, p): Lambda' Z' W X of fixed-effect columns X (n, p)."""
        return np.asarray(self.columns.T @ (self.weight[:, None] * X))


def spherical_columns(
    terms: Sequence[tuple[Matrix, NDArray[np.int32], int]], factors: Sequence[Matrix]
) -> Any:
    """Z Lambda of any rows as a sparse (n, q) array.

    Parameters
    ----------
    terms
        For each term its columns Z (n, k), the level of each row (-1 where there is no
        effect) and the number of levels.
    factors
        Lambda of each term, (k, k).
    """
    from scipy import sparse  # loads slowly

    parts = []
    for (Z, codes, n_levels), lam in zip(terms, factors, strict=True):
        n, k = Z.shape
        known = codes >= 0
        values = np.where(known[:, None], Z @ lam, 0.0)
        columns = np.where(known, codes, 0).astype(np.int64)[:, None] * k + np.arange(k)
        at = np.repeat(np.arange(n), k)
        parts.append(
            sparse.csr_array(
                (values.ravel(), (at, columns.ravel())), shape=(n, n_levels * k)
            )
        )
    return sparse.csr_array(sparse.hstack(parts, format="csr"))


def joint_modes(columns: Any, weight: Vector, sigma: float) -> JointModes:
    """Factorise the precision of the spherical random effects.

    Parameters
    ----------
    columns, weight, sigma
        As in `JointModes`.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    q = columns.shape[1]
    precision = columns.T @ (sparse.diags_array(weight) @ columns)
    factor = splu((precision + sparse.eye_array(q)).tocsc())
    return JointModes(columns, weight, sigma, factor.solve)
