"""From a design with networks to a fit: which estimator, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ngmm.design import Design
from ngmm.errors import OptionError
from ngmm.estimation.estimators import is_transformation
from ngmm.estimation.evidence import Evidence
from ngmm.estimation.stochastic import Stochastic
from ngmm.families import Family
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import MLP, Network, network_for
from ngmm.neural.linear import fit_linear
from ngmm.neural.model import NeuralModel
from ngmm.neural.record import FittedNetworks
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


def given_networks(base: Model, networks: FittedNetworks) -> Model:
    """The model with the networks' output as a known part."""
    design = base.design
    f = networks.outputs([d.inputs for d in networks.designs], design.X).sum(1)
    return replace(base, design=replace(design, offset=design.offset + f))


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
    """

    options: Evidence | Stochastic | None
    named: Mapping[str, Any]
    seed: int
    progress: bool | str

    def __call__(self, base: Model) -> NeuralFit:
        """Fit the networks of the design of a model."""
        design = base.design
        networks = tuple(network_for(d, self.named) for d in design.networks)
        if all(_is_linear(n) for n in networks) and self.options is None:
            return NeuralFit(base, *fit_linear(base, networks))
        options = self.options or _choose(design, base.family, networks)
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


def check_estimator(estimator: Any) -> Evidence | Stochastic | None:
    """The estimator of a model with networks.

    Raises
    ------
    OptionError
        If it is one that does not fit networks.
    """
    if isinstance(estimator, str) and estimator == "auto":
        return None
    if isinstance(estimator, (Evidence, Stochastic)):
        return estimator
    if isinstance(estimator, type) and issubclass(estimator, Evidence | Stochastic):
        raise OptionError(f"estimator is a class: call it, ngmm.{estimator.__name__}()")
    if is_transformation(estimator):
        raise OptionError(
            "an optax transformation fits networks by minibatches: write "
            "estimator=ngmm.Stochastic(optimizer=...) with it"
        )
    raise OptionError(
        f"estimator={estimator!r} does not fit networks; use ngmm.Evidence(), "
        'ngmm.Stochastic(optimizer=...) for any optax transformation, or "auto"'
    )
