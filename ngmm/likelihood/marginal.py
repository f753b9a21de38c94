"""The marginal likelihood of a generalized model, from psi to an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm import covariance
from ngmm.covariance import factor_numpy
from ngmm.estimation.full_batch import Objective
from ngmm.estimation.newton import NewtonResult, ended, predicted_gain
from ngmm.estimation.separation import Separation, find_separation
from ngmm.estimation.status import Status
from ngmm.likelihood.choose import (
    Found,
    accurate_engine,
    fixed_engine,
    maximise_with,
    reference_error,
    settles,
)
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.likelihood.estimates import GeneralizedEstimate
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.generalized_start import starting_psi
from ngmm.likelihood.rules import Rule

Vector = NDArray[np.float64]

# Below this many rows a search for separation costs milliseconds.
ALWAYS_LOOK = 20_000
# Beyond these the fixed effects are worth a look in any case: standard errors and
# coefficients in units of the linear predictor.
SUSPICIOUS_SE, SUSPICIOUS_SIZE = 3.0, 8.0


@dataclass(frozen=True, eq=False)
class Marginal:
    """A generalized model whose random effects are integrated out by a rule.

    Parameters
    ----------
    problem
        Rows and structure.
    rule
        How to integrate.
    names, X
        Fixed-effect columns in the user's units, for messages.
    """

    problem: GeneralizedProblem
    rule: Rule
    names: Sequence[str]
    X: Vector

    def __post_init__(self) -> None:
        """Refuse rules that do not suit the structure before anything is computed."""
        fixed_engine(self.problem, self.rule)

    def loglik(self, x: Vector) -> float:
        """Log-likelihood at the engine's psi; "auto" adds nodes until it settles."""
        engine = accurate_engine(self.problem, self.rule, x)
        if isinstance(engine, QuadratureEngine) and settles(self.problem, self.rule):
            # The program that judged the error has the value too.
            return engine.value_and_error(x)[0]
        return engine.value(x)

    def maximise(self, start: ArrayLike | None, max_steps: int) -> GeneralizedEstimate:
        """The maximum by trust-region Newton."""
        return self._estimate(
            maximise_with(self.problem, self.rule, self.start(start), max_steps)
        )

    def objective(self, start: ArrayLike | None) -> Objective:
        """Minus the log-likelihood, with the nodes that the start calls for."""
        x = self.start(start)
        fun, args, layout = accurate_engine(self.problem, self.rule, x).objective()
        return Objective(fun, x, args, layout)

    def finish(
        self, x: Vector, n_steps: int, max_steps_reached: bool
    ) -> GeneralizedEstimate:
        """The estimate at x, judged by exact derivatives."""
        engine = accurate_engine(self.problem, self.rule, x)
        found = engine.derivatives(x)
        gradient, hessian = -2.0 * found.gradient, -2.0 * found.hessian
        gain = predicted_gain(gradient, hessian)
        result = NewtonResult(
            x=x,
            value=-2.0 * found.value,
            gradient=gradient,
            hessian=hessian,
            aux=engine.kept(x),
            gain=gain,
            n_steps=n_steps,
            status=int(ended(gain, max_steps_reached)),
        )
        error = reference_error(engine, x, found.value)
        return self._estimate(Found(engine, result, error, n_steps))

    def start(self, start: ArrayLike | None) -> Vector:
        """The engine's psi to start from; `start` is theta in the user's units."""
        x = starting_psi(self.problem)
        if start is None:
            return x
        p, q = self.problem.n_beta, self.problem.n_theta
        theta = np.asarray(start, dtype=np.float64)
        x[p : p + q] = (self.problem.jacobian[p : p + q, p : p + q]) @ theta
        return x

    def _estimate(self, found: Found) -> GeneralizedEstimate:
        problem, result = self.problem, found.result
        x, hessian = self._rectified(found)
        beta, theta, log_phi = problem.to_user(x)
        information = problem.jacobian.T @ (0.5 * hessian) @ problem.jacobian
        return GeneralizedEstimate(
            beta=beta,
            theta=theta,
            sigma=1.0,
            phi=None if log_phi is None else float(np.exp(log_phi)),
            loglik=-0.5 * float(result.value),
            status=Status(int(result.status)),
            gain=0.5 * float(result.gain),
            n_steps=found.n_steps,
            information=0.5 * (information + information.T),
            modes=self._modes(found),
            integral=found.engine.integral(found.error),
            n_unsettled=found.engine.unsettled(result.aux),
            separation=self._separation(x, hessian),
        )

    def _rectified(self, found: Found) -> tuple[Vector, Vector]:
        """Engine's psi with nonnegative diagonals of Lambda, and the Hessian there."""
        result = found.result
        x = np.array(result.x)
        start = self.problem.n_beta
        for p in self.problem.arranged.patterns:
            part = slice(start, start + p.n_theta)
            x[part] = covariance.rectify(x[part], p)
            start += p.n_theta
        if np.array_equal(x, result.x):
            return x, result.hessian
        sign = np.where(result.x == 0.0, 1.0, np.sign(result.x) * np.sign(x))
        if np.array_equal(x, result.x * sign):
            return x, result.hessian * np.outer(sign, sign)
        return x, -2.0 * found.engine.derivatives(x).hessian

    def _modes(self, found: Found) -> tuple[Vector, ...]:
        """Conditional modes b of each term of the formula, user's units."""
        problem = self.problem
        start = problem.n_beta
        by_factor = []
        for u, p, scale in zip(
            found.engine.modes(found.result.aux),
            problem.arranged.patterns,
            problem.column_scales,
            strict=True,
        ):
            lam = factor_numpy(np.asarray(found.result.x)[start : start + p.n_theta], p)
            by_factor.append(u @ lam.T / scale)
            start += p.n_theta
        return tuple(
            by_factor[place.factor][:, place.columns]
            for place in problem.arranged.places
        )

    def _separation(self, x: Vector, hessian: Vector) -> tuple[Separation, ...]:
        """Why estimates of fixed effects are infinite, if they are."""
        family, rows, p = self.problem.family, self.problem.rows, self.problem.n_beta
        if not family.discrete or not p or np.isfinite(family.transform.lower):
            return ()
        se = 1.0 / np.sqrt(np.maximum(0.5 * np.diag(hessian)[:p], 1e-300))
        odd = (se > SUSPICIOUS_SE).any() or (np.abs(x[:p]) > SUSPICIOUS_SIZE).any()
        if len(rows.y) > ALWAYS_LOOK and not odd:
            return ()
        used = rows.weights > 0
        bounded = family.takes_trials or family.name == "bernoulli"
        upper = (rows.y == rows.trials) if bounded else np.zeros(len(rows.y), bool)
        found = find_separation(
            self.X[used],
            (rows.y == 0.0)[used],
            upper[used],
            self.names,
            highest="the number of trials" if family.takes_trials else "1",
        )
        return () if found is None else (found,)
