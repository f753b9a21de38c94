r"""A model with network terms as a likelihood, maximised by the evidence.

The model without its networks, `base`, is an ordinary mixed model; with the networks'
output as a known part of its linear predictor it gives everything that does not concern
the weights.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ngmm.design import Design
from ngmm.estimation.evidence import LOOK, Evidence
from ngmm.estimation.evidence_search import QUIET, Search, begin
from ngmm.families import Family
from ngmm.likelihood.engines import LaplaceEngine
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.neural.prepare import (
    NeuralProblem,
    prepare_gaussian,
    prepare_laplace,
    prepare_quadrature,
)
from ngmm.likelihood.neural.rule import search_engine
from ngmm.likelihood.neural.terms import Stack
from ngmm.linalg import precise
from ngmm.model import Model
from ngmm.networks import MLP, Network, flatten
from ngmm.neural.members import Ended, Members, contenders, join
from ngmm.neural.search import SearchLayout, run
from ngmm.neural.starts import Candidate, Start, make_starts, ridge_groups
from ngmm.progress import ProgressLine

Vector = NDArray[np.float64]

# Change of the log-evidence that ends a search.
COARSE = 1e-3
# Gain that a further step promises when a member's last steps, at fixed penalties, end:
# weights are then within a twentieth of their posterior standard deviation.
FINE = 1e-3
POLISH_STEPS = 60
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

    def given(self, f: Vector) -> Model:
        """The model with the networks' output as a known part."""
        design = replace(self.design, offset=self.design.offset + f)
        return Model(design, self.family, quad=self.quad)

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
        stack = self._stack(self.candidates(options.widths_for(self.design.n_rows)))
        return stack.n_weights, self._cost(stack)

    def maximise(
        self, options: Evidence, seed: int, progress: bool | str = False
    ) -> Members:
        """Search from several starts, and join what is found."""
        widths = options.widths_for(self.design.n_rows)
        candidates = self.candidates(widths)
        stack = self._stack(candidates)
        groups, n_groups = ridge_groups(candidates)
        problem, tau, kept = self._problem(stack)
        layout = SearchLayout(problem.layout, n_groups)
        any_free = any(c.free for c in candidates)
        n_widths = len(widths) if any_free else 1
        n_runs = options.runs_for(n_widths, self._cost(stack))
        starts = make_starts(candidates, widths, n_runs, seed)
        work = _Work(problem, layout, groups, tau, kept, options.max_steps)
        with ProgressLine(progress, "networks") as line:
            found = work.first(starts, line)
            found = work.second(found, line)
            found = work.polish(found, line)
        return join(found, self, problem, stack, groups, options.average)

    def _stack(self, candidates: list[Candidate]) -> Stack:
        sizes = []
        with precise():
            for c in candidates:
                weights = c.network.init(jax.random.key(0), c.inputs)
                sizes.append(flatten(weights)[0].shape[0])
        return Stack(tuple(c.network for c in candidates), tuple(sizes))

    def _problem(self, stack: Stack) -> tuple[NeuralProblem, Vector, Any]:
        """The likelihood's data, where the variances start, and the modes."""
        if self.base.is_gaussian:
            problem = prepare_gaussian(self.design, self.base.problem, stack)
            found = self.base.maximise(max_steps=20)
            theta = self._away(found.engine_theta, self.base.problem.layout.patterns)
            log_sigma = np.log(found.sigma / problem.scale)
            return problem, np.append(theta, log_sigma), np.zeros(0)
        marginal = self.base.marginal
        engine = search_engine(marginal.problem, marginal.rule, stack.n_weights)
        if isinstance(engine, LaplaceEngine):
            problem = prepare_laplace(self.design, engine, stack)
        else:
            problem = prepare_quadrature(self.design, engine, stack)
        x = marginal.start(None)
        p, q = marginal.problem.n_beta, marginal.problem.n_theta
        theta = self._away(x[p : p + q], marginal.problem.arranged.patterns)
        return problem, np.concatenate([theta, x[p + q :]]), engine.zero

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
        nodes = 15.0 ** sum(len(t.names) for t in terms)
        levels = terms[0].n_levels
        # Rows by nodes by columns are formed, at about twenty operations each.
        return n * P**2 + levels * nodes * P**2 + 20.0 * n * nodes * P


@dataclass(frozen=True, eq=False)
class _Work:
    """Searches side by side, a thread a core."""

    problem: NeuralProblem
    layout: SearchLayout
    groups: NDArray[np.int32]
    tau: Vector
    kept: Any
    max_steps: int

    def first(self, starts: list[Start], line: ProgressLine) -> list[Ended]:
        """Every start, a few steps."""
        stop = min(LOOK, self.max_steps)
        begun = []
        with precise():
            for s in starts:
                p = self.layout.places.n_beta
                x = np.concatenate([np.zeros(p), s.weights, self.tau])
                penalty = jnp.zeros(self.layout.n_groups)
                begun.append(
                    (s, begin(jnp.asarray(x), penalty, self.kept, self._places))
                )
        return self._all(begun, stop, False, COARSE, line, "first steps")

    def second(self, found: list[Ended], line: ProgressLine) -> list[Ended]:
        """The better half goes on."""
        ranked = sorted(found, key=lambda e: -e.evidence)
        keep = max(len(ranked) // 2, min(4, len(ranked)))
        going = [(e.start, e.search) for e in ranked[:keep]]
        later = self._all(going, self.max_steps, False, COARSE, line, "searches")
        return [*later, *ranked[keep:]]

    def polish(self, found: list[Ended], line: ProgressLine) -> list[Ended]:
        """Those that may count, to convergence at the penalties of the best point."""
        chosen = contenders(found)
        ended = {id(e) for e in chosen}
        again = []
        with precise():
            for e in chosen:
                best = e.search.best
                s = begin(
                    jnp.asarray(best.x),
                    jnp.asarray(best.log_penalty),
                    e.search.kept,
                    self._places,
                )
                again.append((e.start, s))
        polished = self._all(again, POLISH_STEPS, True, FINE, line, "last steps")
        return [*polished, *(e for e in found if id(e) not in ended)]

    @property
    def _places(self) -> Any:
        return self.layout.places

    def _all(
        self,
        begun: list[tuple[Start, Search]],
        n_steps: int,
        frozen: bool,
        tolerance: float,
        line: ProgressLine,
        what: str,
    ) -> list[Ended]:
        def one(pair: tuple[Start, Search]) -> Ended:
            start, search = pair
            with precise():
                found = run(
                    search._replace(quiet=jnp.asarray(0)),
                    self.problem.data,
                    self.groups,
                    start.active,
                    np.int64(n_steps),
                    np.bool_(frozen),
                    np.float64(tolerance),
                    layout=self.layout,
                )
                return Ended(start, to_numpy(found), int(found.quiet) >= QUIET, frozen)

        out: list[Ended] = []
        # Threads of BLAS would wait for each other: searches run side by side instead.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
            # The first call compiles.
            for e in chain(map(one, begun[:1]), pool.map(one, begun[1:])):
                out.append(e)
                line.update(len(out), len(begun), what)
        return out
