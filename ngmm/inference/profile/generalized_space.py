"""The parameters of a generalized model as coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.profile.chart import Chart, Held, free, held_coordinate
from ngmm.inference.profile.generalized import hold, same_rule
from ngmm.inference.profile.search import Coordinate
from ngmm.inference.profile.space import (
    Place,
    Space,
    Target,
    Turned,
    exp,
    finite,
    random_targets,
    same,
    turned_random,
    turned_theta,
)
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import Engine
from ngmm.likelihood.generalized import GeneralizedProblem, prepare_generalized

Vector = NDArray[np.float64]


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
        return float(hold(psi, chart, self.engine, max_steps).value)

    def targets(self) -> Iterator[Target]:
        """Coefficients, then standard deviations and correlations by term, phi."""
        e = self.analysis.estimate
        for j in range(len(e.beta)):
            yield Target(self._coefficient(j), same)
        yield from random_targets(self, self._turn)
        if e.phi is None:
            return
        assert self.analysis.scale is not None
        psi, engine = self._psi(), self.engine

        def at_phi(value: float, z: Vector) -> Held:
            chart = held_coordinate(len(psi), len(psi) - 1, value)
            return hold(z, chart, engine)

        start = psi.copy()
        start[-1] = 0.0
        step = finite(self.analysis.scale.log_se, 1.0)
        centre = float(np.log(e.phi))
        yield Target(
            Coordinate(centre, -np.inf, np.inf, step, False, start, at_phi), exp
        )

    def _coefficient(self, j: int) -> Coordinate:
        e, d = self.analysis.estimate, self.design
        p = len(e.beta)
        columns = [*(i for i in range(p) if i != j), j]
        problem = self._problem(d.X[:, columns], d.random)
        engine = same_rule(self.engine, problem)
        psi = self._psi(problem, e.beta[columns])
        scale = problem.triangle[-1, -1]

        def at_beta(value: float, z: Vector) -> Held:
            chart = held_coordinate(len(psi), p - 1, scale * value)
            return hold(z, chart, engine)

        start = psi.copy()
        start[p - 1] = 0.0
        # A first step of more than that much of a linear predictor leads astray.
        step = min(
            finite(float(np.sqrt(self.analysis.vcov[j, j])), np.inf), 2.0 / abs(scale)
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

    def _turn(self, turned: Turned) -> Place:
        d = self.design
        problem = self._problem(d.X, turned_random(d, turned))
        engine = same_rule(self.engine, problem)
        theta = turned_theta(self.analysis.estimate.theta, d, turned)
        psi = self._psi(problem, theta=theta)
        place = problem.arranged.places[turned.term]
        scale = problem.column_scales[place.factor][place.columns]

        def solve(z: Vector, chart: Chart) -> Held:
            return hold(z, chart, engine)

        start = problem.n_beta + place.theta.start
        return Place(psi, start, scale, 1.0 / scale, solve)
