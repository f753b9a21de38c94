r"""Where a profile likelihood reaches a value: traced outwards from the maximum.

The signed root :math:`\zeta = \pm\sqrt{2(\hat\ell - \ell)}` is nearly linear in a
parameter, so that an inverse interpolation through the points so far finds a limit in
few steps; a bracket keeps it safe. Every constrained maximum starts from an
extrapolation of those before.

References
----------
Venzon & Moolgavkar (1988), Appl. Stat. 37, 87-94; Bates & Watts (1988), Nonlinear
Regression Analysis, sec. 6.1, for zeta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.status import Status
from ngmm.inference.profile.chart import Held

Vector = NDArray[np.float64]

# A limit is found when zeta there is this close to its target.
TOLERANCE = 1e-6
# A likelihood this much higher than the maximum (in -2 log-likelihood) was no maximum.
HIGHER = 1e-5
# A search that ended elsewhere than at its maximum by less than this has found it.
SMALL_GAIN = 1e-7
MAX_POINTS = 60
# Points of the curve on each side beside those that the limit needed, as shares of it.
SHARES = (0.25, 0.75)
# When a step three times as long as all before moves zeta by less, it never gets there.
FLAT = 1e-3

BOUNDARY, FLAT_NOTE, LOST, JUMP = "boundary", "flat", "lost", "jump"


@dataclass(frozen=True, eq=False)
class Coordinate:
    """One parameter as the search sees it.

    Attributes
    ----------
    centre
        Its value at the maximum, on the scale of the search.
    low, high
        The values that bound it; the ends themselves can be evaluated.
    step
        A guess of its standard error on that scale.
    relative
        Whether steps are better taken in its logarithm.
    start
        (P,) the free coordinates at the maximum.
    solve
        (value, where to start) -> the constrained maximum.
    """

    centre: float
    low: float
    high: float
    step: float
    relative: bool
    start: Vector
    solve: Callable[[float, Vector], Held]


@dataclass(frozen=True)
class Point:
    """A constrained maximum on the way."""

    value: float
    zeta: float
    z: Vector


@dataclass(frozen=True)
class Side:
    """One side of a profile.

    Attributes
    ----------
    limit
        Where zeta reaches its target, NaN if nowhere.
    points
        All points evaluated, outwards from the maximum.
    note
        `BOUNDARY`, `FLAT_NOTE`, `LOST` or `JUMP`; empty if nothing is to be said.
    deepest
        Largest increase of twice the log-likelihood above the fit that was met.
    """

    limit: float
    points: tuple[Point, ...]
    note: str
    deepest: float


class _Walk:
    """The points of one side, in the order of their distance from the maximum."""

    def __init__(self, c: Coordinate, least: float, sign: float) -> None:
        self.c, self.least, self.sign = c, least, sign
        self.points = [Point(c.centre, 0.0, c.start)]
        self.deepest = 0.0
        self.bound = c.high if sign > 0 else c.low

    def visit(self, value: float) -> Point | None:
        """The constrained maximum at a value; None if it could not be found."""
        for start in (self._ahead(value), self._nearest(value).z, self.c.start):
            found = self.c.solve(value, start)
            good = int(found.status) == Status.CONVERGED or (
                np.isfinite(found.value) and float(found.gain) < SMALL_GAIN
            )
            if good:
                drop = float(found.value) - self.least
                self.deepest = max(self.deepest, -drop)
                zeta = float(np.sqrt(max(drop, 0.0)))
                point = Point(value, zeta, np.asarray(found.z))
                self.points.append(point)
                self.points.sort(key=lambda p: self.sign * p.value)
                return point
        return None

    def inverse(self, target: float) -> float:
        """The value at which zeta is likely to have the target."""
        near = sorted(self.points, key=lambda p: abs(p.zeta - target))
        used: list[Point] = []
        for p in near:
            if all(abs(p.zeta - q.zeta) > 1e-9 for q in used):
                used.append(p)
        used = used[:4]
        if len(used) == 1:
            return self.first(target)
        zeta = np.array([p.zeta for p in used])
        value = np.array([p.value for p in used])
        return float(_lagrange(zeta, target) @ value)

    def first(self, target: float) -> float:
        """A value at which zeta is roughly the target, from the standard error."""
        c = self.c
        share = target * c.step
        if c.relative and c.centre > 0:
            return c.centre * float(np.exp(self.sign * min(share / c.centre, 1.5)))
        value = c.centre + self.sign * share
        if np.isfinite(self.bound) and self.sign * (self.bound - value) <= 0:
            value = 0.5 * (c.centre + self.bound)
        return value

    def _nearest(self, value: float) -> Point:
        return min(self.points, key=lambda p: abs(p.value - value))

    def _ahead(self, value: float) -> Vector:
        near = sorted(self.points, key=lambda p: abs(p.value - value))[:3]
        at = np.array([p.value for p in near])
        return _lagrange(at, value) @ np.array([p.z for p in near])


def search(c: Coordinate, least: float, target: float, sign: float) -> Side:
    """The limit on one side, and the curve up to it.

    Parameters
    ----------
    c
        The parameter.
    least
        -2 log-likelihood at the maximum.
    target
        The zeta of the limit, positive.
    sign
        -1 for the lower limit, 1 for the upper one.
    """
    walk = _Walk(c, least, sign)
    if c.centre == walk.bound:
        return Side(c.centre, tuple(walk.points), BOUNDARY, 0.0)
    limit, note = _limit(walk, target)
    if note in ("", BOUNDARY):
        end = max((p.zeta for p in walk.points), default=0.0)
        for share in SHARES:
            value = walk.inverse(share * min(end, target))
            if sign * (value - c.centre) > 0 and sign * (limit - value) > 0:
                walk.visit(value)
    return Side(limit, tuple(walk.points), note, walk.deepest)


def _limit(walk: _Walk, target: float) -> tuple[float, str]:
    c, reached, misses = walk.c, 0.0, 0
    inside: float = c.centre
    outside: float | None = None
    value = walk.first(0.5 * target)
    for _ in range(MAX_POINTS):
        point = walk.visit(value)
        if point is None:
            misses += 1
            if misses > 5:
                return np.nan, LOST
            value = inside + 0.5 * (value - inside)
            continue
        if abs(point.zeta - target) < TOLERANCE:
            return value, ""
        if point.zeta < target:
            if value == walk.bound:
                return value, BOUNDARY
            far = abs(value - c.centre) > 20.0 * abs(c.step) * target
            if outside is None and far and point.zeta - reached < FLAT:
                return np.nan, FLAT_NOTE
            inside, reached = value, max(reached, point.zeta)
        else:
            outside = value
        following = walk.inverse(target)
        if outside is None:
            following = _outwards(walk, inside, following)
        elif not min(inside, outside) < following < max(inside, outside):
            following = 0.5 * (inside + outside)
        if outside is not None and abs(outside - inside) < 1e-12 * (
            abs(inside) + abs(outside)
        ):
            return outside, JUMP
        value = following
    return np.nan, LOST


def _outwards(walk: _Walk, inside: float, following: float) -> float:
    """A step further out, at most three times as far as before, not past the bound."""
    c, sign = walk.c, walk.sign
    ahead = sign * (following - inside) > 0
    farthest = c.centre + 3.0 * (inside - c.centre)
    if inside == c.centre or not np.isfinite(following):
        farthest = following = walk.first(1.0)
    elif not ahead or sign * (following - farthest) > 0:
        following = farthest
    if np.isfinite(walk.bound) and sign * (walk.bound - following) <= 0:
        return walk.bound
    return following


def _lagrange(nodes: Vector, at: float) -> Vector:
    """Weights of the values at the nodes in the interpolating polynomial at a point."""
    n = len(nodes)
    out = np.ones(n)
    for i in range(n):
        for j in range(n):
            if i != j:
                out[i] *= (at - nodes[j]) / (nodes[i] - nodes[j])
    return out
