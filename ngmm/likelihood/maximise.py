"""Maximum of the Gaussian likelihood over theta, compiled once for each layout."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.elimination import Elimination, System, eliminate
from ngmm.likelihood.gaussian import Profile, profile
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


def _retract(theta: Array, step: Array, layout: Layout) -> Array:
    """Follow a Newton step in log coordinates for variances away from zero.

    The objective is closer to quadratic in log theta_ii than in theta_ii: a Newton step
    p in theta is p / (theta - p) in log theta. Steps that head for zero, or that more
    than double theta, are taken as they are.
    """
    diagonal = jnp.concatenate(
        [jnp.asarray(np.array(p.rows) == np.array(p.cols)) for p in layout.patterns]
    )
    share = step / jnp.where(theta == 0.0, 1.0, theta)
    curved = diagonal & (theta != 0.0) & (share > -0.75) & (share < 0.5)
    share = jnp.where(curved, share, 0.0)
    return jnp.where(curved, theta * jnp.exp(share / (1.0 - share)), theta + step)


def _maximise(
    theta: Array, system: System, max_steps: Array, *, layout: Layout
) -> NewtonResult:
    def evaluate(x: Array) -> tuple[Evaluation, Profile]:
        p = profile(x, system, layout)
        return Evaluation(p.value, p.gradient, p.hessian), p

    return minimise(
        evaluate,
        theta,
        retract=lambda x, p: _retract(x, p, layout),
        polish=lambda x: _vanish(x, layout),
        max_steps=max_steps,
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
