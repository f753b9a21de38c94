r"""A design and a family as a likelihood: parameters in, log-likelihood out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm import covariance
from ngmm.design import Design
from ngmm.errors import NotSupportedError, OptionError
from ngmm.estimation.newton import NewtonResult
from ngmm.estimation.status import Status
from ngmm.families import Family, gaussian
from ngmm.likelihood.elimination import Elimination
from ngmm.likelihood.gaussian import Profile
from ngmm.likelihood.maximise import eliminate_at, maximise, profile_at, to_numpy
from ngmm.likelihood.problem import GaussianProblem, prepare
from ngmm.likelihood.start import starting_theta
from ngmm.linalg import precise

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A maximum of the likelihood, and how it was reached.

    Attributes
    ----------
    beta
        (p,) fixed effects.
    theta
        Covariance parameters relative to sigma: terms in the order of the formula, each
        the lower triangle of its Lambda by columns (its diagonal after ``||``).
    sigma
        Residual standard deviation.
    loglik
        Log-likelihood, the restricted one under REML.
    status
        How the search ended.
    gain
        Log-likelihood that a further Newton step would add, g' H^-1 g / 2.
    n_steps
        Evaluations of the objective.
    engine_theta, profile
        The same point in the engine's order and scale, with exact derivatives.
    """

    beta: Vector
    theta: Vector
    sigma: float
    loglik: float
    status: Status
    gain: float
    n_steps: int
    engine_theta: Vector
    profile: Profile


