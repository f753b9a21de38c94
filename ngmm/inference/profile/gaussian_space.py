"""The parameters of a Gaussian model as coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.profile.chart import Chart, Held, free, held_coordinate
from ngmm.inference.profile.gaussian import hold, no_pin, pin_coefficient
from ngmm.inference.profile.search import Coordinate
from ngmm.inference.profile.space import (
    Place,
    Space,
    Target,
    Turned,
    exp,
    random_targets,
    same,
    turned_random,
    turned_theta,
)
from ngmm.likelihood.problem import GaussianProblem, prepare

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GaussianSpace(Space):
    """The parameters of a Gaussian model: psi = (lambda, log sigma), standardised."""

    analysis: GaussianAnalysis

    def value(self, max_steps: int) -> float:
        """-2 log-likelihood after some steps from the estimate, up to a constant."""
        problem = self.analysis.model.problem
        psi = self._psi(problem, self.analysis.estimate.theta)
        pin, chart = no_pin(problem), free(len(psi))
        return float(hold(psi, chart, pin, problem, max_steps).value)

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
                return hold(z, free(size), pin, problem)

            step = float(np.sqrt(variance))
            found = Coordinate(beta, -np.inf, np.inf, step, False, psi, at_beta)
            yield Target(found, same)
        yield from random_targets(self, self._turn)
        scale, no = float(np.log(problem.data.y_scale)), no_pin(problem)

        def at_sigma(value: float, z: Vector) -> Held:
            chart = held_coordinate(size, size - 1, value - scale)
            return hold(z, chart, no, problem)

        start = psi.copy()
        start[-1] = 0.0
        step = self.analysis.scale.log_se
        centre = float(np.log(e.sigma))
        yield Target(
            Coordinate(centre, -np.inf, np.inf, step, False, start, at_sigma), exp
        )

    def _psi(self, problem: GaussianProblem, theta: Vector) -> Vector:
        sigma = self.analysis.estimate.sigma / problem.data.y_scale
        return np.append(sigma * problem.to_engine(theta), np.log(sigma))

    def _turn(self, turned: Turned) -> Place:
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
            return hold(z, chart, no, problem)

        unit = scale / problem.data.y_scale
        return Place(psi, place.theta.start, unit, e.sigma / scale, solve)
