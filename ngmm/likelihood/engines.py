"""A generalized problem with a rule of integration: psi in, log-likelihood out.

Two engines share one interface: `QuadratureEngine` for one grouping factor or two
nested ones, and `LaplaceEngine` for any structure. Both work on the engine's psi and
keep what is arranged once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.estimation.newton import NewtonResult
from ngmm.likelihood import laplace, single
from ngmm.likelihood.chunks import Chunks, in_chunks
from ngmm.likelihood.condense import Slots
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.integral import Integral
from ngmm.likelihood.joint import Effects, JointLayout, Meeting, meet, to_levels
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.nested import NestedLayout, Pair
from ngmm.likelihood.nodes import Grid
from ngmm.likelihood.quadrature import Assessment, Placing, SingleLayout
from ngmm.likelihood.rules import MAX_NODES
from ngmm.linalg import precise

Vector = NDArray[np.float64]

# Rows of the largest level by nodes: 1.2 GB for an array of doubles, of which about ten
# are alive at once.
MAX_CELLS = 15_000_000
# Columns that cost as much memory as another set of nodes.
COLUMNS_PER_NODE = 8


class Derivatives(NamedTuple):
    """Log-likelihood, gradient and Hessian in the engine's psi."""

    value: float
    gradient: Vector
    hessian: Vector


class Engine(Protocol):
    """What a rule of integration offers."""

    @property
    def problem(self) -> GeneralizedProblem:
        """The model."""
        ...

    def value(self, x: Vector) -> float:
        """Log-likelihood alone."""
        ...

    def derivatives(self, x: Vector) -> Derivatives:
        """Log-likelihood and its derivatives."""
        ...

    def maximise(self, x: Vector, max_steps: int) -> NewtonResult:
        """Trust-region Newton from x; aux is what `modes` takes."""
        ...

    def kept(self, x: Vector) -> Any:
        """What an evaluation at x leaves: modes and how the search for them ended."""
        ...

    def modes(self, kept: Any) -> tuple[Vector, ...]:
        """Spherical modes of each factor: (levels, k)."""
        ...

    def unsettled(self, kept: Any) -> int:
        """Levels whose mode was not found."""
        ...

    def error(self, x: Vector) -> float | None:
        """Estimated absolute error of the log-likelihood; None if it is not known."""
        ...

    def objective(self) -> tuple[Callable[..., Array], tuple[Any, ...], Hashable]:
        """Minus the log-likelihood as a function to differentiate, with its data."""
        ...

    def integral(self, error: float | None) -> Integral:
        """The rule in words."""
        ...


