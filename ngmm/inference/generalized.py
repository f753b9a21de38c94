"""Inference for generalized models: from the observed information of all parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import OptionError
from ngmm.estimation.status import Status
from ngmm.inference.components import (
    Components,
    ScaleParameter,
    term_components,
)
from ngmm.inference.importance import importance_loglik
from ngmm.inference.modes import Posterior, TermRows, row_effects
from ngmm.inference.verdict import (
    SMALLEST_SPREAD,
    Message,
    Verdict,
    boundary_notes,
    dispersion_notes,
    domain_messages,
    importance_note,
    integral_messages,
    integral_notes,
    mode_messages,
    optimum_messages,
    residual_messages,
    runaway_messages,
)
from ngmm.inference.working import Working, predictor, working, working_posterior
from ngmm.likelihood.information import covariance_from_information
from ngmm.model import GeneralizedEstimate, Model
from ngmm.networks import Inputs

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GeneralizedAnalysis:
    """What follows from the maximum of a non-Gaussian likelihood.

    Parameters
    ----------
    model, estimate
        The model and its maximum.
    """

    model: Model
    estimate: GeneralizedEstimate

    @cached_property
    def covariance(self) -> Matrix:
        """Covariance of the estimates of (beta, theta, log dispersion)."""
        information = self.estimate.information
        if not np.isfinite(information).all():
            return np.full_like(information, np.nan)
        return covariance_from_information(information)

    @property
    def vcov(self) -> Matrix:
        """(p, p) covariance of beta; that of theta is allowed for."""
        p = len(self.estimate.beta)
        return self.covariance[:p, :p]

    def degrees_of_freedom(self, method: str) -> Vector:
        """Infinite: the tests are z tests."""
        if method != "none":
            raise OptionError(
                f'df="{method}" is for Gaussian models; use df="none", z tests'
            )
        return np.full(len(self.estimate.beta), np.inf)

    @property
    def parameter_covariance(self) -> Matrix:
        """Covariance of the estimates of (theta, sigma); sigma = 1 is known exactly."""
        p, q = len(self.estimate.beta), len(self.estimate.theta)
        found = np.zeros((q + 1, q + 1))
        found[:q, :q] = self.covariance[p : p + q, p : p + q]
        return found

    @property
    def scale(self) -> ScaleParameter | None:
        """The dispersion parameter, if the family has one."""
        name, phi = self.model.family.dispersion, self.estimate.phi
        if name is None or phi is None:
            return None
        variance = self.covariance[-1, -1]
        log_se = float(np.sqrt(variance)) if variance > 0 else np.nan
        return ScaleParameter(name, phi, log_se)

    @property
    def dispersion(self) -> float:
        """The dispersion parameter; 1 where the family has none."""
        return 1.0 if self.estimate.phi is None else self.estimate.phi

    @property
    def design(self) -> Design:
        """The arrays the model was fitted to."""
        return self.model.design

    @property
    def outputs(self) -> Matrix:
        """Contribution of each network to the rows of the fit: there is none."""
        return np.zeros((self.model.design.n_rows, 0))

    @cached_property
    def components(self) -> list[Components]:
        """Standard deviations and correlations of each term of the formula."""
        e = self.estimate
        return term_components(self.model.design.random, e.theta, e.sigma)

    @property
    def modes(self) -> tuple[Matrix, ...]:
        """Conditional modes of each term of the formula: (levels, k)."""
        return self.estimate.modes

    def mode_variances(self) -> tuple[Matrix, ...]:
        """Conditional variances of the random effects of each term: (levels, k)."""
        return self.posterior.term_variances()

    def predictor_variance(
        self,
        X: Matrix,
        terms: Sequence[TermRows | None],
        inputs: Sequence[Inputs] = (),
    ) -> Vector:
        """Variance of x' beta + z' b about its estimate, for each row.

        The modes move with beta as the conditional means of the working model do.
        """
        del inputs
        if all(term is None for term in terms):
            return np.einsum("np,pq,nq->n", X, self.vcov, X)
        problem = self.posterior.problem
        triangle = problem.data.triangle
        effects = row_effects(problem, terms, len(X))
        return self.posterior.row_variance(
            np.asarray(np.linalg.solve(triangle.T, X.T).T, dtype=np.float64),
            effects,
            triangle @ self.vcov @ triangle.T,
        )

    @property
    def integral_text(self) -> str:
        """How the random effects were integrated out, and with which error."""
        integral = self.estimate.integral
        if integral.error is None:
            return (
                f"{integral.text}; its error is not known: fit.check(importance=1000)"
            )
        return f"{integral.text}, error {integral.error:.0e}"

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the numbers can be relied on."""
        e, family = self.estimate, self.model.family
        # What explains a failure comes before what follows from it.
        messages = [Message(s.text, s.remedy) for s in e.separation]
        notes = integral_notes(e.integral.error)
        for term, c in zip(self.model.design.random, self.components, strict=True):
            messages += runaway_messages(family.link, term.group, term.names, c.sd)
            notes += boundary_notes(term.group, term.names, c.sd, c.correlation, c.rank)
        if not family.discrete:
            messages += residual_messages(self._residual_share(), SMALLEST_SPREAD)
        failed = e.status is not Status.CONVERGED or e.n_unsettled > 0
        bounded = bool(np.isfinite(family.transform.lower))
        messages += domain_messages(family.link, bounded, failed)
        messages += optimum_messages(e.status, e.gain, e.n_steps, e.information)
        messages += integral_messages(e.integral.error)
        messages += mode_messages(e.n_unsettled)
        notes += dispersion_notes(family.name, e.phi)
        return Verdict(tuple(messages), tuple(notes))

    def verdict_by_importance(self, n: int, seed: int) -> Verdict:
        """The verdict with the error of the integral found by n random draws."""
        e, d, family = self.estimate, self.model.design, self.model.family
        found = importance_loglik(
            d,
            family,
            self.dispersion,
            self.eta,
            self.working,
            self.posterior,
            n=n,
            seed=seed,
        )
        note = importance_note(
            e.loglik, found.loglik, found.std_error, found.n, found.n_effective
        )
        return replace(self.verdict, notes=(*self.verdict.notes, note))

    @cached_property
    def eta(self) -> Vector:
        """(n,) linear predictor of the rows at the modes."""
        d = self.model.design
        return predictor(d.X, d.offset, d.random, self.estimate.beta, self.modes)

    @cached_property
    def working(self) -> Working:
        """Score and weight of each row at the modes."""
        return working(self.model.design, self.model.family, self.eta, self.dispersion)

    @cached_property
    def posterior(self) -> Posterior:
        """The random effects given the data, in the working model."""
        d, at = self.model.design, self.working
        response = self.eta - d.offset + at.score / at.weight
        theta = self.estimate.theta
        return working_posterior(response, d.X, d.random, at.weight, theta)

    def _residual_share(self) -> float:
        """Standard deviation of a response over what fixed effects alone leave."""
        d, family = self.model.design, self.model.family
        mu = family.transform.mean(self.eta)
        fixed = family.transform.mean(d.X @ self.estimate.beta + d.offset)
        variance = np.asarray(family.variance(mu, self.dispersion, d.trials))
        left = np.mean((d.y - fixed) ** 2)
        return float(np.sqrt(np.mean(variance) / left)) if left > 0 else 1.0
