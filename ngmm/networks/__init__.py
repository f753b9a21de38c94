"""Networks: functions with weights that stand in place of a linear predictor.

A network is two functions, ``init(key, inputs)`` and ``apply(weights, inputs)``, and
what its weights mean: which of them share a ridge penalty, how many weight vectors give
the same output. `MLP` is built in; modules of equinox and flax and plain functions are
taken through adapters. `network_for` finds the network of a term.
"""

from __future__ import annotations

from ngmm.networks.autoencoder import Autoencoder
from ngmm.networks.convolutional import CNN
from ngmm.networks.inputs import Inputs
from ngmm.networks.inputs import with_latent as with_latent
from ngmm.networks.mlp import MLP
from ngmm.networks.protocol import (
    Adaptable,
    Layered,
    Network,
    Reconstructing,
    Varying,
    Weights,
)
from ngmm.networks.protocol import flatten as flatten
from ngmm.networks.protocol import is_natural as is_natural
from ngmm.networks.protocol import units_of as units_of
from ngmm.networks.resolve import check_used as check_used
from ngmm.networks.resolve import network_for as network_for

__all__ = [
    "CNN",
    "MLP",
    "Adaptable",
    "Autoencoder",
    "Inputs",
    "Layered",
    "Network",
    "Reconstructing",
    "Varying",
    "Weights",
]
