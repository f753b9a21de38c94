"""Mixed models by dense matrices of extended precision: textbook formulas, n x n.

Nothing here comes from the engine: only the design's columns and codes are read. On
platforms without an extended type the formulas run in double precision, which is enough
for well-conditioned models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ngmm.design import Design, RandomDesign

LONG = np.longdouble
Matrix = NDArray[Any]


def cholesky(a: Matrix) -> Matrix:
    """Lower triangular factor."""
    a, out = np.array(a, dtype=LONG), np.zeros(a.shape, dtype=LONG)
    for j in range(len(a)):
        if not a[j, j] > 0:
            raise ValueError("not positive definite")
        out[j:, j] = a[j:, j] / np.sqrt(a[j, j])
        a -= np.outer(out[:, j], out[:, j])
    return out


def solve(a: Matrix, b: Matrix) -> Matrix:
    """Solve a x = b for positive definite a and b of one or two dimensions."""
    factor = cholesky(a)
    x = np.array(b, dtype=LONG)
    for i in range(len(x)):
        x[i] = (x[i] - factor[i, :i] @ x[:i]) / factor[i, i]
    for i in reversed(range(len(x))):
        x[i] = (x[i] - factor[i + 1 :, i] @ x[i + 1 :]) / factor[i, i]
    return x


def log_det(a: Matrix) -> Any:
    """log|a| of a positive definite matrix."""
    return 2 * np.log(np.diag(cholesky(a))).sum() if len(a) else LONG(0)


def random_columns(term: RandomDesign) -> Matrix:
    """Z of one term, levels outermost: (n, levels k)."""
    n, k = term.Z.shape
    out = np.zeros((n, term.n_levels, k), dtype=LONG)
    out[np.arange(n), term.codes] = term.Z
    return out.reshape(n, -1)


def relative_factor(theta: Matrix, k: int, *, correlated: bool) -> Matrix:
    """Lambda of one term: lower triangle by columns, or its diagonal."""
    lam = np.zeros((k, k), dtype=LONG)
    where = (
        [(i, j) for j in range(k) for i in range(j, k)]
        if correlated
        else [(i, i) for i in range(k)]
    )
    for (i, j), value in zip(where, theta, strict=True):
        lam[i, j] = value
    return lam


def term_factors(design: Design, theta: ArrayLike) -> list[Matrix]:
    """Lambda of every term."""
    theta = np.asarray(theta, dtype=LONG)
    out, start = [], 0
    for term in design.random:
        k = term.Z.shape[1]
        size = k * (k + 1) // 2 if term.correlated else k
        part = theta[start : start + size]
        out.append(relative_factor(part, k, correlated=term.correlated))
        start += size
    assert start == len(theta)
    return out


@dataclass(frozen=True, eq=False)
class Dense:
    """A model at one theta; covariances are relative to sigma^2."""

    design: Design
    theta: ArrayLike

    @cached_property
    def Z(self) -> Matrix:  # noqa: N802, the field's letter
        """(n, q) columns of all random effects, by term, level, effect."""
        return np.hstack([random_columns(t) for t in self.design.random])

    @cached_property
    def Sigma(self) -> Matrix:  # noqa: N802
        """(q, q) covariance of the random effects."""
        parts = [
            np.kron(np.eye(t.n_levels, dtype=LONG), lam @ lam.T)
            for t, lam in zip(
                self.design.random, term_factors(self.design, self.theta), strict=True
            )
        ]
        out = np.zeros((self.Z.shape[1],) * 2, dtype=LONG)
        start = 0
        for part in parts:
            at = slice(start, start + len(part))
            out[at, at] = part
            start += len(part)
        return out

    @cached_property
    def V(self) -> Matrix:  # noqa: N802
        """(n, n) covariance of the response."""
        noise = np.diag(1 / self.design.weights.astype(LONG))
        return noise + self.Z @ self.Sigma @ self.Z.T

    @cached_property
    def y(self) -> Matrix:
        """Response less its offset."""
        return self.design.y.astype(LONG) - self.design.offset

    @cached_property
    def scale(self) -> Matrix:
        """Sizes of the columns of X, which are divided out before squaring."""
        return np.abs(self.design.X).max(0).astype(LONG)

    @cached_property
    def information(self) -> Matrix:
        """X' V^-1 X of the scaled columns."""
        X = self.design.X / self.scale
        return X.T @ solve(self.V, X)

    @cached_property
    def beta(self) -> Matrix:
        """Generalised least squares, with one step of refinement."""
        X = self.design.X / self.scale
        beta = np.zeros(X.shape[1], dtype=LONG)
        for _ in range(2):
            slope = X.T @ solve(self.V, self.y - X @ beta)
            beta = beta + solve(self.information, slope)
        return beta / self.scale

    @cached_property
    def unscaled_vcov(self) -> Matrix:
        """(X' V^-1 X)^-1."""
        inverse = solve(self.information, np.eye(len(self.scale)))
        return inverse / np.outer(self.scale, self.scale)

    def rss(self, beta: ArrayLike | None = None) -> Any:
        """(y - X beta)' V^-1 (y - X beta)."""
        beta = self.beta if beta is None else np.asarray(beta, dtype=LONG)
        r = self.y - self.design.X @ beta
        return r @ solve(self.V, r)

    def loglik(self, sigma: float | None = None, beta: ArrayLike | None = None) -> Any:
        """Log-density of the response; best sigma and beta where not given."""
        n, rss = len(self.y), self.rss(beta)
        variance = rss / n if sigma is None else LONG(sigma) ** 2
        log_dets = n * np.log(2 * LONG(np.pi) * variance) + log_det(self.V)
        return -(log_dets + rss / variance) / 2

    def restricted_loglik(self, sigma: float | None = None) -> Any:
        """That density integrated over beta."""
        n, p = self.design.X.shape
        rss = self.rss()
        variance = rss / (n - p) if sigma is None else LONG(sigma) ** 2
        log_dets = (n - p) * np.log(2 * LONG(np.pi) * variance) + log_det(self.V)
        log_dets += log_det(self.information) + 2 * np.log(self.scale).sum()
        return -(log_dets + rss / variance) / 2

    @cached_property
    def modes(self) -> Matrix:
        """Best predictor of the random effects: Sigma Z' V^-1 (y - X beta)."""
        r = self.y - self.design.X @ self.beta
        return self.Sigma @ self.Z.T @ solve(self.V, r)

    @cached_property
    def conditional_covariance(self) -> Matrix:
        """Covariance of the random effects given y and beta: (Z'WZ + Sigma^-1)^-1."""
        weighted = self.Z.T * self.design.weights
        q = len(self.Sigma)
        inverse = solve(self.Sigma, np.eye(q))
        return solve(weighted @ self.Z + inverse, np.eye(q))

    @cached_property
    def henderson(self) -> Matrix:
        """Inverse of Henderson's matrix: the error covariance of (beta, b)."""
        p, q = len(self.scale), len(self.Sigma)
        columns = np.hstack([self.design.X, self.Z])
        matrix = (columns.T * self.design.weights) @ columns
        matrix[p:, p:] += solve(self.Sigma, np.eye(q))
        return solve(matrix, np.eye(p + q))
