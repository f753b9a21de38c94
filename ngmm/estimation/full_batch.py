"""First-order minimisation of a whole objective by any optax transformation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.estimation.status import Status
from ngmm.linalg import Values, precise

# Steps between two looks from Python: few enough to show progress, enough to hide what
# calling the compiled program costs.
CHUNK = 50
# Steps in a row without movement before giving up: a schedule may start at zero.
STILL = 10


@dataclass(frozen=True, eq=False)
class Objective:
    """A function to minimise, as a model offers it.

    Attributes
    ----------
    fun
        ``fun(x, *args, layout=layout)``: minus the log-likelihood, traceable, with
        correct derivatives under `jax.grad`. The same function every time, so that what
        is compiled for it can be used again.
    x0
        (d,) start, in coordinates of order one.
    args
        Arrays that the function takes.
    layout
        What is static about them.
    """

    fun: Callable[..., Array]
    x0: NDArray[np.float64]
    args: tuple[Any, ...]
    layout: Hashable


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    Attributes
    ----------
    x
        (d,) best point seen.
    value, gradient_norm
        The objective there, and the largest element of its gradient.
    n_steps
        Evaluations of the gradient.
    status
        `Status.CONVERGED`: the gradient is within the tolerance. `Status.MAX_STEPS`.
        `Status.STALLED`: the transformation moves no further, or has left the region
        where the objective is finite. `Status.NOT_FINITE`: at the start.
    """

    x: NDArray[np.float64]
    value: float
    gradient_norm: float
    n_steps: int
    status: Status


Progress = Callable[[int, float, float], None]


def descend(
    objective: Objective,
    transformation: Any,
    *,
    max_steps: int,
    tolerance: float,
    progress: Progress | None = None,
) -> Descent:
    """Follow a transformation of the gradient from the objective's start.

    Parameters
    ----------
    objective
        What to minimise.
    transformation
        An `optax.GradientTransformation`. One that takes more than the gradient (a line
        search, say) is given `value`, `grad` and `value_fn`.
    max_steps
        Evaluations of the gradient before giving up.
    tolerance
        Largest element of the gradient at which to stop.
    progress
        Called now and then with the number of steps, the best value so far and the
        largest element of the gradient there.

    Notes
    -----
    Compiled once for a function, layout and transformation.
    """
    setup = _Setup(objective.fun, objective.layout, transformation)
    with precise():
        x0 = jnp.asarray(objective.x0, dtype=jnp.float64)
        state = _State(
            x=x0,
            memory=transformation.init(x0),
            best=x0,
            value=np.inf,
            slope=np.inf,
            n_steps=0,
            n_still=0,
            status=int(Status.RUNNING),
        )
        # As the steps return it, so that one program serves the first and the others.
        state = jax.tree.map(_strong, state)
        while True:
            until = min(int(state.n_steps) + CHUNK, max_steps)
            state = _advance(
                state,
                objective.args,
                np.int64(until),
                np.float64(tolerance),
                layout=setup,
            )
            n_steps, status = int(state.n_steps), Status(int(state.status))
            if progress is not None:
                progress(n_steps, float(state.value), float(state.slope))
            if status is Status.RUNNING and n_steps >= max_steps:
                status = Status.MAX_STEPS
            if status is not Status.RUNNING:
                break
        return Descent(
            x=np.asarray(state.best),
            value=float(state.value),
            gradient_norm=float(state.slope),
            n_steps=n_steps,
            status=status,
        )


def _strong(x: Any) -> Array:
    """A jax array whose type does not depend on what it is combined with."""
    return jnp.asarray(x, dtype=jnp.asarray(x).dtype)


class _Setup(NamedTuple):
    """What is static: compiled programs are found again by it."""

    fun: Callable[..., Array]
    layout: Hashable
    transformation: Any


class _State(NamedTuple):
    """Point to evaluate next, memory of the transformation, best point so far."""

    x: Values
    memory: Values
    best: Values
    value: Values
    slope: Values
    n_steps: Values
    n_still: Values
    status: Values


def _run(
    state: _State, args: tuple[Any, ...], until: Array, tolerance: Array, *, layout: Any
) -> _State:
    """Steps until the search ends, or this many have been made."""
    # Only for models that are fitted this way: it takes long to import.
    import optax

    setup: _Setup = layout
    update = optax.with_extra_args_support(setup.transformation).update

    def value_fn(x: Array) -> Array:
        return setup.fun(x, *args, layout=setup.layout)

    def running(s: _State) -> Array:
        return (s.status == int(Status.RUNNING)) & (s.n_steps < until)

    def step(s: _State) -> _State:
        return _step(s, value_fn, update, tolerance)

    return jax.lax.while_loop(running, step, state)


def _step(
    s: _State,
    value_fn: Callable[[Array], Array],
    update: Callable[..., Any],
    tolerance: Array,
) -> _State:
    """Evaluate the point, and propose the next one unless the search ends here."""
    value, gradient = jax.value_and_grad(value_fn)(s.x)
    slope = jnp.abs(gradient).max()
    finite = jnp.isfinite(value) & jnp.isfinite(slope)
    better = finite & (value <= s.value)
    change, memory = update(
        gradient, s.memory, s.x, value=value, grad=gradient, value_fn=value_fn
    )
    x = s.x + change
    still = (jnp.abs(change) <= 1e-15 * (1.0 + jnp.abs(s.x))).all()
    n_still = jnp.where(still, s.n_still + 1, 0)
    status = jnp.select(
        [
            finite & (slope <= tolerance),
            ~finite & (s.n_steps == 0),
            ~finite | (n_still >= STILL),
        ],
        [int(Status.CONVERGED), int(Status.NOT_FINITE), int(Status.STALLED)],
        int(Status.RUNNING),
    )
    # The point that stops the search is the one to report, even if rounding hides
    # whether it is the lowest.
    better = better | (status == int(Status.CONVERGED))
    return _State(
        x=x,
        memory=memory,
        best=jnp.where(better, s.x, s.best),
        value=jnp.where(better, value, s.value),
        slope=jnp.where(better, slope, s.slope),
        n_steps=s.n_steps + 1,
        n_still=n_still,
        status=status.astype(s.status.dtype),
    )


_advance = Compiled(_run)
