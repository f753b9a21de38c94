"""Networks that were trained by minibatches, as the record of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngmm.design import NetworkDesign
from ngmm.estimation.status import Status
from ngmm.likelihood.neural.terms import Stack
from ngmm.linalg import precise
from ngmm.model import Model
from ngmm.networks import MLP, Network, flatten
from ngmm.neural.record import FittedNetworks, Member
from ngmm.training import History

Vector = NDArray[np.float64]

# Rows up to which the model without networks is fitted as well, to compare with.
MOST_ROWS = 2_000_000


class Trained(Protocol):
    """What both ways of training give."""

    @property
    def weights(self) -> tuple[Any, ...]:
        """Weights of each network."""
        ...

    @property
    def scale(self) -> float:
        """Units of the response in one unit of a network's output."""
        ...

    @property
    def status(self) -> Status:
        """How the training ended."""
        ...

    @property
    def n_epochs(self) -> int:
        """Epochs made."""
        ...

    @property
    def history(self) -> History:
        """What happened in them."""
        ...


def with_defaults(
    networks: Sequence[Network],
    designs: Sequence[NetworkDesign],
    hidden: tuple[int, ...],
    activation: str,
) -> tuple[Network, ...]:
    """Return the networks, with these layers where the formula does not say.

    Parameters
    ----------
    networks, designs
        The networks and their terms.
    hidden, activation
        Of the built-in network in a term without ``hidden=``.
    """
    return tuple(
        _with_default(network, dict(design.options), hidden, activation)
        for network, design in zip(networks, designs, strict=True)
    )


def trained_networks(
    base: Model,
    networks: tuple[Network, ...],
    found: Trained,
    *,
    others: tuple[Vector, Vector] | None = None,
    loglik: float = np.nan,
) -> FittedNetworks:
    """Return one fit without a covariance of its weights.

    Parameters
    ----------
    base
        The model without networks.
    networks
        The networks.
    found
        What training gave.
    others
        Fixed effects and dispersion parameters in the units of the likelihood; None for
        zeros and none.
    loglik
        Log-likelihood.
    """
    design = base.design
    with precise():
        parts = [np.asarray(flatten(w)[0], dtype=np.float64) for w in found.weights]
    beta, tau = others or (np.zeros(design.X.shape[1]), np.zeros(0))
    w = np.concatenate(parts)
    member = Member(
        x=np.concatenate([beta, w, tau]),
        covariance=None,
        share=1.0,
        evidence=np.nan,
        loglik=loglik,
        edf=np.full(len(parts), np.nan),
        log_penalty=np.full(len(parts), np.nan),
        width=None,
        active=np.ones(len(w)),
    )
    sizes = tuple(map(len, parts))
    return FittedNetworks(
        designs=design.networks,
        X=design.X,
        stack=Stack(networks, sizes),
        members=(member,),
        groups=np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
        n_beta=design.X.shape[1],
        scale=found.scale,
        coefficients=(),
        evidences=np.zeros(0),
        statuses=(found.status,),
        n_epochs=found.n_epochs,
        history=found.history,
        without=_without(base),
    )


def _with_default(
    network: Network,
    options: dict[str, object],
    hidden: tuple[int, ...],
    activation: str,
) -> Network:
    if isinstance(network, MLP) and not {"hidden", "net"} & set(options):
        activation = str(options.get("activation", activation))
        return replace(network, hidden=hidden, activation=activation)
    return network


def _without(base: Model) -> float | None:
    """Log-likelihood of the model without networks, where it can be had for little."""
    design = base.design
    own = tuple(term for term in design.random if term.names)
    if design.n_rows > MOST_ROWS or not own:
        return None
    plain = replace(base, design=replace(design, random=own))
    return plain.maximise(max_steps=20).loglik
