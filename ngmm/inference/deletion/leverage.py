r"""Leverage: how much the fitted value of a row follows its own response.

At the conditional modes the fit is linear in the (working) response with the weights W,

.. math:: \hat\eta = C (C' W C + D)^{-1} C' W y, \quad C = [X\; Z],\;
          D = \mathrm{diag}(0, \Sigma^{-1}),

and w_i times the variance over sigma^2 of x_i' beta + z_i' (b_hat - b) is the i-th
element of the diagonal. The sum is the effective number of parameters of the fitted
values (Hodges & Sargent 2001). Networks enter by their tangent and their penalty.

References
----------
Hodges & Sargent (2001), Biometrika 88, 367-379, eq. 4; Demidenko & Stukel (2005), Stat.
Med. 24, 893-909, eq. 12.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.modes import row_effects
from ngmm.inference.neural import NeuralAnalysis

Vector = NDArray[np.float64]


def leverage(
    analysis: GaussianAnalysis | GeneralizedAnalysis | NeuralAnalysis,
) -> Vector:
    """(n,) leverage of the rows, at the variance parameters of the fit."""
    given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    d = analysis.design
    if isinstance(given, GaussianAnalysis):
        inputs = tuple(n.inputs for n in d.networks)
        variance = analysis.predictor_variance(d.X, d.random, inputs)
        return variance * d.weights / given.estimate.sigma**2
    assert isinstance(given, GeneralizedAnalysis)
    if isinstance(analysis, NeuralAnalysis) and analysis.networks.has_covariance:
        inputs = tuple(n.inputs for n in d.networks)
        variance = analysis.predictor_variance(d.X, d.random, inputs)
        return variance * given.working.weight
    posterior = given.posterior
    triangle = posterior.problem.data.triangle
    x = np.asarray(np.linalg.solve(triangle.T, d.X.T).T, dtype=np.float64)
    effects = row_effects(posterior.problem, d.random, d.n_rows)
    # C_XX^-1 and not the covariance of beta, which has that of theta in it.
    variance = posterior.row_variance(x, effects)
    return variance * given.working.weight
