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
    """Follow a Newton step in log coordinates for variances away from zero.

    The objective is closer to quadratic in log theta_ii than in theta_ii: a Newton step
    p in theta is p / (theta - p) in log theta. Steps that head for zero, or that more
    than double theta, are taken as they are. theta stands in x from position `first`
    on; the rest of x moves along straight lines.
    """
    diagonal = np.zeros(x.shape[0], dtype=bool)
    for p in patterns:
        diagonal[first : first + p.n_theta] = np.array(p.rows) == np.array(p.cols)
        first += p.n_theta
    share = step / jnp.where(x == 0.0, 1.0, x)
    curved = diagonal & (x != 0.0) & (share > -0.75) & (share < 0.5)
    share = jnp.where(curved, share, 0.0)
    return jnp.where(curved, x * jnp.exp(share / (1.0 - share)), x + step)
