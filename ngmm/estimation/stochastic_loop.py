"""Training over minibatches: epochs in one program each, the best point kept.

Nothing here knows what is trained. A `Training` offers a loss of a batch, batches, what
to settle between epochs, and a loss on what is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ngmm.compilation import Compiled
from ngmm.estimation.status import Status
from ngmm.linalg import Values, precise
from ngmm.progress import ProgressLine

# Where the loss is lost, training goes back to the best weights with steps shorter by
# this factor, so many times.
SHORTER = 0.1
RETURNS = 2
# Epochs over which weights are averaged, the newest count most: steps are noisy, and
# their average is better than any of them long before they have become small.
# A share of all epochs where there are few.
AVERAGED, AVERAGED_SHARE = 2.0, 0.1
# Improvement of the loss per row, over the last tenth of the epochs, below which
# further epochs are not worth their while.
SETTLED = 1e-3


class Training(Protocol):
    """What is trained, as the loop sees it."""

    @property
    def loss(self) -> Callable[..., Array]:
        """``loss(weights, known, batch, data, layout=layout)`` of one batch.

        Traceable, differentiable in the weights. The same function every time, so that
        what is compiled for it can be used again.
        """
        ...

    @property
    def layout(self) -> Hashable:
        """What is static about the data."""
        ...

    @property
    def data(self) -> Any:
        """Arrays from which the loss takes the rows of a batch."""
        ...

    def draw(self, generator: np.random.Generator) -> Any:
        """Batches of one epoch, stacked: arrays of the same shapes every time."""
        ...

    def settle(self, weights: Any, epoch: int, last: Any) -> Any:
        """The known quantities given the weights after so many epochs.

        `last` are those of the epoch before, None at the start.
        """
        ...

    def held_out_loss(self, weights: Any, known: Any) -> float | None:
        """Loss per row of what is held out; None if nothing is."""
        ...

    def describe(self, known: Any) -> dict[str, float]:
        """Named numbers of the known quantities, for the history."""
        ...


class Epoch(NamedTuple):
    """A line of the history.

    Attributes
    ----------
    epoch
        Counted from one.
    loss
        Mean loss of the batches during the epoch.
    held_out
        Loss after it on what is held out; None if nothing is.
    known
        Named numbers of the known quantities after it.
    """

    epoch: int
    loss: float
    held_out: float | None
    known: dict[str, float]


@dataclass(frozen=True, eq=False)
class Trained:
    """Where training ended.

    Attributes
    ----------
    weights
        Averages over the last epochs; those with the lowest loss on what is held out,
        the last ones if nothing is.
    history
        An element for each epoch.
    best
        The epoch of the weights, counted from one; zero for those of the start.
    status
        `Status.CONVERGED`: the loss has stopped falling. `Status.MAX_STEPS`: it was
        falling still. `Status.INTERRUPTED`: by the user. `Status.NOT_FINITE`: it could
        not be computed, even with shorter steps.
    """

    weights: Any
    history: tuple[Epoch, ...]
    best: int
    status: Status


class _Setup(NamedTuple):
    """What is static: compiled programs are found again by it."""

    loss: Callable[..., Array]
    layout: Hashable
    optimizer: Any


class _State(NamedTuple):
    """Weights, memory of the transformation, and the average of recent weights."""

    weights: Values
    memory: Values
    average: Values


class _Ended(NamedTuple):
    state: Values
    loss: Values
    finite: Values


def follow(
    training: Training,
    weights: Any,
    optimizer: Any,
    *,
    epochs: int,
    patience: int,
    generator: np.random.Generator,
    line: ProgressLine,
) -> Trained:
    """Follow the optimizer over the batches of at most so many epochs.

    Parameters
    ----------
    training
        What is trained.
    weights
        To start from.
    optimizer
        An optax transformation.
    epochs, patience
        Epochs at most, and without improvement on what is held out.
    generator
        Draws the batches.
    line
        Shows how far it is.
    """
    averaged = min(AVERAGED, AVERAGED_SHARE * epochs)
    run = _Run(training, weights, optimizer, generator, averaged)
    status = Status.MAX_STEPS
    try:
        for epoch in range(1, epochs + 1):
            if not run.advance(epoch):
                status = Status.NOT_FINITE
                break
            line.update(epoch, epochs, run.text())
            if epoch - run.best_epoch >= patience and run.holds_out:
                status = Status.CONVERGED
                break
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    if status is Status.MAX_STEPS and _settled(run.history):
        status = Status.CONVERGED
    return Trained(run.best_weights, tuple(run.history), run.best_epoch, status)


class _Run:
    """The loop's variables."""

    def __init__(
        self,
        training: Training,
        weights: Any,
        optimizer: Any,
        generator: np.random.Generator,
        averaged: float,
    ) -> None:
        self.training = training
        self.generator = generator
        self.optimizer = optimizer
        self.setup = _Setup(training.loss, training.layout, optimizer)
        self.history: list[Epoch] = []
        self.best_epoch, self.best_loss = 0, np.inf
        self.best_weights = weights
        self.rate, self.returns = 1.0, 0
        self.averaged = averaged
        self.holds_out = False
        self.state = self._fresh(weights)
        self.known = training.settle(weights, 0, None)

    def _fresh(self, weights: Any) -> _State:
        with precise():
            weights = jax.tree.map(jnp.asarray, weights)
            memory = jax.tree.map(_strong, self.optimizer.init(weights))
            return _State(weights, memory, weights)

    def advance(self, epoch: int) -> bool:
        """One epoch; False if the loss cannot be computed any more."""
        batches = self.training.draw(self.generator)
        with precise():
            ended: _Ended = _epoch(
                self.state,
                self.known,
                batches,
                self.training.data,
                np.float64(self.rate),
                np.float64(self.averaged),
                layout=self.setup,
            )
        if not (bool(ended.finite) and self._accept(ended, epoch)):
            return self._return()
        return True

    def _accept(self, ended: _Ended, epoch: int) -> bool:
        """Settle what is known, judge the weights and keep them if they are best."""
        weights = ended.state.average
        known = self.training.settle(weights, epoch, self.known)
        held_out = self.training.held_out_loss(weights, known)
        if held_out is not None and not np.isfinite(held_out):
            return False
        self.state, self.known = ended.state, known
        self.holds_out = held_out is not None
        described = self.training.describe(known)
        self.history.append(Epoch(epoch, float(ended.loss), held_out, described))
        if held_out is None or held_out < self.best_loss:
            self.best_loss = np.inf if held_out is None else held_out
            self.best_epoch, self.best_weights = epoch, weights
        return True

    def _return(self) -> bool:
        """Back to the best weights, with shorter steps."""
        self.returns += 1
        if self.returns > RETURNS:
            return False
        self.rate *= SHORTER
        self.state = self._fresh(self.best_weights)
        self.known = self.training.settle(self.best_weights, 0, None)
        return True

    def text(self) -> str:
        """The last epoch in a few words."""
        if not self.history:
            return ""
        last = self.history[-1]
        if last.held_out is None:
            return f"loss {last.loss:.4f}"
        return f"loss {last.loss:.4f}, held-out {last.held_out:.4f}"


