"""Which engine a search for networks takes."""

from __future__ import annotations

from dataclasses import replace

from ngmm.errors import NotSupportedError
from ngmm.likelihood.choose import centred, fixed_engine, ladder
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.rules import Auto, Rule

# Nodes about a mode from which derivatives may take their places as fixed: with fewer
# the value depends on where they stand.
LEAST_NODES = 5


def search_engine(
    problem: GeneralizedProblem, rule: Rule, n_columns: int
) -> QuadratureEngine | LaplaceEngine:
    """The engine of a rule for so many more columns.

    Raises
    ------
    NotSupportedError
        For a rule with too few nodes.
    """
    engine = fixed_engine(problem, rule)
    if isinstance(engine, LaplaceEngine):
        return engine
    assert isinstance(engine, QuadratureEngine)
    if isinstance(rule, Auto):
        # Columns make nodes dear: the search begins with few.
        placing = centred(problem, ladder(problem)[0])
        return replace(engine, placing=placing, n_columns=n_columns)
    placing = engine.placing
    if placing.exact:
        if placing.grid.n < LEAST_NODES:
            raise NotSupportedError(
                f"networks beside one grouping factor, or two nested ones, need a rule "
                f"of {LEAST_NODES} nodes or more: leave quad out, which is more "
                "accurate at the same cost"
            )
        placing = replace(placing, exact=False)
    return replace(engine, placing=placing, n_columns=n_columns)


def next_engine(engine: QuadratureEngine, rule: Rule) -> QuadratureEngine | None:
    """The same with more nodes, if their number is ngmm's to choose and there are."""
    if not isinstance(rule, Auto):
        return None
    more = [n for n in ladder(engine.problem) if n > engine.placing.grid.n]
    if not more:
        return None
    return replace(engine, placing=centred(engine.problem, more[0]))
