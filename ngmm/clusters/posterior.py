r"""Draws of all random effects given the data, at the estimates.

With b = R u, R R' the covariance over sigma^2, u given the data has the precision
P / sigma^2, P = R'Z'WZR + I. A solution of P e = R'Z' W^{1/2} e_1 + e_2 with standard
normal e_1 and e_2 has the covariance P^{-1}: the draws need the factor of P only.

References
----------
Papandreou & Yuille (2010), NIPS 23, section 3, for draws by perturbation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.diagnostics.checks import Additive
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.joint_modes import joint_modes, spherical_columns
from ngmm.inference.neural import NeuralAnalysis

Matrix = NDArray[np.float64]

# Random numbers that are held at once.
MOST_NUMBERS = 10_000_000


def draws_of_effects(
    analysis: Additive, n: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], ...]:
    """Draws of the random effects of each term, (n, levels, k).

    Parameters
    ----------
    analysis
        Of a fit. Parameters are at their estimates; where the response is not Gaussian
        the effects are normal about their modes.
    n
        Number of draws.
    generator
        Of the random numbers.
    """
    given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    design, sigma = given.model.design, given.estimate.sigma
    is_generalized = isinstance(given, GeneralizedAnalysis)
    weight = given.working.weight if is_generalized else design.weights
    roots = [_root(c.covariance) / sigma for c in given.components]
    terms = design.random
    Z = spherical_columns([(t.Z, t.codes, t.n_levels) for t in terms], roots)
    joint = joint_modes(Z, weight, sigma)
    u = np.empty((n, Z.shape[1]))
    size = max(1, MOST_NUMBERS // sum(Z.shape))
    for start in range(0, n, size):
        rows = min(size, n - start)
        noise = generator.standard_normal((Z.shape[0], rows))
        right = Z.T @ (np.sqrt(weight)[:, None] * noise)
        right += generator.standard_normal((Z.shape[1], rows))
        u[start : start + rows] = sigma * joint.solve(np.ascontiguousarray(right)).T
    out, start = [], 0
    for term, root, modes in zip(terms, roots, analysis.modes, strict=True):
        shape = (term.n_levels, len(root))
        part = u[:, start : start + shape[0] * shape[1]].reshape(n, *shape)
        out.append(modes + part @ root.T)
        start += shape[0] * shape[1]
    return tuple(out)


def _root(covariance: Matrix) -> Matrix:
    """R with R R' the covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))
