"""Which rule integrates the random effects out, and with how many nodes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.estimation.newton import NewtonResult
from ngmm.estimation.status import Status
from ngmm.likelihood.arrangement import is_nested
from ngmm.likelihood.engines import Engine, LaplaceEngine, QuadratureEngine
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

LOG = logging.getLogger(__name__)

Vector = NDArray[np.float64]

# Nodes per dimension that "auto" tries, by number of dimensions. Those of one dimension
# cost next to nothing, so that the first is nearly always the last.
LADDERS: dict[int, tuple[int, ...]] = {
    1: (15, 21, 31, 45, 63, 91, 127, 181, 255),
    2: (9, 13, 19, 27, 39, 55, 77, 109),
    3: (7, 9, 13, 19, 27),
    4: (5, 7, 9, 13),
}
# The same for nested factors, whose nodes multiply without being a grid.
NESTED_LADDER = (11, 15, 21, 31, 45, 63)
# Rows times nodes below which a larger first rung costs less than compiling twice.
SMALL_WORK = 4_000_000
# Rows times nodes beyond which "auto" stops adding nodes and reports the error it has.
MOST_WORK = 4_000_000_000
# Rungs of a ladder that may be the first, by number of dimensions.
FIRST = {1: 4, 2: 3, 3: 2, 4: 1}

# Steps before the error is looked at. With too few nodes value and gradient do not
# belong together, and a search would use all its steps in going nowhere.
PROBE = 15

# Where nodes are moved to the posterior mean and covariance, coarsely.
PASSES = {1: (15, 15), 2: (7, 9), 3: (5, 7), 4: (4, 5)}


@dataclass(frozen=True)
class Found:
    """A maximum, the engine that it was found with, and the error of the latter."""

    engine: Engine
    result: NewtonResult
    error: float | None
    n_steps: int


def structure(problem: GeneralizedProblem) -> str:
    """How the grouping factors stand to each other.

    ``"single"`` or ``"nested"`` if quadrature is offered, ``"crossed"`` for structures
    that need Laplace's approximation, ``"wide"`` for more effects a level than grids
    can carry.
    """
    groups, patterns = problem.arranged.groups, problem.arranged.patterns
    if len(groups) == 1:
        return "single" if patterns[0].k <= MAX_DIMENSIONS else "wide"
    if len(groups) == 2 and is_nested(groups[0].codes, groups[1].codes):
        return "nested" if sum(p.k for p in patterns) <= MAX_DIMENSIONS else "wide"
    return "crossed"


def settles(problem: GeneralizedProblem, rule: Rule) -> bool:
    """Whether the number of nodes is ngmm's to choose."""
    return isinstance(rule, Auto) and structure(problem) in ("single", "nested")


def fixed_engine(problem: GeneralizedProblem, rule: Rule) -> Engine:
    """The engine of a rule; for "auto", with the nodes to start with.

    Raises
    ------
    OptionError
        If the rule does not suit the structure of the random effects.
    """
    shape = structure(problem)
    if isinstance(rule, Auto):
        if shape in ("single", "nested"):
            return QuadratureEngine(problem, centred(problem, first_rung(problem)))
        rule = Laplace()
    if isinstance(rule, Laplace):
        if len(problem.arranged.groups) > 1:
            return LaplaceEngine(problem)
        return QuadratureEngine(problem, Placing(hermite(1), exact=True))
    if shape == "crossed":
        raise OptionError(
            f"{_spelled(rule)} is for one grouping factor or two nested ones; crossed "
            'random effects have no such grid. Use quad="laplace", which quad="auto" '
            "chooses by itself"
        )
    if shape == "wide":
        k = sum(p.k for p in problem.arranged.patterns)
        raise OptionError(
            f"{_spelled(rule)}: grids are offered up to {MAX_DIMENSIONS} random "
            f'effects a level, and this model has {k}. Use quad="laplace"'
        )
    if isinstance(rule, TruncatedQuadrature):
        grid = truncated(rule.n_nodes, float(rule.radius))
        return QuadratureEngine(problem, Placing(grid, centred=False))
    if shape == "nested":
        if rule.n_nodes < NESTED_LADDER[0]:
            raise OptionError(
                f"{_spelled(rule)} is too coarse for nested factors, whose integrals "
                f"need {NESTED_LADDER[0]} nodes a dimension or more. Use "
                f"quad={NESTED_LADDER[1]}, or leave quad out"
            )
        return QuadratureEngine(problem, centred(problem, rule.n_nodes))
    return QuadratureEngine(problem, Placing(hermite(rule.n_nodes), exact=True))


