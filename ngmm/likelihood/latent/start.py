"""Where the search for a model with a latent vector per level begins.

At loadings of zero the likelihood is that of the model without random effects, and
even in the loadings: its Hessian there says along which of them it rises fastest.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.glm import fit_glm
from ngmm.likelihood.latent.engine import LatentEngine, LatentProblem
from ngmm.linalg import precise

Vector = NDArray[np.float64]

# Standard deviation of h to start with: on the scale of eta, or as a share of sigma.
SIZE, GAUSSIAN_SHARE = 0.7, 0.5


def without_effects(problem: LatentProblem) -> tuple[Vector, float]:
    """(gamma, xi) of the model without random effects."""
    rows, family, X = problem.rows, problem.family, problem.X
    if family.has_residual:
        root = np.sqrt(rows.weights)
        target = root * (rows.y - rows.offset)
        gamma = np.linalg.lstsq(root[:, None] * X, target, rcond=None)[0]
        residual = target - root * (X @ gamma)
        variance = float(np.log(np.mean(residual**2)))
        return np.asarray(gamma, dtype=np.float64), variance
    take, often = slice(None), 1.0
    if family.dispersion is None:
        # Rows that agree count as one with a weight.
        take = problem.cells.first
        often = np.bincount(problem.cells.of_row)
    glm = fit_glm(
        np.ascontiguousarray(X[take]),
        rows.y[take],
        family,
        rows.offset[take],
        rows.weights[take] * often,
        rows.trials[take] if family.takes_trials else None,
    )
    return glm.beta, 0.0 if glm.log_phi is None else glm.log_phi


def joined(problem: LatentProblem, gamma: Vector, weights: Any, xi: float) -> Vector:
    """Psi from its parts."""
    leaves = [np.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(weights)]
    tail = [xi] if problem.has_scale else []
    return np.concatenate([gamma, *leaves, tail]).astype(np.float64)


def loading_places(problem: LatentProblem) -> NDArray[np.int64]:
    """(d, k) where the loadings of each latent dimension stand in psi."""
    d = problem.network.n_latent
    index = jnp.arange(problem.shape.size)
    loadings = jax.tree.leaves(problem.shape.weights(index)["loadings"])
    stacked = np.concatenate([np.asarray(a).reshape(-1, d) for a in loadings])
    return problem.n_beta + stacked.T


def starting_loadings(engine: LatentEngine, x: Vector) -> Vector:
    """Psi with loadings along which the likelihood rises fastest from zero.

    Parameters
    ----------
    engine
        The likelihood.
    x
        psi with all weights zero.
    """
    problem = engine.problem
    place = loading_places(problem)
    hessian = engine.evaluate(x).hessian[np.ix_(place[0], place[0])]
    size = _variances(problem, place[0])
    # In units in which a loading of one moves eta by one, root mean square.
    root = np.sqrt(np.maximum(size, 1e-12 * size.max()))
    _, vectors = np.linalg.eigh(hessian / np.outer(root, root))
    unit = GAUSSIAN_SHARE * np.exp(0.5 * x[-1]) if problem.family.has_residual else SIZE
    out = x.copy()
    for k, at in enumerate(place):
        direction = vectors[:, -1 - k % vectors.shape[1]] / root
        out[at] = direction
        h = _size(problem, out, k)
        out[at] *= unit / h if h > 0 else 0.0
    return out


def _variances(problem: LatentProblem, place: NDArray[np.int64]) -> Vector:
    """Mean square of what each loading of one dimension multiplies."""
    out = np.empty(len(place))
    weights = np.zeros(problem.shape.size)
    for i, at in enumerate(place - problem.n_beta):
        weights[at] = 1.0
        out[i] = np.mean(_loadings(problem, weights)[:, 0] ** 2)
        weights[at] = 0.0
    return out


def _size(problem: LatentProblem, x: Vector, k: int) -> float:
    p = problem.n_beta
    weights = x[p : p + problem.shape.size]
    return float(np.sqrt(np.mean(_loadings(problem, weights)[:, k] ** 2)))


def _loadings(problem: LatentProblem, weights: Vector) -> Vector:
    """(cells, d) loadings of the distinct rows."""
    first = problem.cells.first[:5000]
    with precise():
        inputs = jax.tree.map(lambda a: np.asarray(a)[first], problem.rows.inputs)
        tree = problem.shape.weights(jnp.asarray(weights))
        return np.asarray(problem.network.loadings(tree, inputs))  # type: ignore[attr-defined]
