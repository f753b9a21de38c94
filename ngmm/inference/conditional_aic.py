r"""Conditional AIC: of predicting new rows of the levels in the data.

.. math:: \mathrm{cAIC} = -2 \log p(y \mid \hat b) + 2 (\rho + 1), \qquad
          \rho = \mathrm{tr}\,\frac{\partial \hat y}{\partial y'} .

For a Gaussian model rho is the trace of the hat matrix at known variance parameters
(Vaida & Blanchard 2005) plus what their estimation adds (Greven & Kneib 2010): with
u = P y, h_a = P H_a u, s = y' P y and D the Hessian of the profiled deviance in theta,

.. math:: \sum_{ab} [D^{-1}]_{ab}\, h_a' W^{-1} \frac{2 N}{s}
          \Bigl( h_b - \frac{u' H_b u}{s} u \Bigr),

N the rows, less the fixed effects under REML. The 1 stands for sigma. For other
families rho is the trace of the hat matrix of the working model at the conditional
modes, without such a term.

References
----------
Vaida & Blanchard (2005), Biometrika 92, 351-370, eq. 4; Greven & Kneib (2010),
Biometrika 97, 773-789, theorem 3; Saefken et al. (2014), Electron. J. Stat. 8, 201-225,
for other families.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import factor_numpy, pattern
from ngmm.inference.deletion.leverage import leverage
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.joint_modes import joint_modes, spherical_columns
from ngmm.inference.neural import NeuralAnalysis
from ngmm.inference.working import log_probability, predictor

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class ConditionalAIC(NamedTuple):
    """The criterion and its parts.

    Attributes
    ----------
    value
        cAIC.
    loglik
        Log-density of the responses given the conditional modes.
    edf
        rho, and one for sigma or the dispersion if there is one.
    """

    value: float
    loglik: float
    edf: float


def conditional_aic(
    analysis: GaussianAnalysis | GeneralizedAnalysis | NeuralAnalysis,
) -> ConditionalAIC:
    """The conditional AIC of a fit.

    Parameters
    ----------
    analysis
        The fitted model. With networks the hat matrix has their tangents and penalties,
        and nothing is added for the estimation of variance parameters.
    """
    given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    d, family = given.model.design, given.model.family
    eta = predictor(d.X, d.offset, d.random, given.estimate.beta, given.modes)
    found = log_probability(d, family, eta[:, None], given.dispersion)
    loglik = float(found[0])
    edf = float(leverage(analysis).sum())
    if isinstance(analysis, GaussianAnalysis):
        edf += estimation_term(analysis)
    edf += float(family.has_residual or family.dispersion is not None)
    return ConditionalAIC(-2.0 * loglik + 2.0 * edf, loglik, edf)


def estimation_term(analysis: GaussianAnalysis) -> float:
    """What the estimation of theta adds to the trace of the hat matrix."""
    d, e, problem = analysis.design, analysis.estimate, analysis.model.problem
    terms = [(t.Z, t.codes, t.n_levels) for t in d.random]
    patterns = [pattern([(len(t.names), t.correlated)]) for t in d.random]
    slices = np.split(e.theta, np.cumsum([p.n_theta for p in patterns])[:-1])
    factors = [factor_numpy(x, p) for x, p in zip(slices, patterns, strict=True)]
    columns = spherical_columns(terms, factors)
    inner = joint_modes(columns, d.weights, e.sigma)

    def inverse_times(x: Matrix) -> Matrix:
        """H^-1 x."""
        wx = (d.weights * x.T).T
        return wx - (d.weights * (columns @ inner.solve(columns.T @ wx)).T).T

    hx = inverse_times(d.X)
    half = np.linalg.solve(d.X.T @ hx, hx.T) if d.X.shape[1] else hx.T

    def project(x: Vector) -> Vector:
        """P x."""
        return inverse_times(x) - hx @ (half @ x)

    y = d.y - d.offset
    u = project(y)
    s, n = float(y @ u), problem.n_residual
    bent, moved = [], []
    for (Z, codes, n_levels), p, lam in zip(terms, patterns, factors, strict=True):
        own = spherical_columns([(Z, codes, n_levels)], [np.eye(p.k)])
        sums = np.asarray(own.T @ u).reshape(n_levels, p.k)
        for basis in p.basis():
            first = basis @ lam.T
            hu = np.asarray(own @ (sums @ (first + first.T)).ravel())
            h = project(hu)
            moved.append(h / d.weights)
            bent.append(2.0 * n / s * (h - (u @ hu) / s * u))
    scale = problem.theta_scale[problem.order]
    order = problem.order
    hessian = e.profile.hessian[np.ix_(order, order)] * np.outer(scale, scale)
    # At a boundary the fitted values do not move with theta.
    free = np.array([bool(np.abs(m).max() > 0) for m in moved])
    if not free.any():
        return 0.0
    a, b = np.array(moved)[free], np.array(bent)[free]
    return float(np.sum(np.linalg.pinv(hessian[np.ix_(free, free)]) * (a @ b.T)))
