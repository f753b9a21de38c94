"""Small models with a latent vector per level, for the tests of their likelihood."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ngmm import families
from ngmm.likelihood.latent.data import LatentRows
from ngmm.likelihood.latent.engine import LatentEngine, LatentProblem, prepare_latent
from ngmm.likelihood.latent.placement import LatentPlacing
from ngmm.likelihood.latent.sums import weight_shape
from ngmm.linalg import precise
from ngmm.networks import Inputs
from ngmm.networks.latent import LatentMLP, LatentNetwork

Vector = NDArray[np.float64]


def items(n_levels: int, n_items: int, seed: int = 0, slope: float = 1.0) -> LatentRows:
    """Answers of every person to every item, by a 2PL model."""
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_levels), n_items).astype(np.int32)
    item = np.tile(np.arange(n_items), n_levels).astype(np.int32)
    ability = generator.standard_normal(n_levels)
    loading = slope * np.exp(0.3 * generator.standard_normal(n_items))
    eta = generator.standard_normal(n_items)[item] + loading[item] * ability[codes]
    y = (generator.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(np.float64)
    one = np.ones(len(y))
    X = (item[:, None] == np.arange(n_items)).astype(np.float64)
    inputs = Inputs(np.zeros((len(y), 0)), (item,))
    return LatentRows(y, 0.0 * one, one, one, X, inputs, codes, n_levels)


def numeric(
    family: str, n_levels: int = 12, size: int = 7, seed: int = 1
) -> LatentRows:
    """Two numeric inputs, levels of unequal size, responses of a family."""
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_levels), size)
    codes = np.delete(codes, [0, 1, 2, size]).astype(np.int32)
    n = len(codes)
    x = generator.standard_normal((n, 2))
    v = generator.standard_normal(n_levels)[codes]
    eta = 0.3 + 0.4 * x[:, 0] + (0.7 + 0.5 * x[:, 0] - 0.3 * x[:, 1]) * v
    y = {
        "gaussian": eta + generator.standard_normal(n),
        "poisson": generator.poisson(np.exp(eta)).astype(np.float64),
        "bernoulli": (generator.random(n) < 1 / (1 + np.exp(-eta))).astype(np.float64),
        "gamma": np.exp(eta) * generator.gamma(2.0, 0.5, n),
    }[family]
    X = np.column_stack([np.ones(n), x])
    weights = 0.5 + generator.random(n)
    return LatentRows(
        y, 0.1 * x[:, 1], weights, np.ones(n), X, Inputs(x), codes, n_levels
    )


def engine(
    rows: LatentRows,
    family: str,
    network: LatentNetwork,
    placing: LatentPlacing,
    link: str | None = None,
) -> LatentEngine:
    """The likelihood of rows by given nodes."""
    found = families.get(family, link)
    with precise():
        weights = network.init(jax.random.key(0), rows.inputs)
    return LatentEngine(
        prepare_latent(rows, found, network, weight_shape(weights)), placing
    )


def some_psi(problem: LatentProblem, seed: int = 3) -> Vector:
    """Parameters of order one."""
    generator = np.random.default_rng(seed)
    return 0.5 * generator.standard_normal(problem.n_psi)


def tree_of(problem: LatentProblem, psi: Vector) -> Any:
    """The network's weights at psi."""
    p = problem.n_beta
    with precise():
        return jax.tree.map(
            np.asarray,
            problem.shape.weights(jnp.asarray(psi[p : p + problem.shape.size])),
        )


def two_parameter(n_items: int) -> LatentMLP:
    """A loading for every item."""
    return LatentMLP(levels=(n_items,), constant=False, all_levels=True)


def hidden(n_items: int, d: int = 1) -> LatentMLP:
    """Free curves of items."""
    return LatentMLP(
        d, (3, 2), levels=(n_items,), constant=False, all_levels=True, embeddings=(2,)
    )
