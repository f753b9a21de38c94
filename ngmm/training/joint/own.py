"""What networks lose beside the response: images that they draw again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.linalg import Values
from ngmm.networks import Reconstructing
from ngmm.training.joint.arrays import Data, Static, Weights


@dataclass(frozen=True, eq=False)
class Modulation:
    """Random effects on the units of a network by which it draws its inputs again.

    Attributes
    ----------
    term
        Position of the random-effects term.
    mean, sd
        (levels, k) of their distributions.
    prior_sd
        (k,) standard deviations of the random effects.
    """

    term: int
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    prior_sd: NDArray[np.float64]


class OwnLosses(NamedTuple):
    """Sums over the networks of their mean loss, with random effects and without."""

    with_effects: Array
    without: Array


def own_losses(
    weights: Weights, data: Data, layout: Static, key: Values | None = None
) -> OwnLosses:
    """Return what networks that draw their inputs lose in these rows.

    Parameters
    ----------
    weights, data, layout
        The rows, and all that is trained.
    key
        Raw random key by which random effects are drawn from their distributions, a row
        each; None for their means.
    """
    given = alone = jnp.zeros(())
    each = zip(layout.networks, weights.networks, data.inputs, strict=True)
    for position, (network, w, inputs) in enumerate(each):
        if not isinstance(network, Reconstructing):
            continue
        effects = _effects(position, weights, data, layout, key)
        without = network.own_loss(w, inputs, None).mean()
        alone += without
        # Without random effects on its units both are the same.
        given += (
            without if effects is None else network.own_loss(w, inputs, effects).mean()
        )
    return OwnLosses(given, alone)


def reconstructs(layout: Static) -> bool:
    """Whether a network draws its inputs again."""
    return any(isinstance(network, Reconstructing) for network in layout.networks)


def modulations(
    weights: Weights, data: Data, layout: Static
) -> tuple[tuple[Modulation, ...], ...]:
    """Return for each network what its own loss made of the random effects."""
    out = []
    for position, network in enumerate(layout.networks):
        found = []
        for term, on in enumerate(layout.slopes):
            if on == position and isinstance(network, Reconstructing):
                own = data.Z[term].shape[1]
                mean = np.asarray(weights.effects[term].mean, np.float64)[:, own:]
                log_sd = np.asarray(weights.effects[term].log_sd, np.float64)[:, own:]
                prior = np.sqrt((mean**2 + np.exp(2.0 * log_sd)).mean(0))
                found.append(Modulation(term, mean, np.exp(log_sd), prior))
        out.append(tuple(found))
    return tuple(out)


def _effects(
    network: int, weights: Weights, data: Data, layout: Static, key: Values | None
) -> Array | None:
    """Random effects of the rows on the units of a network, (n, k); None for none."""
    found = None
    terms = zip(layout.slopes, weights.effects, data.Z, data.codes, strict=True)
    for position, (on, effects, Z, codes) in enumerate(terms):
        if on != network:
            continue
        own = Z.shape[1]
        b = effects.mean[codes][:, own:]
        if key is not None:
            one = jax.random.fold_in(jax.random.wrap_key_data(key), position)
            sd = jnp.exp(effects.log_sd[codes][:, own:])
            b += sd * jax.random.normal(one, b.shape, b.dtype)
        found = b if found is None else found + b
    return found
