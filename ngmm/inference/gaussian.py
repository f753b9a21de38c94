"""Inference for Gaussian models: exact, from the profiled likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import OptionError
from ngmm.inference.components import (
    Components,
    ScaleParameter,
    term_components,
)
from ngmm.inference.modes import Posterior, TermRows, row_effects
from ngmm.inference.verdict import (
    Verdict,
    boundary_notes,
    optimum_messages,
    residual_messages,
)
from ngmm.inference.wald.satterthwaite import satterthwaite
from ngmm.likelihood.information import (
    covariance_from_information,
    variance_information,
)
from ngmm.model import GaussianEstimate, Model
from ngmm.networks import Inputs

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GaussianAnalysis:
    """What follows from the maximum of a Gaussian likelihood.

    Parameters
    ----------
    model, estimate
        The model and its maximum.
    """

    model: Model
    estimate: GaussianEstimate

    @cached_property
    def vcov(self) -> Matrix:
        """(p, p) covariance of beta, sigma^2 (X' V^-1 X)^-1."""
        half = contrast_basis(self.model)
        found = half @ np.linalg.solve(self._precision, half.T)
        return np.asarray(
            self.estimate.sigma**2 * 0.5 * (found + found.T), dtype=np.float64
        )

    def degrees_of_freedom(self, method: str) -> Vector:
        """Denominator degrees of freedom of each coefficient; infinite for z tests."""
        if method == "none":
            return np.full(len(self.estimate.beta), np.inf)
        return satterthwaite(
            contrast_basis(self.model),
            self.estimate.profile,
            self.model.problem.n_residual,
        )

    @cached_property
    def parameter_covariance(self) -> Matrix:
        """Covariance of the estimates of (theta, sigma)."""
        return parameter_covariance(self.model, self.estimate)

    @property
    def scale(self) -> ScaleParameter:
        """The residual standard deviation."""
        sigma = self.estimate.sigma
        log_se = np.sqrt(self.parameter_covariance[-1, -1]) / sigma
        return ScaleParameter("sigma", sigma, float(log_se))

    @property
    def dispersion(self) -> float:
        """The residual variance: Var(y) = dispersion / weight."""
        return self.estimate.sigma**2

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

    @cached_property
    def modes(self) -> tuple[Matrix, ...]:
        """Conditional modes of each term of the formula: (levels, k)."""
        return self.posterior.term_modes()

    def mode_variances(self) -> tuple[Matrix, ...]:
        """Conditional variances of the random effects of each term: (levels, k)."""
        return tuple(
            self.estimate.sigma**2 * v for v in self.posterior.term_variances()
        )

    def predictor_variance(
        self,
        X: Matrix,
        terms: Sequence[TermRows | None],
        inputs: Sequence[Inputs] = (),
    ) -> Vector:
        """Variance of x' beta + z' b about its estimate, for each row."""
        del inputs
        x = X @ contrast_basis(self.model)
        sigma2 = self.estimate.sigma**2
        if all(term is None for term in terms):
            half = np.linalg.solve(self._precision, x.T)
            return sigma2 * np.einsum("np,pn->n", x, half)
        effects = row_effects(self.model.problem, terms, len(x))
        return sigma2 * self.posterior.row_variance(x, effects)

    @property
    def integral_text(self) -> str:
        """How the random effects were integrated out."""
        return "exact"

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the numbers can be relied on."""
        e = self.estimate
        messages = optimum_messages(e.status, e.gain, e.n_steps, e.profile.hessian)
        messages += residual_messages(e.sigma / self.model.problem.data.y_scale)
        notes: list[str] = []
        for term, c in zip(self.model.design.random, self.components, strict=True):
            notes += boundary_notes(term.group, term.names, c.sd, c.correlation, c.rank)
        return Verdict(tuple(messages), tuple(notes))

    def verdict_by_importance(self, n: int, seed: int) -> Verdict:
        """Not for Gaussian models.

        Raises
        ------
        OptionError
            Always: their integral has no error.
        """
        del n, seed
        raise OptionError(
            "importance= estimates the error of an approximate integral; that of a "
            "Gaussian model is exact: call check()"
        )

    @property
    def _precision(self) -> Matrix:
        """C_XX, the inverse covariance over sigma^2 of orthonormal coefficients."""
        p = self.model.problem.layout.n_beta
        return self.estimate.profile.tail[:p, :p]

    @cached_property
    def posterior(self) -> Posterior:
        """The random effects given the data."""
        e = self.estimate
        return Posterior(self.model.problem, self.model.elimination(e), e.engine_theta)


def contrast_basis(model: Model) -> Matrix:
    """R^-1, which takes orthonormal coefficients to those of the user's columns."""
    triangle = model.problem.data.triangle
    return np.asarray(np.linalg.inv(triangle), dtype=np.float64)


def parameter_covariance(model: Model, estimate: GaussianEstimate) -> Matrix:
    """Covariance matrix of the estimates of (theta, sigma), user's order and units."""
    problem = model.problem
    information = variance_information(estimate.profile, problem.n_residual)
    scale = np.append(problem.theta_scale, 1.0 / problem.data.y_scale)
    order = np.append(problem.order, problem.layout.n_theta)
    engine = covariance_from_information(information) / np.outer(scale, scale)
    return engine[np.ix_(order, order)]