def _spelled(rule: AdaptiveQuadrature | TruncatedQuadrature) -> str:
    if isinstance(rule, AdaptiveQuadrature):
        return f"quad={rule.n_nodes}"
    return f"quad=ngmm.{rule!r}"


def accurate_engine(problem: GeneralizedProblem, rule: Rule, x: Vector) -> Engine:
    """The engine of a rule; for "auto", with the nodes that psi = x calls for."""
    if not (settles(problem, rule) and isinstance(rule, Auto)):
        return fixed_engine(problem, rule)
    n = first_rung(problem)
    while True:
        engine = QuadratureEngine(problem, centred(problem, n))
        following = next_rung(problem, n, engine.error(x), rule.tolerance)
        if following is None:
            return engine
        n = following


def centred(problem: GeneralizedProblem, n: int) -> Placing:
    """The rule of "auto" with n nodes in each dimension."""
    k = problem.arranged.patterns[0].k
    return Placing(trapezoid(n, k), tuple(trapezoid(m, k) for m in PASSES[k]))


def ladder(problem: GeneralizedProblem) -> tuple[int, ...]:
    """Nodes per dimension that "auto" tries, in order."""
    patterns = problem.arranged.patterns
    if len(patterns) == 1:
        return LADDERS[patterns[0].k]
    return NESTED_LADDER


def work(problem: GeneralizedProblem, n: int) -> float:
    """Rows times nodes."""
    engine_nodes = 1.0
    for p in problem.arranged.patterns:
        engine_nodes *= float(n) ** p.k * (1 + (p.k > 1))
    return len(problem.rows.y) * engine_nodes


def first_rung(problem: GeneralizedProblem) -> int:
    """Nodes that "auto" starts with: more where they cost next to nothing."""
    rungs = ladder(problem)
    first = FIRST[sum(p.k for p in problem.arranged.patterns)]
    cheap = [n for n in rungs[:first] if work(problem, n) <= SMALL_WORK]
    return cheap[-1] if cheap else rungs[0]


def maximise_with(
    problem: GeneralizedProblem, rule: Rule, x: Vector, max_steps: int
) -> Found:
    """Maximise by a rule; "auto" adds nodes until the log-likelihood stops moving."""
    if not (settles(problem, rule) and isinstance(rule, Auto)):
        engine = fixed_engine(problem, rule)
        result = engine.maximise(x, max_steps)
        value = -0.5 * float(result.value)
        error = reference_error(engine, np.asarray(result.x), value)
        return Found(engine, result, error, int(result.n_steps))
    n, steps = first_rung(problem), 0
    while True:
        engine = QuadratureEngine(problem, centred(problem, n))
        result = engine.maximise(x, min(PROBE, max_steps))
        steps += int(result.n_steps)
        error = engine.error(result.x)
        LOG.debug("%d nodes a dimension: error of the loglik %.2g", n, error)
        following = next_rung(problem, n, error, rule.tolerance)
        unfinished = int(result.status) == Status.MAX_STEPS and max_steps > PROBE
        if unfinished and following is None:
            result = engine.maximise(np.asarray(result.x), max_steps - PROBE)
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

    The error of a level falls geometrically in the number of nodes, from about one with
    none, so that its logarithm extrapolates.
    """
    if not error > tolerance:
        return None
    later = [m for m in ladder(problem) if m > n and work(problem, m) <= MOST_WORK]
    levels = max(problem.arranged.groups[-1].n_levels, 10)
    digits = np.log(tolerance / levels) / np.log(min(error / levels, 0.5))
    enough = [m for m in later if m >= 0.95 * n * digits]
    return enough[0] if enough else (later[-1] if later else None)


def reference_error(engine: Engine, x: Vector, value: float) -> float | None:
    """Error of a rule at x: by its own checks, or against a finer rule.

    A few Gauss-Hermite nodes tell little about the error of fewer, nor does Laplace's
    approximation about its own.
    """
    problem = engine.problem
    shape = structure(problem)
    if shape not in ("single", "nested"):
        return None
    by_nodes = isinstance(engine, QuadratureEngine)
    if by_nodes and engine.placing.grid.name != "hermite":
        return engine.error(x)
    placing = centred(problem, first_rung(problem))
    finer, error = QuadratureEngine(problem, placing).value_and_error(x)
    return abs(value - finer) + error
