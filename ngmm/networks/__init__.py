"""Networks: functions with weights that stand in place of a linear predictor.

A network is two functions, ``init(key, inputs)`` and ``apply(weights, inputs)``, and
what its weights mean: which of them share a ridge penalty, how many weight vectors give
the same output. `MLP` is built in; modules of equinox and flax and plain functions are
taken through adapters. `network_for` finds the network of a term.
"""

from __future__ import annotations

from ngmm.networks.autoencoder import Autoencoder
from ngmm.networks.convolutional import CNN
from ngmm.networks.inputs import Inputs, with_latent
from ngmm.networks.mlp import MLP
from ngmm.networks.protocol import (
    Layered,
    Network,
    Reconstructing,
    Varying,
    Weights,
    flatten,
    is_natural,
    units_of,
)
from ngmm.networks.resolve import check_used, network_for

__all__ = [
    "CNN",
    "MLP",
    "Autoencoder",
    "Inputs",
    "Layered",
    "Network",
    "Reconstructing",
    "Varying",
    "Weights",
    "check_used",
    "flatten",
    "is_natural",
    "network_for",
    "units_of",
    "with_latent",
]
