"""The stochastic estimator for a model with network terms."""

from __future__ import annotations

from ngmm.errors import NotSupportedError
from ngmm.estimation.stochastic import Stochastic
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import Network
from ngmm.neural.record import FittedNetworks


def fit_stochastic(
    base: Model,
    networks: tuple[Network, ...],
    options: Stochastic,
    seed: int,
    progress: bool | str,
) -> tuple[GaussianEstimate | GeneralizedEstimate, FittedNetworks]:
    """Fit the networks by minibatches, everything else by Newton."""
    raise NotSupportedError("not yet")
