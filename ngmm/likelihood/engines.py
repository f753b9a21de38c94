"""A generalized problem with a rule of integration: psi in, log-likelihood out.

Two engines share one interface: `SingleEngine` for one grouping factor, by quadrature,
and `LaplaceEngine` for any structure. Both work on the engine's psi and keep what is
compiled and arranged once.
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
from ngmm.likelihood.quadrature import Placing, SingleLayout
from ngmm.likelihood.rules import MAX_NODES
from ngmm.linalg import precise

Vector = NDArray[np.float64]

# Rows of the largest level by nodes: 1.2 GB for an array of doubles, of which about ten
# are alive at once.
MAX_CELLS = 15_000_000


class Derivatives(NamedTuple):
    """Log-likelihood, gradient and Hessian in the engine's psi."""

    value: float
    gradient: Vector
    hessian: Vector


class Engine(Protocol):
    """What a rule of integration offers."""

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
class SingleEngine:
    """One grouping factor, by quadrature.

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

    problem: GeneralizedProblem
    placing: Placing

    def __post_init__(self) -> None:
        """Refuse grids that would fill the memory."""
        nodes, q = self.n_nodes, self.dimensions
        size = int(np.bincount(self.problem.rows.codes[0]).max())
        if nodes > MAX_NODES or nodes * size > MAX_CELLS:
            per = f"{self.placing.grid.n} nodes in each of {q} dimensions are "
            raise OptionError(
                f"{per if q > 1 else ''}{nodes:,} nodes for every level, whose largest "
                f"has {size:,} rows: beyond the limits of {MAX_NODES:,} nodes and "
                f'{MAX_CELLS:,} rows times nodes. Use fewer nodes, or quad="laplace"'
            )

    @property
    def dimensions(self) -> int:
        """Random effects of a level."""
        return self.problem.arranged.patterns[0].k

    @property
    def n_nodes(self) -> int:
        """Nodes of one integral."""
        grid, q = self.placing.grid, self.dimensions
        doubled = grid.name == "trapezoid" and q > 1
        return int((1 + doubled) * float(grid.n) ** q)

    @cached_property
    def chunks(self) -> Chunks:
        """Rows in chunks of whole levels."""
        nodes = max(self.n_nodes, 1)
        n_levels = self.problem.arranged.groups[0].n_levels
        return in_chunks(self.problem.rows, n_levels, nodes)

    @property
    def layout(self) -> SingleLayout:
        """What is compiled for."""
        return SingleLayout(
            self.problem.family,
            self.problem.arranged.patterns[0],
            self.problem.n_beta,
            self.chunks.n_levels,
            self.placing,
        )

    @property
    def _zero(self) -> Vector:
        return np.zeros((*self.chunks.level.shape, self.dimensions))

    def sums(self, x: Vector) -> single.Sums:
        """Everything one evaluation gives."""
        with precise():
            found = single.evaluate(x, self.chunks.rows, self._zero, layout=self.layout)
        return to_numpy(found)

    def derivatives(self, x: Vector) -> Derivatives:
        """Log-likelihood and its derivatives."""
        s = self.sums(x)
        return Derivatives(float(s.value), s.gradient, s.hessian)

    def maximise(self, x: Vector, max_steps: int) -> NewtonResult:
        """Trust-region Newton from x."""
        rows, zero = self.chunks.rows, self._zero
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
        """Spherical modes: (levels, k)."""
        return (self.chunks.collect(kept.u),)

    def unsettled(self, kept: single.Kept) -> int:
        """Levels whose mode was not found."""
        return int(kept.unsettled)

    def by_level(self, x: Vector) -> single.Assessment:
        """Log-likelihood and estimated error of every level, (levels,) each."""
        with precise():
            found = single.assess(x, self.chunks.rows, self._zero, layout=self.layout)
        return single.Assessment(*(self.chunks.collect(a) for a in to_numpy(found)))

    def error(self, x: Vector) -> float:
        """Estimated absolute error of the log-likelihood."""
        found = self.by_level(x)
        value = float(np.abs(found.value).sum())
        # What the rounding of a sum of this size leaves.
        return float(found.difference.sum() + found.beyond.sum()) + 1e-14 * value

    def objective(self) -> tuple[Callable[..., Array], tuple[Any, ...], Hashable]:
        """Minus the log-likelihood as a function to differentiate, with its data."""
        return single.negative, (self.chunks.rows, self._zero), self.layout

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
        times = f"{grid.n} nodes" if q == 1 else f"{grid.n} nodes x {q} dimensions"
        if rule == "trapezoid" and q > 1:
            times = f"2 x {times}"
        return Integral(rule, f"{name}, {times}", self.n_nodes, q, error)


@dataclass(frozen=True, eq=False)
class LaplaceEngine:
    """Several grouping factors, by Laplace's approximation."""

    problem: GeneralizedProblem

    @cached_property
    def _met(self) -> tuple[Meeting, Layout, Slots]:
        arranged = self.problem.arranged
        return meet(arranged.groups, arranged.patterns, self.problem.n_beta)

    @property
    def layout(self) -> JointLayout:
        """What is compiled for."""
        n_levels = self.problem.arranged.groups[0].n_levels
        return JointLayout(self.problem.family, self._met[1], n_levels)

    @property
    def _zero(self) -> laplace.JointKept:
        layout = self._met[1]
        levels = self.layout.n_levels
        return laplace.JointKept(
            Effects(
                np.zeros((levels, layout.first.k)),
                np.zeros((layout.n_components, layout.width)),
            ),
            np.int64(0),
        )

    def sums(self, x: Vector) -> laplace.JointSums:
        """Everything one evaluation gives."""
        rows, meeting = self.problem.rows, self._met[0]
        with precise():
            found = laplace.evaluate(x, rows, meeting, self._zero, layout=self.layout)
        return to_numpy(found)

    def derivatives(self, x: Vector) -> Derivatives:
        """Log-likelihood and its derivatives."""
        s = self.sums(x)
        return Derivatives(float(s.value), s.gradient, s.hessian)

    def maximise(self, x: Vector, max_steps: int) -> NewtonResult:
        """Trust-region Newton from x."""
        rows, meeting = self.problem.rows, self._met[0]
        with precise():
            found = laplace.maximise(
                x, rows, meeting, self._zero, np.int64(max_steps), layout=self.layout
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
        data = (self.problem.rows, self._met[0], self._zero)
        return laplace.negative, data, self.layout

    def integral(self, error: float | None) -> Integral:
        """The rule in words."""
        q = sum(p.k for p in self.problem.arranged.patterns)
        return Integral("laplace", "Laplace", 1, q, error)
