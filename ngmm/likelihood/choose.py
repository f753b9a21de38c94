"""Which rule integrates the random effects out, and with how many nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.estimation.newton import NewtonResult
from ngmm.likelihood.engines import Engine, LaplaceEngine, SingleEngine
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.nodes import hermite, trapezoid, truncated
from ngmm.likelihood.quadrature import Placing
from ngmm.likelihood.rules import (
    MAX_DIMENSIONS,
    AdaptiveQuadrature,
    Auto,
    Laplace,
    Rule,
    TruncatedQuadrature,
)

Vector = NDArray[np.float64]

# Nodes per dimension that "auto" tries, by number of dimensions. Those of one dimension
# cost next to nothing, so that the first is nearly always the last.
LADDERS = {
    1: (15, 31, 45, 63, 91, 127, 181, 255),
    2: (9, 13, 19, 27, 39, 55, 77, 109),
    3: (7, 9, 13, 19, 27),
    4: (5, 7, 9, 13),
}
# Rows times nodes below which a larger first rung costs less than compiling twice.
SMALL_WORK = 4_000_000
# Rows times nodes beyond which "auto" stops adding nodes and reports the error it has.
MOST_WORK = 4_000_000_000

# Where nodes are moved to the posterior mean and covariance, coarsely.
PASSES = {1: (15, 15), 2: (7, 9), 3: (5, 7), 4: (4, 5)}


@dataclass(frozen=True)
class Found:
    """A maximum, the engine that it was found with, and the error of the latter."""

    engine: Engine
    result: NewtonResult
    error: float | None
    n_steps: int


def fixed_engine(problem: GeneralizedProblem, rule: Rule) -> Engine:
    """The engine of a rule with a given number of nodes.

    Raises
    ------
    OptionError
        If the rule does not suit the structure of the random effects.
    """
    k = problem.arranged.patterns[0].k
    if len(problem.arranged.groups) > 1:
        if isinstance(rule, Laplace | Auto):
            return LaplaceEngine(problem)
        raise OptionError(
            "nodes are for one grouping factor; with several, crossed or nested, use "
            'quad="laplace", which quad="auto" chooses by itself'
        )
    if isinstance(rule, Laplace):
        return SingleEngine(problem, Placing(hermite(1), exact=True))
    if isinstance(rule, Auto):
        if k > MAX_DIMENSIONS:
            return fixed_engine(problem, Laplace())
        return SingleEngine(problem, centred(first_rung(problem), k))
    if k > MAX_DIMENSIONS:
        raise OptionError(
            f"quadrature in {k} dimensions: grids are offered up to {MAX_DIMENSIONS} "
            'random effects a level; use quad="laplace"'
        )
    if isinstance(rule, AdaptiveQuadrature):
        return SingleEngine(problem, Placing(hermite(rule.n_nodes), exact=True))
    assert isinstance(rule, TruncatedQuadrature)
    grid = truncated(rule.n_nodes, float(rule.radius))
    return SingleEngine(problem, Placing(grid, centred=False))


def accurate_engine(problem: GeneralizedProblem, rule: Rule, x: Vector) -> Engine:
    """The engine of a rule; for "auto", with the nodes that psi = x calls for."""
    k = problem.arranged.patterns[0].k
    several = len(problem.arranged.groups) > 1
    if not isinstance(rule, Auto) or several or k > MAX_DIMENSIONS:
        return fixed_engine(problem, Laplace() if isinstance(rule, Auto) else rule)
    n: int | None = first_rung(problem)
    while True:
        assert n is not None
        engine = SingleEngine(problem, centred(n, k))
        n = next_rung(problem, n, engine.error(x), rule.tolerance)
        if n is None:
            return engine


def centred(n: int, k: int) -> Placing:
    """The rule of "auto" with n nodes in each of k dimensions."""
    return Placing(trapezoid(n, k), tuple(trapezoid(m, k) for m in PASSES[k]))


def first_rung(problem: GeneralizedProblem) -> int:
    """Nodes that "auto" starts with: more where they cost next to nothing."""
    k, n_rows = problem.arranged.patterns[0].k, len(problem.rows.y)
    ladder = LADDERS[k]
    cheap = [n for n in ladder[:4] if n_rows * n**k * (1 + (k > 1)) <= SMALL_WORK]
    return cheap[min(len(cheap), 3) - 1] if cheap else ladder[0]


def maximise_with(
    problem: GeneralizedProblem, rule: Rule, x: Vector, max_steps: int
) -> Found:
    """Maximise by a rule; "auto" adds nodes until the log-likelihood stops moving."""
    k = problem.arranged.patterns[0].k
    several = len(problem.arranged.groups) > 1
    if not isinstance(rule, Auto) or several or k > MAX_DIMENSIONS:
        engine = fixed_engine(problem, Laplace() if isinstance(rule, Auto) else rule)
        result = engine.maximise(x, max_steps)
        error = (
            None
            if k > MAX_DIMENSIONS
            else reference_error(engine, np.asarray(result.x))
        )
        return Found(engine, result, error, int(result.n_steps))
    n, steps = first_rung(problem), 0
    while True:
        engine = SingleEngine(problem, centred(n, k))
        result = engine.maximise(x, max_steps)
        steps += int(result.n_steps)
        error = engine.error(result.x)
        following = next_rung(problem, n, error, rule.tolerance)
        if following is None or not np.isfinite(error):
            return Found(engine, result, error, steps)
        n, x = following, np.asarray(result.x)


def next_rung(
    problem: GeneralizedProblem, n: int, error: float, tolerance: float
) -> int | None:
    """More nodes, by as much as the error seems to need; None if there are enough.

    The error falls geometrically in the number of nodes, so that its logarithm
    extrapolates; the scale of the logarithm is that of a whole log-likelihood unit.
    """
    k, n_rows = problem.arranged.patterns[0].k, len(problem.rows.y)
    if error <= tolerance:
        return None
    later = [
        m
        for m in LADDERS[k]
        if m > n and n_rows * float(m) ** k * (1 + (k > 1)) <= MOST_WORK
    ]
    digits = np.log(tolerance / 10.0) / np.log(min(error / 10.0, 0.5))
    enough = [m for m in later if m >= 0.95 * n * digits]
    return enough[0] if enough else (later[-1] if later else None)


def reference_error(engine: Engine, x: Vector) -> float | None:
    """Error of a rule at x: by its own checks, or against a finer rule.

    A few Gauss-Hermite nodes tell little about the error of fewer.
    """
    if not isinstance(engine, SingleEngine):
        return engine.error(x)
    if engine.placing.grid.name != "hermite":
        return engine.error(x)
    problem = engine.problem
    placing = centred(first_rung(problem), problem.arranged.patterns[0].k)
    finer = SingleEngine(problem, placing)
    difference = abs(engine.derivatives(x).value - finer.derivatives(x).value)
    return difference + finer.error(x)
