"""Neural random effects: the structure of their weights follows from the network."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from ngmm.likelihood.latent.engine import LatentProblem
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.sums import WeightShape
from ngmm.persistence.codec import Decoder, Encoder
from ngmm.persistence.networks import weight_tree

__all__ = [
    "decode_estimate",
    "decode_problem",
    "encode_estimate",
    "encode_problem",
]


def encode_problem(encoder: Encoder, problem: LatentProblem, place: str) -> Any:
    """Return the contents of the node: shapes of the weights without their tree."""
    shapes = encoder(problem.shape.shapes, place)
    return encoder.record(problem, place, shape=shapes)["record"][1]


def decode_problem(decoder: Decoder, nodes: Any) -> LatentProblem:
    """Return the problem of a node.

    Raises
    ------
    ValueError
        If the network has other weights.
    """
    shapes = decoder(nodes["shape"])
    network, rows = decoder(nodes["network"]), decoder(nodes["rows"])
    leaves, tree = jax.tree.flatten(weight_tree(network, rows.inputs))
    if tuple(leaf.shape for leaf in leaves) != shapes:
        raise ValueError("the weights of a network have other shapes")
    shape = WeightShape(tree, shapes)
    return decoder.record(
        "LatentProblem", nodes, network=network, rows=rows, shape=shape
    )


def encode_estimate(encoder: Encoder, estimate: LatentEstimate, place: str) -> Any:
    """Return the contents of the node: weights as a list of arrays."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(estimate.weights)]
    weights = encoder(leaves, f"{place}.weights")
    return encoder.record(estimate, place, weights=weights)["record"][1]


def decode_estimate(decoder: Decoder, nodes: Any) -> LatentEstimate:
    """Return the estimate of a node.

    Raises
    ------
    ValueError
        If the weights are not those of the network.
    """
    engine = decoder(nodes["engine"])
    tree = engine.problem.shape.tree
    weights = jax.tree.unflatten(tree, decoder(nodes["weights"]))
    return decoder.record("LatentEstimate", nodes, engine=engine, weights=weights)
