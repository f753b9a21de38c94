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
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Radius of the lattice in standard deviations of u.
RADIUS = 9.0
# Largest step of a linear predictor between nodes, for values and for derivatives, of
# which six digits are wanted.
VALUE_STEP, SLOPE_STEP = 0.45, 0.7
# Largest step of u itself.
PRIOR_STEP = 0.25
# Nodes whose log-weight is this much below the largest do not matter for derivatives.
NEGLIGIBLE = 36.0
# Relative step of differences of scores.
DIFFERENCE = 1e-4


class Block(NamedTuple):
    """Groups handled together: their rows in order, groups of these, first rows."""

    rows: NDArray[np.int64]
    group: NDArray[np.int64]
    starts: NDArray[np.int64]


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
        columns, rows = np.triu_indices(q)
        lam[rows, columns] = theta
        return psi[:p], lam, float(psi[-1])

    def loglik(self, psi: Vector) -> float:
        """Log-likelihood by nodes as close as `VALUE_STEP` says."""
        total = 0.0
        for block in self._blocks:
            points, log_cell = self._nodes(psi, block, VALUE_STEP)
            value = _log_sum(self._density(psi, block, points)) + log_cell
            total += float(value.sum())
        return total

    def edge(self, psi: Vector) -> float:
        """Largest share of a group's integral in the outermost tenth of the ball."""
        found = 0.0
        for block in self._blocks:
            points, _ = self._nodes(psi, block, SLOPE_STEP)
            outside = (points * points).sum(1) > (0.9 * RADIUS) ** 2
            density = self._density(psi, block, points)
            share = np.exp(density - _log_sum(density)[:, None])
            found = max(found, float(share[:, outside].sum(1).max()))
        return found

    def slopes(self, psi: Vector) -> tuple[float, Vector, Matrix]:
        """Log-likelihood by fewer nodes, gradient and Hessian."""
        found = [self._nodes(psi, block, SLOPE_STEP) for block in self._blocks]
        kept = [points for points, _ in found]
        value, gradient = self._score(psi, kept)
        d = len(psi)
        hessian = np.empty((d, d))
        for j in range(d):
            step = np.zeros(d)
            step[j] = DIFFERENCE * max(1.0, 0.1 * abs(psi[j]))
            up, down = self._score(psi + step, kept)[1], self._score(psi - step, kept)
            hessian[j] = (up - down[1]) / (2.0 * step[j])
        value += sum(
            log_cell * len(block.starts)
            for (_, log_cell), block in zip(found, self._blocks, strict=True)
        )
        return value, gradient, 0.5 * (hessian + hessian.T)

    def _score(self, psi: Vector, kept: list[Matrix]) -> tuple[float, Vector]:
        """Sum of the nodes kept, and its derivative."""
        value, gradient = 0.0, np.zeros(len(psi))
        for block, points in zip(self._blocks, kept, strict=True):
            density = self._density(psi, block, points)
            total = _log_sum(density)
            value += float(total.sum())
            share = np.exp(density - total[:, None])
            gradient += self._block_score(psi, block, points, share)
        return value, gradient

    def _block_score(
        self, psi: Vector, block: Block, points: Matrix, share: Matrix
    ) -> Vector:
        """Mean over the nodes of the derivative of the log joint density."""
        rows = block.rows
        eta = self._predictors(psi, block, points)
        y, m = self.y[rows][:, None], self.trials[rows][:, None]
        share = share[block.group]
        dispersion = []
        if self.family in {"bernoulli", "binomial"}:
            score = y - m * _logistic(eta)
        elif self.family == "poisson":
            score = y - np.exp(eta)
        else:
            size, mu = np.exp(float(psi[-1])), np.exp(eta)
            score = (y - mu) * size / (size + mu)
            by_size = _rising(self.y[rows], size, slope=True)[:, None]
            by_size = by_size - np.log1p(mu / size) + (mu - y) / (size + mu)
            dispersion = [size * float((by_size * share).sum())]
        score = score * share
        by_lam = self.Z[rows].T @ (score @ points)
        column, row = np.triu_indices(self.q)
        by_theta = by_lam[row, column]
        return np.concatenate([self.X[rows].T @ score.sum(1), by_theta, dispersion])

    def _predictors(self, psi: Vector, block: Block, points: Matrix) -> Matrix:
        """(rows, nodes) linear predictors."""
        beta, lam, _ = self.split(psi)
        rows = block.rows
        return (self.X[rows] @ beta)[:, None] + (self.Z[rows] @ lam) @ points.T

    def _density(self, psi: Vector, block: Block, points: Matrix) -> Matrix:
        """(groups, nodes) log joint density of the responses of a group and u."""
        eta = self._predictors(psi, block, points)
        rows = block.rows
        y, m = self.y[rows][:, None], self.trials[rows][:, None]
        log_prior = -0.5 * (points * points).sum(1) - 0.5 * self.q * np.log(2 * np.pi)
        if self.family in {"bernoulli", "binomial"}:
            constant = gammaln(m + 1) - gammaln(y + 1) - gammaln(m - y + 1)
            value = y * eta - m * _softplus(eta)
        elif self.family == "poisson":
            constant = -gammaln(y + 1)
            value = y * eta - np.exp(eta)
        else:
            xi = float(psi[-1])
            size = np.exp(xi)
            constant = _rising(self.y[rows], size)[:, None] - gammaln(y + 1)
            # log(1 + mu / size), of which all digits matter where the size is large.
            rest = np.logaddexp(0.0, eta - xi)
            value = y * (eta - rest) - size * rest
        return np.add.reduceat(value + constant, block.starts) + log_prior

    def _nodes(self, psi: Vector, block: Block, step: float) -> tuple[Matrix, float]:
        """Nodes that matter, and the logarithm of the volume of their cells."""
        spacing = self._spacing(psi, block, step)
        # The lattice is that of the finest of these spacings; coarser ones only find
        # where the integrand is.
        level = int(np.ceil(np.log2(PRIOR_STEP / spacing.max()))) if self.q > 1 else 0
        half = np.ceil(RADIUS / (spacing * 2**level)).astype(int)
        lines = [np.arange(-n, n + 1) * 2**level for n in half]
        nodes = np.stack(np.meshgrid(*lines), -1).reshape(-1, self.q)
        nodes = nodes[((nodes * spacing) ** 2).sum(1) <= RADIUS**2]
        for finer in 2 ** np.arange(level)[::-1]:
            density = self._density(psi, block, nodes * spacing)[0]
            slack = self._slack(psi, block, 2.0 * finer * spacing)
            kept = nodes[density > density.max() - NEGLIGIBLE - slack]
            nodes = _around(kept, finer)
        return nodes * spacing, float(np.log(spacing).sum())

    def _spacing(self, psi: Vector, block: Block, step: float) -> Vector:
        """Spacing of the lattice in each dimension."""
        along = np.abs(self.Z[block.rows] @ self.split(psi)[1]).max(0)
        sharp = np.sqrt(max(1.0, self._information(psi, block)))
        return np.minimum(PRIOR_STEP, step / (sharp * np.maximum(along, 1e-300)))

    def _information(self, psi: Vector, block: Block) -> float:
        """What the responses of a group tell of its predictor, at most.

        They determine it to one over the root of this.
        """
        y, m = self.y[block.rows], self.trials[block.rows]
        if self.family in {"bernoulli", "binomial"}:
            won = np.add.reduceat(y, block.starts)
            lost = np.add.reduceat(m - y, block.starts)
            return float(np.minimum(won, lost).max())
        if self.family == "negative_binomial":
            y = np.minimum(y, np.exp(min(float(psi[-1]), 30.0)))
        return float(np.add.reduceat(y, block.starts).max())

    def _slack(self, psi: Vector, block: Block, gap: Vector) -> float:
        """How far the log-density of a node may lie below one that is next to it."""
        along = np.abs(self.Z[block.rows] @ self.split(psi)[1]).max(0)
        move = float(((gap * along) ** 2).sum()) * self._information(psi, block)
        move += float((gap * gap).sum())
        return move + np.sqrt(2.0 * NEGLIGIBLE * move)

    @cached_property
    def _blocks(self) -> list[Block]:
        """All groups together; one by one in two dimensions, whose lattice is large."""
        order = np.argsort(self.codes, kind="stable")
        size = np.bincount(self.codes)
        starts = np.cumsum(size) - size
        if self.q == 1:
            return [Block(order, self.codes[order], starts)]
        return [
            Block(rows, np.zeros(len(rows), np.int64), np.zeros(1, np.int64))
            for rows in np.split(order, starts[1:])
        ]


