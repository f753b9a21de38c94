"""Likelihoods by quadrature with a network, against those of ordinary models."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from numpy.testing import assert_allclose

from ngmm.likelihood.neural import quadrature
from ngmm.likelihood.neural.rule import search_engine
from ngmm.linalg import precise
from ngmm.model import Model
from tests.engine.derivatives import differences, quick_jit
from tests.engine.neural.problems import Case, Vector, case

# The dispersion of the gamma family is a variance parameter of its own.
CASES: dict[str, dict[str, Any]] = {
    "bernoulli": {"formula": "z ~ (1 | g)", "family": "bernoulli", "quad": 11},
    "gamma": {"formula": "d ~ (1 | g)", "family": "gamma", "quad": 11, "link": "log"},
    "slopes": {"formula": "k ~ (1 + x1 | g)", "family": "poisson", "quad": 9},
    "nested": {"formula": "z ~ (1 | g) + (1 | gh)", "family": "bernoulli", "quad": 11},
}
HEAVY = [
    pytest.param(name, marks=pytest.mark.slow) if name in ("slopes", "nested") else name
    for name in CASES
]


@cache
def some_case(name: str) -> Case:
    return case(**CASES[name])


@cache
def found_at(name: str) -> tuple[Any, Vector]:
    """The local record, and the slope of log|H + D| for penalties of one."""
    c = some_case(name)
    problem, zero = c.prepared

    def both(x: Array) -> Any:
        layout: Any = problem.layout
        here, kept, pieces = quadrature.local(x, problem.data, zero, layout)
        H = -here.hessian[c.w, c.w] + jnp.eye(c.stack.n_weights)
        slope = quadrature.log_det_slope(
            jnp.linalg.inv(H), here.hessian, kept, pieces, layout
        )
        return here, slope

    with precise():
        return jax.tree.map(np.asarray, quick_jit(both)(c.x))


@cache
def value_of(name: str) -> Any:
    c = some_case(name)
    problem, zero = c.prepared
    layout: Any = problem.layout
    return quick_jit(lambda x: quadrature.value(x, problem.data, zero, layout))


@pytest.mark.parametrize("name", HEAVY)
def test_value_is_that_of_the_model_with_the_output_in_its_offset(name: str) -> None:
    c = some_case(name)
    at = c.parameters
    with precise():
        value = float(value_of(name)(c.x))
    expected = c.given.loglik(at.theta, beta=at.beta, phi=at.scale)
    # The same nodes about modes that are found to 1e-8: their error enters squared,
    # beside that of the rule.
    assert value == pytest.approx(expected, rel=1e-8)
    assert value == pytest.approx(float(found_at(name)[0].value), rel=1e-10)


@pytest.mark.parametrize("name", HEAVY)
def test_gradient_is_that_of_the_value(name: str) -> None:
    c = some_case(name)
    with precise():
        expected = differences(value_of(name), c.x, 1e-3)
    found = found_at(name)[0].gradient
    # The gradient holds the nodes where they are; the value's depend on x by what is
    # left of the error of the rule, below 1e-6 with these nodes.
    assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", HEAVY)
def test_derivatives_are_those_of_the_model_with_tangents_as_columns(name: str) -> None:
    c = some_case(name)
    f, J = c.network
    d, at = c.base.design, c.parameters
    wide = Model(
        replace(d, X=np.column_stack([d.X, J]), offset=d.offset + f),
        c.base.family,
        quad=c.base.quad,
    )
    problem = wide.marginal.problem
    engine = search_engine(problem, wide.marginal.rule, 0)
    beta = np.r_[at.beta, np.zeros(J.shape[1])]
    log_phi = None if at.scale is None else float(np.log(at.scale))
    expected = engine.derivatives(problem.to_engine(beta, at.theta, log_phi))
    turn = problem.jacobian @ c.slope
    found = found_at(name)[0]
    # Two orders of summation of the same nodes.
    gradient = turn.T @ expected.gradient
    size = np.abs(gradient).max()
    assert_allclose(found.gradient, gradient, rtol=1e-8, atol=1e-9 * size)
    hessian = turn.T @ expected.hessian @ turn
    size = np.abs(hessian).max()
    assert_allclose(found.hessian, hessian, rtol=1e-8, atol=1e-9 * size)


@pytest.mark.parametrize("name", HEAVY)
def test_slope_of_the_log_determinant(name: str) -> None:
    c = some_case(name)
    problem, zero = c.prepared
    layout: Any = problem.layout
    n_tau = layout.n_tau

    def log_det(tau: Array) -> Array:
        x = jnp.concatenate([jnp.asarray(c.x[:-n_tau]), tau])
        here, _, _ = quadrature.local(x, problem.data, zero, layout)
        H = -here.hessian[c.w, c.w] + jnp.eye(c.stack.n_weights)
        return jnp.linalg.slogdet(H)[1]

    with precise():
        expected = differences(quick_jit(log_det), c.x[-n_tau:], 1e-2)
    # A difference to one side with step 1e-3: half of it times a second derivative.
    size = np.abs(expected).max()
    assert_allclose(found_at(name)[1], expected, rtol=1e-2, atol=3e-3 * size)
