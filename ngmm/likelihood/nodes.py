r"""Quadrature nodes: tables of points v and log-weights for integrals over R^q.

Every table approximates :math:`\int f(v)\,dv \approx \sum_k e^{w_k} f(v_k)` for
functions that look like a normal density of unit scale about the origin.

Gauss-Hermite nodes are best when f is a low polynomial times that density. The
*stretched trapezoid* is best otherwise: equally spaced nodes t with v = a sinh(t / a).
For analytic f its error falls geometrically with the spacing, whatever the shape of f,
and moving all nodes by half a spacing turns the sign of the leading error, so that a
second sum tells the error of the first (Trefethen & Weideman 2014, SIAM Rev. 56, sec.
3 and 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# v = a sinh(t / a): nearly equal steps within two scale units, wider ones beyond,
# where a skewed density is smooth.
STRETCH = 4.0


@dataclass(frozen=True)
class Grid:
    """A table of nodes, by name: hashable, so that compiled code can depend on it.

    Attributes
    ----------
    name
        ``"hermite"``, ``"trapezoid"`` or ``"truncated"``.
    n
        Nodes in each dimension.
    reach
        Largest node before stretching; unused for Gauss-Hermite.
    shift
        Dimension in which all nodes are moved; -1 for none.
    part
        By how much they are moved, as a share of the spacing.
    """

    name: str
    n: int
    reach: float = 0.0
    shift: int = -1
    part: float = 0.5


def hermite(n: int) -> Grid:
    """Gauss-Hermite with n nodes in each dimension."""
    return Grid("hermite", n)


def trapezoid(n: int, dimensions: int = 1) -> Grid:
    """Stretched trapezoid with n nodes in each dimension.

    In two dimensions and more a second grid stands in the middle of the cells of the
    first. The waves that such a body-centred lattice cannot tell from a constant are
    as short as those of a cubic one with 1, 1.4 and 2 times as many nodes in 2, 3 and 4
    dimensions, and none of them runs along an axis, where scores often vary fastest.
    """
    # Nodes of both grids count along an axis.
    reach = default_reach(n) if dimensions == 1 else min(default_reach(1.5 * n), 6.5)
    return Grid("trapezoid", n, reach)


def truncated(n: int, radius: float) -> Grid:
    """Equally spaced nodes on [-radius, radius] in each dimension."""
    return Grid("truncated", n, radius)


def checks(grid: Grid, dimensions: int) -> tuple[Grid, ...]:
    """Rules of the same cost that err in the opposite direction, or a finer rule.

    Each of the waves that a lattice takes for a constant changes its sign in at least
    one of them. The shortest of a body-centred lattice run along its diagonals; those
    along its axes, twice as short, lead where the density varies along one axis only,
    and need a quarter of a spacing to change their sign.
    """
    if grid.name == "hermite":
        return (hermite(grid.n + 1 + grid.n // 2),)
    if grid.name == "truncated":
        return tuple(replace(grid, shift=j) for j in range(dimensions))
    if dimensions == 1:
        return (replace(grid, shift=0),)
    halves = [replace(grid, shift=j) for j in range(dimensions - 1)]
    quarters = [replace(grid, shift=j, part=0.25) for j in range(dimensions)]
    return (*halves, *quarters)


def default_reach(n: float) -> float:
    """Reach at which truncation costs about what the spacing does.

    For a normal density these errors are exp(-reach^2 / 2), stretched, and
    exp(-2 pi^2 / h^2) with h = 2 reach / (n - 1). So many nodes as 63 are only needed
    for densities with other tails, and then reach further.
    """
    most = 6.5 + 0.02 * max(n - 63.0, 0.0)
    return float(np.clip(min(1.15 * np.sqrt(n), 3.3 + 0.085 * n), 2.5, most))


@lru_cache(maxsize=64)
def nodes(grid: Grid, dimensions: int) -> tuple[Vector, Vector]:
    """Nodes (K, q) and log-weights (K,) of a rule in q dimensions."""
    if grid.name == "hermite":
        return _tensor([_hermite(grid.n)] * dimensions)
    moved = [grid.part if j == grid.shift else 0.0 for j in range(dimensions)]
    first = _tensor([_spaced(grid, h) for h in moved])
    if grid.name == "truncated" or dimensions == 1:
        return first
    second = _tensor([_spaced(grid, h - 0.5) for h in moved])
    log_half = np.log(0.5)
    return (
        np.concatenate([first[0], second[0]]),
        np.concatenate([first[1] + log_half, second[1] + log_half]),
    )


def _spaced(grid: Grid, shift: float) -> tuple[Vector, Vector]:
    """Equally spaced nodes moved by a share of the spacing, stretched if asked for."""
    t, h = np.linspace(-grid.reach, grid.reach, grid.n, retstep=True)
    t = t + shift * h
    if grid.name == "truncated":
        return t, np.full(grid.n, np.log(h))
    return STRETCH * np.sinh(t / STRETCH), np.log(h) + np.log(np.cosh(t / STRETCH))


def _tensor(lines: Sequence[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    """Product of rules in one dimension, last dimension fastest."""
    if all(len(x) == 1 for x, _ in lines):
        # A single point may have more dimensions than arrays can.
        point = np.concatenate([x for x, _ in lines])
        return point[None], np.array([sum(float(w[0]) for _, w in lines)])
    grid = np.meshgrid(*[x for x, _ in lines], indexing="ij")
    weights = np.meshgrid(*[w for _, w in lines], indexing="ij")
    points = np.stack(grid, -1).reshape(-1, len(lines))
    total: Vector = np.sum(weights, axis=0).reshape(-1)
    return points, total


def _hermite(n: int) -> tuple[Vector, Vector]:
    """Nodes for the weight exp(-v^2 / 2) and log-weights with that weight taken out.

    From the eigenvalues of the Jacobi matrix (Golub & Welsch 1969); the weights from
    the orthonormal polynomials in logarithms, which do not underflow for large n.
    """
    if n == 1:
        return np.zeros(1), np.array([0.5 * np.log(2.0 * np.pi)])
    off = np.sqrt(np.arange(1.0, n))
    x = np.linalg.eigvalsh(np.diag(off, 1) + np.diag(off, -1))
    x = 0.5 * (x - x[::-1])
    # Scaled recurrence h_{j+1} = (x h_j - sqrt(j) h_{j-1}) / sqrt(j + 1).
    previous, current = np.zeros(n), np.ones(n)
    log_scale = np.zeros(n)
    log_sum = np.zeros(n)
    for j in range(n):
        if j:
            previous, current = (
                current,
                (x * current - np.sqrt(j - 1.0) * previous) / np.sqrt(float(j)),
            )
            size = np.maximum(np.abs(current), np.abs(previous))
            current, previous = current / size, previous / size
            log_scale = log_scale + np.log(size)
            with np.errstate(divide="ignore"):
                term = 2.0 * (np.log(np.abs(current)) + log_scale)
            log_sum = np.logaddexp(log_sum, term)
    return x, 0.5 * np.log(2.0 * np.pi) - log_sum + 0.5 * x * x
