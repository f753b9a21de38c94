"""From a design with networks to a fit: which estimator, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ngmm.design import Design
from ngmm.errors import OptionError
from ngmm.estimation.adversary import Adversary
from ngmm.estimation.estimators import is_transformation
from ngmm.estimation.evidence import Evidence
from ngmm.estimation.joint import Joint
from ngmm.estimation.stochastic import Stochastic
from ngmm.families import Family
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import MLP, Network, Reconstructing, network_for
from ngmm.neural.joint import fit_jointly
from ngmm.neural.linear import fit_linear
from ngmm.neural.model import NeuralModel
from ngmm.neural.record import FittedNetworks, given_networks
from ngmm.neural.stochastic import fit_stochastic
from ngmm.neural.units import to_user

# Weights up to which "auto" takes the evidence estimator, if it is affordable.
MOST_WEIGHTS = 3_000


@dataclass(frozen=True, eq=False)
class NeuralFit:
    """A fitted model with network terms.

    Attributes
    ----------
    base
        The model without its networks.
    estimate
        Of the model with the networks' output as a known part.
    networks
        The fitted networks.
    """

    base: Model
    estimate: GaussianEstimate | GeneralizedEstimate
    networks: FittedNetworks


@dataclass(frozen=True, eq=False)
class NeuralEstimator:
    """What fits a model with networks; kept for `refit`.

    Attributes
    ----------
    options
        `Evidence`, `Stochastic`, or None for "auto".
    named
        The user's networks by name.
    seed, progress
        As in `ngmm.fit`.
    adversary
        What the networks are trained against; None for nothing.
    """

    options: Evidence | Stochastic | Joint | None
    named: Mapping[str, Any]
    seed: int
    progress: bool | str
    adversary: Adversary | None = None

    def __call__(self, base: Model) -> NeuralFit:
        """Fit the networks of the design of a model."""
        design = base.design
        networks = tuple(network_for(d, self.named) for d in design.networks)
        linear = all(_is_linear(n) for n in networks)
        if linear and self.options is None and not self._is_joint(design, networks):
            return NeuralFit(base, *fit_linear(base, networks))
        if self._is_joint(design, networks):
            options = self.options or Joint()
            if not isinstance(options, Joint):
                raise OptionError(
                    f"estimator={options!r} does not fit random slopes on the units of "
                    "a network, (1 + nn | g), nor networks that draw their inputs "
                    "again, and knows no adversary; use ngmm.Joint(...) or leave it out"
                )
            found = fit_jointly(
                base, networks, options, self.adversary, self.seed, self.progress
            )
            return NeuralFit(base, *found)
        options = self.options or _choose(design, base.family, networks)
        assert not isinstance(options, Joint)
        if isinstance(options, Stochastic):
            found = fit_stochastic(base, networks, options, self.seed, self.progress)
            return NeuralFit(base, *found)
        model = NeuralModel(design, base.family, networks, base.quad)
        members = model.maximise(options, self.seed, self.progress)
        at = to_user(base, members.beta, members.tau)
        given = given_networks(base, members.networks)
        estimate = given.at(
            at.beta, at.theta, at.scale, members.status, members.n_steps
        )
        return NeuralFit(base, estimate, members.networks)

    def _is_joint(self, design: Design, networks: tuple[Network, ...]) -> bool:
        """Whether networks and random effects have to be found together."""
        slopes = any(term.network is not None for term in design.random)
        named = isinstance(self.options, Joint) or self.adversary is not None
        draws = any(isinstance(network, Reconstructing) for network in networks)
        return slopes or named or draws


def _is_linear(network: Network) -> bool:
    return isinstance(network, MLP) and not network.hidden and not network.levels


def _choose(
    design: Design, family: Family, networks: tuple[Network, ...]
) -> Evidence | Stochastic:
    """The estimator of "auto": the evidence as long as it is affordable."""
    options = Evidence()
    if len({t.group for t in design.random}) > 1:
        # Minibatches of whole groups need one factor to make them.
        return options
    model = NeuralModel(design, family, networks)
    n_weights, cost = model.size(options)
    if n_weights <= MOST_WEIGHTS and options.is_affordable(cost):
        return options
    return Stochastic()


def check_estimator(estimator: Any) -> Evidence | Stochastic | Joint | None:
    """The estimator of a model with networks.

    Raises
    ------
    OptionError
        If it is one that does not fit networks.
    """
    if isinstance(estimator, str) and estimator == "auto":
        return None
    if isinstance(estimator, (Evidence, Stochastic, Joint)):
        return estimator
    if isinstance(estimator, type) and issubclass(
        estimator, Evidence | Stochastic | Joint
    ):
        raise OptionError(f"estimator is a class: call it, ngmm.{estimator.__name__}()")
    if is_transformation(estimator):
        raise OptionError(
            "an optax transformation fits networks by minibatches: write "
            "estimator=ngmm.Stochastic(optimizer=...) with it"
        )
    raise OptionError(
        f"estimator={estimator!r} does not fit networks; use ngmm.Evidence(), "
        "ngmm.Joint(), "
        'ngmm.Stochastic(optimizer=...) for any optax transformation, or "auto"'
    )