def _around(nodes: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Nodes of a lattice of this step in the cells about those of twice the step."""
    offsets = np.arange(-2, 3) * step
    # One number for a pair, which is much faster to sort.
    base = 2**31
    single = nodes[:, 0] * base + nodes[:, 1]
    shifts = (offsets[:, None] * base + offsets).reshape(-1)
    found = np.unique(single[:, None] + shifts)
    second = (found + base // 2) % base - base // 2
    return np.column_stack([(found - second) // base, second])


def _log_sum(terms: Matrix) -> Vector:
    top = terms.max(1)
    return top + np.log(np.exp(terms - top[:, None]).sum(1))


def _rising(y: Vector, size: float, *, slope: bool = False) -> Vector:
    """Log of size (size + 1) ... (size + y - 1) / size^y, or the first of its slopes.

    The slope is that of the product without the power, sum of 1 / (size + j).
    """
    j = np.arange(max(1.0, y.max()))
    terms = 1.0 / (size + j) if slope else np.log1p(j / size)
    return np.append(0.0, np.cumsum(terms))[y.astype(int)]


def _softplus(eta: Matrix) -> Matrix:
    # log(1 + x), not log1p, which is slower: 1e-16 of the sum does not matter here.
    return np.maximum(eta, 0.0) + np.log(1.0 + np.exp(-np.abs(eta)))


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
        lift = max(damping, -2.0 * values[0], 1e-10 * np.abs(values).max())
        step = vectors @ ((vectors.T @ gradient) / (values + lift))
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
