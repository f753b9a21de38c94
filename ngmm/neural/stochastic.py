"""The stochastic estimator's networks as the record that results are read from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ngmm.estimation.stochastic import ACTIVATION, HIDDEN, Stochastic
from ngmm.likelihood.neural.terms import Stack
from ngmm.linalg import precise
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import MLP, Network, flatten
from ngmm.neural.record import FittedNetworks, Member
from ngmm.neural.units import to_engine
from ngmm.training import train

# Rows up to which the model without networks is fitted as well, to compare with.
MOST_ROWS = 2_000_000


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
    pairs = zip(networks, design.networks, strict=True)
    networks = tuple(_default(n, dict(d.options)) for n, d in pairs)
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
    with precise():
        parts = [np.asarray(flatten(w)[0], dtype=np.float64) for w in found.weights]
    w = np.concatenate(parts)
    scale = estimate.sigma if base.is_gaussian else estimate.phi
    beta, tau = to_engine(base, estimate.beta, estimate.theta, scale)
    member = Member(
        x=np.concatenate([beta, w, tau]),
        covariance=None,
        share=1.0,
        evidence=np.nan,
        loglik=estimate.loglik,
        edf=np.full(len(parts), np.nan),
        log_penalty=np.full(len(parts), np.nan),
        width=None,
        active=np.ones(len(w)),
    )
    fitted = FittedNetworks(
        designs=design.networks,
        X=design.X,
        stack=Stack(networks, tuple(len(p) for p in parts)),
        members=(member,),
        groups=np.repeat(
            np.arange(len(parts), dtype=np.int32), [len(p) for p in parts]
        ),
        n_beta=design.X.shape[1],
        scale=found.scale,
        coefficients=(found.coefficients,),
        evidences=np.zeros(0),
        statuses=(found.status,),
        n_epochs=found.n_epochs,
        history=found.history,
        without=_without(base),
    )
    return replace(estimate, status=found.status), fitted


def _without(base: Model) -> float | None:
    """Log-likelihood of the model without networks, where it costs little."""
    if base.design.n_rows > MOST_ROWS:
        return None
    return base.maximise(max_steps=20).loglik


def _default(network: Network, options: dict[str, object]) -> Network:
    """A wide network unless the formula says otherwise."""
    if isinstance(network, MLP) and not {"hidden", "net"} & set(options):
        activation = str(options.get("activation", ACTIVATION))
        return replace(network, hidden=HIDDEN, activation=activation)
    return network
