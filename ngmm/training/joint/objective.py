r"""What is minimised: a variational bound, the population part, and an adversary's say.

With the linear predictor of a row

.. math:: \eta = o + s (x'\beta + \sum_k g_k + z' b),

b the random effects of its levels in units of s, and independent normal distributions q
of the elements of b, the objective per row is

.. math:: -E_q \log p(y \mid \eta) + \mathrm{KL}(q \,\|\, N(0, \Sigma)) / n
          - \kappa \log p(y \mid \eta_0),

with :math:`\eta_0` the linear predictor at b = 0. Under q the linear predictor of a row
is normal, so that the expectation is one of a single variable, by Gauss and Hermite's
rule; nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.families import Family
from ngmm.linalg import Values
from ngmm.networks import Inputs, Network, units_of
from ngmm.training.joint.adversary import Classifier, adversary_loss, view

# Nodes of the expectation over the linear predictor of a row.
NODES = 5


class Effects(NamedTuple):
    """Normal distributions of the random effects of a term: (levels, k) each."""

    mean: Values
    log_sd: Values


class Weights(NamedTuple):
    """All that is trained.

    Attributes
    ----------
    networks
        Weights of each network.
    beta
        (p,) coefficients of the orthonormal fixed-effect columns, in units of s.
    effects
        Of each random-effects term.
    xi, xi_population
        Log-dispersion with the random effects, and without them.
    adversary
        Weights of the classifier; empty without one.
    """

    networks: tuple[Any, ...]
    beta: Values
    effects: tuple[Effects, ...]
    xi: Values
    xi_population: Values
    adversary: tuple[Any, ...] = ()


class Slopes(NamedTuple):
    """Centre and spread of the units of a network that have slopes, (width,) each."""

    centre: Values
    spread: Values


class Known(NamedTuple):
    """What an epoch holds fixed.

    Attributes
    ----------
    precision
        (k, k) inverse of the covariance of each term's random effects.
    log_det
        Log-determinant of that covariance.
    slopes
        For each network that has random slopes, the scaling of its units.
    warmth
        Between 0 and 1, how much of the adversary's strength there is by now.
    told
        Named numbers for the history.
    """

    precision: tuple[Values, ...]
    log_det: tuple[Values, ...]
    slopes: tuple[Slopes | None, ...]
    warmth: Values
    told: dict[str, Values]


class Data(NamedTuple):
    """The rows; the first axis of every array but the last is that of the rows."""

    inputs: tuple[Inputs, ...]
    y: Values
    offset: Values
    weights: Values
    trials: Values
    X: Values
    Z: tuple[Values, ...]
    codes: tuple[Values, ...]
    # Codes of the adversary's group, its rows' weights, and their class of response.
    group: Values
    balance: Values
    stratum: Values
    scale: Values


@dataclass(frozen=True)
class Static:
    """What is compiled for.

    Attributes
    ----------
    family
        Response distribution.
    networks
        The networks.
    slopes
        For each random-effects term the network of its slopes, or None.
    population
        Weight of the likelihood without random effects.
    adversary
        The classifier, or None.
    """

    family: Family
    networks: tuple[Network, ...]
    slopes: tuple[int | None, ...]
    population: float
    adversary: Classifier | None = None


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
    weights: Weights, known: Known, batch: Values, data: Data, *, layout: Static
) -> Array:
    """The objective per row, estimated from the rows of a batch."""
    n = data.y.shape[0]
    rows = take(data, batch)
    at = predictor(weights, known, rows, layout)
    conditional, alone = response_losses(at, weights, rows, layout)
    out = conditional.mean() + divergence(weights, known) / n
    if layout.population:
        out += layout.population * alone.mean()
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