@dataclass(frozen=True, eq=False)
class Model:
    """A mixed model: everything that is fixed before parameters are chosen.

    Parameters
    ----------
    design
        From `build_design`.
    family
        Response distribution; Gaussian in this version.
    reml
        Whether the likelihood is the restricted one.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> model = ngmm.Model(design)
    >>> round(model.loglik([0.93, 0.02, 0.22]), 3)
    -875.971
    """

    design: Design
    family: Family = field(default_factory=gaussian)
    reml: bool = False

    def __post_init__(self) -> None:
        """Refuse what this version cannot fit."""
        if self.family.name != "gaussian":
            raise NotSupportedError(f"family '{self.family.name}' is not fitted yet")
        if not self.design.random:
            raise OptionError(
                "the model has no random effect; write (1 | g) in the formula"
            )

    @cached_property
    def problem(self) -> GaussianProblem:
        """Standardised cross-products of the rows."""
        d = self.design
        return prepare(
            d.y - d.offset,
            d.X,
            d.random,
            weights=d.weights if d.has_weights else None,
            reml=self.reml,
        )

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters."""
        return self.problem.layout.n_theta

    @property
    def df(self) -> int:
        """Number of parameters: beta, theta and sigma."""
        return self.design.X.shape[1] + self.n_theta + 1

    def loglik(
        self,
        theta: ArrayLike,
        sigma: float | None = None,
        beta: ArrayLike | None = None,
    ) -> float:
        """Log-likelihood at given parameters (restricted under REML).

        Parameters
        ----------
        theta
            Covariance parameters relative to sigma, see `Estimate`.
        sigma
            Residual standard deviation; None for the best one.
        beta
            Fixed effects; None for the best ones.

        Raises
        ------
        OptionError
            If a length is wrong, sigma is not positive, or beta is given under REML,
            where the fixed effects are integrated out.
        """
        theta = np.asarray(theta, dtype=np.float64)
        if theta.shape != (self.n_theta,):
            raise OptionError(
                f"theta must have {self.n_theta} elements, got shape {theta.shape}"
            )
        if sigma is not None and not sigma > 0:
            raise OptionError(f"sigma must be positive, got {sigma}")
        point = self.problem.to_engine(theta)
        with precise():
            found = profile_at(point, self.problem.system, layout=self.problem.layout)
        profile = to_numpy(found)
        rss = float(profile.rss) * self.problem.data.y_scale**2
        if beta is not None:
            rss = self._rss(profile, np.asarray(beta, dtype=np.float64))
        return self._loglik(profile, rss, sigma)

    def maximise(
        self, start: ArrayLike | None = None, *, max_steps: int = 100
    ) -> Estimate:
        """The maximum of the likelihood by trust-region Newton.

        Parameters
        ----------
        start
            theta to start from; None for the method of moments.
        max_steps
            Evaluations before giving up.
        """
        problem = self.problem
        theta = (
            starting_theta(problem.data, problem.groups, problem.layout.patterns)
            if start is None
            else problem.to_engine(np.asarray(start, dtype=np.float64))
        )
        with precise():
            found = maximise(
                theta, problem.system, np.int64(max_steps), layout=problem.layout
            )
        return self._estimate(to_numpy(found))

    def elimination(self, estimate: Estimate) -> Elimination:
        """What the likelihood knows of the random effects at an estimate."""
        with precise():
            found = eliminate_at(
                estimate.engine_theta,
                self.problem.system,
                layout=self.problem.layout,
            )
        return to_numpy(found)

    def _estimate(self, found: NewtonResult) -> Estimate:
        theta, profile = self._rectified(found)
        problem = self.problem
        p = problem.layout.n_beta
        tail = profile.tail
        gamma = np.linalg.solve(tail[:p, :p], tail[:p, p]) if p else np.zeros(0)
        scale = problem.data.y_scale
        shift = np.linalg.solve(problem.data.triangle, gamma * scale) if p else gamma
        rss = float(profile.rss) * scale**2
        return Estimate(
            beta=problem.data.beta_ols + shift,
            theta=problem.to_user(theta),
            sigma=float(np.sqrt(rss / problem.n_residual)),
            loglik=self._loglik(profile, rss, None),
            status=Status(int(found.status)),
            gain=0.5 * float(found.gain),
            n_steps=int(found.n_steps),
            engine_theta=theta,
            profile=profile,
        )

    def _rectified(self, found: NewtonResult) -> tuple[Vector, Profile]:
        """The theta with a nonnegative diagonal, and the derivatives there."""
        layout = self.problem.layout
        parts = [
            covariance.rectify(found.x[s], p)
            for s, p in zip(layout.slices, layout.patterns, strict=True)
        ]
        theta = np.concatenate(parts)
        if np.array_equal(theta, found.x):
            return theta, found.aux
        sign = np.where(found.x == 0.0, 1.0, np.sign(found.x) * np.sign(theta))
        if np.array_equal(theta, found.x * sign):
            profile: Profile = found.aux
            return theta, profile._replace(
                gradient=profile.gradient * sign,
                hessian=profile.hessian * np.outer(sign, sign),
                tail_gradient=profile.tail_gradient * sign[:, None, None],
            )
        with precise():
            return theta, to_numpy(
                profile_at(theta, self.problem.system, layout=layout)
            )

    def _rss(self, profile: Profile, beta: Vector) -> float:
        """Generalised residual sum of squares at given fixed effects."""
        if self.reml:
            raise OptionError(
                "the restricted likelihood is not a function of beta; leave beta out"
            )
        if beta.shape != self.problem.data.beta_ols.shape:
            raise OptionError(
                f"beta must have {len(self.problem.data.beta_ols)} elements, "
                f"got shape {beta.shape}"
            )
        data = self.problem.data
        direction = np.append(data.triangle @ (data.beta_ols - beta), data.y_scale)
        return float(direction @ profile.tail @ direction)

    def _loglik(self, profile: Profile, rss: float, sigma: float | None) -> float:
        """Log-likelihood from the profiled objective and its constants."""
        problem = self.problem
        n = problem.n_residual
        log_dets = float(profile.value) - n * np.log(float(profile.rss))
        constants = -problem.data.sum_log_weights
        if self.reml:
            constants += 2.0 * np.log(np.abs(np.diag(problem.data.triangle))).sum()
        variance = rss / n if sigma is None else sigma**2
        fit = n * np.log(2.0 * np.pi * variance) + rss / variance
        return float(-0.5 * (log_dets + constants + fit))
