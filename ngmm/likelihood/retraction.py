"""Steps of an optimiser in the coordinates in which variances behave best."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.covariance import Pattern

# A relative standard deviation below this, on columns of unit mean square, is set to
# zero if the objective agrees: Newton's error at a vanishing variance is cubed by the
# last step, so what remains of it is far smaller.
VANISHING = 1e-6


def vanish(x: Array, first: int, patterns: Sequence[Pattern]) -> Array:
    """Zero the columns of Lambda whose diagonal has all but vanished.

    theta stands in x from position `first` on.
    """
    parts = [x[:first]]
    for p in patterns:
        part = x[first : first + p.n_theta]
        first += p.n_theta
        pivot = part[np.array(p.diagonal)[np.array(p.cols)]]
        small = (jnp.abs(pivot) < VANISHING) & (jnp.abs(part) < VANISHING)
        parts.append(jnp.where(small, 0.0, part))
    return jnp.concatenate([*parts, x[first:]])


def retract(x: Array, step: Array, first: int, patterns: Sequence[Pattern]) -> Array:
    """Follow a Newton step in coordinates in which the objective is near quadratic.

    A row of Lambda is a relative standard deviation, its length, and a direction, which
    holds the correlations. The objective depends far more on the length: a step moves
    along the sphere and, for the length, along its logarithm, where a Newton step p in
    r is p / (r - p). Steps that head for zero, or that more than double the length, are
    taken as they are. theta stands in x from position `first` on; the rest of x moves
    along straight lines.
    """
    out = x + step
    for p in patterns:
        row_of = np.array(p.rows)
        for row in range(p.k):
            at = first + np.flatnonzero(row_of == row)
            out = out.at[at].set(_along(x[at], step[at]))
        first += p.n_theta
    return out


def _along(row: Array, step: Array) -> Array:
    """One row of Lambda after a step."""
    square = row @ row
    r = jnp.sqrt(jnp.where(square > 0.0, square, 1.0))
    share = step @ row / r**2
    across = step - share * row
    size = across @ across
    angle = jnp.sqrt(jnp.where(size > 0.0, size, 1.0)) / r
    curved = (square > 0.0) & (share > -0.75) & (share < 0.5) & (size < square)
    share = jnp.where(curved, share, 0.0)
    # sin(angle) / angle is one where nothing moves across.
    turned = row * jnp.where(size > 0.0, jnp.cos(angle), 1.0)
    turned = turned + across * jnp.where(size > 0.0, jnp.sin(angle) / angle, 1.0)
    return jnp.where(curved, turned * jnp.exp(share / (1.0 - share)), row + step)
