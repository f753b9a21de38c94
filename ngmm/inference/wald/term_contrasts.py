r"""Hypotheses about the fixed terms of types I, II and III, as contrasts of beta.

Every hypothesis is a statement about the space of means X beta, so it does not depend
on how factors are coded. With C the columns of terms that contain a term T:

* type I: T adds nothing to the terms before it;
* type II: T adds nothing to all terms but C;
* type III: among the estimable functions that vanish without T and C, those that are
  orthogonal to the ones that vanish without C, as coefficients of the model that has
  an indicator for every level. For complete factorial data these are the contrasts of
  unweighted marginal means.

"Adds" is meant in ordinary least squares, whatever the covariance of y.

References
----------
Goodnight (1980), Commun. Statist. A9, 167-180; SAS/STAT, "The four types of estimable
functions"; Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13), 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = NDArray[np.intp]

# A coefficient of a contrast this small beside the largest of its row is rounding.
_ROUNDING = 1e-10


def type_one(X: Matrix, terms: Sequence[Columns]) -> list[Matrix]:
    """Contrasts of each term after the terms before it.

    Parameters
    ----------
    X
        (n, p) columns of full rank, terms in the order of the sequence.
    terms
        Positions of the columns of each term.

    Returns
    -------
    list
        (columns of the term, p) contrasts of each term.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 2.0, 3.0])
    >>> X = np.column_stack([np.ones(4), x, x**2])
    >>> type_one(X, [np.array([1]), np.array([2])])[0].round(3)[0, 1:].tolist()
    [1.0, 3.0]
    """
    rows = _sequential_rows(X)
    return [rows[columns] for columns in terms]


def type_two(
    X: Matrix, terms: Sequence[Columns], containing: Sequence[Sequence[int]]
) -> list[Matrix]:
    """Contrasts of each term after all terms that do not contain it.

    Parameters
    ----------
    X
        (n, p) columns of full rank.
    terms
        Positions of the columns of each term.
    containing
        For each term, the positions in ``terms`` of those that contain it.
    """
    found: list[Matrix] = []
    for columns, above in zip(terms, containing, strict=True):
        if not above:
            found.append(np.eye(X.shape[1])[columns])
            continue
        higher = _joined([terms[j] for j in above])
        last = np.concatenate([columns, higher])
        first = np.setdiff1d(np.arange(X.shape[1]), last)
        order = np.concatenate([first, last])
        rows = np.empty((len(columns), X.shape[1]))
        at = len(first) + np.arange(len(columns))
        rows[:, order] = _sequential_rows(X[:, order])[at]
        found.append(rows)
    return found


def type_three(
    X: Matrix,
    complete: Matrix,
    terms: Sequence[Columns],
    containing: Sequence[Sequence[int]],
) -> list[Matrix]:
    """Contrasts of each term that are orthogonal to those of the terms that contain it.

    Parameters
    ----------
    X
        (n, p) columns of full rank.
    complete
        (n, K) columns of the same space with an indicator for every level of every
        factor, so that no coding is preferred.
    terms, containing
        As for `type_two`.
    """
    p = X.shape[1]
    q, triangle = np.linalg.qr(X)
    # Row j of the (p, K) matrix: the j-th coefficient as an estimable function.
    estimable = np.linalg.solve(triangle, q.T @ complete)
    unit = np.eye(p)
    found: list[Matrix] = []
    for columns, above in zip(terms, containing, strict=True):
        rows = unit[columns]
        higher = _joined([terms[j] for j in above])
        if len(higher) and len(columns):
            share = np.linalg.lstsq(
                estimable[higher].T, estimable[columns].T, rcond=None
            )[0]
            rows = rows - share.T @ unit[higher]
        found.append(_clean(rows))
    return found


def recoded(contrasts: Matrix, X: Matrix, other: Matrix) -> Matrix:
    """Contrasts of the coefficients of X as contrasts of those of other columns.

    Parameters
    ----------
    contrasts
        (q, p) contrasts for the columns ``X``.
    X, other
        (n, p) columns that span the same space.
    """
    q, triangle = np.linalg.qr(X)
    return _clean(contrasts @ np.linalg.solve(triangle, q.T @ other))


def vanishing(X: Matrix, smaller: Matrix) -> Matrix:
    """Contrasts of the coefficients of X that are zero for means in a smaller space.

    Parameters
    ----------
    X
        (n, p) columns of full rank.
    smaller
        (n, p0) columns of a subspace.

    Returns
    -------
    Matrix
        (p - p0, p), orthonormal in the coordinates of orthonormal columns.
    """
    q, triangle = np.linalg.qr(X)
    inside = np.linalg.qr(q.T @ smaller, mode="complete")[0]
    return np.asarray(inside[:, smaller.shape[1] :].T @ triangle)


def _sequential_rows(X: Matrix) -> Matrix:
    """Rows of the factor R of X, of which each has a leading one."""
    triangle = np.linalg.qr(X, mode="r")
    return np.asarray(triangle / np.diag(triangle)[:, None])


def _joined(parts: Sequence[Columns]) -> Columns:
    return np.concatenate([np.zeros(0, dtype=np.intp), *parts])


def _clean(rows: Matrix) -> Matrix:
    """Rounding errors in place of zeros, taken away."""
    if not rows.size:
        return rows
    size = np.abs(rows).max(axis=1, keepdims=True)
    return np.where(np.abs(rows) < _ROUNDING * size, 0.0, rows)
