"""From a design with a neural random effect to its fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from ngmm.errors import NotSupportedError, OptionError
from ngmm.estimation.evidence import Evidence
from ngmm.estimation.stochastic import Stochastic
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.fit import MAX_STEPS, RESTARTS, check_latent, fit_latent
from ngmm.likelihood.rules import as_rule
from ngmm.model import Model
from ngmm.networks.latent import latent_network


@dataclass(frozen=True, eq=False)
class LatentEstimator:
    """What fits a model with a neural random effect; kept for `refit`.

    Attributes
    ----------
    options
        `Evidence`, or None for "auto".
    named
        The user's networks by name.
    seed, progress
        As in `ngmm.fit`.
    """

    options: Evidence | None
    named: Mapping[str, Any]
    seed: int
    progress: bool | str

    def __call__(self, base: Model) -> LatentEstimate:
        """Fit the neural random effect of a model."""
        design = base.design
        check_latent(design)
        term = design.latent[0]
        network = latent_network(term.network, self.named, n_latent=term.n_latent)
        return fit_latent(
            design,
            (network,),
            base.family,
            as_rule(base.quad),
            seed=self.seed,
            restarts=self._restarts,
            max_steps=self._max_steps,
            progress=self.progress,
        )

    @property
    def _restarts(self) -> int:
        given = None if self.options is None else self.options.restarts
        return int(given) if isinstance(given, Integral) else RESTARTS

    @property
    def _max_steps(self) -> int:
        return MAX_STEPS if self.options is None else self.options.max_steps


def check_latent_estimator(estimator: Any, term: str) -> Evidence | None:
    """The estimator of a model with a neural random effect.

    Parameters
    ----------
    estimator
        As in `ngmm.fit`.
    term
        The term, for messages.

    Raises
    ------
    OptionError
        If it is one that does not fit neural random effects.
    NotSupportedError
        If it trains by minibatches.
    """
    if isinstance(estimator, str) and estimator == "auto":
        return None
    if isinstance(estimator, Stochastic):
        raise NotSupportedError(
            "estimator=ngmm.Stochastic() takes networks in the fixed part only; leave "
            f"it out for {term}"
        )
    if not isinstance(estimator, Evidence):
        raise OptionError(
            f"estimator={estimator!r} does not fit {term}; leave it out, or use "
            "ngmm.Evidence(restarts=..., max_steps=...)"
        )
    if estimator.widths is not None:
        raise OptionError(
            f"widths={estimator.widths!r} are for networks in the fixed part; give the "
            f"hidden layers of {term} in its call, hidden=({estimator.widths[0]},)"
        )
    return estimator
