"""Integrals over random effects by the trapezoid rule on a dense grid, in numpy.

For an analytic integrand that dies out at both ends the rule is exact but for
exp(-2 pi d / h), where h is the spacing and d the distance of the next singularity from
the real axis. With h = 1/8 and the nearest pole at pi / sd, standard deviations up to
two leave less than 1e-30; the normal density beyond 8.5 weighs 1e-16.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from tests.engine.generalized.problems import Likelihood, Vector

Ints = NDArray[np.intp]

REACH, SPACING = 8.5, 0.125


def grid(
    dimensions: int, reach: float = REACH, spacing: float = SPACING
) -> tuple[Vector, Vector]:
    """Nodes (K, q), and logarithms (K,) of weight times standard normal density."""
    t = np.arange(-reach, reach + 0.5 * spacing, spacing)
    u = np.array(list(product(t, repeat=dimensions)))
    log_weight = dimensions * np.log(spacing / np.sqrt(2 * np.pi))
    return u, log_weight - 0.5 * (u * u).sum(1)


class Posterior(NamedTuple):
    """A level's share of the likelihood, and its posterior on the grid."""

    loglik: float
    rows: Ints
    nodes: Vector
    eta: Vector
    weight: Vector


def single(
    like: Likelihood, reach: float = REACH, spacing: float = SPACING
) -> list[Posterior]:
    """Every level of a model with one term."""
    (term,), (lam,) = like.terms, like.lambdas()
    u, log_weight = grid(len(term.columns), reach, spacing)
    base, Z = like.fixed_part(), like.data[list(term.columns)].to_numpy()
    codes = like.data[term.group].to_numpy()
    out = []
    for level in np.unique(codes):
        rows = np.flatnonzero(codes == level)
        eta = base[rows, None] + Z[rows] @ lam @ u.T
        log_joint = like.log_prob(eta, rows, like.log_phi).sum(0) + log_weight
        value = float(np.asarray(logsumexp(log_joint)))
        out.append(Posterior(value, rows, u, eta, np.exp(log_joint - value)))
    return out


def nested(like: Likelihood, reach: float = 7.5, spacing: float = 0.25) -> list[float]:
    """Every outer level of a model with two nested terms; coarser, still exact."""
    (outer, inner), (lam_out, lam_in) = like.terms, like.lambdas()
    u, w_out = grid(len(outer.columns), reach, spacing)
    v, w_in = grid(len(inner.columns), reach, spacing)
    base, data = like.fixed_part(), like.data
    out = []
    for level in np.unique(data[outer.group]):
        total = w_out.copy()
        for sub in np.unique(data[inner.group][data[outer.group] == level]):
            rows = np.flatnonzero(data[inner.group] == sub)
            Z_out = data[list(outer.columns)].to_numpy()[rows]
            Z_in = data[list(inner.columns)].to_numpy()[rows]
            # Outer nodes a few at a time: the array of all of them is large.
            for part in np.array_split(np.arange(len(u)), 1 + len(u) // 500):
                eta = (base[rows, None] + Z_out @ lam_out @ u[part].T)[:, :, None] + (
                    Z_in @ lam_in @ v.T
                )[:, None, :]
                log_joint = like.log_prob(eta, rows, like.log_phi).sum(0) + w_in
                total[part] += np.asarray(logsumexp(log_joint, axis=1))
        out.append(float(np.asarray(logsumexp(total))))
    return out


# Differences of order eight: the error is (step^8 / 630) times a ninth derivative.
_STEPS = np.array([-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0])
_FIRST = np.array([3, -32, 168, -672, 0, 672, -168, 32, -3]) / 840.0
_SECOND = np.array([-9, 128, -1008, 8064, -14350, 8064, -1008, 128, -9]) / 5040.0


def slopes(like: Likelihood, eta: Vector, rows: Ints) -> tuple[Vector, Vector]:
    """First and second derivatives of the log-probability in eta, by differences."""
    h = 0.05 * like.unit[0]
    values = [like.log_prob(eta + s * h, rows, like.log_phi) for s in _STEPS]
    first = np.tensordot(_FIRST, values, 1) / h
    return first, np.tensordot(_SECOND, values, 1) / h**2


def dispersion_slope(like: Likelihood, eta: Vector, rows: Ints) -> Vector:
    """Derivative of the log-probability in log phi, by differences."""
    h = 0.03
    values = [like.log_prob(eta, rows, like.log_phi + s * h) for s in _STEPS]
    return np.asarray(np.tensordot(_FIRST, values, 1) / h)


def fisher(like: Likelihood) -> Vector:
    """Posterior mean of the score of (y, u) in psi: the gradient of the likelihood."""
    (term,) = like.terms
    X = like.data[["one", "x"]].to_numpy()
    Z = like.data[list(term.columns)].to_numpy()
    k = len(term.columns)
    total = np.zeros(len(like.psi))
    for level in single(like):
        seen = level.weight > 1e-30
        w, u, eta = level.weight[seen], level.nodes[seen], level.eta[:, seen]
        s, _ = slopes(like, eta, level.rows)
        total[:2] += X[level.rows].T @ (s @ w)
        # d eta / d Lambda[r, c] = z_r u_c, for the lower triangle column by column.
        by_entry = np.einsum("nr,nk,kc,k->rc", Z[level.rows], s, u, w)
        total[2 : 2 + len(term.theta)] += by_entry.T[np.triu_indices(k)]
        if len(like.psi) > 2 + len(term.theta):
            total[-1] += (dispersion_slope(like, eta, level.rows) @ w).sum()
    return total * like.unit


def design_matrix(like: Likelihood) -> Vector:
    """Z Lambda of all terms, level by level: eta = fixed part + A u."""
    blocks = []
    for term, lam in zip(like.terms, like.lambdas(), strict=True):
        codes = like.data[term.group].to_numpy()
        rows = like.data[list(term.columns)].to_numpy() @ lam
        blocks += [rows * (codes == level)[:, None] for level in np.unique(codes)]
    return np.hstack(blocks)


def laplace(like: Likelihood) -> tuple[float, Vector]:
    """Laplace's approximation and the joint mode, from dense matrices."""
    A, base = design_matrix(like), like.fixed_part()
    everything = np.arange(len(base))
    u, step, H = np.zeros(A.shape[1]), np.full(A.shape[1], np.inf), A.T @ A
    for _ in range(50):
        s, second = slopes(like, base + A @ u, everything)
        H = np.eye(len(u)) - A.T @ (second[:, None] * A)
        step = np.linalg.solve(H, A.T @ s - u)
        u = u + step * min(1.0, 1.0 / np.abs(step).max())
    # Newton's steps end at the rounding of the differences.
    assert np.abs(step).max() < 1e-10
    value = like.log_prob(base + A @ u, everything, like.log_phi).sum() - 0.5 * u @ u
    return float(value - 0.5 * np.linalg.slogdet(H)[1]), u
