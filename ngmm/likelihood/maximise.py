"""Maximum of the Gaussian likelihood over theta, compiled once for each layout."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.gaussian import (
    Elimination,
    Profile,
    System,
    eliminate,
    profile,
)
from ngmm.likelihood.layout import Layout

R = TypeVar("R")

# A relative standard deviation below this, on columns of unit mean square, is set to
# zero if the objective agrees: Newton's error at a vanishing variance is cubed by the
# last step, so what remains of it is far smaller.
VANISHING = 1e-6


def _vanish(theta: Array, layout: Layout) -> Array:
    """Zero the columns of Lambda whose diagonal has all but vanished."""
    parts = []
    for s, p in zip(layout.slices, layout.patterns, strict=True):
        part = theta[s]
        pivot = part[np.array(p.diagonal)[np.array(p.cols)]]
        small = (jnp.abs(pivot) < VANISHING) & (jnp.abs(part) < VANISHING)
        parts.append(jnp.where(small, 0.0, part))
    return jnp.concatenate(parts)


def _maximise(
    theta: Array, system: System, max_steps: Array, *, layout: Layout
) -> NewtonResult:
    def evaluate(x: Array) -> tuple[Evaluation, Profile]:
        p = profile(x, system, layout)
        return Evaluation(p.value, p.gradient, p.hessian), p

    return minimise(
        evaluate, theta, polish=lambda x: _vanish(x, layout), max_steps=max_steps
    )


def _profile(theta: Array, system: System, *, layout: Layout) -> Profile:
    return profile(theta, system, layout)


def _eliminate(theta: Array, system: System, *, layout: Layout) -> Elimination:
    return eliminate(theta, system, layout)


maximise = Compiled(_maximise)
"""(theta, system, max_steps, layout=) -> NewtonResult whose aux is a Profile."""

profile_at = Compiled(_profile)
"""(theta, system, layout=) -> Profile."""

eliminate_at = Compiled(_eliminate)
"""(theta, system, layout=) -> Elimination."""


def to_numpy(record: R) -> R:
    """The same record with numpy arrays."""
    return jax.tree.map(np.asarray, record)
