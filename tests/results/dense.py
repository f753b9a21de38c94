"""Mixed models with dense matrices, straight from the textbook."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.results import MixedModelFit

Matrix = NDArray[np.float64]


def spread(term: RandomDesign) -> Matrix:
    """Z (n, levels k) of a term, level by level; rows of unseen levels are zero."""
    n, k = term.Z.shape
    z = np.zeros((n, term.n_levels, k))
    known = np.flatnonzero(term.codes >= 0)
    z[known, term.codes[known]] = term.Z[known]
    return z.reshape(n, -1)


def term_covariances(fit: MixedModelFit) -> list[Matrix]:
    """Covariance matrix of each term, from the printed sds and correlations."""
    frame = fit.varcorr().to_frame()
    rows = [row for _, row in frame[frame["group"] != "Residual"].iterrows()]
    out = []
    for term in fit.design.random:
        k = len(term.names)
        sd = np.array([rows.pop(0)["sd"] for _ in range(k)])
        correlation = np.eye(k)
        if term.correlated:
            for i in range(k):
                for j in range(i):
                    r = rows.pop(0)["corr"]
                    correlation[i, j] = correlation[j, i] = np.nan_to_num(r)
        out.append(correlation * np.outer(sd, sd))
    assert not rows
    return out


@dataclass(frozen=True)
class Dense:
    """Henderson's mixed model equations at the estimated variances.

    Attributes
    ----------
    beta, b
        Solutions; b of all terms, level by level.
    covariance
        Of (beta, b) as errors of prediction: the inverse of the equations' matrix.
    V
        Marginal covariance of y.
    sigmas
        Covariance matrix of each term.
    """

    beta: Matrix
    b: Matrix
    covariance: Matrix
    V: Matrix
    sigmas: list[Matrix]


def solve(fit: MixedModelFit) -> Dense:
    """The equations for spherical effects u, b = L u, so that singular fits have them.

    Henderson (1975), Biometrics 31, 423-447.
    """
    d = fit.design
    sigmas = term_covariances(fit)
    blocks, roots = [], []
    for term, sigma in zip(d.random, sigmas, strict=True):
        values, vectors = np.linalg.eigh(sigma)
        root = vectors * np.sqrt(np.maximum(values, 0))
        roots.append(np.kron(np.eye(term.n_levels), root))
        blocks.append(spread(term) @ roots[-1])
    p = d.X.shape[1]
    both = np.hstack([d.X, *blocks])
    precision = d.weights / fit.sigma**2
    penalty = np.diag(np.r_[np.zeros(p), np.ones(both.shape[1] - p)])
    inverse = np.linalg.inv(both.T @ (both * precision[:, None]) + penalty)
    solution = inverse @ both.T @ (precision * (d.y - d.offset))
    q = [len(root) for root in roots]
    back = np.zeros((p + sum(q), p + sum(q)))
    back[:p, :p] = np.eye(p)
    at = p
    for root in roots:
        back[at : at + len(root), at : at + len(root)] = root
        at += len(root)
    zu = both[:, p:]
    return Dense(
        beta=solution[:p],
        b=(back @ solution)[p:],
        covariance=back @ inverse @ back.T,
        V=zu @ zu.T + np.diag(1 / precision),
        sigmas=sigmas,
    )


def mean_variance(
    dense: Dense, X: Matrix, terms: Collection[RandomDesign], use: Collection[str]
) -> Matrix:
    """Variance of x' beta + z' b, the effects of the factors in `use` counted."""
    z = [spread(t) * (t.group in use) for t in terms]
    rows = np.hstack([X, *z])
    return np.einsum("ni,ij,nj->n", rows, dense.covariance, rows)


def log_density(fit: MixedModelFit) -> float:
    """Log-density of y, restricted if the fit is, at the estimates."""
    d, V = fit.design, solve(fit).V
    r = d.y - d.offset - d.X @ fit.fixef.to_numpy()
    n, p = d.X.shape
    value = np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    if fit.reml:
        value += np.linalg.slogdet(d.X.T @ np.linalg.solve(V, d.X))[1]
        n -= p
    return float(-0.5 * (value + n * np.log(2 * np.pi)))
