r"""A design and a family as a likelihood: parameters in, log-likelihood out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm import covariance
from ngmm.covariance import pattern
from ngmm.design import Design
from ngmm.errors import DataError, NotSupportedError, OptionError
from ngmm.estimation.full_batch import Objective
from ngmm.estimation.newton import NewtonResult
from ngmm.estimation.status import Status
from ngmm.families import Family, gaussian
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.elimination import Elimination
from ngmm.likelihood.estimates import (
    Estimate,
    GaussianEstimate,
    GeneralizedEstimate,
)
from ngmm.likelihood.gaussian import Profile
from ngmm.likelihood.generalized import prepare_generalized
from ngmm.likelihood.marginal import Marginal
from ngmm.likelihood.maximise import (
    as_result,
    eliminate_at,
    half_objective,
    maximise,
    profile_at,
    to_numpy,
)
from ngmm.likelihood.problem import GaussianProblem, prepare
from ngmm.likelihood.refits import Refits, refit_gaussian, refit_generalized
from ngmm.likelihood.rules import as_rule
from ngmm.likelihood.start import starting_theta
from ngmm.linalg import precise

__all__ = ["Estimate", "GaussianEstimate", "GeneralizedEstimate", "Model"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """A mixed model: everything that is fixed before parameters are chosen.

    Parameters
    ----------
    design
        From `build_design`.
    family
        Response distribution.
    reml
        Whether the likelihood is the restricted one; Gaussian models only.
    quad
        How the random effects are integrated out, as in `ngmm.fit`; a Gaussian model is
        exact.

    Raises
    ------
    OptionError
        If ``reml`` is asked of a family that is not Gaussian, or the formula has no
        random effect.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), eqs. 13-42, for the
    Gaussian likelihood; Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4, 12-35, for
    the others.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> model = ngmm.Model(design)

    >>> model.is_gaussian, model.n_theta, model.df
    (True, 3, 6)
    >>> round(model.loglik([0.93, 0.02, 0.22]), 3)
    -875.971
    >>> estimate = model.maximise()
    >>> round(estimate.loglik, 3), estimate.beta.round(3).tolist()
    (-875.97, [251.405, 10.467])

    What the search works with: cross-products of the standardised rows, and for other
    families the likelihood with its rule.

    >>> model.problem.n_rows, model.problem.n_residual
    (180, 180)
    >>> data = ngmm.datasets.load("cbpp")
    >>> terms = ngmm.parse("cbind(incidence, size - incidence) ~ period + (1 | herd)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> other = ngmm.Model(design, ngmm.families.binomial())
    >>> type(other.marginal.rule).__name__, other.df
    ('Auto', 5)
    """

    design: Design
    family: Family = field(default_factory=gaussian)
    reml: bool = False
    quad: Any = "auto"

    def __post_init__(self) -> None:
        """Refuse what has no likelihood."""
        if self.reml and not self.is_gaussian:
            raise OptionError(
                "reml=True is for gaussian models; other likelihoods have no "
                "restricted form in ngmm"
            )
        if not (self.design.random or self.design.latent):
            raise OptionError(
                "the model has no random effect; write (1 | g) in the formula"
            )

    @property
    def is_gaussian(self) -> bool:
        """Whether the likelihood is exact."""
        return self.family.has_residual

    @cached_property
    def marginal(self) -> Marginal:
        """The likelihood of a generalized model."""
        self._refuse_latent()
        d = self.design
        problem = prepare_generalized(
            d.y,
            d.X,
            d.random,
            self.family,
            offset=d.offset,
            weights=d.weights,
            trials=d.trials,
        )
        return Marginal(problem, as_rule(self.quad), d.names, d.X)

    @cached_property
    def problem(self) -> GaussianProblem:
        """Standardised cross-products of the rows."""
        self._refuse_latent()
        d = self.design
        return prepare(
            d.y - d.offset,
            d.X,
            d.random,
            weights=d.weights if d.has_weights else None,
            reml=self.reml,
        )

    def _refuse_latent(self) -> None:
        for term in self.design.latent:
            raise NotSupportedError(
                f"the likelihood of {term.label} is not one of ngmm.Model; fit the "
                "formula with ngmm.fit, whose loglik it is"
            )

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters."""
        return sum(
            pattern([(len(t.names), t.correlated)]).n_theta for t in self.design.random
        )

    @property
    def df(self) -> int:
        """Number of parameters: beta, theta and sigma or the dispersion."""
        scale = self.is_gaussian or self.family.dispersion is not None
        return self.design.X.shape[1] + self.n_theta + int(scale)

    def loglik(
        self,
        theta: ArrayLike,
        sigma: float | None = None,
        beta: ArrayLike | None = None,
        phi: float | None = None,
    ) -> float:
        """Log-likelihood at given parameters (restricted under REML).

        Parameters
        ----------
        theta
            (n_theta,) covariance parameters, see `ngmm.model.Estimate`; relative to
            sigma if Gaussian.
        sigma
            Residual standard deviation of a Gaussian model; None for the best one.
        beta
            (p,) fixed effects; None for the best ones, in a Gaussian model only.
        phi
            Dispersion parameter, for families that have one.

        Returns
        -------
        float
            With all constants; restricted under REML.

        Raises
        ------
        OptionError
            If a length is wrong, sigma or phi is not positive, a parameter is missing,
            or beta is given under REML, where the fixed effects are integrated out.
        """
        theta = np.asarray(theta, dtype=np.float64)
        if theta.shape != (self.n_theta,):
            raise OptionError(
                f"theta must have {self.n_theta} elements, got shape {theta.shape}"
            )
        if not self.is_gaussian:
            return self._generalized_loglik(theta, sigma, beta, phi)
        if phi is not None:
            raise OptionError("a gaussian model has sigma, not phi")
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

    def _generalized_loglik(
        self,
        theta: Vector,
        sigma: float | None,
        beta: ArrayLike | None,
        phi: float | None,
    ) -> float:
        has = self.family.dispersion
        if sigma is not None:
            raise OptionError(f"a {self.family.name} model has no sigma; leave it out")
        if beta is None:
            raise OptionError(f"a {self.family.name} model needs beta=")
        beta = np.asarray(beta, dtype=np.float64)
        if beta.shape != (self.design.X.shape[1],):
            raise OptionError(
                f"beta must have {self.design.X.shape[1]} elements, "
                f"got shape {beta.shape}"
            )
        if has is None and phi is not None:
            raise OptionError(f"a {self.family.name} model has no phi; leave it out")
        if has is not None and (phi is None or not phi > 0):
            raise OptionError(f"phi ({has}) must be positive, got {phi}")
        log_phi = None if phi is None else float(np.log(phi))
        x = self.marginal.problem.to_engine(beta, theta, log_phi)
        return self.marginal.loglik(x)

    def maximise(
        self, start: ArrayLike | None = None, *, max_steps: int = 100
    ) -> GaussianEstimate | GeneralizedEstimate:
        """The maximum of the likelihood by trust-region Newton.

        Parameters
        ----------
        start
            (n_theta,) theta to start from; None for the method of moments.
        max_steps
            Evaluations before giving up.

        Returns
        -------
        GaussianEstimate or GeneralizedEstimate
            Where the search ended; its ``status`` says how.
        """
        if not self.is_gaussian:
            return self.marginal.maximise(start, max_steps)
        return self._maximise_gaussian(start, max_steps)

    def maximise_many(
        self,
        Y: ArrayLike,
        near: Estimate,
        *,
        max_steps: int = 100,
        advance: Callable[[int], object] = int,
    ) -> Refits:
        """The model fitted to many responses of the same rows, in one program.

        Parameters
        ----------
        Y
            (B, n) responses, as `MixedModelFit.refit` takes them.
        near
            An estimate from which all searches start, and which decides how many nodes
            integrals have.
        max_steps
            Evaluations before giving up on a response.
        advance
            Told the number of responses done, for a progress line.

        Returns
        -------
        Refits
            Estimates of all responses, one row each, and which of them failed.

        Raises
        ------
        DataError
            If Y has not a column for each row, or values that are not finite.
        NotSupportedError
            If the model has networks.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
        >>> design, spec = ngmm.build_design(terms, data)
        >>> model = ngmm.Model(design)

        >>> near = model.maximise()
        >>> refits = model.maximise_many(design.y + [[0.0], [1.0]], near)
        >>> refits.beta.shape, (refits.beta[1] - refits.beta[0]).round(6).tolist()
        ((2, 2), [1.0, -0.0])
        """
        Y = self._responses(Y)
        d = self.design
        if isinstance(near, GaussianEstimate):
            root = np.sqrt(d.weights) if d.has_weights else np.ones(d.n_rows)
            theta = self.problem.to_engine(near.theta)
            return refit_gaussian(
                self.problem, Y - d.offset, root, theta, max_steps, advance
            )
        problem, rule = self.marginal.problem, self.marginal.rule
        log_phi = None if near.phi is None else float(np.log(near.phi))
        x = problem.to_engine(near.beta, near.theta, log_phi)
        engine = accurate_engine(problem, rule, x)
        return refit_generalized(problem, engine, Y, x, max_steps, advance)

    def _responses(self, Y: ArrayLike) -> Vector:
        """Responses of the right shape."""
        if self.design.networks or self.design.latent:
            raise NotSupportedError(
                "maximise_many is for models without networks, which are fitted one "
                "response at a time: MixedModelFit.refit(y)"
            )
        found = np.asarray(Y, dtype=np.float64)
        n = self.design.n_rows
        if found.ndim != 2 or found.shape[1] != n or not len(found):
            raise DataError(
                f"expected responses as rows of a matrix with {n} columns, one for "
                f"each row used; got shape {found.shape}"
            )
        if not np.isfinite(found).all():
            raise DataError("some responses have missing or infinite values")
        return found

    def objective(self, start: ArrayLike | None = None) -> Objective:
        """Minus the log-likelihood in coordinates of order one, to be minimised.

        Parameters
        ----------
        start
            (n_theta,) theta to start from; None for the method of moments.

        Returns
        -------
        Objective
            The function, where its search starts, and its further arguments.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
        >>> design, spec = ngmm.build_design(terms, data)
        >>> model = ngmm.Model(design)

        >>> model.objective().x0.shape
        (3,)
        """
        if not self.is_gaussian:
            return self.marginal.objective(start)
        return Objective(
            half_objective,
            self._start(start),
            (self.problem.system,),
            self.problem.layout,
        )

    def finish(
        self, x: Vector, n_steps: int, max_steps_reached: bool
    ) -> GaussianEstimate | GeneralizedEstimate:
        """The estimate at the end of a search by other means, exactly judged.

        Parameters
        ----------
        x
            (P,) end of the search, in the coordinates of `objective`.
        n_steps
            Evaluations it took.
        max_steps_reached
            Whether it ended because there were no more.

        Returns
        -------
        GaussianEstimate or GeneralizedEstimate
            The estimate there; its ``status`` says whether it is a maximum.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
        >>> design, spec = ngmm.build_design(terms, data)
        >>> model = ngmm.Model(design)

        >>> found = model.finish(model.maximise().engine_theta, 0, False)
        >>> found.status.name, round(found.loglik, 3)
        ('CONVERGED', -875.97)
        """
        if not self.is_gaussian:
            return self.marginal.finish(x, n_steps, max_steps_reached)
        with precise():
            found = profile_at(x, self.problem.system, layout=self.problem.layout)
        result = as_result(x, to_numpy(found), n_steps, max_steps_reached)
        return self._estimate(result)

    def at(
        self, beta: Vector, theta: Vector, scale: float | None, status: Status, n: int
    ) -> GaussianEstimate | GeneralizedEstimate:
        """The estimate that given variance parameters are, however they were found.

        Parameters
        ----------
        beta
            (p,) fixed effects; those of a Gaussian model follow from theta.
        theta
            (n_theta,) covariance parameters, user's units.
        scale
            sigma, or the dispersion of families that have one, or None.
        status, n
            How the search ended, and its steps.

        Returns
        -------
        GaussianEstimate or GeneralizedEstimate
            The estimate, with the log-likelihood there.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
        >>> design, spec = ngmm.build_design(terms, data)
        >>> model = ngmm.Model(design)

        >>> best = model.maximise()
        >>> other = model.at(best.beta, best.theta, 30.0, best.status, 0)
        >>> other.sigma, other.loglik < best.loglik
        (30.0, True)
        """
        if self.is_gaussian:
            assert scale is not None
            found = self.finish(self.problem.to_engine(theta), n, False)
            loglik = self.loglik(theta, scale)
            return replace(found, sigma=scale, loglik=loglik, status=status, gain=0.0)
        log_phi = None if scale is None else float(np.log(scale))
        x = self.marginal.problem.to_engine(beta, theta, log_phi)
        return replace(self.finish(x, n, False), status=status, gain=0.0)

    def _start(self, start: ArrayLike | None) -> Vector:
        problem = self.problem
        if start is not None:
            return problem.to_engine(np.asarray(start, dtype=np.float64))
        return starting_theta(problem.data, problem.groups, problem.layout.patterns)

    def _maximise_gaussian(
        self, start: ArrayLike | None, max_steps: int
    ) -> GaussianEstimate:
        problem = self.problem
        with precise():
            found = maximise(
                self._start(start),
                problem.system,
                np.int64(max_steps),
                layout=problem.layout,
            )
        return self._estimate(to_numpy(found))

    def elimination(self, estimate: GaussianEstimate) -> Elimination:
        """What the likelihood knows of the random effects at an estimate.

        Parameters
        ----------
        estimate
            The estimate of a Gaussian model.

        Returns
        -------
        Elimination
            The factor of the cross-products, from which modes and their variances
            follow.

        Examples
        --------
        >>> import ngmm
        >>> data = ngmm.datasets.load("sleepstudy")
        >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
        >>> design, spec = ngmm.build_design(terms, data)
        >>> model = ngmm.Model(design)

        >>> found = model.elimination(model.maximise())
        >>> type(found).__name__
        'Elimination'
        """
        with precise():
            found = eliminate_at(
                estimate.engine_theta,
                self.problem.system,
                layout=self.problem.layout,
            )
        return to_numpy(found)

    def _estimate(self, found: NewtonResult) -> GaussianEstimate:
        theta, profile = self._rectified(found)
        problem = self.problem
        p = problem.layout.n_beta
        tail = profile.tail
        gamma = np.linalg.solve(tail[:p, :p], tail[:p, p]) if p else np.zeros(0)
        scale = problem.data.y_scale
        shift = np.linalg.solve(problem.data.triangle, gamma * scale) if p else gamma
        rss = float(profile.rss) * scale**2
        return GaussianEstimate(
            beta=problem.data.beta_ols + shift,
            theta=problem.to_user(theta),
            sigma=float(np.sqrt(rss / problem.n_residual)),
            phi=None,
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
