"""What is compiled: the loss of a batch, its sum over batches, a network's output."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.compilation import Compiled
from ngmm.likelihood.batches import Picks
from ngmm.likelihood.eta import EtaLayout, Parameters, batch_loglik
from ngmm.likelihood.observations import Rows
from ngmm.linalg import Values

# Rows that go through a network together when all are wanted.
ROWS_AT_ONCE = 4_096


class Data(NamedTuple):
    """The rows from which batches are taken."""

    inputs: tuple[Any, ...]
    y: Values
    weights: Values
    trials: Values
    Z: Values
    scale: Values
    share: Values  # one over the mean number of rows of a batch


class Known(NamedTuple):
    """What an epoch holds fixed: offset + X beta - s sum_k X_k c_k, and variances."""

    base: Values
    parameters: Parameters


class Static(NamedTuple):
    """What is compiled for."""

    networks: tuple[Any, ...]
    eta: EtaLayout


def loss(
    weights: Any, known: Known, batch: Picks, data: Data, *, layout: Static
) -> Array:
    """Minus the marginal log-likelihood of a batch, per row of the average batch."""
    at = batch.rows
    g = sum(
        network.apply(w, jax.tree.map(lambda a: a[at], inputs))
        for network, w, inputs in zip(
            layout.networks, weights, data.inputs, strict=True
        )
    )
    mask = (jnp.arange(at.shape[0]) < batch.sizes).astype(jnp.float64)
    eta0 = known.base[at] + data.scale * jnp.asarray(g).astype(jnp.float64)
    # A linear predictor that every link allows: what is masked must be finite.
    eta0 = jnp.where(mask > 0, eta0, 1.0)
    rows = Rows(
        y=data.y[at],
        offset=None,
        weights=data.weights[at],
        trials=data.trials[at],
        mask=mask,
        X=None,
        Z=(data.Z[at],),
        codes=(batch.places,),
    )
    return -data.share * batch_loglik(eta0, known.parameters, rows, layout.eta)


def _total_loss(
    weights: Any, known: Known, batches: Picks, data: Data, *, layout: Static
) -> Array:
    """Sum over batches."""
    return lax.map(
        lambda b: loss(weights, known, b, data, layout=layout), batches
    ).sum()


def _forward(weights: Any, inputs: Any, *, layout: Any) -> Array:
    """Output of one network for all rows, some at a time."""
    n = jax.tree.leaves(inputs)[0].shape[0]
    size = min(n, ROWS_AT_ONCE)
    starts = jnp.minimum(jnp.arange(-(-n // size)) * size, n - size)

    def some(start: Array) -> Array:
        part = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, size), inputs)
        return layout.apply(weights, part).astype(jnp.float64)

    found = lax.map(some, starts)
    # The last part ends with the last row and may repeat some before it.
    left = n - (len(starts) - 1) * size
    return jnp.concatenate([found[:-1].reshape(-1), found[-1, size - left :]])


sum_losses: Compiled = Compiled(_total_loss, heavy=lambda _: True)
"""(weights, known, batches, data, layout=Static) -> sum of the losses."""

output: Compiled = Compiled(_forward, heavy=lambda _: True)
"""(weights, inputs, layout=network) -> (n,) output."""
