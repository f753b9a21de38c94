"""Which engine a search for networks takes."""

from __future__ import annotations

from dataclasses import replace

from ngmm.errors import NotSupportedError
from ngmm.likelihood.choose import fixed_engine
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.rules import Rule

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
