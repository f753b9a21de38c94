"""Gradient, Hessian and derivatives of the tail: exact, for every structure.

Errors are relative to the largest element. Differences of order four with a step of
1e-3 are good to 1e-10 here. Automatic differentiation of a dense formula for the same
function is good to rounding, but for a response far from zero, whose residuals lose
digits.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest
from numpy.typing import NDArray

from ngmm.likelihood.gaussian import Profile, profile
from ngmm.likelihood.maximise import profile_at
from ngmm.linalg import precise
from ngmm.model import Model
from tests.engine.dense import LONG, Dense, solve
from tests.engine.derivatives import (
    columns,
    dense_derivatives,
    differences,
    lambda_derivatives,
    quick_jit,
    relative_error,
)
from tests.engine.structures import STRUCTURES, build

RTOL_DIFFERENCES = 1e-9
RTOL_AUTODIFF = dict.fromkeys(STRUCTURES, 1e-12) | {"far from zero": 1e-9}

each_structure = pytest.mark.parametrize("name", STRUCTURES)
both_likelihoods = pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])


def engine_theta(name: str, model: Model) -> NDArray[np.float64]:
    return model.problem.to_engine(np.array(STRUCTURES[name].theta))


def evaluate(model: Model, theta: NDArray[np.float64]) -> Profile:
    problem = model.problem
    with precise():
        return profile_at(theta, problem.system, layout=problem.layout)


@each_structure
@both_likelihoods
def test_against_differences(name: str, reml: bool) -> None:
    model = build(name, reml=reml)
    at, theta = partial(evaluate, model), engine_theta(name, model)
    found = at(theta)
    gradient = differences(lambda t: at(t).value, theta, 1e-3)
    hessian = differences(lambda t: at(t).gradient, theta, 1e-3)
    slopes = differences(lambda t: at(t).tail, theta, 1e-3)
    assert relative_error(found.gradient, gradient) < RTOL_DIFFERENCES
    assert relative_error(found.hessian, hessian) < RTOL_DIFFERENCES
    assert relative_error(found.tail_gradient, slopes) < RTOL_DIFFERENCES


@each_structure
@both_likelihoods
def test_against_automatic_differentiation(name: str, reml: bool) -> None:
    model = build(name, reml=reml)
    problem = model.problem
    found = evaluate(model, engine_theta(name, model))
    scale = problem.theta_scale
    gradient = (np.asarray(found.gradient) * scale)[problem.order]
    hessian = np.asarray(found.hessian) * np.outer(scale, scale)
    hessian = hessian[np.ix_(problem.order, problem.order)]
    theta = np.array(STRUCTURES[name].theta)
    expected_gradient, expected_hessian = dense_derivatives(model, theta)
    # In relative changes of theta, as its elements differ by many powers of ten.
    assert (
        relative_error(gradient * theta, expected_gradient * theta)
        < RTOL_AUTODIFF[name]
    )
    size = np.outer(theta, theta)
    assert relative_error(hessian * size, expected_hessian * size) < RTOL_AUTODIFF[name]


def test_against_differentiating_the_engine_itself() -> None:
    model = build("vector", reml=True)
    problem, theta = model.problem, engine_theta("vector", model)

    @quick_jit
    def derivatives(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        slope = jax.grad(lambda x: profile(x, problem.system, problem.layout).value)
        return slope(t), jax.jacfwd(slope)(t)

    with precise():
        gradient, hessian = derivatives(theta)
    found = evaluate(model, theta)
    assert relative_error(found.gradient, gradient) < 1e-12
    assert relative_error(found.hessian, hessian) < 1e-12


@each_structure
def test_tail_and_its_derivatives(name: str) -> None:
    model = build(name)
    problem, theta = model.problem, np.array(STRUCTURES[name].theta)
    dense = Dense(model.design, theta)
    root = np.sqrt(model.design.weights).astype(LONG)
    V = dense.V * np.outer(root, root)
    Z = columns(model)[0].astype(LONG)
    tail = problem.data.tail.astype(LONG)
    half = solve(V, tail)
    found = evaluate(model, engine_theta(name, model))
    # Sums of 48 products in double precision.
    assert relative_error(found.tail, tail.T @ half) < 1e-12
    p = tail.shape[1] - 1
    C = tail.T @ half
    rss = C[p, p] - C[p, :p] @ solve(C[:p, :p], C[:p, p])
    assert float(found.rss) == pytest.approx(float(rss), rel=1e-12)

    lambdas = lambda_derivatives(model)
    lam = np.einsum("a,aij->ij", theta, lambdas)
    W = Z.T @ half
    expected = []
    for d in lambdas:
        d_sigma = d @ lam.T + lam @ d.T
        expected.append(-W.T @ d_sigma.astype(LONG) @ W)
    scale = problem.theta_scale[:, None, None]
    slopes = (np.asarray(found.tail_gradient) * scale)[problem.order]
    size = np.abs(theta)[:, None, None]
    assert relative_error(slopes * size, np.array(expected) * size) < 1e-11


@both_likelihoods
def test_a_vanishing_variance_is_a_stationary_direction(reml: bool) -> None:
    model = build("nested and crossed", reml=reml)
    theta = engine_theta("nested and crossed", model)
    for i in range(len(theta)):
        at_zero = np.where(np.arange(len(theta)) == i, 0.0, theta)
        found = evaluate(model, at_zero)
        # The likelihood is even in theta_i: an exact zero, not a small number.
        assert float(found.gradient[i]) == 0.0
        others = np.delete(np.asarray(found.hessian)[i], i)
        np.testing.assert_array_equal(others, 0.0)
