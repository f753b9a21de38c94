"""Maximum of the Gaussian likelihood over theta, compiled once for each layout."""

from __future__ import annotations

from typing import TypeVar

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.estimation.newton import (
    Evaluation,
    NewtonResult,
    ended,
    minimise,
    predicted_gain,
)
from ngmm.likelihood.elimination import Elimination, System, eliminate
from ngmm.likelihood.gaussian import Profile, profile
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.retraction import retract, vanish

R = TypeVar("R")


def _maximise(
    theta: Array, system: System, max_steps: Array, *, layout: Layout
) -> NewtonResult:
    def evaluate(x: Array) -> tuple[Evaluation, Profile]:
        p = profile(x, system, layout)
        return Evaluation(p.value, p.gradient, p.hessian), p

    return minimise(
        evaluate,
        theta,
        retract=lambda x, p: retract(x, p, 0, layout.patterns),
        polish=lambda x: vanish(x, 0, layout.patterns),
        max_steps=max_steps,
    )


def _profile(theta: Array, system: System, *, layout: Layout) -> Profile:
    return profile(theta, system, layout)


def _eliminate(theta: Array, system: System, *, layout: Layout) -> Elimination:
    return eliminate(theta, system, layout)


def half_objective(theta: Array, system: System, *, layout: Layout) -> Array:
    """Minus the log-likelihood up to a constant, for first-order methods."""
    return 0.5 * profile(theta, system, layout).value


def as_result(
    x: NDArray[np.float64], found: Profile, n_steps: int, max_steps_reached: bool
) -> NewtonResult:
    """A point found by other means, judged by its derivatives."""
    gain = predicted_gain(found.gradient, found.hessian)
    return NewtonResult(
        x=x,
        value=found.value,
        gradient=found.gradient,
        hessian=found.hessian,
        aux=found,
        gain=gain,
        n_steps=n_steps,
        status=int(ended(gain, max_steps_reached)),
    )


maximise: Compiled = Compiled(_maximise)
"""(theta, system, max_steps, layout=) -> NewtonResult whose aux is a Profile."""

profile_at: Compiled = Compiled(_profile)
"""(theta, system, layout=) -> Profile."""

eliminate_at: Compiled = Compiled(_eliminate)
"""(theta, system, layout=) -> Elimination."""


def to_numpy(record: R) -> R:
    """The same record with numpy arrays."""
    return jax.tree.map(np.asarray, record)
