r"""Marginal likelihood of one grouping factor on a dense fixed lattice, in plain NumPy.

The integral of every group is a sum over equally spaced values of its spherical random
effects u in the ball of radius 9, which leaves out less than 1e-17 of the prior. The
spacing is such that the linear predictor changes by less than half a unit between
nodes: for a logistic response, analytic in a strip of half-width pi about the real
line, the sum is then exact to rounding (Trefethen & Weideman 2014, SIAM Rev. 56). No
node depends on the data of a group, no mode is searched for, and nothing is imported
from the package: what it computes can be held against this.

Derivatives are sums of scores over the posterior weights of the nodes (Fisher's
identity), and central differences of those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Radius of the lattice in standard deviations of u.
RADIUS = 9.0
# Largest step of a linear predictor between nodes, for values and for derivatives, of
# which six digits are wanted.
VALUE_STEP, SLOPE_STEP = 0.45, 0.9
# Largest step of u itself.
PRIOR_STEP = 0.25
# Nodes whose log-weight is this much below the largest do not matter for derivatives.
NEGLIGIBLE = 40.0
# Relative step of differences of scores.
DIFFERENCE = 1e-4


@dataclass(frozen=True, eq=False)
class BruteForce:
    """A model with one grouping factor and one or two correlated random effects.

    Parameters psi are the fixed effects, the lower triangle of Lambda by columns
    (b = Lambda u), and for the negative binomial the logarithm of its size.

    Attributes
    ----------
    family
        ``"bernoulli"``, ``"binomial"``, ``"poisson"`` or ``"negative_binomial"``, with
        their usual links.
    y, trials
        (n,) responses (counts of successes) and numbers of trials.
    X, Z
        (n, p) and (n, q) columns of fixed and random effects, q = 1 or 2.
    codes
        (n,) group of each row, from 0.
    """

    family: str
    y: Vector
    trials: Vector
    X: Matrix
    Z: Matrix
    codes: NDArray[np.int64]

    @property
    def q(self) -> int:
        """Random effects of a group."""
        return self.Z.shape[1]

    def split(self, psi: Vector) -> tuple[Vector, Matrix, float]:
        """Fixed effects, Lambda and the logarithm of the size."""
        p, q = self.X.shape[1], self.q
        theta = psi[p : p + q * (q + 1) // 2]
        lam = np.zeros((q, q))
        lam[np.tril_indices(q)[::-1]] = 0.0
        rows, cols = np.triu_indices(q)
        lam[cols, rows] = theta
        return psi[:p], lam, float(psi[-1])

    def loglik(self, psi: Vector) -> float:
        """Log-likelihood on the full lattice."""
        points, spacing = self._lattice(psi, VALUE_STEP)
        log_cell = float(np.log(spacing).sum())
        return sum(
            _log_sum(self._density(psi, rows, points)) + log_cell
            for rows in self._groups()
        )

    def edge(self, psi: Vector) -> float:
        """Largest share of a group's integral in the outermost tenth of the ball."""
        points, _ = self._lattice(psi, SLOPE_STEP)
        outside = (points * points).sum(1) > (0.9 * RADIUS) ** 2
        found = 0.0
        for rows in self._groups():
            density = self._density(psi, rows, points)
            share = np.exp(density - _log_sum(density))
            found = max(found, float(share[outside].sum()))
        return found

    def slopes(self, psi: Vector) -> tuple[float, Vector, Matrix]:
        """Log-likelihood on the coarser lattice, gradient and Hessian."""
        points, spacing = self._lattice(psi, SLOPE_STEP)
        log_cell = float(np.log(spacing).sum())
        kept = []
        for rows in self._groups():
            density = self._density(psi, rows, points)
            kept.append((rows, points[density > density.max() - NEGLIGIBLE]))
        value, gradient = self._score(psi, kept)
        d = len(psi)
        hessian = np.empty((d, d))
        for j in range(d):
            step = np.zeros(d)
            step[j] = DIFFERENCE * max(1.0, 0.1 * abs(psi[j]))
            up, down = self._score(psi + step, kept)[1], self._score(psi - step, kept)
            hessian[j] = (up - down[1]) / (2.0 * step[j])
        value += log_cell * len(kept)
        return value, gradient, 0.5 * (hessian + hessian.T)

    def _score(
        self, psi: Vector, kept: list[tuple[NDArray[np.int64], Matrix]]
    ) -> tuple[float, Vector]:
        """Sum of the nodes kept, and its derivative."""
        value, gradient = 0.0, np.zeros(len(psi))
        for rows, points in kept:
            density = self._density(psi, rows, points)
            total = _log_sum(density)
            value += total
            gradient += self._group_score(psi, rows, points, np.exp(density - total))
        return value, gradient

    def _group_score(
        self, psi: Vector, rows: NDArray[np.int64], points: Matrix, share: Vector
    ) -> Vector:
        """Mean over the nodes of the derivative of the log joint density."""
        eta = self._predictors(psi, rows, points)
        y, m = self.y[rows][:, None], self.trials[rows][:, None]
        xi = float(psi[-1])
        dispersion = []
        if self.family in {"bernoulli", "binomial"}:
            score = y - m * _logistic(eta)
        elif self.family == "poisson":
            score = y - np.exp(eta)
        else:
            size, mu = np.exp(xi), np.exp(eta)
            score = (y - mu) * size / (size + mu)
            by_size = digamma(y + size) - digamma(size) - np.log1p(mu / size)
            by_size = by_size + (mu - y) / (size + mu)
            dispersion = [size * float((by_size @ share).sum())]
        mean = score @ share
        # E[score_i u_c], (rows, q)
        with_u = score @ (share[:, None] * points)
        by_lam = self.Z[rows].T @ with_u
        r, c = np.triu_indices(self.q)
        return np.concatenate([self.X[rows].T @ mean, by_lam[c, r], dispersion])

    def _predictors(
        self, psi: Vector, rows: NDArray[np.int64], points: Matrix
    ) -> Matrix:
        """(rows, nodes) linear predictors."""
        beta, lam, _ = self.split(psi)
        return (self.X[rows] @ beta)[:, None] + (self.Z[rows] @ lam) @ points.T

    def _density(
        self, psi: Vector, rows: NDArray[np.int64], points: Matrix
    ) -> Vector:
        """(nodes,) log joint density of the responses of a group and u."""
        eta = self._predictors(psi, rows, points)
        y, m = self.y[rows][:, None], self.trials[rows][:, None]
        log_prior = -0.5 * (points * points).sum(1) - 0.5 * self.q * np.log(2 * np.pi)
        if self.family in {"bernoulli", "binomial"}:
            constant = gammaln(m + 1) - gammaln(y + 1) - gammaln(m - y + 1)
            value = y * eta - m * np.logaddexp(0.0, eta)
        elif self.family == "poisson":
            constant = -gammaln(y + 1)
            value = y * eta - np.exp(eta)
        else:
            xi = float(psi[-1])
            size = np.exp(xi)
            constant = gammaln(y + size) - gammaln(size) - gammaln(y + 1)
            # log(size + mu) without overflow or cancellation.
            rest = np.logaddexp(0.0, eta - xi)
            value = y * (eta - xi - rest) - size * rest
        return value.sum(0) + float(constant.sum()) + log_prior

    def _lattice(self, psi: Vector, step: float) -> tuple[Matrix, Vector]:
        """Nodes in the ball, and their spacing in each dimension."""
        _, lam, _ = self.split(psi)
        # Counts of a group determine its predictor to 1 / sqrt(total): nodes closer.
        total = np.bincount(self.codes, self.y)
        sharp = 1.0
        if self.family in {"poisson", "binomial"}:
            sharp = float(np.sqrt(max(1.0, 0.5 * total.max())))
        elif self.family == "negative_binomial":
            size = np.exp(min(float(psi[-1]), 30.0))
            rows = np.minimum(self.y, size)
            sharp = np.sqrt(max(1.0, 0.5 * np.bincount(self.codes, rows).max()))
        along = np.abs(self.Z @ lam).max(0)
        spacing = np.minimum(PRIOR_STEP, step / (sharp * np.maximum(along, 1e-300)))
        lines = [np.arange(-np.ceil(RADIUS / h), np.ceil(RADIUS / h) + 1) for h in spacing]
        mesh = np.meshgrid(*[h * k for h, k in zip(spacing, lines, strict=True)])
        points = np.stack(mesh, -1).reshape(-1, self.q)
        return points[(points * points).sum(1) <= RADIUS**2], spacing

    def _groups(self) -> list[NDArray[np.int64]]:
        order = np.argsort(self.codes, kind="stable")
        cuts = np.cumsum(np.bincount(self.codes))[:-1]
        return np.split(order, cuts)


