r"""Separation: when fixed effects predict a discrete response perfectly.

Let :math:`x_i` be the rows of X. A direction d with

.. math:: x_i'd \le 0, \qquad x_i'd \ge 0, \qquad x_i'd = 0

on the rows whose response is at the lowest end of its range, at the highest, and at
neither, and :math:`Xd \ne 0`, never lowers the likelihood however far one follows it:
the maximum likelihood estimate is infinite. This holds with random effects too, since
the likelihood given them is monotone along d for every value they can take.

References
----------
Albert & Anderson (1984), Biometrika 71, 1-10; Konis (2007), Linear programming
algorithms for detecting separated data in binary logistic regression models, DPhil
thesis, Oxford; Kosmidis & Schumacher (2021), R package detectseparation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm.estimation.recession import (
    Matrix,
    Signs,
    Vector,
    moved,
    row_space,
    sparse_direction,
)
from ngmm.estimation.separation_text import reason, remedy, summary

# A coefficient is determined by some rows if this little of its unit vector, squared,
# lies outside their row space.
OUTSIDE = 1e-9
# An element of a column is zero if it is smaller than this share of the largest.
ZERO = 1e-14


@dataclass(frozen=True, eq=False)
class Separation:
    """Columns that predict the response perfectly, in some rows or in all.

    Attributes
    ----------
    columns
        Names of the columns that do it: as few as explain it.
    infinite
        Names of all columns whose estimate is not finite, every one if complete.
    direction
        (p,) a direction d as above; zero for columns that it does not need.
    complete
        Whether all rows are predicted perfectly (complete separation) or only some
        (quasi-complete separation).
    n_rows
        Number of rows that are.
    text
        What was found, and what it means for the estimates.
    remedy
        What to do.
    """

    columns: tuple[str, ...]
    infinite: tuple[str, ...]
    direction: Vector
    complete: bool
    n_rows: int
    text: str
    remedy: str


def find_separation(
    X: Matrix,
    lower: ArrayLike,
    upper: ArrayLike,
    names: Sequence[str],
    *,
    highest: str = "1",
) -> Separation | None:
    """Separation by the fixed effects, or None if their estimates are finite.

    Parameters
    ----------
    X
        (n, p) columns of full rank, as the design holds them: equal rows are found by
        their bits. Leave out rows of weight zero.
    lower, upper
        (n,) whether the response is at the lowest value of its range (0 for counts and
        proportions), at the highest (1, or all trials; never for unbounded counts).
    names
        Names of the columns.
    highest
        What the text calls the highest value.

    Notes
    -----
    Valid for links under which the mean reaches the ends of its range only as eta goes
    to plus or minus infinity: logit, probit, cloglog; log for unbounded counts.

    Equal rows are merged, and rows at neither end reduce the space of directions. For
    what is left, a few Newton steps look for a certificate that there is no direction;
    only where that fails are linear programs solved, on the rows that matter.

    Examples
    --------
    >>> treated = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    >>> y = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    >>> X = np.column_stack([np.ones(6), treated])
    >>> found = find_separation(X, y == 0, y == 1, ["Intercept", "treated"])
    >>> found.columns, found.complete, found.n_rows
    (('treated',), False, 3)
    >>> found.text.split(". ")[0]
    'the response is 0 in all 3 rows with treated = 1'
    """
    X = np.asarray(X, dtype=np.float64)
    if not X.size:
        return None
    size = np.abs(X).max(axis=0)
    size = np.where(size > 0.0, size, 1.0)
    X = X / size
    # Zeros of a computed column may be rounding.
    X[np.abs(X) < ZERO] = 0.0
    data = _distinct(X, np.asarray(lower, bool), np.asarray(upper, bool))
    found, left = _peel(data)
    if not found:
        return None
    table = data.rows * size
    constant = (data.rows == data.rows[0]).all(axis=0)
    used = np.any([f.direction != 0.0 for f in found], axis=0)
    infinite = used | ~_determined(data.rows[left])
    reasons = []
    for i, (d, rows) in enumerate(found):
        shown = np.flatnonzero((d != 0.0) & ~constant)
        reasons.append(
            reason(
                _pick(names, shown),
                table[np.ix_(rows, shown)],
                data.sign[rows],
                data.counts[rows],
                direction=d[shown],
                highest=highest,
                rest=i > 0,
            )
        )
    columns = _pick(names, np.flatnonzero(used))
    settled = np.concatenate([f.moved for f in found])
    complete = not len(left)
    return Separation(
        columns=columns,
        infinite=_pick(names, np.flatnonzero(infinite)),
        direction=found[0].direction / size,
        complete=complete,
        n_rows=int(data.counts[settled].sum()),
        text=summary(reasons, columns, complete=complete),
        remedy=remedy(_pick(names, np.flatnonzero(used & ~constant))),
    )


def _pick(names: Sequence[str], positions: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(names[int(j)] for j in positions)


class _Distinct(NamedTuple):
    """The different rows of X, the directions they allow, how often they occur."""

    rows: Matrix
    sign: Signs
    counts: NDArray[np.int64]


class _Found(NamedTuple):
    """A direction, and the distinct rows that it moves."""

    direction: Vector
    moved: NDArray[np.intp]


def _distinct(X: Matrix, lower: NDArray[Any], upper: NDArray[Any]) -> _Distinct:
    """Merge equal rows; one that is seen at both ends allows no direction."""
    # A hash of the bits: sums of floats would depend on the place of a row.
    bits = np.ascontiguousarray(X + 0.0).view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, (2, X.shape[1]), np.uint64)
    mixed = bits * (2 * factors[0] + 1)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * (2 * factors[1] + 1)
    key = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    if not np.array_equal(X[first[group]], X):
        first = group = np.arange(len(X))
    n = len(first)
    low = np.bincount(group, lower, n) > 0
    high = np.bincount(group, upper, n) > 0
    inside = np.bincount(group, ~lower & ~upper, n) > 0
    sign = np.where(inside | (low & high), 0, np.where(high, 1, -1)).astype(np.int8)
    return _Distinct(X[first], sign, np.bincount(group, minlength=n))


def _peel(data: _Distinct) -> tuple[list[_Found], NDArray[np.intp]]:
    """Directions that together move all rows that can be moved, and the other rows.

    Rows that a direction moves are settled: a large multiple of it outweighs whatever
    later directions, found for the other rows only, do to them.
    """
    found: list[_Found] = []
    left = np.arange(len(data.rows))
    while len(left):
        d = sparse_direction(data.rows[left], data.sign[left])
        if d is None:
            break
        moves = moved(data.rows[left], d)
        if not moves.any():
            break
        found.append(_Found(d, left[moves]))
        left = left[~moves]
    return found, left


def _determined(rows: Matrix) -> NDArray[np.bool_]:
    """(p,) whether these rows, all not separated, determine a coefficient."""
    if not len(rows):
        return np.zeros(rows.shape[1], dtype=bool)
    basis, _ = row_space(rows)
    q, _ = np.linalg.qr(basis)
    return 1.0 - (q * q).sum(axis=1) < OUTSIDE
