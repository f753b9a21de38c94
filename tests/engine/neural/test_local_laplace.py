"""Laplace's approximation with a network, against dense matrices and differences."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from numpy.testing import assert_allclose

from ngmm.likelihood.neural import laplace
from ngmm.linalg import precise
from tests.engine.dense import random_columns, term_factors
from tests.engine.derivatives import differences, quick_jit
from tests.engine.neural.problems import Case, Vector, case

pytestmark = pytest.mark.slow


@cache
def crossed() -> Case:
    return case("z ~ (1 | g) + (1 | h)", "bernoulli")


@cache
def found() -> tuple[Any, Vector]:
    """The local record, and the slope of log|H + D| for penalties of one."""
    c = crossed()
    problem, zero = c.prepared

    def both(x: Array) -> Any:
        layout: Any = problem.layout
        here, kept, pieces = laplace.local(x, problem.data, zero, layout)
        H = -here.hessian[c.w, c.w] + jnp.eye(c.stack.n_weights)
        slope = laplace.log_det_slope(
            jnp.linalg.inv(H), here.hessian, problem.data, kept, pieces, layout
        )
        return here, slope

    with precise():
        return jax.tree.map(np.asarray, quick_jit(both)(c.x))


@cache
def value_of() -> Any:
    c = crossed()
    problem, zero = c.prepared
    layout: Any = problem.layout
    return quick_jit(lambda x: laplace.value(x, problem.data, zero, layout))


def working_curvature() -> Vector:
    """M' (W - W A H^-1 A' W) M at the mode, by dense matrices, for a logit link."""
    c = crossed()
    f, J = c.network
    d, at = c.base.design, c.parameters
    A = np.hstack(
        [
            random_columns(t).astype(float) @ np.kron(np.eye(t.n_levels), lam)
            for t, lam in zip(d.random, term_factors(d, at.theta), strict=True)
        ]
    ).astype(float)
    known = d.offset + f + d.X @ at.beta
    u, W, H = np.zeros(A.shape[1]), d.y, A.T @ A
    for _ in range(100):
        mu = 1 / (1 + np.exp(-known - A @ u))
        W = mu * (1 - mu)
        H = np.eye(len(u)) + A.T @ (W[:, None] * A)
        u = u + np.linalg.solve(H, A.T @ (d.y - mu) - u)
    M = np.column_stack([d.X, J]) @ c.slope[: c.w.stop, : c.w.stop]
    WM = W[:, None] * M
    return M.T @ WM - WM.T @ A @ np.linalg.solve(H, A.T @ WM)


def test_value_is_that_of_the_model_with_the_output_in_its_offset() -> None:
    c = crossed()
    at = c.parameters
    with precise():
        value = float(value_of()(c.x))
    # The mode is found to 1e-8, and its error enters squared.
    assert value == pytest.approx(c.given.loglik(at.theta, beta=at.beta), rel=1e-9)
    assert value == pytest.approx(float(found()[0].value), rel=1e-10)


def test_gradient_is_that_of_the_value() -> None:
    with precise():
        expected = differences(value_of(), crossed().x, 1e-3)
    # Differences of order four: 1e-12 is neglected, 1e-13 / 1e-3 by rounding.
    size = np.abs(expected).max()
    assert_allclose(found()[0].gradient, expected, rtol=1e-7, atol=1e-8 * size)


def test_curvature_is_that_of_the_working_model() -> None:
    c = crossed()
    here = found()[0].hessian[: c.w.stop, : c.w.stop]
    expected = -working_curvature()
    # The same mode by two routes.
    assert_allclose(here, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


def test_the_rest_of_the_hessian_is_the_slope_of_the_gradient() -> None:
    c = crossed()
    problem, zero = c.prepared
    layout: Any = problem.layout

    def gradient(tau: Array) -> Array:
        x = jnp.concatenate([jnp.asarray(c.x[: c.w.stop]), tau])
        return laplace.local(x, problem.data, zero, layout)[0].gradient

    with precise():
        expected = differences(quick_jit(gradient), c.x[c.w.stop :], 1e-2)
    # A difference to one side with step 1e-4: half of it times a third derivative.
    size = np.abs(expected).max()
    hessian = found()[0].hessian
    assert_allclose(hessian[c.w.stop :], expected, rtol=1e-2, atol=1e-3 * size)
    assert_allclose(hessian, hessian.T, rtol=0, atol=1e-3 * size)


def test_slope_of_the_log_determinant() -> None:
    c = crossed()
    problem, zero = c.prepared
    layout: Any = problem.layout

    def log_det(tau: Array) -> Array:
        x = jnp.concatenate([jnp.asarray(c.x[: c.w.stop]), tau])
        here = laplace.local(x, problem.data, zero, layout)[0]
        H = -here.hessian[c.w, c.w] + jnp.eye(c.stack.n_weights)
        return jnp.linalg.slogdet(H)[1]

    with precise():
        expected = differences(quick_jit(log_det), c.x[c.w.stop :], 1e-2)
    # A difference to one side with step 1e-4.
    assert_allclose(found()[1], expected, rtol=1e-3, atol=1e-5)
