"""Initial weights of the searches: seeds, widths, and weights held at zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.linalg import precise
from ngmm.networks import MLP, Inputs, Network, flatten

Vector = NDArray[np.float64]

# Width of a network without hidden units.
LINEAR = 0


@dataclass(frozen=True, eq=False)
class Start:
    """Where a search begins.

    Attributes
    ----------
    width
        Width of hidden layers that are ngmm's to choose; None if there are none.
    weights
        (n_weights,) initial weights of all networks.
    active
        (n_weights,) one for a weight in use, zero for one of a unit left out.
    """

    width: int | None
    weights: Vector
    active: Vector


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network term before its width is chosen.

    Attributes
    ----------
    network
        The network at its greatest width.
    inputs
        What it reads.
    free
        Whether its width is ngmm's to choose.
    """

    network: Network
    inputs: Inputs
    free: bool


def make_starts(
    candidates: Sequence[Candidate],
    widths: Sequence[int],
    n_runs: int,
    seed: int,
    *,
    linear: bool,
) -> list[Start]:
    """Starts of n_runs searches, widths in turn, the widest first.

    With `linear`, and where widths are ngmm's to choose, one more has no hidden units.
    """
    any_free = any(c.free for c in candidates)
    order = sorted(widths, reverse=True) if any_free else [None]
    with precise():
        key = jax.random.key(seed)
        starts = [
            _start(candidates, order[i % len(order)], key, i) for i in range(n_runs)
        ]
        if any_free and linear:
            starts.append(_start(candidates, LINEAR, key, n_runs))
        return starts


def _start(
    candidates: Sequence[Candidate], width: int | None, key: Array, run: int
) -> Start:
    weights, active = [], []
    for i, c in enumerate(candidates):
        one = jax.random.fold_in(jax.random.fold_in(key, run), i)
        full = c.network.init(one, c.inputs)
        network = c.network
        if c.free and width is not None and isinstance(network, MLP):
            own = _narrow(network, width, one, c.inputs, full)
            weights.append(_padded(own, full))
            active.append(_padded(jax.tree.map(jnp.ones_like, own), full))
        else:
            weights.append(flatten(full)[0])
            active.append(jnp.ones_like(weights[-1]))
    return Start(
        width, np.concatenate(weights), np.concatenate(active).astype(np.float64)
    )


def _narrow(
    network: MLP, width: int, key: Array, inputs: Inputs, full: Any
) -> dict[str, Any]:
    """Initial weights of the network at another width; at zero, its linear path."""
    if width != LINEAR:
        hidden = (width,) * len(network.hidden)
        return replace(network, hidden=hidden).init(key, inputs)
    none = jax.tree.map(lambda a: a[:0], (full["layers"], full["out"]))
    return {**full, "layers": none[0], "out": none[1]}


def _padded(narrow: Any, wide: Any) -> Array:
    """Weights of a narrow network in the places of a wide one, zero elsewhere.

    A unit without weights has no output, and gets none by Gauss-Newton steps that keep
    its weights at zero: the wide network computes the narrow one's function.
    """

    def place(a: Array, b: Array) -> Array:
        return jnp.zeros_like(b).at[tuple(slice(n) for n in a.shape)].set(a)

    return flatten(jax.tree.map(place, narrow, wide))[0]


def ridge_groups(candidates: Sequence[Candidate]) -> tuple[NDArray[np.int32], int]:
    """(n_weights,) ridge group of each weight, and the number of groups."""
    out, first = [], 0
    with precise():
        for c in candidates:
            weights = c.network.init(jax.random.key(0), c.inputs)
            tree = c.network.penalty_groups(weights)
            parts = [np.ravel(a) for a in jax.tree.leaves(tree)]
            part = (
                np.concatenate(parts).astype(np.int32)
                if parts
                else np.zeros(0, np.int32)
            )
            out.append(part + first)
            first += int(part.max(initial=-1)) + 1
    return np.concatenate(out), first
