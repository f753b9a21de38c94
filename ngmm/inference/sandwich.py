r"""Scores of independent groups, and the sandwich covariance that they give.

With s_g the gradient of the log-likelihood of group g in all parameters psi and A its
observed information,

.. math:: \widehat{\mathrm{cov}} = \frac{G}{G - 1} A^{-1} \Bigl(\sum_g s_g s_g'\Bigr)
   A^{-1},

which holds when the groups are independent, whatever their covariance within.

References
----------
Liang & Zeger (1986), Biometrika 73, 13-22; White (1982), Econometrica 50, 1-25.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern, factor_numpy, pattern
from ngmm.design import Design
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]

# Step of differences of fourth order: rounding and truncation both leave 1e-10.
STEP = 2e-3


@dataclass(frozen=True, eq=False)
class GroupScores:
    """What each group says of the parameters, and what all say together.

    Attributes
    ----------
    scores
        (G, P) gradients in psi: (beta, theta, log sigma), or (beta, theta, log phi).
    covariance
        (P, P) inverse of the observed information.
    """

    scores: Matrix
    covariance: Matrix

    @property
    def influence(self) -> Matrix:
        """(G, P) change of the estimate when a group counts a little more."""
        return self.scores @ self.covariance

    def sandwich(self) -> Matrix:
        """(P, P) robust covariance with the factor G / (G - 1)."""
        at = self.influence
        n = len(at)
        return n / (n - 1.0) * at.T @ at


def gaussian_scores(analysis: GaussianAnalysis, codes: Ints) -> GroupScores:
    """Of a Gaussian model; codes are the groups of the rows.

    The information of beta and of the variance parameters is taken apart: in
    expectation they do not meet.
    """
    e, p = analysis.estimate, len(analysis.estimate.beta)
    scores = np.stack([_gaussian_score(analysis, rows) for rows in _rows(codes)])
    to_log = np.append(np.ones(len(e.theta)), 1.0 / e.sigma)
    covariance = np.zeros((scores.shape[1],) * 2)
    covariance[:p, :p] = analysis.vcov
    covariance[p:, p:] = analysis.parameter_covariance * np.outer(to_log, to_log)
    return GroupScores(scores, covariance)


def _rows(codes: Ints) -> Iterator[Ints]:
    order = np.argsort(codes, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(codes))[:-1])


@dataclass(frozen=True, eq=False)
class _Term:
    """One term within one group: its columns level by level."""

    columns: Matrix  # (rows, levels * k)
    lam: Matrix
    p: Pattern


def _terms(design: Design, theta: Vector, rows: Ints, root: Vector) -> list[_Term]:
    out, start = [], 0
    for term in design.random:
        p = pattern([(len(term.names), term.correlated)])
        lam = factor_numpy(theta[start : start + p.n_theta], p)
        start += p.n_theta
        levels, local = np.unique(term.codes[rows], return_inverse=True)
        columns = np.zeros((len(rows), len(levels), p.k))
        columns[np.arange(len(rows)), local] = term.Z[rows] * root[:, None]
        out.append(_Term(columns.reshape(len(rows), -1), lam, p))
    return out


def _gaussian_score(analysis: GaussianAnalysis, rows: Ints) -> Vector:
    """Gradient of the log-density of some rows that depend on no others."""
    e, d = analysis.estimate, analysis.design
    root = np.sqrt(d.weights[rows]) if d.has_weights else np.ones(len(rows))
    X = d.X[rows] * root[:, None]
    r = (d.y - d.offset)[rows] * root - X @ e.beta
    terms = _terms(d, e.theta, rows, root)
    # V^-1 A = A - K (I + K'K)^-1 K'A with K = Z Lambda
    K = np.hstack([_times(t.columns, t.lam) for t in terms])
    S = np.eye(K.shape[1]) + K.T @ K

    def solve(a: Matrix) -> Matrix:
        return a - K @ np.linalg.solve(S, K.T @ a)

    weighed = solve(r)
    parts = [X.T @ weighed / e.sigma**2]
    for t in terms:
        reach = t.columns.T @ solve(t.columns)
        k = t.p.k
        levels = reach.shape[0] // k
        blocks = reach.reshape(levels, k, levels, k)
        trace = np.einsum("lilj->ij", blocks)
        q = (t.columns.T @ weighed).reshape(levels, k)
        slope = q.T @ q / e.sigma**2 - trace
        # d Sigma_a = E_a Lambda' + Lambda E_a'
        parts.append((slope @ t.lam)[list(t.p.rows), list(t.p.cols)])
    parts.append(np.array([r @ weighed / e.sigma**2 - len(rows)]))
    return np.concatenate(parts)


def _times(columns: Matrix, lam: Matrix) -> Matrix:
    k = len(lam)
    return (columns.reshape(len(columns), -1, k) @ lam).reshape(len(columns), -1)


def generalized_scores(analysis: GeneralizedAnalysis, codes: Ints) -> GroupScores:
    """Of a generalized model; codes are the groups of the rows."""
    e, marginal = analysis.estimate, analysis.model.marginal
    log_phi = None if e.phi is None else float(np.log(e.phi))
    x = marginal.problem.to_engine(e.beta, e.theta, log_phi)
    engine = accurate_engine(marginal.problem, marginal.rule, x)
    if isinstance(engine, QuadratureEngine):
        scores = _by_differences(engine, x, codes)
    else:
        assert isinstance(engine, LaplaceEngine)
        scores = _by_leaving_out(engine, x, codes)
    return GroupScores(scores @ marginal.problem.jacobian, analysis.covariance)


def _by_differences(engine: QuadratureEngine, x: Vector, codes: Ints) -> Matrix:
    """Differences of the log-likelihoods of the levels of the outermost factor."""
    level_codes = engine.problem.arranged.groups[-1].codes
    n_levels = engine.problem.arranged.groups[-1].n_levels
    group = np.empty(n_levels, dtype=np.int64)
    group[level_codes] = codes
    out = np.empty((int(codes.max()) + 1, len(x)))
    for a in range(len(x)):
        step = np.zeros(len(x))
        step[a] = STEP
        at = [engine.by_level(x + j * step).value for j in (-2, -1, 1, 2)]
        slope = (at[0] - 8.0 * at[1] + 8.0 * at[2] - at[3]) / (12.0 * STEP)
        out[:, a] = np.bincount(group, slope, len(out))
    return out


def _by_leaving_out(engine: LaplaceEngine, x: Vector, codes: Ints) -> Matrix:
    """The gradient of all rows less that of all rows but those of a group."""
    rows = engine.problem.rows
    whole = engine.derivatives(x).gradient
    out = np.empty((int(codes.max()) + 1, len(x)))
    for g in range(len(out)):
        weights = np.where(codes == g, 0.0, rows.weights)
        problem = replace(engine.problem, rows=rows._replace(weights=weights))
        out[g] = whole - LaplaceEngine(problem).derivatives(x).gradient
    return out
