r"""A classifier of the group from hidden layers, and what training against it costs.

The classifier learns by cross-entropy; the networks are trained to raise that
cross-entropy, up to what guessing has and no further. The networks' part,

.. math:: -\min(\mathrm{CE}, \log C),

is bounded, other than the reversed gradient of Ganin et al. (2016, JMLR 17(59)): a
network gains nothing from misleading a classifier that already does no better than
chance. Rows are weighted so that all C groups count the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.linalg import Values
from ngmm.training.perceptron import Layers, initial_layers, through


@dataclass(frozen=True)
class Classifier:
    """A multilayer perceptron that tells groups from what networks compute.

    Attributes
    ----------
    n_groups
        Number of groups, C.
    n_strata
        Number of classes of the response that it is told; one for none.
    strength
        Weight of the networks' part.
    last_only
        Whether it reads the last hidden layer of each network only.
    hidden
        Widths of its hidden layers.
    """

    n_groups: int
    n_strata: int
    strength: float
    last_only: bool
    hidden: tuple[int, ...]

    @property
    def chance(self) -> float:
        """Cross-entropy of guessing."""
        return math.log(self.n_groups)

    def init(self, key: Array, width: int) -> Layers:
        """Return initial weights for so many hidden units to read."""
        sizes = (width + (self.n_strata if self.n_strata > 1 else 0), *self.hidden)
        return initial_layers(key, (*sizes, self.n_groups))

    def log_odds(self, weights: Layers, seen: Array, stratum: Values) -> Array:
        """Unnormalised log-probabilities of the groups, (n, C)."""
        h = seen
        if self.n_strata > 1:
            told = jax.nn.one_hot(stratum, self.n_strata, dtype=h.dtype)
            h = jnp.concatenate([h, told], axis=1)
        return through(weights, h, jax.nn.relu)


class AdversaryLoss(NamedTuple):
    """What the classifier minimises, and what the networks do."""

    own: Array
    against: Array


def view(
    layers: Sequence[Sequence[Array]],
    outputs: Sequence[Array],
    classifier: Classifier,
) -> Array:
    """What the classifier reads: hidden layers of all networks, and their outputs.

    An output has a linear path from the inputs that passes by the hidden layers.
    """
    first = -1 if classifier.last_only else 0
    read = [h for network in layers for h in network[first:]]
    read += [g[:, None].astype(read[0].dtype) for g in outputs]
    return jnp.concatenate(read, axis=1)


def adversary_loss(
    weights: Any,
    seen: Array,
    group: Values,
    balance: Values,
    stratum: Values,
    classifier: Classifier,
) -> AdversaryLoss:
    """Both parts; each has derivatives in the weights of its own player only."""
    held = lax.stop_gradient(weights)
    own = cross_entropy(
        weights, lax.stop_gradient(seen), group, balance, stratum, classifier
    )
    theirs = cross_entropy(held, seen, group, balance, stratum, classifier)
    return AdversaryLoss(own, -jnp.minimum(theirs, classifier.chance))


def cross_entropy(
    weights: Any,
    seen: Array,
    group: Values,
    balance: Values,
    stratum: Values,
    classifier: Classifier,
) -> Array:
    """Mean cross-entropy of the group, groups balanced."""
    log_p = jax.nn.log_softmax(classifier.log_odds(weights, seen, stratum), axis=1)
    own = jnp.take_along_axis(log_p, jnp.asarray(group)[:, None], axis=1)[:, 0]
    return -(balance * own).mean()
