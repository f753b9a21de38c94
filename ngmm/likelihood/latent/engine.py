"""A model with a latent vector per level and a rule: psi in, log-likelihood out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import NotSupportedError, OptionError
from ngmm.estimation.newton import NewtonResult
from ngmm.families import Family
from ngmm.likelihood.engines import MAX_CELLS
from ngmm.likelihood.integral import Integral
from ngmm.likelihood.latent import sums
from ngmm.likelihood.latent.data import (
    Cells,
    LatentData,
    LatentRows,
    cells_of,
    in_row_chunks,
    in_table,
    suits_table,
)
from ngmm.likelihood.latent.placement import FIRST, LatentPlacing
from ngmm.likelihood.latent.sums import LatentLayout, WeightShape
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.nodes import hermite, trapezoid, truncated
from ngmm.likelihood.nodes import nodes as node_table
from ngmm.likelihood.rules import (
    AdaptiveQuadrature,
    Auto,
    Rule,
    TruncatedQuadrature,
)
from ngmm.linalg import precise
from ngmm.networks.latent import LatentNetwork

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Nodes per dimension that "auto" tries, in order, few steps of them as each compiles
# anew: of the grid that all levels share,
# and about each level, by the dimension of v.
SHARED = (61, 121, 241)
OWN: dict[int, tuple[int, ...]] = {1: (21, 41, 81), 2: (11, 19, 27), 3: (7, 11)}
RADIUS = 6.5
# Grids that close in on each level's posterior density after the first.
PASSES = 3


class Derivatives(NamedTuple):
    """Log-likelihood, gradient and Hessian in psi."""

    value: float
    gradient: Vector
    hessian: Matrix


@dataclass(frozen=True, eq=False)
class LatentProblem:
    """A model before a rule is chosen.

    psi is (gamma, w, xi): coefficients of orthogonal columns of unit mean square, the
    network's weights as one vector, and log phi (log sigma^2 if Gaussian).

    Attributes
    ----------
    rows
        The data.
    cells
        Their distinct rows.
    family, network, shape
        Response distribution, h, and the shape of its weights.
    X, triangle
        Orthogonal columns (n, p), and the triangle with gamma = triangle beta.
    """

    rows: LatentRows
    cells: Cells
    family: Family
    network: LatentNetwork
    shape: WeightShape
    X: Matrix
    triangle: Matrix

    @property
    def has_scale(self) -> bool:
        """Whether psi ends in a log-dispersion."""
        return self.family.has_residual or self.family.dispersion is not None

    @property
    def n_beta(self) -> int:
        """Number of fixed-effect columns."""
        return self.X.shape[1]

    @property
    def n_psi(self) -> int:
        """Number of parameters."""
        return self.n_beta + self.shape.size + self.has_scale

    @property
    def jacobian(self) -> Matrix:
        """Derivatives of psi in (beta, w, xi)."""
        out = np.eye(self.n_psi)
        p = self.n_beta
        out[:p, :p] = self.triangle
        return out


def prepare_latent(
    rows: LatentRows, family: Family, network: LatentNetwork, shape: WeightShape
) -> LatentProblem:
    """Find the distinct rows and make the fixed-effect columns orthogonal."""
    cells = cells_of(rows)
    n, p = rows.X.shape
    # The triangle of all rows from the distinct ones, each as often as it occurs.
    often = np.sqrt(np.bincount(cells.of_row, minlength=cells.n))
    small = rows.X[cells.first]
    triangle = np.linalg.qr(often[:, None] * small, mode="r") if p else np.eye(0)
    triangle = triangle / np.sqrt(n)
    X = np.linalg.solve(triangle.T, small.T).T[cells.of_row] if p else rows.X
    return LatentProblem(rows, cells, family, network, shape, X, triangle)


@dataclass(frozen=True, eq=False)
class LatentEngine:
    """A problem with its nodes.

    Parameters
    ----------
    problem
        The model.
    placing
        The nodes.

    Raises
    ------
    OptionError
        If there are more nodes than memory allows.
    """

    problem: LatentProblem
    placing: LatentPlacing

    def __post_init__(self) -> None:
        """Refuse grids that would fill the memory."""
        size = int(np.bincount(self.problem.rows.codes).max())
        if not self.tabled and self.n_nodes * size > MAX_CELLS:
            raise OptionError(
                f"{self.n_nodes:,} nodes for each of the {size:,} rows of the largest "
                f"level are beyond the limit of {MAX_CELLS:,}. Use fewer nodes, or "
                "fewer latent dimensions"
            )

    @property
    def n_nodes(self) -> int:
        """Nodes of a level."""
        return len(node_table(self.placing.grid, self.problem.network.n_latent)[0])

    @property
    def tabled(self) -> bool:
        """Whether levels are counts of distinct rows."""
        common = self.placing.common
        return common and suits_table(self.problem.rows, self.problem.cells)

    @property
    def work(self) -> float:
        """Multiply-adds of an evaluation with derivatives, roughly."""
        rows, P = self.problem.rows, float(self.problem.n_psi)
        if self.tabled:
            cells = float(self.problem.cells.n)
            return self.n_nodes * cells * (rows.n_levels * cells + P * P)
        return self.n_nodes * (len(rows.y) + rows.n_levels) * P * P

    @cached_property
    def data(self) -> LatentData:
        """Rows, arranged."""
        problem = self.problem
        if self.tabled:
            return in_table(problem.rows, problem.cells, problem.X, self.n_nodes)
        width = self.n_nodes * max(1, problem.n_psi // 10)
        return in_row_chunks(problem.rows, problem.X, width)

    @property
    def n_places(self) -> int:
        """Levels in a chunk."""
        if self.data.counts is not None:
            return self.data.counts.shape[1]
        return int(self.data.rows.codes[0].max()) + 1

    @property
    def layout(self) -> LatentLayout:
        """What is compiled for."""
        p = self.problem
        return LatentLayout(
            p.family, p.network, p.shape, p.n_beta, self.n_places, self.placing
        )

    def value(self, x: Vector) -> float:
        """Log-likelihood."""
        with precise():
            return float(sums.value(x, self.data, layout=self.layout))

    def evaluate(self, x: Vector) -> Derivatives:
        """Log-likelihood and its derivatives, by the program that maximises."""
        found = self.maximise(x, np.zeros(len(x)), 1)
        return Derivatives(
            -0.5 * float(found.value), -0.5 * found.gradient, -0.5 * found.hessian
        )

    def maximise(self, x: Vector, penalty: Vector, max_steps: int) -> NewtonResult:
        """Trust-region Newton on -2 log-likelihood plus sum_j penalty_j x_j^2."""
        with precise():
            found = sums.maximise(
                x, self.data, penalty, np.int64(max_steps), layout=self.layout
            )
        return to_numpy(found)

    def posterior(self, x: Vector) -> sums.Posterior:
        """Posterior moments of every level, and the error of its integral."""
        with precise():
            found = to_numpy(sums.posterior_of(x, self.data, layout=self.layout))
        return sums.Posterior(*(self.collect(part) for part in found))

    def value_and_error(self, x: Vector) -> tuple[float, float]:
        """Log-likelihood, and its estimated absolute error."""
        found = self.posterior(x)
        error = float(found.difference.sum() + found.beyond.sum())
        rounding = 1e-13 * float(np.abs(found.value).sum())
        return float(found.value.sum()), error + rounding

    def integral(self, error: float | None) -> Integral:
        """The rule in words."""
        grid, d = self.placing.grid, self.problem.network.n_latent
        if self.placing.common:
            rule, name = "truncated", f"truncated at {grid.reach:g} sd"
        elif grid.name == "hermite":
            rule, name = "adaptive", "adaptive Gauss-Hermite"
        else:
            rule, name = "trapezoid", "adaptive trapezoid"
        times = f"{grid.n} nodes" + (f" x {d} dimensions" if d > 1 else "")
        return Integral(rule, f"{name}, {times}", self.n_nodes, d, error)

    def collect(self, by_place: Any) -> Any:
        """Values in the places of the chunks as values of levels."""
        n = self.problem.rows.n_levels
        if self.data.counts is not None:
            return by_place.reshape(-1, *by_place.shape[2:])[:n]
        # Rows are sorted by level, and places with rows come first in each chunk.
        codes, mask = self.data.rows.codes[0], self.data.rows.mask
        parts = [
            part[: int(c[m > 0].max()) + 1]
            for part, c, m in zip(by_place, codes, mask, strict=True)
        ]
        return np.concatenate(parts)


def own_placing(n: int, d: int) -> LatentPlacing:
    """Nodes about each level's posterior mean."""
    return LatentPlacing(trapezoid(n, d), PASSES)


