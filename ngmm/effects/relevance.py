"""What the evidence left of the weights that read each input of a network."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ngmm.effects.terms import Term
from ngmm.likelihood.neural.terms import unravel
from ngmm.linalg import precise
from ngmm.networks import MLP

Vector = NDArray[np.float64]


def effective_weights(term: Term) -> Vector:
    """(inputs,) effective number of the weights that read each input of a term.

    First-layer weights, those of the linear path and embeddings; missing for networks
    that are not built in, and where effective numbers are not known.
    """
    network, design = term.stack.networks[term.position], term.design
    out = np.zeros(len(design.variables))
    if not isinstance(network, MLP):
        return out * np.nan
    own = jnp.asarray(term.networks.groups[term.weights])
    with precise():
        # Group numbers in the places of the weights.
        tree = unravel(own.astype(float), network, design.inputs)
    first = [np.asarray(W) for W, _ in tree["layers"][:1]]
    readers = [*first, np.asarray(tree["skip"])[:, None]]
    sizes = network.embedding_sizes
    inputs = [*design.column_inputs, *np.repeat(design.code_inputs, sizes)]
    for position in range(len(out)):
        rows = [r for r, at in enumerate(inputs) if at == position]
        groups = [np.unique(W[rows]) for W in readers]
        embeddings = zip(tree["embeddings"], design.code_inputs, strict=True)
        groups += [np.unique(E) for E, at in embeddings if at == position]
        numbers = np.unique(np.concatenate(groups)).astype(int)
        for member in term.networks.members:
            out[position] += member.share * member.edf[numbers].sum()
    return out
