r"""Observed information of the variance parameters of a Gaussian model.

With beta profiled out, minus twice the log-likelihood of (theta, sigma) is

.. math:: D = \log|V| + n \log \sigma^2 + s(\theta) / \sigma^2 \;(+ \log|C_{XX}|),

whose Hessian follows from that of the criterion profiled over sigma as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.likelihood.gaussian import Profile

Matrix = NDArray[np.float64]

# Directions in which the information is below this share of the largest, after scaling
# every parameter to unit information, are not identified by the data.
FLAT = 1e-8


def variance_information(profile: Profile, n_residual: int) -> Matrix:
    """Observed information of (theta, sigma), in the engine's units."""
    s = float(profile.rss)
    sigma = np.sqrt(s / n_residual)
    slope = rss_gradient(profile)
    q = len(slope)
    d = np.empty((q + 1, q + 1))
    d[:q, :q] = profile.hessian + n_residual * np.outer(slope, slope) / s**2
    d[:q, q] = d[q, :q] = -2.0 * slope / sigma**3
    d[q, q] = 4.0 * n_residual / sigma**2
    return 0.5 * d


def rss_gradient(profile: Profile) -> NDArray[np.float64]:
    """Derivative in theta of the generalised residual sum of squares."""
    v = residual_direction(profile.tail)
    return np.einsum("awv,w,v->a", profile.tail_gradient, v, v)


def residual_direction(tail: Matrix) -> NDArray[np.float64]:
    """(-gamma, 1): the combination of [X y] that is the GLS residual, from C."""
    p = tail.shape[0] - 1
    gamma = np.linalg.solve(tail[:p, :p], tail[:p, p])
    return np.append(-gamma, 1.0)


def covariance_from_information(information: Matrix) -> Matrix:
    """Inverse of an information matrix, over the directions it identifies.

    At a boundary some direction may carry no information; the covariance there is that
    of the others, as in lmerTest. A negative direction is treated the same way, and
    `check()` reports it.
    """
    diagonal = np.diag(information)
    scale = np.where(diagonal > 0, 1.0 / np.sqrt(np.abs(diagonal) + 1e-300), 0.0)
    values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    keep = values > FLAT * values[-1]
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=keep)
    half = vectors * np.sqrt(inverse)
    return np.outer(scale, scale) * (half @ half.T)
