"""The stochastic estimator's networks as the record that results are read from."""

from __future__ import annotations

from dataclasses import replace

from ngmm.estimation.stochastic import ACTIVATION, HIDDEN, Stochastic
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import Network
from ngmm.neural.record import FittedNetworks
from ngmm.neural.trained import trained_networks, with_defaults
from ngmm.neural.units import to_engine
from ngmm.training import train


def fit_stochastic(
    base: Model,
    networks: tuple[Network, ...],
    options: Stochastic,
    seed: int,
    progress: bool | str,
) -> tuple[GaussianEstimate | GeneralizedEstimate, FittedNetworks]:
    """Fit the networks by minibatches, everything else by Newton.

    Weights have no covariance: what is said of the other parameters takes the networks
    as known.
    """
    design = base.design
    networks = with_defaults(networks, design.networks, HIDDEN, ACTIVATION)
    found = train(
        design,
        networks,
        base.family,
        base.quad,
        options,
        seed=seed,
        progress=progress,
    )
    estimate = found.estimate
    assert isinstance(estimate, (GaussianEstimate, GeneralizedEstimate))
    scale = estimate.sigma if base.is_gaussian else estimate.phi
    fitted = trained_networks(
        base,
        networks,
        found,
        others=to_engine(base, estimate.beta, estimate.theta, scale),
        loglik=estimate.loglik,
    )
    fitted = replace(fitted, coefficients=(found.coefficients,))
    return replace(estimate, status=found.status), fitted