def _settled(history: list[Epoch]) -> bool:
    """Whether the last tenth of the epochs brought next to nothing."""
    # The two are of different rows and are not compared with each other.
    held_out = [e.held_out for e in history if e.held_out is not None]
    losses = held_out or [e.loss for e in history]
    if len(losses) < 2:
        return False
    tail = max(1, len(losses) // 10)
    return min(losses[:-tail]) - min(losses) < SETTLED


def _strong(x: Any) -> Array:
    """A jax array whose type does not depend on what it is combined with."""
    return jnp.asarray(x, dtype=jnp.asarray(x).dtype)


def _run_epoch(
    state: _State,
    known: Any,
    batches: Any,
    data: Any,
    rate: Array,
    averaged: Array,
    *,
    layout: Any,
) -> _Ended:
    """A step for each batch; weights stay where a gradient is not finite."""
    # Only for models that are fitted this way: it takes long to import.
    import optax

    setup: _Setup = layout
    n_batches = jax.tree.leaves(batches)[0].shape[0]
    newest = 1.0 / jnp.maximum(averaged * n_batches, 1.0)
    update = optax.with_extra_args_support(setup.optimizer).update

    def step(carry: tuple[_State, Array], batch: Any) -> tuple[Any, Array]:
        state, finite = carry

        def value_fn(weights: Any) -> Array:
            return setup.loss(weights, known, batch, data, layout=setup.layout)

        value, gradient = jax.value_and_grad(value_fn)(state.weights)
        change, memory = update(
            gradient,
            state.memory,
            state.weights,
            value=value,
            grad=gradient,
            value_fn=value_fn,
        )
        weights = jax.tree.map(
            lambda w, c: w + (rate * c).astype(w.dtype), state.weights, change
        )
        average = jax.tree.map(
            lambda a, w: a + (newest * (w - a)).astype(a.dtype), state.average, weights
        )
        fine = finite & jnp.isfinite(value) & _all_finite(weights)
        new = jax.tree.map(
            lambda a, b: jnp.where(fine, a, b),
            _State(weights, memory, average),
            state,
        )
        return (new, fine), value

    (state, finite), losses = lax.scan(step, (state, jnp.asarray(True)), batches)
    return _Ended(state, losses.mean(), finite)


def _all_finite(tree: Any) -> Array:
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]).all()


_epoch = Compiled(_run_epoch, heavy=lambda _: True)
