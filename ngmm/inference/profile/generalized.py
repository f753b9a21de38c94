"""Constrained maxima of a likelihood whose random effects are integrated out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation
from ngmm.inference.profile.chart import MAX_STEPS, Chart, Held, minimise_held
from ngmm.likelihood import laplace, single
from ngmm.likelihood.engines import Engine, LaplaceEngine, QuadratureEngine
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.joint import JointLayout, Meeting
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.observations import Rows
from ngmm.linalg import Values, precise

Vector = NDArray[np.float64]


def _by_quadrature(
    z: Array,
    chart: Chart,
    rows: Rows,
    u: Values,
    max_steps: Array,
    *,
    layout: single.AnyLayout,
) -> Held:
    def evaluate(at: Array, kept: Values) -> tuple[Evaluation, Values]:
        s = single.total(at, rows, kept, layout)
        return Evaluation(-2.0 * s.value, -2.0 * s.gradient, -2.0 * s.hessian), s.u

    return minimise_held(
        evaluate, z, chart, u, layout.n_beta, layout.patterns, max_steps
    )


def _by_laplace(
    z: Array,
    chart: Chart,
    rows: Rows,
    meeting: Meeting,
    kept: laplace.JointKept,
    max_steps: Array,
    *,
    layout: JointLayout,
) -> Held:
    def evaluate(at: Array, last: Values) -> tuple[Evaluation, Values]:
        s = laplace.evaluate.fun(at, rows, meeting, last, layout=layout)
        return Evaluation(-2.0 * s.value, -2.0 * s.gradient, -2.0 * s.hessian), s.kept

    start = kept._replace(unsettled=jnp.asarray(kept.unsettled))
    return minimise_held(
        evaluate, z, chart, start, layout.n_beta, layout.patterns, max_steps
    )


by_quadrature: Compiled = Compiled(_by_quadrature, heavy=single.evaluate.heavy)
by_laplace: Compiled = Compiled(_by_laplace, small=laplace.SMALL)


def hold(z: Vector, chart: Chart, engine: Engine, max_steps: int = MAX_STEPS) -> Held:
    """The maximum of the log-likelihood under a chart.

    Parameters
    ----------
    z
        Free coordinates to start from.
    chart
        What is held.
    engine
        The model with its rule of integration.
    max_steps
        Evaluations before giving up; 1 for the value where the search starts.
    """
    steps = np.int64(max_steps)
    with precise():
        if isinstance(engine, QuadratureEngine):
            found: Any = by_quadrature(
                z, chart, engine.chunks.rows, engine.zero, steps, layout=engine.layout
            )
        else:
            assert isinstance(engine, LaplaceEngine)
            data = (engine.problem.rows, engine.meeting, engine.zero)
            found = by_laplace(z, chart, *data, steps, layout=engine.layout)
    return to_numpy(found)


def same_rule(engine: Engine, problem: GeneralizedProblem) -> Engine:
    """The engine of another problem of the same structure, with the same nodes."""
    assert isinstance(engine, (QuadratureEngine, LaplaceEngine))
    return replace(engine, problem=problem)
