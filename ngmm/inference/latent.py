"""Inference for models with a neural random effect.

About the maximum (beta, w, log phi) are jointly normal with the inverse of the
information as covariance, that of the penalised likelihood if the network has hidden
layers. The latent vectors themselves have a posterior distribution on nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import NotSupportedError
from ngmm.estimation.separation import find_separation
from ngmm.estimation.status import Status
from ngmm.inference.components import Components, ScaleParameter
from ngmm.inference.modes import TermRows
from ngmm.inference.verdict import (
    LARGEST_SD,
    Message,
    Verdict,
    dispersion_notes,
    integral_messages,
    integral_notes,
    network_messages,
    optimum_messages,
    search_messages,
)
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.predict import prior_moments
from ngmm.model import Model
from ngmm.networks import Inputs

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Root mean square of h, on the scale of the link or in residual standard deviations,
# that is none.
SMALLEST_EFFECT = 1e-3


@dataclass(frozen=True, eq=False)
class LatentAnalysis:
    """What follows from the maximum of a likelihood with a neural random effect.

    Parameters
    ----------
    model, estimate
        The model and its maximum.
    """

    model: Model
    estimate: LatentEstimate

    @property
    def design(self) -> Design:
        """The arrays the model was fitted to."""
        return self.model.design

    @property
    def outputs(self) -> Matrix:
        """Contribution of each network of the fixed part to the rows: there is none."""
        return np.zeros((self.design.n_rows, 0))

    @property
    def vcov(self) -> Matrix:
        """(p, p) covariance of beta; that of the weights is allowed for."""
        p = len(self.estimate.beta)
        return self.estimate.covariance[:p, :p]

    def degrees_of_freedom(self, method: str) -> Vector:
        """Infinite: beside a network the tests are z tests."""
        del method
        return np.full(len(self.estimate.beta), np.inf)

    @property
    def parameter_covariance(self) -> Matrix:
        """Covariance of the estimate of sigma: there is no theta."""
        if not self.model.is_gaussian:
            return np.zeros((1, 1))
        # Log phi is the logarithm of sigma^2.
        variance = self.estimate.covariance[-1, -1]
        return np.array([[0.25 * self.estimate.sigma**2 * variance]])

    @property
    def scale(self) -> ScaleParameter | None:
        """The residual standard deviation, or the dispersion if the family has one."""
        e, family = self.estimate, self.model.family
        variance = e.covariance[-1, -1] if len(e.covariance) else 0.0
        log_se = float(np.sqrt(variance)) if variance > 0 else np.nan
        if family.has_residual:
            return ScaleParameter("sigma", e.sigma, 0.5 * log_se)
        if family.dispersion is None or e.phi is None:
            return None
        return ScaleParameter(family.dispersion, e.phi, log_se)

    @property
    def dispersion(self) -> float:
        """The residual variance, or the dispersion parameter; 1 without either."""
        if self.model.is_gaussian:
            return self.estimate.sigma**2
        return 1.0 if self.estimate.phi is None else self.estimate.phi

    @property
    def components(self) -> list[Components]:
        """Of ordinary random effects: there are none."""
        return []

    @property
    def modes(self) -> tuple[Matrix, ...]:
        """Of ordinary random effects: there are none."""
        return ()

    def mode_variances(self) -> tuple[Matrix, ...]:
        """Of ordinary random effects: there are none."""
        return ()

    def predictor_variance(
        self,
        X: Matrix,
        terms: Sequence[TermRows | None],
        inputs: Sequence[Inputs] = (),
    ) -> Vector:
        """Not known.

        Raises
        ------
        NotSupportedError
            Always.
        """
        del X, terms, inputs
        raise NotSupportedError(no_variance(self.design.latent[0].label))

    @property
    def integral_text(self) -> str:
        """How the latent vectors were integrated out, and with which error."""
        integral = self.estimate.integral
        return f"{integral.text}, error {integral.error:.0e}"

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the numbers can be relied on."""
        e, d, family = self.estimate, self.design, self.model.family
        messages = [*self._separation(), *self._search()]
        moments = prior_moments(e)
        label = d.latent[0].label
        largest = LARGEST_SD.get(family.link, np.inf)
        if moments.largest > largest:
            messages.append(_runaway(label, moments.largest, family.link))
        messages += integral_messages(e.integral.error)
        finite = bool(np.isfinite(e.x).all())
        messages += network_messages(e.edf, d.n_rows, finite)
        notes = integral_notes(e.integral.error)
        notes += dispersion_notes(family.name, e.phi)
        if moments.sd < SMALLEST_EFFECT * (e.sigma if family.has_residual else 1.0):
            notes.append(
                f"{label} is estimated at 0 (boundary): the data show no more "
                "variation between levels than chance would. Fixed effects are valid; "
                "the model without this term has the same likelihood"
            )
        return Verdict(tuple(messages), tuple(notes))

    def verdict_by_importance(self, n: int, seed: int) -> Verdict:
        """Not offered: the rule knows its own error.

        Raises
        ------
        NotSupportedError
            Always.
        """
        del n, seed
        raise NotSupportedError(
            "importance= is for rules that do not know their error; the grid of "
            f"{self.design.latent[0].label} does: it is in fit.integral_text. Leave "
            "importance out"
        )

    def _search(self) -> list[Message]:
        """What is wrong with the point where the search ended."""
        e = self.estimate
        if e.evidence is not None:
            return search_messages(e.status, "evidence")
        if e.status is not Status.CONVERGED and e.status is not Status.NOT_FINITE:
            return [
                Message(
                    f"{e.status.sentence} ({e.n_steps}): parameters are not estimates, "
                    f"the log-likelihood can still rise by about {e.gain:.1g}",
                    "fewer inputs or latent=1, or more steps: "
                    f"estimator=ngmm.Evidence(max_steps={10 * e.n_steps})",
                )
            ]
        return optimum_messages(e.status, e.gain, e.n_steps, e.information)

    def _separation(self) -> list[Message]:
        """Why estimates of fixed effects are infinite, if they are."""
        d, family = self.design, self.model.family
        unbounded = np.isinf(family.transform.lower)
        if not (family.discrete and d.X.shape[1] and unbounded):
            return []
        rows = self.estimate.engine.problem.rows
        bounded = family.takes_trials or family.name == "bernoulli"
        found = find_separation(
            d.X,
            d.y == 0.0,
            (d.y == rows.trials) if bounded else np.zeros(d.n_rows, bool),
            d.names,
            highest="the number of trials" if family.takes_trials else "1",
        )
        return [] if found is None else [Message(found.text, found.remedy)]


def no_variance(label: str) -> str:
    """Why predictions have no standard errors, and what to do."""
    return (
        f"standard errors and intervals of predictions are not available with {label} "
        "in this version; leave se and interval out. fit.ranef(cond_sd=True) says how "
        "well each level is known, fit.simulate(1000) how new responses vary"
    )


def _runaway(label: str, size: float, link: str) -> Message:
    return Message(
        f"{label} moves the linear predictor of some rows by {size:.3g} for one "
        f"standard deviation of v on the {link} scale: the loading runs away, because "
        "v all but decides these responses",
        "look for inputs whose responses agree with each other in nearly every level "
        "and leave them out, or use shared=True",
    )