def placings(problem: LatentProblem, rule: Rule) -> tuple[LatentPlacing, ...]:
    """The nodes of a rule; for "auto" several, each finer than the last.

    Raises
    ------
    NotSupportedError
        For a rule, or a number of dimensions, that latent vectors do not have.
    """
    d = problem.network.n_latent
    if d > max(FIRST):
        raise NotSupportedError(
            f"latent={d}: the latent vector of a level is integrated out on grids, "
            f"which are offered up to {max(FIRST)} dimensions"
        )
    if isinstance(rule, TruncatedQuadrature):
        return (LatentPlacing(truncated(rule.n_nodes, float(rule.radius))),)
    if isinstance(rule, AdaptiveQuadrature):
        return (LatentPlacing(hermite(rule.n_nodes), PASSES),)
    if not isinstance(rule, Auto):
        raise NotSupportedError(
            'quad="laplace" is not offered for neural random effects, whose posterior '
            "densities can have several peaks; leave quad out, or give the nodes"
        )
    own = tuple(own_placing(n, d) for n in OWN[d])
    if d == 1 and suits_table(problem.rows, problem.cells):
        return (*(LatentPlacing(truncated(n, RADIUS)) for n in SHARED), *own[1:])
    return own


def first_engine(problem: LatentProblem, rule: Rule) -> LatentEngine:
    """The fewest nodes of a rule."""
    return LatentEngine(problem, placings(problem, rule)[0])


def finer_engine(engine: LatentEngine, rule: Rule, x: Vector) -> LatentEngine | None:
    """The next nodes of a rule, if the error at x asks for them and there are any."""
    if not isinstance(rule, Auto):
        return None
    # Written so that an error that is not a number asks for more.
    if engine.value_and_error(x)[1] <= rule.tolerance:
        return None
    offered = placings(engine.problem, rule)
    later = offered[offered.index(engine.placing) + 1 :]
    return LatentEngine(engine.problem, later[0]) if later else None
