"""The log-likelihood of rows that a model was not fitted to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.model import Model
from ngmm.neural.record import FittedNetworks


def loglik_elsewhere(
    estimate: Any,
    networks: FittedNetworks | None,
    model: Model,
    X: NDArray[np.float64],
) -> float:
    """Marginal log-likelihood of other rows at fitted parameters; -inf if undefined.

    Parameters
    ----------
    estimate
        The parameters.
    networks
        Fitted with them, if the model has any.
    model
        The model on the other rows, whose levels are new.
    X
        Its fixed-effect columns that have a coefficient.
    """
    d = model.design
    offset, random = d.offset + X @ estimate.beta, d.random
    if networks is not None:
        inputs = [network.inputs for network in d.networks]
        offset = offset + networks.outputs(inputs, X).sum(1)
        random = tuple(t for t in networks.random(random, inputs) if t is not None)
    # The linear predictor at given beta is all that is needed; X itself may be short
    # of rank here.
    d = replace(
        d,
        X=np.zeros((d.n_rows, 0)),
        names=(),
        column_terms=(),
        offset=offset,
        random=random,
    )
    there = replace(model, design=d)
    sigma = estimate.sigma if there.is_gaussian else None
    value = there.loglik(estimate.theta, sigma, np.zeros(0), estimate.phi)
    return float(value) if np.isfinite(value) else -np.inf
