r"""Satterthwaite's degrees of freedom for tests of fixed effects.

For a contrast l, the estimated variance f(theta, sigma) = l' vcov(beta) l is itself
random; matching the first two moments of a chi-square gives

.. math:: \nu = \frac{2 f^2}{\nabla f' \, A \, \nabla f},

with A the covariance matrix of the estimates of (theta, sigma). Everything is exact:
the derivatives of the covariance of beta come with the likelihood.

References
----------
Satterthwaite (1946), Biometrics Bull. 2, 110-114; Fai & Cornelius (1996), J. Stat.
Comput. Simul. 54, 363-378; Kuznetsova, Brockhoff & Christensen (2017), J. Stat.
Softw. 82(13), eq. 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.likelihood.gaussian import Profile
from ngmm.likelihood.information import (
    covariance_from_information,
    variance_information,
)

Matrix = NDArray[np.float64]


def satterthwaite(contrasts: Matrix, profile: Profile, n_residual: int) -> Matrix:
    """Degrees of freedom of each contrast.

    Parameters
    ----------
    contrasts
        (c, p) contrasts of the orthonormal coefficients: L R^-1 for contrasts L of
        beta and the triangle R of the standardised columns.
    profile
        The likelihood at the estimate.
    n_residual
        n, or n - p under REML.
    """
    p = profile.tail.shape[0] - 1
    sigma = np.sqrt(float(profile.rss) / n_residual)
    half = np.linalg.solve(profile.tail[:p, :p], contrasts.T)
    unit = np.einsum("cp,pc->c", contrasts, half)
    slope = profile.tail_gradient[:, :p, :p]
    d_theta = -(sigma**2) * np.einsum("pc,apq,qc->ac", half, slope, half)
    gradient = np.vstack([d_theta, 2.0 * sigma * unit])
    a = covariance_from_information(variance_information(profile, n_residual))
    spread = np.einsum("ac,ab,bc->c", gradient, a, gradient)
    variance = sigma**2 * unit
    infinite = np.full_like(variance, np.inf)
    return np.divide(2.0 * variance**2, spread, out=infinite, where=spread > 0)
