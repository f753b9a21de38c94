r"""What is minimised: a variational bound, the population part, and an adversary's say.

With the linear predictor of a row

.. math:: \eta = o + s (x'\beta + \sum_k g_k + z' b),

b the random effects of its levels in units of s, and independent normal distributions q
of the elements of b, the objective per row is

.. math:: -E_q \log p(y \mid \eta) + \mathrm{KL}(q \,\|\, N(0, \Sigma)) / n
          - \kappa \log p(y \mid \eta_0),

with :math:`\eta_0` the linear predictor at b = 0. Under q the linear predictor of a row
is normal, so that the expectation is one of a single variable, by Gauss and Hermite's
rule; nothing is drawn at random. Networks that draw images again add what they lose in
these, with random effects drawn from q, and :math:`\kappa` times without.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.linalg import Values
from ngmm.networks import units_of
from ngmm.training.joint.adversary import adversary_loss, view
from ngmm.training.joint.arrays import Batch, Data, Known, Static, Weights
from ngmm.training.joint.own import own_losses, reconstructs

# Nodes of the expectation over the linear predictor of a row.
NODES = 5


class Predictor(NamedTuple):
    """The linear predictor of rows.

    Attributes
    ----------
    population
        (n,) at random effects of zero.
    mean, variance
        (n,) under the distributions of the random effects.
    layers
        Of each network its hidden layers, empty where they are not needed.
    outputs
        (n,) output of each network.
    """

    population: Array
    mean: Array
    variance: Array
    layers: tuple[tuple[Array, ...], ...]
    outputs: tuple[Array, ...]


def predictor(weights: Weights, known: Known, data: Data, layout: Static) -> Predictor:
    """The linear predictor of rows under the distributions of the random effects."""
    layers = hidden_layers(weights, data, layout)
    outputs = network_outputs(weights, data, layout)
    fixed = data.X @ weights.beta + sum(outputs, jnp.zeros_like(data.offset))
    shift, variance = jnp.zeros_like(fixed), jnp.zeros_like(fixed)
    each = zip(data.Z, data.codes, weights.effects, layout.slopes, strict=True)
    for Z, codes, effects, network in each:
        if network is not None:
            scaling = known.slopes[network]
            assert scaling is not None
            units = (units_at(network, weights, data, layout) - scaling.centre) / (
                scaling.spread
            )
            Z = jnp.concatenate([Z, units], axis=1)  # noqa: PLW2901
        shift += (Z * effects.mean[codes]).sum(1)
        variance += (Z**2 * jnp.exp(2.0 * effects.log_sd[codes])).sum(1)
    population = data.offset + data.scale * fixed
    return Predictor(
        population,
        population + data.scale * shift,
        data.scale**2 * variance,
        layers,
        outputs,
    )


def response_losses(
    at: Predictor, weights: Weights, data: Data, layout: Static
) -> tuple[Array, Array]:
    """Minus the log-likelihood of each row, with random effects and without: (n,)."""
    nodes, share = np.polynomial.hermite_e.hermegauss(NODES)
    # The root has no derivative at zero, where no random effect enters the row.
    sd = jnp.sqrt(jnp.maximum(at.variance, 1e-12))
    log_prob = layout.family.log_prob
    expected = sum(
        (s / share.sum())
        * log_prob(data.y, at.mean + v * sd, weights.xi, data.weights, data.trials)
        for v, s in zip(nodes, share, strict=True)
    )
    alone = log_prob(
        data.y, at.population, weights.xi_population, data.weights, data.trials
    )
    return -jnp.asarray(expected), -jnp.asarray(alone)


def divergence(weights: Weights, known: Known) -> Array:
    """KL(q || N(0, Sigma)) of all random effects."""
    total = jnp.asarray(0.0)
    each = zip(weights.effects, known.precision, known.log_det, strict=True)
    for effects, precision, log_det in each:
        levels, k = effects.mean.shape
        variance = jnp.exp(2.0 * effects.log_sd)
        quadratic = ((effects.mean @ precision) * effects.mean).sum()
        trace = (variance * jnp.diagonal(precision)).sum()
        entropy = 2.0 * effects.log_sd.sum()
        total += 0.5 * (quadratic + trace - levels * k + levels * log_det - entropy)
    return total


def loss(
    weights: Weights, known: Known, batch: Batch, data: Data, *, layout: Static
) -> Array:
    """The objective per row, estimated from the rows of a batch."""
    n = data.y.shape[0]
    rows = take(data, batch.rows)
    at = predictor(weights, known, rows, layout)
    conditional, alone = response_losses(at, weights, rows, layout)
    out = conditional.mean() + divergence(weights, known) / n
    if layout.population:
        out += layout.population * alone.mean()
    if reconstructs(layout):
        own = own_losses(weights, rows, layout, batch.key)
        out += own.with_effects + layout.population * own.without
    if layout.adversary is not None:
        found = adversary_loss(
            weights.adversary,
            view(at.layers, at.outputs, layout.adversary),
            rows.group,
            rows.balance,
            rows.stratum,
            layout.adversary,
        )
        out += found.own + known.warmth * layout.adversary.strength * found.against
    return out


def take(data: Data, rows: Values) -> Data:
    """Some of the rows."""
    picked = jax.tree.map(lambda a: a[rows], data._replace(scale=data.y))
    return picked._replace(scale=data.scale)


def network_outputs(weights: Weights, data: Data, layout: Static) -> tuple[Array, ...]:
    """Output of each network, (n,)."""
    return tuple(
        network.apply(w, inputs).astype(jnp.float64)
        for network, w, inputs in zip(
            layout.networks, weights.networks, data.inputs, strict=True
        )
    )


def units_at(network: int, weights: Weights, data: Data, layout: Static) -> Array:
    """What random slopes on the units of a network multiply, (n, k)."""
    found = units_of(
        layout.networks[network], weights.networks[network], data.inputs[network]
    )
    return found.astype(jnp.float64)


def hidden_layers(
    weights: Weights, data: Data, layout: Static
) -> tuple[tuple[Array, ...], ...]:
    """Hidden layers of the networks that an adversary looks into."""
    each = zip(layout.networks, weights.networks, data.inputs, strict=True)
    return tuple(
        network.activations(w, inputs)  # type: ignore[attr-defined]
        if layout.adversary is not None
        else ()
        for network, w, inputs in each
    )
