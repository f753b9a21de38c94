r"""A model with network terms as a likelihood, maximised by the evidence.

The model without its networks, `base`, is an ordinary mixed model; with the networks'
output as a known part of its linear predictor it gives everything that does not concern
the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.estimation.evidence import Evidence
from ngmm.families import Family
from ngmm.likelihood.choose import structure
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine
from ngmm.likelihood.neural.prepare import (
    NeuralProblem,
    prepare_gaussian,
    prepare_laplace,
    prepare_quadrature,
)
from ngmm.likelihood.neural.rule import next_engine, search_engine
from ngmm.likelihood.neural.terms import Stack
from ngmm.linalg import precise
from ngmm.model import GaussianEstimate, Model
from ngmm.networks import MLP, Network, flatten
from ngmm.neural.members import Ended, Members, join
from ngmm.neural.search import SearchLayout, loglik_at
from ngmm.neural.searches import Searches
from ngmm.neural.starts import Candidate, make_starts, ridge_groups
from ngmm.progress import ProgressLine

Engine: TypeAlias = QuadratureEngine | LaplaceEngine
Vector = NDArray[np.float64]

# Difference from a finer rule beyond which a search goes on with that one.
COARSE_INTEGRAL = 0.02
# Searches start with at least this relative standard deviation of a random effect:
# a variance of zero is a saddle point.
LEAST_START = 0.3


@dataclass(frozen=True, eq=False)
class NeuralModel:
    """A mixed model with network terms.

    Parameters
    ----------
    design
        With `networks`.
    family
        Response distribution.
    networks
        The network of each term.
    quad
        How the random effects are integrated out, as in `ngmm.fit`.
    """

    design: Design
    family: Family
    networks: tuple[Network, ...]
    quad: Any = "auto"

    @cached_property
    def base(self) -> Model:
        """The model without its networks."""
        return Model(self.design, self.family, quad=self.quad)

    def candidates(self, widths: tuple[int, ...]) -> list[Candidate]:
        """The networks at their greatest widths."""
        out = []
        for network, design in zip(self.networks, self.design.networks, strict=True):
            given = {"hidden", "net"} & set(design.options)
            if isinstance(network, MLP) and not given:
                widest = replace(network, hidden=(max(widths),))
                out.append(Candidate(widest, design.inputs, True))
            else:
                out.append(Candidate(network, design.inputs, False))
        return out

    def size(self, options: Evidence) -> tuple[int, float]:
        """Number of weights, and multiply-adds of a step, of the widest networks."""
        stack = self._stack(self.candidates(self._widths(options)))
        return stack.n_weights, self._cost(stack)

    def maximise(
        self, options: Evidence, seed: int, progress: bool | str = False
    ) -> Members:
        """Search from several starts, and join what is found."""
        widths = self._widths(options)
        candidates = self.candidates(widths)
        stack = self._stack(candidates)
        groups, n_groups = ridge_groups(candidates)
        engine = self._engine(stack)
        tau = self._starting_variances()
        n_widths = len(widths) if any(c.free for c in candidates) else 1
        n_runs = options.runs_for(n_widths, self._cost(stack))
        auto = options.restarts == "auto"
        starts = make_starts(candidates, widths, n_runs, seed, linear=auto)
        problem, kept = self._problem(stack, engine)
        layout = SearchLayout(problem.layout, n_groups)
        work = Searches(problem, layout, groups, kept, options.max_steps)
        with ProgressLine(progress, "networks") as line:
            found = work.first(starts, tau, line)
            found = work.second(found, line)
            while (finer := self._finer(engine, stack, found)) is not None:
                engine = finer
                problem, kept = self._problem(stack, engine)
                layout = SearchLayout(problem.layout, n_groups)
                work = replace(work, problem=problem, layout=layout, kept=kept)
                found = work.again(found, line)
            found = work.polish(found, line)
        return join(found, self, problem, stack, groups, options.average)

    def _widths(self, options: Evidence) -> tuple[int, ...]:
        """Widths to try."""

        def cost(width: int) -> float:
            return self._cost(self._stack(self.candidates((width,))))

        return options.widths_for(self.design.n_rows, cost)

    def _stack(self, candidates: list[Candidate]) -> Stack:
        sizes = []
        with precise():
            for c in candidates:
                weights = c.network.init(jax.random.key(0), c.inputs)
                sizes.append(flatten(weights)[0].shape[0])
        return Stack(tuple(c.network for c in candidates), tuple(sizes))

    def _engine(self, stack: Stack) -> Engine | None:
        """How the random effects are integrated out; None where that is exact."""
        if self.base.is_gaussian:
            return None
        marginal = self.base.marginal
        return search_engine(marginal.problem, marginal.rule, stack.n_weights)

    def _finer(
        self, engine: Engine | None, stack: Stack, found: list[Ended]
    ) -> Engine | None:
        """A finer rule, if the one of the search is too coarse where it ended."""
        if not isinstance(engine, QuadratureEngine):
            return None
        finer = next_engine(engine, self.base.marginal.rule)
        if finer is None:
            return None
        problem, kept = self._problem(stack, finer)
        best = max(found, key=lambda e: e.evidence).search.best
        with precise():
            value = loglik_at(best.x, problem.data, kept, layout=problem.layout)
        wrong = abs(float(value) - float(best.loglik)) > COARSE_INTEGRAL
        return finer if wrong or not np.isfinite(float(value)) else None

    def _problem(
        self, stack: Stack, engine: Engine | None
    ) -> tuple[NeuralProblem, Any]:
        """The likelihood's data, and the modes to start from."""
        if engine is None:
            gaussian = prepare_gaussian(self.design, self.base.problem, stack)
            return gaussian, np.zeros(0)
        if isinstance(engine, LaplaceEngine):
            return prepare_laplace(self.design, engine, stack), engine.zero
        return prepare_quadrature(self.design, engine, stack), engine.zero

    def _starting_variances(self) -> Vector:
        """Variance parameters to start from, in the engine's units."""
        if self.base.is_gaussian:
            problem = self.base.problem
            found = self.base.maximise(max_steps=20)
            assert isinstance(found, GaussianEstimate)
            theta = self._away(found.engine_theta, problem.layout.patterns)
            return np.append(theta, np.log(found.sigma / problem.data.y_scale))
        marginal = self.base.marginal
        x = marginal.start(None)
        p, q = marginal.problem.n_beta, marginal.problem.n_theta
        theta = self._away(x[p : p + q], marginal.problem.arranged.patterns)
        return np.concatenate([theta, x[p + q :]])

    def _away(self, theta: Vector, patterns: Any) -> Vector:
        """Diagonal elements that are not near zero."""
        out, first = theta.copy(), 0
        for p in patterns:
            at = first + np.array(p.diagonal)
            out[at] = np.maximum(np.abs(out[at]), LEAST_START)
            first += p.n_theta
        return out

    def _cost(self, stack: Stack) -> float:
        """Multiply-adds of a step, roughly."""
        n, P = self.design.n_rows, self.design.X.shape[1] + stack.n_weights
        terms = self.design.random
        effects = sum(t.n_levels * len(t.names) for t in terms)
        if self.base.is_gaussian:
            return float((n + 2 * effects) * P**2 + P**3)
        crossed = structure(self.base.marginal.problem) in ("crossed", "wide")
        nodes = 1.0 if crossed else 15.0 ** sum(len(t.names) for t in terms)
        levels = effects if crossed else terms[0].n_levels
        # Rows by nodes by columns are formed, at about twenty operations each, and are
        # five times as slow as matrix products.
        return 5.0 * (n * P**2 + levels * nodes * P**2 + 20.0 * n * nodes * P)
