r"""How a mean changes with the variance of the random effects in it.

The marginal mean M(m, v) of a row whose linear predictor is N(m, v) solves the heat
equation, so that its derivative in the variance is half its second derivative in m:

.. math:: \partial M / \partial v = \tfrac12 \, E\, \mu''(m + \sqrt{v}\, t).

The second derivative of the mean comes from automatic differentiation, and its
expectation from the trapezoid sum of `marginal_mean`.

References
----------
Price (1958), IRE Trans. Inf. Theory 4, 69-72, for derivatives of Gaussian
expectations in their variances.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.families import Link
from ngmm.inference.marginal.mean import CHUNK, nodes
from ngmm.linalg import precise

Vector = NDArray[np.float64]


def marginal_curvature(link: Link, m: Vector, v: Vector) -> Vector:
    """Derivative of `marginal_mean` in v, for each row; a variance may be zero.

    Parameters
    ----------
    link
        The link.
    m, v
        (n,) means and variances of the linear predictor.

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.families.links import LINKS
    >>> m, v = np.zeros(1), np.array([2.0])
    >>> float(marginal_curvature(LINKS["log"], m, v)[0] / np.exp(1.0))
    0.5
    """
    if link.name == "identity":
        return np.zeros_like(m + v)
    if link.name == "log":
        return 0.5 * np.exp(m + 0.5 * v)
    if link.name == "sqrt":
        return np.ones_like(m + v)
    sd = np.sqrt(v)
    out = np.empty_like(m)
    # One rule for sds up to 1, 2, 4, ...: few shapes are compiled.
    octave = np.ceil(np.log2(np.maximum(sd, 1.0)))
    for value in np.unique(octave):
        t, weight = nodes(2.0**value)
        rows = np.flatnonzero(octave == value)
        size = max(1, CHUNK // len(t))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            eta = m[part, None] + sd[part, None] * t
            with precise():
                out[part] = 0.5 * (np.asarray(_second_at(eta, layout=link)) @ weight)
    return out


def _second(eta: Array, *, layout: Link) -> Array:
    """Second derivative of the mean."""
    ones = jnp.ones_like(eta)

    def first(x: Array) -> Array:
        return jax.jvp(layout.mean, (x,), (ones,))[1]

    return jax.jvp(first, (eta,), (ones,))[1]


_second_at = Compiled(_second)
