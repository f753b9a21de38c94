"""Directions along which no row of a matrix moves the wrong way.

A is (m, p), `sign` (m,) says what each row allows: +1 for a'd >= 0, -1 for a'd <= 0, 0
for a'd = 0. Wanted is a d with A d != 0, or certainty that there is none. Everything is
computed in coordinates in which the columns are orthonormal, so that the answer does
not depend on the units of the columns or on how the same space is parametrised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Signs = NDArray[np.int8]

# A design's columns keep a share of at least 1e-7 after the others are projected out:
# singular values below this are rounding.
RANK = 1e-11
# Rounding error of a row in orthonormal coordinates, relative, at condition number one.
ROUNDING = 1e-13
# What a linear program may violate, and the least gain that counts: rows have unit
# length and directions a largest element of one.
VIOLATION = 1e-9
GAIN = 1e-6

# A row moves along d if a'd is more than this share of the size of a and d.
MOVED = 1e-9
# Rows of each kind that are asked first when there are many.
SAMPLE = 1000

# Rows in a block of a QR factorisation.
BLOCK = 4096
NEWTON_STEPS = 10
# Rows of the first linear program, for each column and in all; rows added at a time.
FIRST_ROWS = 20
MORE_ROWS = 100


def recession_direction(A: Matrix, sign: Signs) -> Vector | None:
    """A direction d as above, largest element one, or None if there is none.

    Parameters
    ----------
    A
        (m, p) rows in no particular order; columns of similar size, of any rank.
    sign
        (m,) what each row allows.
    """
    suspected = False
    if len(A) > 4 * SAMPLE:
        # A direction for all rows is one for some rows of full rank too.
        some = np.concatenate([np.flatnonzero(sign == s)[:SAMPLE] for s in (-1, 0, 1)])
        if row_space(A[some])[0].shape[1] == A.any(axis=0).sum():
            suspected = recession_direction(A[some], sign[some]) is not None
            if not suspected:
                return None
    basis, noise = row_space(A)
    rows = A @ basis
    fixed = sign == 0
    if fixed.any():
        still = _null_space(rows[fixed], noise)
        if not still.shape[1]:
            return None
        basis = basis @ still
        length = np.linalg.norm(rows, axis=1)
        rows = rows @ still
        # What the equations leave of a row may be rounding only.
        known = np.linalg.norm(rows, axis=1) > noise * length
        rows, sign = rows[~fixed & known], sign[~fixed & known]
    rows = rows * sign[:, None]
    if not rows.any():
        return None
    inner, _ = row_space(rows, max(noise, RANK))
    z = _cone_direction(rows @ inner, suspected)
    if z is None:
        return None
    d = basis @ (inner @ z)
    return d / np.abs(d).max()


def sparse_direction(A: Matrix, sign: Signs) -> Vector | None:
    """A direction d in as few columns as can be, largest element one; or None.

    None of its columns can be left out, and columns on the left are preferred. It moves
    every row that a direction in these columns can move.
    """
    kept = np.arange(A.shape[1])
    best = recession_direction(A, sign)
    if best is None:
        return None
    # Halves first, then quarters, ...: most columns go in a few steps.
    size = (len(kept) + 1) // 2
    while size:
        for stop in range(len(kept), 0, -size):
            fewer = np.delete(kept, np.s_[max(stop - size, 0) : stop])
            found = recession_direction(A[:, fewer], sign) if len(fewer) else None
            if found is not None:
                kept, best = fewer, found
        size = (size + 1) // 2 if size > 1 else 0
    d = np.zeros(A.shape[1])
    d[kept] = _widened(A[:, kept], sign, best)
    return d


def moved(A: Matrix, d: Vector) -> NDArray[np.bool_]:
    """(m,) whether a row moves along d, beyond rounding."""
    reach = np.abs(A).max(axis=1) * np.abs(d).max()
    return np.abs(A @ d) > MOVED * reach


def _widened(A: Matrix, sign: Signs, d: Vector) -> Vector:
    """Turn d into the cone until it moves all rows that can be moved."""
    for _ in range(A.shape[1]):
        still = ~moved(A, d)
        other = recession_direction(A[still], sign[still]) if still.any() else None
        if other is None:
            break
        here, there = (A @ d * sign)[~still], (A @ other * sign)[~still]
        against = there < 0.0
        share = 0.5 * min(1.0, float((here / -there)[against].min(initial=2.0)))
        d = d + share * other
        d = d / np.abs(d).max()
    return d


def row_space(A: Matrix, tolerance: float = RANK) -> tuple[Matrix, float]:
    """(p, r) T such that A T has orthonormal columns that span those of A.

    Second, the relative rounding error of a row of A T.
    """
    length = np.linalg.norm(A, axis=0)
    length = np.where(length > 0.0, length, 1.0)
    triangle = _triangle(A / length)
    _, values, vectors = np.linalg.svd(triangle, full_matrices=False)
    kept = values > tolerance * max(float(values.max(initial=0.0)), 1e-300)
    if not kept.any():
        return np.zeros((A.shape[1], 0)), ROUNDING
    values = values[kept]
    basis = vectors[kept].T / values / length[:, None]
    return basis, ROUNDING * float(values[0] / values[-1])


def _triangle(A: Matrix) -> Matrix:
    """R of the QR factorisation, by blocks of rows that stay in the cache."""
    if len(A) > 2 * BLOCK:
        starts = range(0, len(A), BLOCK)
        A = np.concatenate([_triangle(A[i : i + BLOCK]) for i in starts])
    return np.asarray(np.linalg.qr(A, mode="r"))


def _null_space(rows: Matrix, noise: float) -> Matrix:
    """(r, s) orthonormal directions orthogonal to every row."""
    length = np.linalg.norm(rows, axis=1)
    rows = rows[length > 0.0] / length[length > 0.0, None]
    if not len(rows):
        return np.eye(rows.shape[1])
    triangle = _triangle(rows)
    _, values, vectors = np.linalg.svd(triangle)
    # Errors of many rows add up in a singular value.
    return vectors[int((values > noise * len(rows) ** 0.5).sum()) :].T


def _cone_direction(C: Matrix, suspected: bool) -> Vector | None:
    """A z != 0 with C z >= 0, for orthonormal columns of C; None if there is none.

    Where one is suspected it is not worth looking for a proof of the contrary.
    """
    if C.shape[1] == 1:
        low, high = bool((C < 0.0).any()), bool((C > 0.0).any())
        return None if low and high else np.array([1.0 if high else -1.0])
    if not suspected and _is_surrounded(C):
        return None
    return _by_linear_programs(C)


def _is_surrounded(C: Matrix) -> bool:
    r"""Whether a certificate proves that C z >= 0 has no solution but zero.

    With weights w_i > 0 on the rows, :math:`|\sum w_i c_i| < \min w_i` is one: for z of
    unit length in the cone, :math:`\sum w_i c_i'z \ge \min w_i |Cz|_1 \ge \min w_i`.
    Newton steps of the logistic regression that separates the rows from their mirror
    images bring the sum to zero if it can be brought there.
    """
    m, r = C.shape
    z = np.zeros(r)
    for _ in range(NEWTON_STEPS):
        with np.errstate(over="ignore", under="ignore"):
            w = 1.0 / (1.0 + np.exp(C @ z))
        total = C.T @ w
        # Beyond what rounding can make of the sum.
        if np.linalg.norm(total) + 1e-14 * m**0.5 < w.min():
            return True
        curvature = (C * (w * (1.0 - w))[:, None]).T @ C
        try:
            z = z + np.linalg.solve(curvature, total)
        except np.linalg.LinAlgError:
            return False
        if not np.isfinite(z).all():
            return False
    return False


def _by_linear_programs(C: Matrix) -> Vector | None:
    """The same as `_cone_direction`, with certainty.

    Some rows suffice as constraints: no direction that moves the rows on average can
    exist if these allow none, and rows that its solution violates are added.
    """
    length = np.linalg.norm(C, axis=1)
    U = C[length > 0.0] / length[length > 0.0, None]
    gain = U.sum(axis=0)
    if not gain.any():
        return None
    gain = gain / np.abs(gain).max()
    rows = np.zeros(len(U), dtype=bool)
    first = min(len(U), FIRST_ROWS * U.shape[1] + MORE_ROWS)
    rows[np.random.default_rng(0).choice(len(U), first, replace=False)] = True
    # Those that oppose the average direction say most.
    rows[np.argsort(U @ gain)[:first]] = True
    while True:
        z = _best_direction(gain, U[rows])
        moves = U @ z
        if moves.max() < GAIN:
            return None
        wrong = moves < -VIOLATION
        if not wrong.any():
            return z
        if not (wrong & ~rows).any():
            return None
        order = np.argsort(np.where(rows, np.inf, moves))
        new = order[: max(MORE_ROWS, int(rows.sum()) // 4)]
        rows[new[wrong[new]]] = True


def _best_direction(gain: Vector, U: Matrix) -> Vector:
    """The z in the unit box that maximises gain'z subject to U z >= 0."""
    # Takes a third of a second to import: not for models that do not need it.
    from scipy.optimize import linprog

    found = linprog(
        -gain,
        A_ub=-U,
        b_ub=np.zeros(len(U)),
        bounds=(-1.0, 1.0),
        method="highs",
        options={
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    return np.zeros(len(gain)) if found.x is None else np.asarray(found.x)
