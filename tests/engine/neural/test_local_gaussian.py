"""The Gaussian likelihood with a network, against dense matrices."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from numpy.testing import assert_allclose

from ngmm.likelihood.neural import gaussian
from ngmm.linalg import precise
from tests.engine.derivatives import differences, quick_jit
from tests.engine.neural.dense import Dense, derivatives
from tests.engine.neural.problems import N_ROWS, Case, Vector, case

FORMULAS = {
    "slopes": "y ~ (1 + x1 | g)",
    "nested": "y ~ (1 | g) + (1 | gh)",
    "crossed": "y ~ (1 | g) + (1 | h)",
}


@cache
def gaussian_case(name: str) -> Case:
    return case(FORMULAS[name], weights="w")


@cache
def found_at(name: str) -> tuple[Any, Vector]:
    """The local record, and the slope of log|H + D| for penalties of one."""
    c = gaussian_case(name)
    problem, _ = c.prepared

    def both(x: Array) -> Any:
        here, pieces = gaussian.local(x, problem.data, problem.layout)
        H = -here.hessian[c.w, c.w] + jnp.eye(c.stack.n_weights)
        return here, gaussian.log_det_slope(jnp.linalg.inv(H), pieces)

    with precise():
        return jax.tree.map(np.asarray, quick_jit(both)(c.x))


@cache
def dense_at(name: str) -> Dense:
    """The same in the units of the data, from dense matrices."""
    c = gaussian_case(name)
    at = c.parameters
    return derivatives(c.given, c.network[1], at.beta, at.theta, at.scale)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_that_of_the_model_with_the_output_in_its_offset(name: str) -> None:
    c = gaussian_case(name)
    at, data = c.parameters, c.base.problem.data
    # In standard units the density is that of y over its scale, times root weights.
    value = float(found_at(name)[0].value)
    value += 0.5 * data.sum_log_weights - N_ROWS * np.log(data.y_scale)
    expected = c.given.loglik(at.theta, at.scale, at.beta)
    # Sums of sixty terms of order one: rounding only.
    assert value == pytest.approx(expected, rel=1e-11)
    assert value == pytest.approx(dense_at(name).value, rel=1e-11)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_are_those_of_the_tangent(name: str) -> None:
    found = found_at(name)[0]
    slope = gaussian_case(name).slope
    gradient = slope.T @ dense_at(name).gradient
    hessian = slope.T @ dense_at(name).hessian @ slope
    # Dense Cholesky factors and their derivatives by jax: rounding only.
    size = np.abs(gradient).max()
    assert_allclose(found.gradient, gradient, rtol=1e-9, atol=1e-11 * size)
    size = np.abs(hessian).max()
    assert_allclose(found.hessian, hessian, rtol=1e-9, atol=1e-11 * size)


@pytest.mark.parametrize("name", FORMULAS)
def test_slope_of_the_log_determinant(name: str) -> None:
    c = gaussian_case(name)
    problem, _ = c.prepared
    n_tau = problem.layout.n_tau

    def log_det(tau: Array) -> Array:
        x = jnp.concatenate([jnp.asarray(c.x[:-n_tau]), tau])
        here, _ = gaussian.local(x, problem.data, problem.layout)
        H = -here.hessian[c.w, c.w] + jnp.eye(c.stack.n_weights)
        return jnp.linalg.slogdet(H)[1]

    with precise():
        expected = differences(quick_jit(log_det), c.x[-n_tau:], 1e-3)
    # Differences of order four, step 1e-3: 1e-12 neglected, 1e-13 / 1e-3 by rounding.
    assert_allclose(found_at(name)[1], expected, rtol=1e-8, atol=1e-9)
