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
from ngmm.inference import profile_gaussian, profile_generalized
from ngmm.inference.components import Components
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.profile_chart import (
    Chart,
    Held,
    free,
    held_angle,
    held_coordinate,
)
from ngmm.inference.profile_gaussian import no_pin, pin_coefficient
from ngmm.inference.profile_search import Coordinate
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import Engine
from ngmm.likelihood.generalized import GeneralizedProblem, prepare_generalized
from ngmm.likelihood.problem import GaussianProblem, prepare

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
class _Turned:
    """A random-effects term with some columns first."""

    term: int
    columns: tuple[int, ...]


def _same(value: float) -> float:
    return value


def _exp(value: float) -> float:
    return float(np.exp(value))


def _sin(value: float) -> float:
    # sin(pi / 2) is one to the last bit, and its neighbours are not beyond.
    return float(np.sin(value))


def turned_theta(theta: Vector, design: Design, turned: _Turned) -> Vector:
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


def turned_random(design: Design, turned: _Turned) -> tuple[RandomDesign, ...]:
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
        return self.least - self.value(profile_gaussian.MAX_STEPS)

    @property
    def components(self) -> list[Components]:
        """Standard deviations and correlations at the maximum."""
        return self.analysis.components


@dataclass(frozen=True, eq=False)
class GaussianSpace(Space):
    """The parameters of a Gaussian model: psi = (lambda, log sigma), standardised."""

    analysis: GaussianAnalysis

    def value(self, max_steps: int) -> float:
        """-2 log-likelihood after some steps from the estimate, up to a constant."""
        problem = self.analysis.model.problem
        psi = self._psi(problem, self.analysis.estimate.theta)
        pin, chart = no_pin(problem), free(len(psi))
        return float(profile_gaussian.hold(psi, chart, pin, problem, max_steps).value)

    def targets(self) -> Iterator[Target]:
        """Coefficients, then standard deviations and correlations by term, sigma."""
        e, problem = self.analysis.estimate, self.analysis.model.problem
        psi = self._psi(problem, e.theta)
        size = len(psi)
        for j, (beta, variance) in enumerate(
            zip(e.beta, np.diag(self.analysis.vcov), strict=True)
        ):

            def at_beta(value: float, z: Vector, j: int = j) -> Held:
                pin = pin_coefficient(problem, j, value)
                return profile_gaussian.hold(z, free(size), pin, problem)

            step = float(np.sqrt(variance))
            found = Coordinate(beta, -np.inf, np.inf, step, False, psi, at_beta)
            yield Target(found, _same)
        yield from random_targets(self, self._turn)
        scale, no = float(np.log(problem.data.y_scale)), no_pin(problem)

        def at_sigma(value: float, z: Vector) -> Held:
            chart = held_coordinate(size, size - 1, value - scale)
            return profile_gaussian.hold(z, chart, no, problem)

        start = psi.copy()
        start[-1] = 0.0
        step = self.analysis.scale.log_se
        centre = float(np.log(e.sigma))
        yield Target(
            Coordinate(centre, -np.inf, np.inf, step, False, start, at_sigma), _exp
        )

    def _psi(self, problem: GaussianProblem, theta: Vector) -> Vector:
        sigma = self.analysis.estimate.sigma / problem.data.y_scale
        return np.append(sigma * problem.to_engine(theta), np.log(sigma))

    def _turn(self, turned: _Turned) -> _Place:
        d, e = self.design, self.analysis.estimate
        problem = prepare(
            d.y - d.offset,
            d.X,
            turned_random(d, turned),
            weights=d.weights if d.has_weights else None,
        )
        psi = self._psi(problem, turned_theta(e.theta, d, turned))
        place = problem.places[turned.term]
        scale = problem.data.column_scales[place.factor][place.columns]
        no = no_pin(problem)

        def solve(z: Vector, chart: Chart) -> Held:
            return profile_gaussian.hold(z, chart, no, problem)

        unit = scale / problem.data.y_scale
        return _Place(psi, place.theta.start, unit, e.sigma / scale, solve)


@dataclass(frozen=True, eq=False)
class _Place:
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


