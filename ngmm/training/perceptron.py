"""Layers of a classifier, and weights of rows that make groups count the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.linalg import Values

Vector = NDArray[np.float64]
Codes = NDArray[np.int32]

# A matrix and biases for each layer.
Layers: TypeAlias = tuple[tuple[Values, Values], ...]


def initial_layers(key: Array, sizes: tuple[int, ...]) -> Layers:
    """Return random layers of these widths, inputs first, after He et al. (2015)."""
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(
        (
            jax.random.normal(k, (a, b), dtype=float) * math.sqrt(2.0 / a),
            jnp.zeros(b, dtype=float),
        )
        for k, (a, b) in zip(keys, pairwise(sizes), strict=True)
    )


def through(layers: Layers, x: Values, activation: Callable[[Array], Array]) -> Array:
    """Return the last layer's sums for each row of x."""
    h = jnp.asarray(x)
    for W, c in layers[:-1]:
        h = activation(h @ W + c)
    W, c = layers[-1]
    return h @ W + c


def balance(codes: Codes, stratum: Codes | None = None) -> Vector:
    """Weights of mean one that make all groups that occur in a stratum count the same.

    Examples
    --------
    >>> balance(np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    within = np.zeros_like(codes) if stratum is None else stratum
    cells, place, size = np.unique(
        np.stack([within, codes]), axis=1, return_inverse=True, return_counts=True
    )
    n_cells = np.bincount(cells[0])
    n_rows = np.bincount(within)
    return (n_rows / np.maximum(n_cells, 1))[within] / size[place.ravel()]