@dataclass(frozen=True, eq=False)
class QuadratureEngine:
    """One grouping factor, or one nested in another, by quadrature.

    Parameters
    ----------
    problem
        The model.
    placing
        The nodes.
    n_columns
        Columns beside those of X that derivatives will be asked for.

    Raises
    ------
    OptionError
        If there are more nodes than memory allows.
    """

    problem: GeneralizedProblem
    placing: Placing
    n_columns: int = 0

    def __post_init__(self) -> None:
        """Refuse grids that would fill the memory."""
        size = int(np.bincount(self.problem.rows.codes[-1]).max())
        nodes = self.n_nodes
        if nodes > MAX_NODES or nodes * size > MAX_CELLS:
            per = f"{self.placing.grid.n} nodes in each of {self.dimensions} dimensions"
            outer = self.problem.arranged.groups[-1]
            raise OptionError(
                f"{per} are {nodes:,} nodes for every row, and the largest of "
                f"{outer.n_levels:,} levels has {size:,} rows: beyond the limits of "
                f"{MAX_NODES:,} nodes and {MAX_CELLS:,} rows times nodes. Use fewer "
                'nodes, or quad="laplace"'
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Random effects of a level, by factor."""
        return tuple(p.k for p in self.problem.arranged.patterns)

    @property
    def dimensions(self) -> int:
        """Dimensions of all integrals of a row."""
        return sum(self.sizes)

    @property
    def n_nodes(self) -> int:
        """Nodes of a row, in all integrals together."""
        grid, total = self.placing.grid, 1.0
        for k in self.sizes:
            doubled = grid.name == "trapezoid" and k > 1
            total *= (1 + doubled) * float(grid.n) ** k
        return int(total)

    @cached_property
    def chunks(self) -> Chunks:
        """Rows in chunks of whole levels."""
        n_levels = self.problem.arranged.groups[-1].n_levels
        # Scores are formed by row, node and column.
        cells = self.n_nodes * (1 + self.n_columns // COLUMNS_PER_NODE)
        # And curvatures by row and pair of random effects.
        cells = max(cells, self.dimensions**2)
        return in_chunks(self.problem.rows, n_levels, cells)

    @property
    def layout(self) -> single.AnyLayout:
        """What is compiled for."""
        family, patterns = self.problem.family, self.problem.arranged.patterns
        places = [level.shape[1] for level in self.chunks.levels]
        if len(patterns) == 1:
            return SingleLayout(
                family, patterns[0], self.problem.n_beta, places[0], self.placing
            )
        pair = (patterns[0], patterns[1])
        return NestedLayout(
            family, pair, self.problem.n_beta, places[0], places[1], self.placing
        )

    @property
    def zero(self) -> Any:
        """Modes to start from."""
        zeros = [
            np.zeros((*level.shape, k))
            for level, k in zip(self.chunks.levels, self.sizes, strict=True)
        ]
        return zeros[0] if len(zeros) == 1 else Pair(*zeros)

    def value(self, x: Vector) -> float:
        """Log-likelihood alone."""
        with precise():
            found = single.value(x, self.chunks.rows, self.zero, layout=self.layout)
        return float(found)

    def sums(self, x: Vector) -> single.Sums:
        """Everything one evaluation gives."""
        with precise():
            found = single.evaluate(x, self.chunks.rows, self.zero, layout=self.layout)
        return to_numpy(found)

    def derivatives(self, x: Vector) -> Derivatives:
        """Log-likelihood and its derivatives."""
        s = self.sums(x)
        return Derivatives(float(s.value), s.gradient, s.hessian)

    def maximise(self, x: Vector, max_steps: int) -> NewtonResult:
        """Trust-region Newton from x."""
        rows, zero = self.chunks.rows, self.zero
        with precise():
            found = single.maximise(
                x, rows, zero, np.int64(max_steps), layout=self.layout
            )
        return to_numpy(found)

    def kept(self, x: Vector) -> single.Kept:
        """Modes at x."""
        s = self.sums(x)
        return single.Kept(s.u, s.unsettled)

    def modes(self, kept: single.Kept) -> tuple[Vector, ...]:
        """Spherical modes of each factor: (levels, k)."""
        u = (kept.u,) if len(self.sizes) == 1 else kept.u
        return tuple(self.chunks.collect(part, j) for j, part in enumerate(u))

    def unsettled(self, kept: single.Kept) -> int:
        """Levels whose mode was not found."""
        return int(kept.unsettled)

    def by_level(self, x: Vector) -> Assessment:
        """Log-likelihood and estimated error of every outermost level."""
        with precise():
            found = single.assess(x, self.chunks.rows, self.zero, layout=self.layout)
        last = len(self.sizes) - 1
        return Assessment(*(self.chunks.collect(a, last) for a in to_numpy(found)))

    def value_and_error(self, x: Vector) -> tuple[float, float]:
        """Log-likelihood, and its estimated absolute error."""
        found = self.by_level(x)
        # What the rounding of a sum of this size leaves.
        rounding = 1e-13 * float(np.abs(found.value).sum())
        error = float(found.difference.sum() + found.beyond.sum())
        return float(found.value.sum()), error + rounding

    def error(self, x: Vector) -> float:
        """Estimated absolute error of the log-likelihood."""
        return self.value_and_error(x)[1]

    def objective(self) -> tuple[Callable[..., Array], tuple[Any, ...], Hashable]:
        """Minus the log-likelihood as a function to differentiate, with its data."""
        return single.negative, (self.chunks.rows, self.zero), self.layout

    def integral(self, error: float | None) -> Integral:
        """The rule in words."""
        grid, q = self.placing.grid, self.dimensions
        if grid.name == "hermite" and grid.n == 1:
            return Integral("laplace", "Laplace", 1, q, error)
        rule = "adaptive" if grid.name == "hermite" else grid.name
        name = {
            "adaptive": "adaptive Gauss-Hermite",
            "trapezoid": "adaptive trapezoid",
            "truncated": f"truncated at {grid.reach:g} sd",
        }[rule]
        times = [_times(grid, k) for k in self.sizes]
        if len(times) == 1:
            return Integral(rule, f"{name}, {times[0]}", self.n_nodes, q, error)
        text = f"nested {name}, {times[1]} outside, {times[0]} inside"
        return Integral("nested", text, self.n_nodes, q, error)


def _times(grid: Grid, k: int) -> str:
    """Nodes of one integral in words."""
    if k == 1:
        return f"{grid.n} nodes"
    doubled = "2 x " if grid.name == "trapezoid" else ""
    return f"{doubled}{grid.n} nodes x {k} dimensions"


@dataclass(frozen=True, eq=False)
class LaplaceEngine:
    """Several grouping factors, by Laplace's approximation."""

    problem: GeneralizedProblem

    @cached_property
    def _met(self) -> tuple[Meeting, Layout, Slots]:
        arranged = self.problem.arranged
        return meet(arranged.groups, arranged.patterns, self.problem.n_beta)

    @property
    def meeting(self) -> Meeting:
        """Where the rows meet."""
        return self._met[0]

    @property
    def layout(self) -> JointLayout:
        """What is compiled for."""
        n_levels = self.problem.arranged.groups[0].n_levels
        return JointLayout(self.problem.family, self._met[1], n_levels)

    @property
    def zero(self) -> laplace.JointKept:
        """Modes to start from."""
        layout = self._met[1]
        levels = self.layout.n_levels
        return laplace.JointKept(
            Effects(
                np.zeros((levels, layout.first.k)),
                np.zeros((layout.n_components, layout.width)),
            ),
            np.int64(0),
        )

    def value(self, x: Vector) -> float:
        """Log-likelihood alone."""
        rows, meeting = self.problem.rows, self.meeting
        with precise():
            found = laplace.value(x, rows, meeting, self.zero, layout=self.layout)
        return float(found)

    def sums(self, x: Vector) -> laplace.JointSums:
        """Everything one evaluation gives."""
        rows, meeting = self.problem.rows, self.meeting
        with precise():
            found = laplace.evaluate(x, rows, meeting, self.zero, layout=self.layout)
        return to_numpy(found)

    def derivatives(self, x: Vector) -> Derivatives:
        """Log-likelihood and its derivatives."""
        s = self.sums(x)
        return Derivatives(float(s.value), s.gradient, s.hessian)

    def maximise(self, x: Vector, max_steps: int) -> NewtonResult:
        """Trust-region Newton from x."""
        rows, meeting = self.problem.rows, self.meeting
        with precise():
            found = laplace.maximise(
                x, rows, meeting, self.zero, np.int64(max_steps), layout=self.layout
            )
        return to_numpy(found)

    def kept(self, x: Vector) -> laplace.JointKept:
        """Modes at x."""
        return self.sums(x).kept

    def modes(self, kept: laplace.JointKept) -> tuple[Vector, ...]:
        """Spherical modes of each factor: (levels, k)."""
        column = self._met[2].column
        patterns = self.problem.arranged.patterns[1:]
        return (
            kept.u.first,
            *(
                to_levels(kept.u.dense, c, p.k)
                for c, p in zip(column, patterns, strict=True)
            ),
        )

    def unsettled(self, kept: laplace.JointKept) -> int:
        """One if the joint mode was not found."""
        return int(kept.unsettled)

    def error(self, x: Vector) -> None:
        """Not known: there is no finer rule to compare with."""

    def objective(self) -> tuple[Callable[..., Array], tuple[Any, ...], Hashable]:
        """Minus the log-likelihood as a function to differentiate, with its data."""
        data = (self.problem.rows, self.meeting, self.zero)
        return laplace.negative, data, self.layout

    def integral(self, error: float | None) -> Integral:
        """The rule in words."""
        q = sum(p.k for p in self.problem.arranged.patterns)
        return Integral("laplace", "Laplace", 1, q, error)
