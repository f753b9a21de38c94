r"""The covariance of the outputs of a network whose weights are random.

A network with one hidden layer of units max(0, w'z), z = (1, x), weights that are
independent standard normal, is in the limit of many units a Gaussian process with

.. math:: K(z, z') = \frac{1}{\pi} |z| |z'|\, \{\sin t + (\pi - t) \cos t\},

t the angle between z and z': the arc-cosine kernel of order one. Further layers apply
the same map to the kernel of the layer below. A kernel over n rows is used through a
factor of few columns, K = F F', found by pivoted Cholesky.

The eigenvalues of K fall so fast with frequency that a test weighted by them hears next
to nothing of a curve that turns more than once, which a fitted network follows well.
`features` therefore gives the directions of K the weights that they have in
K^(1/2) + K^(1/4), each scaled to unit norm: simulated power is as good against a
parabola, and up to three times as good against waves (docs/tests-of-networks.md).

References
----------
Cho & Saul (2009), Advances in Neural Information Processing Systems 22, eqs. 3-7 and
12; Harbrecht, Peters & Schneider (2012), Appl. Numer. Math. 62, 428-440, for the
pivoted Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.networks import Inputs

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Share of the trace of a kernel that its factor may leave out.
TOLERANCE = 1e-6
# Powers of the kernel that weigh its directions.
ROOTS = (0.5, 0.25)
# Columns of the factor that the fixed effects are then taken out of.
MOST_PIVOTS = 400


@dataclass(frozen=True, eq=False)
class ArcCosine:
    """The arc-cosine kernel of order one between rows of the inputs of a network.

    Parameters
    ----------
    inputs
        Numbers, indicators, and codes of factors, which count as indicators.
    depth
        Number of hidden layers; with none the kernel is linear.

    Examples
    --------
    Inputs 0 and 1 are the vectors (1, 0) and (1, 1), at an angle of 45 degrees:

    >>> kernel = ArcCosine(Inputs(np.array([[0.0], [1.0]])))
    >>> kernel.columns(np.array([0]))[:, 0].round(4).tolist()
    [1.0, 1.0683]
    """

    inputs: Inputs
    depth: int = 1

    @property
    def diagonal(self) -> Vector:
        """(n,) K(z, z) = |z|^2, whatever the depth."""
        x = np.asarray(self.inputs.x, dtype=np.float64)
        return 1.0 + np.einsum("ij,ij->i", x, x) + len(self.inputs.codes)

    def columns(self, rows: NDArray[np.intp]) -> Matrix:
        """(n, len(rows)) kernel between all rows and some."""
        x = np.asarray(self.inputs.x, dtype=np.float64)
        out = 1.0 + x @ x[rows].T
        for codes in self.inputs.codes:
            values = np.asarray(codes)
            out += values[:, None] == values[rows]
        length = np.sqrt(self.diagonal)
        scale = length[:, None] * length[rows]
        for _ in range(self.depth):
            cosine = np.clip(out / scale, -1.0, 1.0)
            angle = np.arccos(cosine)
            out = scale / np.pi * (np.sin(angle) + (np.pi - angle) * cosine)
        return out


def pivoted_cholesky(
    columns: Callable[[NDArray[np.intp]], Matrix],
    diagonal: Vector,
    *,
    tolerance: float = TOLERANCE,
    most: int = MOST_PIVOTS,
) -> Matrix:
    """F of few columns with F F' close to a positive semidefinite matrix.

    Parameters
    ----------
    columns
        Gives the columns of the matrix at some positions.
    diagonal
        (n,) its diagonal.
    tolerance
        Share of the trace that may be left out.
    most
        Largest number of columns.

    Returns
    -------
    Matrix
        (n, r); what is left out is positive semidefinite.

    Examples
    --------
    >>> a = np.array([[4.0, 2.0], [2.0, 2.0]])
    >>> factor = pivoted_cholesky(lambda at: a[:, at], np.diag(a))
    >>> np.allclose(factor @ factor.T, a)
    True
    """
    left = diagonal.astype(np.float64).copy()
    enough = tolerance * left.sum()
    out = np.zeros((len(left), min(most, len(left))))
    for r in range(out.shape[1]):
        if left.sum() <= enough:
            return out[:, :r]
        at = int(np.argmax(left))
        column = columns(np.array([at]))[:, 0] - out[:, :r] @ out[at, :r]
        out[:, r] = column / np.sqrt(left[at])
        left = np.maximum(left - out[:, r] ** 2, 0.0)
        left[at] = 0.0
    return out


@dataclass(frozen=True, eq=False)
class Features:
    """Directions in which networks move the linear predictor, the likeliest first.

    Attributes
    ----------
    columns
        (n, r), orthogonal to each other and to the fixed effects; F F' is the sum of
        roots of the kernel beyond the fixed effects, its trace n.
    share
        Share of the trace of the kernel beyond the fixed effects that they hold.
    """

    columns: Matrix
    share: float

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.columns.shape[1]


def features(
    kernels: Sequence[ArcCosine],
    X: Matrix,
    *,
    most: int,
    tolerance: float = TOLERANCE,
    roots: Sequence[float] = ROOTS,
) -> Features:
    """Features of the sum of kernels, fixed effects taken out.

    Parameters
    ----------
    kernels
        One for each network; each is scaled to the same trace beyond the fixed effects.
    X
        (n, p) fixed-effect columns.
    most
        Largest number of features.
    tolerance
        Share of the trace that may be left out.
    roots
        Powers of the kernel that are summed, each of unit norm; ``(1.0,)`` for itself.

    Returns
    -------
    Features
        Without columns if the kernels have nothing beyond the fixed effects.
    """
    basis = np.linalg.qr(X)[0] if X.shape[1] else X
    parts, total = [], 0.0
    for kernel in kernels:
        factor = pivoted_cholesky(
            kernel.columns, kernel.diagonal, tolerance=0.1 * tolerance
        )
        whole = float(kernel.diagonal.sum())
        factor -= basis @ (basis.T @ factor)
        beyond = float((factor**2).sum())
        # What the pivots leave out counts as left out beyond the fixed effects.
        if beyond > 1e-10 * whole:
            parts.append(factor / np.sqrt(beyond))
            total += 1.0
    if not parts:
        return Features(np.zeros((len(X), 0)), 1.0)
    u, s, _ = np.linalg.svd(np.column_stack(parts), full_matrices=False)
    kept = np.cumsum(s**2) / total
    r = min(most, int(np.searchsorted(kept, 1.0 - tolerance)) + 1, len(s))
    r = min(r, int((s > 1e-9 * s[0]).sum()))
    powers = [s[:r] ** (2.0 * root) for root in roots]
    weight = np.sum([p / np.linalg.norm(p) for p in powers], axis=0)
    columns = u[:, :r] * np.sqrt(weight * len(X) / weight.sum())
    return Features(columns, float(kept[r - 1]))


def between_share(F: Matrix, codes: NDArray[np.int32]) -> float:
    """Share of the sum of squares of columns that lies between levels.

    Parameters
    ----------
    F
        (n, r) columns.
    codes
        (n,) level of each row.

    Examples
    --------
    >>> column = np.array([[1.0], [3.0], [-2.0], [-2.0]])
    >>> between_share(column, np.array([0, 0, 1, 1]))
    0.8888888888888888
    """
    counts = np.maximum(np.bincount(codes), 1)
    sums = np.zeros((len(counts), F.shape[1]))
    np.add.at(sums, codes, F)
    return float((sums**2 / counts[:, None]).sum() / (F**2).sum())
