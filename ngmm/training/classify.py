"""A classifier of groups from numbers, fitted to some rows and judged on others.

It says how well a fixed representation tells groups apart, and which of the known
groups a row of an unknown one looks like.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.linalg import Values, precise
from ngmm.training.perceptron import Layers, balance, initial_layers, through

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

WIDTH = 32
# Steps of Adam on all rows, their rate and ridge penalty; rows at most.
STEPS, RATE, PENALTY = 500, 1e-2, 1e-3
MOST_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """Probabilities of groups given numbers.

    Attributes
    ----------
    weights
        Of the layers.
    centre, spread
        Scaling of the numbers.
    accuracy
        Share of the rows left out whose group it tells, all groups counting the same.
    """

    weights: Layers
    centre: Vector
    spread: Vector
    accuracy: float

    def probabilities(self, x: Matrix) -> Matrix:
        """Probabilities of the groups for each row, (n, C)."""
        return _probabilities(self.weights, (x - self.centre) / self.spread)


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to learn from.

    Parameters
    ----------
    x
        (n, d) numbers.
    codes
        (n,) group of each row.
    n_groups
        Number of groups.
    """

    x: Matrix
    codes: NDArray[np.int32]
    n_groups: int

    @cached_property
    def halves(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to learn from, and rows to be judged on: a random half of each."""
        n = len(self.codes)
        rows = np.random.default_rng(0).permutation(n)[: min(n, MOST_ROWS)]
        return np.sort(rows[: len(rows) // 2]), np.sort(rows[len(rows) // 2 :])

    def fit(self, *, whole: bool = False) -> FittedClassifier:
        """Learn from a half of the rows, and then from all of them if asked.

        Parameters
        ----------
        whole
            Whether the weights are those of all rows; the accuracy is that of the half
            in any case.
        """
        learn, judge = self.halves
        found = self._weights(learn)
        p = _probabilities(found, self._scaled(judge))
        right = p.argmax(1) == self.codes[judge]
        share = balance(self.codes[judge])
        accuracy = float((right * share).sum() / share.sum())
        if whole:
            found = self._weights(np.sort(np.concatenate([learn, judge])))
        return FittedClassifier(found, self._centre, self._spread, accuracy)

    def _weights(self, rows: NDArray[np.intp]) -> Layers:
        with precise():
            weights = fit_weights(
                self._scaled(rows),
                self.codes[rows].astype(np.int32),
                balance(self.codes[rows]),
                layout=self.n_groups,
            )
        return jax.tree.map(np.asarray, weights)

    def _scaled(self, rows: NDArray[np.intp]) -> Matrix:
        return (self.x[rows] - self._centre) / self._spread

    @cached_property
    def _centre(self) -> Vector:
        return self.x.mean(0)

    @cached_property
    def _spread(self) -> Vector:
        spread = self.x.std(0)
        return np.where(spread > 1e-12 * np.abs(self.x).max(initial=1.0), spread, 1.0)


def _fit_weights(x: Values, codes: Values, share: Values, *, layout: int) -> Layers:
    """Adam on the penalised cross-entropy of all rows."""
    # Only where groups are told apart: it takes long to import.
    import optax

    weights = initial_layers(jax.random.key(0), (x.shape[1], WIDTH, layout))
    at = jnp.asarray(codes)[:, None]

    def loss(w: Any) -> Array:
        log_p = jax.nn.log_softmax(through(w, x, jnp.tanh), axis=1)
        own = jnp.take_along_axis(log_p, at, axis=1)[:, 0]
        ridge = sum((W**2).sum() for W, _ in w)
        return -(share * own).mean() + 0.5 * PENALTY * ridge

    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

    def step(_: Array, state: tuple[Any, Any]) -> tuple[Any, Any]:
        w, memory = state
        change, memory = optimizer.update(jax.grad(loss)(w), memory)
        return optax.apply_updates(w, change), memory

    state = (weights, optimizer.init(weights))
    return lax.fori_loop(0, STEPS, step, state)[0]


def _probabilities(weights: Layers, x: Matrix) -> Matrix:
    with precise():
        return np.asarray(jax.nn.softmax(through(weights, x, jnp.tanh), axis=1))


fit_weights: Compiled = Compiled(_fit_weights, heavy=lambda _: True)
"""(x, codes, share, layout=number of groups) -> weights of the layers."""
