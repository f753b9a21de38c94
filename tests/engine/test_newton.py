"""The optimiser on functions whose minima are known, and every way it can end."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ngmm.errors import OptionError
from ngmm.estimation.estimators import Newton
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.estimation.status import Status
from ngmm.linalg import precise
from tests.engine.derivatives import quick_jit


def with_derivatives(
    f: Callable[[Array], Array],
) -> Callable[[Array], tuple[Evaluation, Array]]:
    def evaluate(x: Array) -> tuple[Evaluation, Array]:
        return Evaluation(f(x), jax.grad(f)(x), jax.hessian(f)(x)), 10.0 * x

    return evaluate


@cache
def solver(f: Callable[[Array], Array], **options: Any) -> Callable[..., Any]:
    """Compiled once for every function and number of dimensions."""
    return quick_jit(
        lambda x, n: minimise(with_derivatives(f), x, max_steps=n, **options)
    )


def run(
    f: Callable[[Array], Array], x0: Any, *, max_steps: int = 100, **options: Any
) -> NewtonResult:
    with precise():
        start = jnp.asarray(x0, dtype=jnp.float64)
        found = solver(f, **options)(start, np.int64(max_steps))
        return jax.tree.map(np.asarray, found)


def rosenbrock(x: Array) -> Array:
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def double_well(x: Array) -> Array:
    """Minima at (0, +-1); a saddle at the origin."""
    return x[0] ** 2 + (x[1] ** 2 - 1.0) ** 2


@pytest.mark.parametrize("x0", [[-1.2, 1.0], [3.0, -4.0], [-1.2, 1.0, -0.5, 2.0]])
def test_rosenbrock(x0: list[float]) -> None:
    found = run(rosenbrock, x0)
    assert found.status == Status.CONVERGED
    # The last step starts where 1e-8 is left to gain, and squares the error.
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)
    assert found.value < 1e-12
    assert 0 <= found.gain < 1e-8


def test_result_belongs_to_the_best_point() -> None:
    found = run(rosenbrock, [-1.2, 1.0])
    np.testing.assert_array_equal(found.aux, 10.0 * found.x)
    a, b = found.x
    gap = b - a**2
    gradient = [-400 * a * gap - 2 * (1 - a), 200 * gap]
    hessian = [[800 * a**2 - 400 * gap + 2, -400 * a], [-400 * a, 200]]
    # Differences of numbers near one, times 400.
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-12)
    np.testing.assert_allclose(found.hessian, hessian, rtol=1e-12)
    assert found.value == pytest.approx(100 * gap**2 + (1 - a) ** 2, abs=1e-25)


def test_quadratic_takes_three_evaluations() -> None:
    # The start, the minimum, and the step that confirms it.
    found = run(lambda x: jnp.sum((x - 0.3) ** 2 * jnp.array([1.0, 50.0])), [0.0, 0.0])
    assert found.status == Status.CONVERGED
    assert found.n_steps == 3
    np.testing.assert_allclose(found.x, 0.3, rtol=1e-15)


def test_saddle_at_the_start_is_left() -> None:
    # The gradient is zero there: the hard case of the subproblem.
    found = run(double_well, [0.0, 0.0])
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(np.abs(found.x), [0.0, 1.0], atol=1e-8)


def test_saddle_with_a_gradient_across_it_is_left() -> None:
    found = run(double_well, [0.7, 0.0])
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(np.abs(found.x), [0.0, 1.0], atol=1e-8)


def test_maximum_at_the_start_is_left() -> None:
    found = run(lambda x: jnp.sum((x**2 - 1.0) ** 2), [0.0, 0.0, 0.0])
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(np.abs(found.x), 1.0, atol=1e-8)


def test_max_steps() -> None:
    found = run(rosenbrock, [-1.2, 1.0], max_steps=4)
    assert found.status == Status.MAX_STEPS
    assert found.n_steps == 4
    assert found.gain > 1e-8
    # Still the best point so far.
    assert found.value < rosenbrock(jnp.array([-1.2, 1.0]))


def test_not_finite_at_the_start() -> None:
    found = run(lambda x: jnp.log(x).sum(), [-1.0])
    assert found.status == Status.NOT_FINITE
    assert found.n_steps == 1


def test_infinite_steps_are_shortened_not_taken() -> None:
    # The first steps from 0.01 reach beyond zero, where the function is NaN.
    found = run(lambda x: jnp.sum(x - jnp.log(x)), [0.01, 5.0], radius=10.0)
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(found.x, 1.0, atol=1e-7)


def test_stalled() -> None:
    # Derivatives that promise a descent which the values never show.
    def liar(x: Array) -> tuple[Evaluation, Array]:
        value = jnp.abs(x).sum()
        return Evaluation(value, jnp.ones_like(x), jnp.eye(len(x))), x

    with precise():
        found = jax.jit(lambda x: minimise(liar, x))(jnp.zeros(2))
    assert int(found.status) == Status.STALLED
    np.testing.assert_array_equal(found.x, 0.0)


def test_a_slope_without_curvature_is_not_a_minimum() -> None:
    # Flat to second order along x[1], but it still goes down: no minimum exists.
    found = run(lambda x: jnp.cosh(x[0]) - x[1], [0.3, 0.0], max_steps=30)
    assert found.status != Status.CONVERGED
    assert found.x[1] > 1.0


def test_every_step_is_one_evaluation() -> None:
    seen: list[np.ndarray] = []

    def evaluate(x: Array) -> tuple[Evaluation, Array]:
        jax.debug.callback(lambda v: seen.append(np.array(v)), x)
        return with_derivatives(rosenbrock)(x)

    with precise():
        found = jax.jit(lambda x: minimise(evaluate, x))(jnp.array([-1.2, 1.0]))
        jax.effects_barrier()
    assert len(seen) == int(found.n_steps)


def test_polish_is_kept_where_the_objective_agrees() -> None:
    def zero_if_tiny(x: Array) -> Array:
        return jnp.where(jnp.abs(x) < 1e-3, 0.0, x)

    found = run(lambda x: jnp.sum(jnp.cosh(x)), [0.4, -0.7], polish=zero_if_tiny)
    assert found.status == Status.CONVERGED
    np.testing.assert_array_equal(found.x, 0.0)


def test_polish_is_refused_where_the_objective_rises() -> None:
    found = run(lambda x: jnp.sum((x - 0.3) ** 2), [0.0], polish=jnp.zeros_like)
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(found.x, 0.3, rtol=1e-12)


def test_maps_over_starts() -> None:
    starts = np.array([[-1.2, 1.0], [1.0, 1.0], [3.0, -4.0]])
    with precise():
        one = partial(minimise, with_derivatives(rosenbrock))
        together = quick_jit(jax.vmap(one))(jnp.asarray(starts))
        alone = quick_jit(one)
        apart = [alone(jnp.asarray(x)) for x in starts]
    assert together.n_steps.tolist() == [int(a.n_steps) for a in apart]
    assert together.status.tolist() == [Status.CONVERGED] * 3
    for i, a in enumerate(apart):
        np.testing.assert_allclose(together.x[i], a.x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("max_steps", [0, -1, 2.5, "ten"])
def test_estimator_refuses_a_senseless_number_of_steps(max_steps: Any) -> None:
    with pytest.raises(OptionError, match="max_steps must be a positive whole number"):
        Newton(max_steps=max_steps)


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_sentence(status: Status) -> None:
    assert len(status.sentence.split()) >= 1
    assert status.sentence == status.sentence.strip().rstrip(".")
