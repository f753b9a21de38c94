r"""Inference for models with networks, from the penalised information.

About a posterior mode the weights, the fixed effects and the variance parameters are
jointly normal with the inverse of the penalised information as covariance, to which
the uncertainty of the penalties is added. What concerns the fixed effects or the
variances alone therefore allows for the flexibility of the networks. Averaged fits add
the variance between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.estimation.status import Status
from ngmm.inference.components import Components, ScaleParameter
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.modes import Posterior, TermRows, row_effects
from ngmm.inference.verdict import (
    Verdict,
    member_notes,
    network_messages,
    search_messages,
)
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.neural.gaussian import eliminate_tail
from ngmm.likelihood.neural.prepare import random_rows
from ngmm.linalg import precise
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import Inputs
from ngmm.neural.record import FittedNetworks, Member
from ngmm.neural.units import to_user

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NeuralAnalysis:
    """What follows from a fit with network terms.

    Parameters
    ----------
    given
        The analysis of the model with the networks' output as a known part.
    base
        The model without networks, whose units the members have.
    networks
        The fitted networks.
    """

    given: GaussianAnalysis | GeneralizedAnalysis
    base: Model
    networks: FittedNetworks

    @property
    def model(self) -> Model:
        """The model with the networks' output as a known part."""
        return self.given.model

    @cached_property
    def design(self) -> Design:
        """The design, without the networks' output in its offset."""
        return replace(self.base.design, random=self.model.design.random)

    @cached_property
    def outputs(self) -> Matrix:
        """Contribution of each network to the rows of the fit, (n, terms)."""
        d = self.design
        return self.networks.outputs([t.inputs for t in d.networks], d.X)

    @property
    def estimate(self) -> GaussianEstimate | GeneralizedEstimate:
        """Its estimate."""
        return self.given.estimate

    @cached_property
    def covariance(self) -> Matrix:
        """Covariance of the estimates of (beta, theta, log sigma or log dispersion)."""
        members, shares = self.networks.members, self._shares
        at = self._positions
        within = sum(
            m.share * m.covariance[np.ix_(at, at)]  # type: ignore[index]
            for m in members
        )
        x = np.stack([m.x[at] for m in members])
        apart = x - shares @ x
        total = within + (shares[:, None] * apart).T @ apart
        return np.asarray(self._slope @ total @ self._slope.T, dtype=np.float64)

    @property
    def vcov(self) -> Matrix:
        """(p, p) covariance of beta; networks and variances are allowed for."""
        if not self.networks.has_covariance:
            return self.given.vcov
        p = len(self.estimate.beta)
        return self.covariance[:p, :p]

    def degrees_of_freedom(self, method: str) -> Vector:
        """Infinite: beside a network the tests are z tests."""
        del method
        return np.full(len(self.estimate.beta), np.inf)

    @property
    def parameter_covariance(self) -> Matrix:
        """Covariance of the estimates of (theta, sigma)."""
        if not self.networks.has_covariance:
            return self.given.parameter_covariance
        p, q = len(self.estimate.beta), len(self.estimate.theta)
        found = np.zeros((q + 1, q + 1))
        found[:q, :q] = self.covariance[p : p + q, p : p + q]
        if isinstance(self.estimate, GaussianEstimate):
            sigma = self.estimate.sigma
            found[q, :q] = found[:q, q] = sigma * self.covariance[-1, p : p + q]
            found[q, q] = sigma**2 * self.covariance[-1, -1]
        return found

    @property
    def scale(self) -> ScaleParameter | None:
        """The residual standard deviation, or the dispersion if the family has one."""
        found = self.given.scale
        if found is None or not self.networks.has_covariance:
            return found
        return replace(found, log_se=float(np.sqrt(self.covariance[-1, -1])))

    @property
    def dispersion(self) -> float:
        """The residual variance, or the dispersion parameter."""
        return self.given.dispersion

    @property
    def components(self) -> list[Components]:
        """Standard deviations and correlations of each term of the formula."""
        return self.given.components

    @property
    def modes(self) -> tuple[Matrix, ...]:
        """Conditional modes of each term of the formula: (levels, k)."""
        return self.given.modes

    def mode_variances(self) -> tuple[Matrix, ...]:
        """Conditional variances of the random effects of each term: (levels, k)."""
        return self.given.mode_variances()

    def predictor_variance(
        self,
        X: Matrix,
        terms: Sequence[TermRows | None],
        inputs: Sequence[Inputs] = (),
    ) -> Vector:
        """Variance of x' beta + f + z' b about its estimate, for each row."""
        if not self.networks.has_covariance:
            return self.given.predictor_variance(X, terms)
        total = np.zeros(len(X))
        for member, posterior in zip(
            self.networks.members, self._posteriors, strict=True
        ):
            J = self.networks.jacobian(member, inputs, X)
            wide = np.concatenate([X, J], 1)
            fixed = self._coefficient_covariance(member)
            if all(term is None for term in terms):
                own = np.einsum("np,pq,nq->n", wide, fixed, wide)
            else:
                sigma2 = self.estimate.sigma**2
                effects = row_effects(posterior.problem, terms, len(X))
                own = sigma2 * posterior.row_variance(wide, effects, fixed / sigma2)
            total += member.share * own
        return total + self._between(X, inputs)

    def _between(self, X: Matrix, inputs: Sequence[Inputs]) -> Vector:
        """Variance of the fixed part between the members."""
        f = self.networks.member_outputs(inputs, X).sum(2)
        apart = f - self._shares @ f
        return np.asarray(self._shares @ apart**2, dtype=np.float64)

    @property
    def integral_text(self) -> str:
        """How the random effects were integrated out."""
        return self.given.integral_text

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the numbers can be relied on."""
        # The search for the weights has remedies of its own.
        settled = replace(self.given.estimate, status=Status.CONVERGED)
        found = replace(self.given, estimate=settled).verdict
        search = search_messages(self.estimate.status, search_kind(self.networks))
        edf, n = float(self.networks.edf.sum()), self.model.design.n_rows
        without = self.networks.without
        gain = None if without is None else self.estimate.loglik - without
        against = self.networks.adversary is not None
        more = network_messages(edf, n, self.networks.is_finite, gain, against=against)
        return Verdict(
            messages=(*search, *found.messages, *more),
            notes=(*found.notes, *member_notes(self.networks.statuses)),
        )

    def verdict_by_importance(self, n: int, seed: int) -> Verdict:
        """The verdict with the error of the integral found by n random draws."""
        return self.given.verdict_by_importance(n, seed)

    @property
    def _shares(self) -> Vector:
        return np.array([m.share for m in self.networks.members])

    @property
    def _positions(self) -> NDArray[np.intp]:
        """Where beta and tau stand in a member's x."""
        p, n_w = self.networks.n_beta, self.networks.stack.n_weights
        last = len(self.networks.members[0].x)
        return np.concatenate([np.arange(p), np.arange(p + n_w, last)])

    @cached_property
    def _slope(self) -> Matrix:
        p, n_w = self.networks.n_beta, self.networks.stack.n_weights
        x = self.networks.members[0].x
        return to_user(self.base, x[:p], x[p + n_w :]).slope

    def _coefficient_covariance(self, member: Member) -> Matrix:
        """Covariance of (beta, weights), beta in the units of the data."""
        p, n_w = self.networks.n_beta, self.networks.stack.n_weights
        assert member.covariance is not None
        turn = np.eye(p + n_w)
        turn[:p, :p] = self._slope[:p, :p]
        return turn @ member.covariance[: p + n_w, : p + n_w] @ turn.T

    @cached_property
    def _posteriors(self) -> list[Posterior]:
        """The random effects given the data and the tangents of each member."""
        given = self.given.posterior
        problem, design = given.problem, self.model.design
        root = np.sqrt(self._precision_weights)
        rows = random_rows(problem)
        training = [d.inputs for d in self.networks.designs]
        n_columns = self.networks.n_beta + self.networks.stack.n_weights
        wide = replace(problem, layout=replace(problem.layout, n_beta=n_columns))
        out = []
        for member in self.networks.members:
            J = self.networks.jacobian(member, training, design.X)
            tail = root[:, None] * np.column_stack(
                [design.X, J, np.zeros(design.n_rows)]
            )
            with precise():
                found = eliminate_tail(tail, given.theta, rows, layout=problem.layout)
            out.append(Posterior(wide, to_numpy(found), given.theta))
        return out

    @property
    def _precision_weights(self) -> Vector:
        """Precision of each row in the (working) Gaussian model."""
        if isinstance(self.given, GeneralizedAnalysis):
            return self.given.working.weight
        return self.model.design.weights


def search_kind(networks: FittedNetworks) -> str:
    """What found the weights: ``"evidence"``, ``"minibatches"`` or ``"linear"``."""
    if networks.history is not None or networks.n_epochs:
        return "minibatches"
    return "evidence" if len(networks.evidences) else "linear"