def _log_sum(terms: Vector) -> float:
    top = terms.max()
    return float(top + np.log(np.exp(terms - top).sum()))


def _logistic(eta: Matrix) -> Matrix:
    small = np.exp(-np.abs(eta))
    return np.where(eta > 0, 1.0, small) / (1.0 + small)


def newton_gain(gradient: Vector, hessian: Matrix) -> tuple[float, float]:
    """Rise that a Newton step promises, and the lowest relative curvature.

    The curvature is the smallest eigenvalue of minus the Hessian over the largest, with
    unit diagonal; negative at a saddle. Directions flatter than differences of scores
    can tell from nothing do not count.
    """
    minus = -hessian
    scale = np.sqrt(np.maximum(np.abs(np.diag(minus)), 1e-12))
    values, vectors = np.linalg.eigh(minus / np.outer(scale, scale))
    c = vectors.T @ (gradient / scale)
    steep = values > 1e-7 * np.abs(values).max()
    gain = 0.5 * float((c[steep] ** 2 / values[steep]).sum())
    return gain, float(values[0] / np.abs(values).max())


def climb(model: BruteForce, psi: Vector, steps: int = 30) -> tuple[Vector, float]:
    """The end of a damped Newton search from psi, and the log-likelihood there."""
    value, gradient, hessian = model.slopes(psi)
    damping = 0.0
    for _ in range(steps):
        values, vectors = np.linalg.eigh(-hessian)
        lift = max(damping, -2.0 * values[0], 1e-8 * np.abs(values).max())
        curvature = np.maximum(values, 0.0) + (lift if values[0] <= lift else damping)
        step = vectors @ ((vectors.T @ gradient) / curvature)
        step *= min(1.0, 3.0 / np.linalg.norm(step))
        new = model.slopes(psi + step)
        if np.isfinite(new[0]) and new[0] > value - 1e-12:
            rise = new[0] - value
            psi, (value, gradient, hessian) = psi + step, new
            damping *= 0.1
            if rise < 1e-10:
                break
        else:
            damping = max(4.0 * damping, 0.1 * np.abs(values).max())
    return psi, value