@dataclass(frozen=True, eq=False)
class GeneralizedSpace(Space):
    """The parameters of a generalized model: psi = (beta, theta, log phi)."""

    analysis: GeneralizedAnalysis

    @cached_property
    def engine(self) -> Engine:
        """The rule of the fit with the nodes that its estimate calls for."""
        marginal = self.analysis.model.marginal
        return accurate_engine(marginal.problem, marginal.rule, self._psi())

    def value(self, max_steps: int) -> float:
        """-2 log-likelihood after some steps from the estimate."""
        psi = self._psi()
        chart = free(len(psi))
        return float(profile_generalized.hold(psi, chart, self.engine, max_steps).value)

    def targets(self) -> Iterator[Target]:
        """Coefficients, then standard deviations and correlations by term, phi."""
        e = self.analysis.estimate
        for j in range(len(e.beta)):
            yield Target(self._coefficient(j), _same)
        yield from random_targets(self, self._turn)
        if e.phi is None:
            return
        assert self.analysis.scale is not None
        psi, engine = self._psi(), self.engine

        def at_phi(value: float, z: Vector) -> Held:
            chart = held_coordinate(len(psi), len(psi) - 1, value)
            return profile_generalized.hold(z, chart, engine)

        start = psi.copy()
        start[-1] = 0.0
        step = _finite(self.analysis.scale.log_se, 1.0)
        centre = float(np.log(e.phi))
        yield Target(
            Coordinate(centre, -np.inf, np.inf, step, False, start, at_phi), _exp
        )

    def _coefficient(self, j: int) -> Coordinate:
        e, d = self.analysis.estimate, self.design
        p = len(e.beta)
        columns = [*(i for i in range(p) if i != j), j]
        problem = self._problem(d.X[:, columns], d.random)
        engine = profile_generalized.same_rule(self.engine, problem)
        psi = self._psi(problem, e.beta[columns])
        scale = problem.triangle[-1, -1]

        def at_beta(value: float, z: Vector) -> Held:
            chart = held_coordinate(len(psi), p - 1, scale * value)
            return profile_generalized.hold(z, chart, engine)

        start = psi.copy()
        start[p - 1] = 0.0
        # A first step of more than that much of a linear predictor leads astray.
        step = min(
            _finite(float(np.sqrt(self.analysis.vcov[j, j])), np.inf), 2.0 / abs(scale)
        )
        return Coordinate(e.beta[j], -np.inf, np.inf, step, False, start, at_beta)

    def _problem(
        self, X: Vector, random: tuple[RandomDesign, ...]
    ) -> GeneralizedProblem:
        d = self.design
        return prepare_generalized(
            d.y,
            X,
            random,
            self.analysis.model.family,
            offset=d.offset,
            weights=d.weights,
            trials=d.trials,
        )

    def _psi(
        self,
        problem: GeneralizedProblem | None = None,
        beta: Vector | None = None,
        theta: Vector | None = None,
    ) -> Vector:
        e = self.analysis.estimate
        log_phi = None if e.phi is None else float(np.log(e.phi))
        return (problem or self.analysis.model.marginal.problem).to_engine(
            e.beta if beta is None else beta,
            e.theta if theta is None else theta,
            log_phi,
        )

    def _turn(self, turned: _Turned) -> _Place:
        d = self.design
        problem = self._problem(d.X, turned_random(d, turned))
        engine = profile_generalized.same_rule(self.engine, problem)
        theta = turned_theta(self.analysis.estimate.theta, d, turned)
        psi = self._psi(problem, theta=theta)
        place = problem.arranged.places[turned.term]
        scale = problem.column_scales[place.factor][place.columns]

        def solve(z: Vector, chart: Chart) -> Held:
            return profile_generalized.hold(z, chart, engine)

        start = problem.n_beta + place.theta.start
        return _Place(psi, start, scale, 1.0 / scale, solve)


def random_targets(space: Space, turn: Callable[[_Turned], _Place]) -> Iterator[Target]:
    """Standard deviations and correlations of every term."""
    for i, term in enumerate(space.design.random):
        k = len(term.names)
        log_se, z_se = space.steps_of(i)
        c = space.components[i]
        for column in range(k):
            first = (column,) if term.correlated else ()
            place = turn(_Turned(i, leading(k, first)))
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
                place = turn(_Turned(i, leading(k, (other, one))))
                se = float(z_se[one, other])
                yield _correlation(place, k, correlation, se)


def _deviation(place: _Place, column: int, sd: float, log_se: float) -> Target:
    """The standard deviation of a column that leads, or is independent."""
    at, unit = place.start + column, float(place.unit[column])
    start = place.psi.copy()
    start[at] = 0.0

    def solve(value: float, z: Vector) -> Held:
        return place.solve(z, held_coordinate(len(start), at, unit * value))

    # Beyond one, a standard error of the logarithm says little.
    step = sd * _finite(min(log_se, 1.0), WIDE)
    if not sd > 0:
        step = WIDE * float(place.noise[column])
    return Target(Coordinate(sd, 0.0, np.inf, step, True, start, solve), _same)


def _correlation(place: _Place, k: int, correlation: float, z_se: float) -> Target:
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
    step = _finite(z_se * float(np.cos(centre)), WIDE)
    half = 0.5 * np.pi
    return Target(Coordinate(centre, -half, half, step, False, start, solve), _sin)


def _finite(value: float, otherwise: float) -> float:
    return value if np.isfinite(value) and value > 0 else otherwise
