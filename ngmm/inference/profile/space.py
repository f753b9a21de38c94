"""The parameters of a model as coordinates whose profile can be searched.

Every one is brought to a place where holding it is easy: a column of a term that is
profiled comes first in its Lambda, a coefficient of a generalized model last in X. The
shapes stay, so that one compiled program serves all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import factor_numpy, pattern
from ngmm.design import Design, RandomDesign
from ngmm.inference.components import Components
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.profile.chart import (
    MAX_STEPS,
    Chart,
    Held,
    held_angle,
    held_coordinate,
)
from ngmm.inference.profile.search import Coordinate

Vector = NDArray[np.float64]

# Guess of the standard error of a standard deviation that is estimated at zero, in
# units of what one row shows; and of anything else that has none.
WIDE = 0.3


@dataclass(frozen=True, eq=False)
class Target:
    """A parameter and how its limits come back to the user's scale.

    Attributes
    ----------
    coordinate
        None where the parameter is not defined at the estimate: the correlation of an
        effect whose standard deviation is zero.
    to_user
        From the scale of the search.
    """

    coordinate: Coordinate | None
    to_user: Callable[[float], float]


@dataclass(frozen=True)
class Turned:
    """A random-effects term with some columns first."""

    term: int
    columns: tuple[int, ...]


def same(value: float) -> float:
    """Of a parameter that is searched as it is."""
    return value


def exp(value: float) -> float:
    """Of a parameter that is searched by its logarithm."""
    return float(np.exp(value))


def _sin(value: float) -> float:
    # sin(pi / 2) is one to the last bit, and its neighbours are not beyond.
    return float(np.sin(value))


def turned_theta(theta: Vector, design: Design, turned: Turned) -> Vector:
    """The theta of a model whose term has its columns in another order."""
    out, start = theta.copy(), 0
    for i, term in enumerate(design.random):
        p = pattern([(len(term.names), term.correlated)])
        part = slice(start, start + p.n_theta)
        start += p.n_theta
        if i == turned.term and term.correlated:
            lam = factor_numpy(theta[part], p)[list(turned.columns)]
            lower = np.linalg.qr(lam.T)[1].T
            lower = lower * np.where(np.diag(lower) < 0, -1.0, 1.0)
            out[part] = lower[list(p.rows), list(p.cols)]
    return out


def turned_random(design: Design, turned: Turned) -> tuple[RandomDesign, ...]:
    """The terms of the formula, one with its columns in another order."""
    out = list(design.random)
    term = out[turned.term]
    columns = list(turned.columns)
    names = tuple(term.names[c] for c in columns)
    out[turned.term] = replace(term, names=names, Z=term.Z[:, columns])
    return tuple(out)


def leading(k: int, first: tuple[int, ...]) -> tuple[int, ...]:
    """Columns 0 to k - 1 with some of them first."""
    return (*first, *(c for c in range(k) if c not in first))


@dataclass(frozen=True, eq=False)
class Space:
    """What both kinds of models share: where theta stands, and its steps.

    Attributes
    ----------
    analysis
        Of the maximum of the ML likelihood.
    """

    analysis: GaussianAnalysis | GeneralizedAnalysis

    @property
    def design(self) -> Design:
        """The arrays of the model."""
        return self.analysis.design

    def steps_of(self, i: int) -> tuple[Vector, Vector]:
        """Standard errors of log sd (k,) and of atanh of correlations (k, k)."""
        terms, cov = self.design.random, self.analysis.parameter_covariance
        sizes = [pattern([(len(t.names), t.correlated)]).n_theta for t in terms]
        start = sum(sizes[:i])
        at = np.append(np.arange(start, start + sizes[i]), len(cov) - 1)
        own, c = cov[np.ix_(at, at)], self.components[i]
        with np.errstate(invalid="ignore"):
            log_sd = np.sqrt(np.einsum("ia,ab,ib->i", c.d_log_sd, own, c.d_log_sd))
            z = np.sqrt(np.einsum("ija,ab,ijb->ij", c.d_z, own, c.d_z))
        return log_sd, z

    def value(self, max_steps: int) -> float:
        """-2 log-likelihood after some steps from the estimate."""
        raise NotImplementedError

    @cached_property
    def least(self) -> float:
        """-2 log-likelihood at the estimate, to which the profile refers."""
        return self.value(1)

    @cached_property
    def missed(self) -> float:
        """By how much a free search from the estimate lowers it further."""
        return self.least - self.value(MAX_STEPS)

    @property
    def components(self) -> list[Components]:
        """Standard deviations and correlations at the maximum."""
        return self.analysis.components


@dataclass(frozen=True, eq=False)
class Place:
    """Where a term stands in psi.

    Attributes
    ----------
    psi
        The maximum.
    start
        Position of its first covariance parameter.
    unit
        (k,) psi over the user's standard deviation, by column.
    noise
        (k,) what a row shows of each column's effect, user's units.
    solve
        (free coordinates, chart) -> the constrained maximum.
    """

    psi: Vector
    start: int
    unit: Vector
    noise: Vector
    solve: Callable[[Vector, Chart], Held]


def random_targets(space: Space, turn: Callable[[Turned], Place]) -> Iterator[Target]:
    """Standard deviations and correlations of every term."""
    for i, term in enumerate(space.design.random):
        k = len(term.names)
        log_se, z_se = space.steps_of(i)
        c = space.components[i]
        for column in range(k):
            first = (column,) if term.correlated else ()
            place = turn(Turned(i, leading(k, first)))
            at = 0 if term.correlated else column
            yield _deviation(place, at, float(c.sd[column]), float(log_se[column]))
        if not term.correlated:
            continue
        for one in range(k):
            for other in range(one):
                correlation = float(c.correlation[one, other])
                if not np.isfinite(correlation):
                    yield Target(None, _sin)
                    continue
                place = turn(Turned(i, leading(k, (other, one))))
                se = float(z_se[one, other])
                yield _correlation(place, k, correlation, se)


def _deviation(place: Place, column: int, sd: float, log_se: float) -> Target:
    """The standard deviation of a column that leads, or is independent."""
    at, unit = place.start + column, float(place.unit[column])
    start = place.psi.copy()
    start[at] = 0.0

    def solve(value: float, z: Vector) -> Held:
        return place.solve(z, held_coordinate(len(start), at, unit * value))

    # Beyond one, a standard error of the logarithm says little.
    step = sd * finite(min(log_se, 1.0), WIDE)
    if not sd > 0:
        step = WIDE * float(place.noise[column])
    return Target(Coordinate(sd, 0.0, np.inf, step, True, start, solve), same)


def _correlation(place: Place, k: int, correlation: float, z_se: float) -> Target:
    """The correlation of the first two columns."""
    lead, along, across = place.start, place.start + 1, place.start + k
    start = place.psi.copy()
    length = float(np.hypot(start[along], start[across]))
    # atan2 keeps the digits that the arc sine loses near one.
    centre = float(np.arctan2(start[along], start[across]))
    if abs(correlation) > 1 - 1e-8:
        centre = float(np.copysign(0.5 * np.pi, correlation))
    start[lead], start[along], start[across] = np.log(start[lead]), np.log(length), 0.0

    def solve(value: float, z: Vector) -> Held:
        chart = held_angle(len(start), lead, along, across, value)
        return place.solve(z, chart)

    # d angle = cos(angle) d atanh(correlation)
    step = finite(z_se * float(np.cos(centre)), WIDE)
    half = 0.5 * np.pi
    return Target(Coordinate(centre, -half, half, step, False, start, solve), _sin)


def finite(value: float, otherwise: float) -> float:
    """A positive finite value, or another one in its place."""
    return value if np.isfinite(value) and value > 0 else otherwise
