"""Optax transformations on whole objectives: the optimum, and every way to end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array
from numpy.typing import ArrayLike, NDArray

from ngmm.errors import OptionError
from ngmm.estimation import full_batch
from ngmm.estimation.estimators import FullBatch, Newton, is_transformation
from ngmm.estimation.full_batch import Objective, descend
from ngmm.estimation.newton import Evaluation, minimise
from ngmm.estimation.status import Status
from ngmm.linalg import precise


def logistic(x: Array, X: Array, y: Array, *, layout: str) -> Array:
    """Minus the log-likelihood of a logistic regression."""
    assert layout == "logistic"
    eta = X @ x
    return jnp.sum(jnp.logaddexp(0.0, eta) - y * eta)


def valley(x: Array, sizes: Array, *, layout: str) -> Array:
    """Convex, not quadratic, curvature between 1 and 300 along the axes."""
    assert layout == "valley"
    z = x - jnp.array([0.3, -0.7, 0.5])
    return jnp.sum(sizes * (jnp.cosh(z) - 1.0)) + 2.0


def logarithm(x: Array, shift: Array, *, layout: None) -> Array:
    assert layout is None
    return jnp.sum(x - jnp.log(x)) + shift


@cache
def logistic_data() -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 5))
    # A correlation of 0.96: curvature along the eigenvectors between 2 and 200.
    X[:, 4] = X[:, 3] + 0.3 * X[:, 4]
    y = rng.random(500) < 1.0 / (1.0 + np.exp(-X.sum(axis=1)))
    return X, y.astype(float)


PROBLEMS = {
    "logistic": lambda: Objective(logistic, np.zeros(5), logistic_data(), "logistic"),
    "valley": lambda: Objective(
        valley, np.zeros(3), (np.array([1.0, 30.0, 300.0]),), "valley"
    ),
}

TRANSFORMATIONS = {
    "lbfgs": optax.lbfgs(),
    "adam": optax.adam(optax.exponential_decay(0.1, 500, 0.5)),
    "chain": optax.chain(optax.clip_by_global_norm(10.0), optax.adam(0.02)),
}


@cache
def newton_optimum(problem: str) -> NDArray[np.float64]:
    o = PROBLEMS[problem]()

    def fun(x: Array) -> Array:
        return o.fun(x, *o.args, layout=o.layout)

    def evaluate(x: Array) -> tuple[Evaluation, tuple[()]]:
        return Evaluation(fun(x), jax.grad(fun)(x), jax.hessian(fun)(x)), ()

    with precise():
        found = jax.jit(lambda x: minimise(evaluate, x))(jnp.asarray(o.x0))
        assert int(found.status) == Status.CONVERGED
        return np.asarray(found.x)


@dataclass(frozen=True)
class Answer:
    x: NDArray[np.float64]
    n_steps: int
    max_steps_reached: bool


@dataclass(frozen=True)
class Problem:
    """What a model offers, and nothing else."""

    name: str

    def objective(self, start: ArrayLike | None = None) -> Objective:
        o = PROBLEMS[self.name]()
        x0 = o.x0 if start is None else np.asarray(start, dtype=float)
        return Objective(o.fun, x0, o.args, o.layout)

    def finish(self, x: NDArray, n_steps: int, max_steps_reached: bool) -> Answer:
        return Answer(x, n_steps, max_steps_reached)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_reaches_the_optimum_of_newton(problem: str, name: str) -> None:
    estimator = FullBatch(TRANSFORMATIONS[name], max_steps=3000)
    found = estimator(Problem(problem))
    # Within a gradient of 1e-6 and curvatures of at least 1: half a millionth.
    np.testing.assert_allclose(found.x, newton_optimum(problem), rtol=0, atol=1e-6)
    assert not found.max_steps_reached
    assert found.x.dtype == np.float64


def test_a_start_is_used() -> None:
    optimum = newton_optimum("logistic")
    near = FullBatch(optax.lbfgs())(Problem("logistic"), optimum + 1e-3)
    far = FullBatch(optax.lbfgs())(Problem("logistic"))
    assert near.n_steps < far.n_steps
    np.testing.assert_allclose(near.x, optimum, rtol=0, atol=1e-6)


def run(o: Objective, transformation: Any, **options: Any) -> full_batch.Descent:
    return descend(
        o, transformation, **{"max_steps": 300, "tolerance": 1e-6, **options}
    )


def test_the_record_belongs_to_the_point() -> None:
    o = PROBLEMS["valley"]()
    found = run(o, optax.adam(0.1), max_steps=60)
    sizes = o.args[0]
    z = found.x - [0.3, -0.7, 0.5]
    assert found.status is Status.MAX_STEPS
    assert found.n_steps == 60
    # Rounding of a sum of three.
    assert found.value == pytest.approx(sizes @ (np.cosh(z) - 1) + 2, rel=1e-14)
    slope = np.abs(sizes * np.sinh(z)).max()
    assert found.gradient_norm == pytest.approx(slope, rel=1e-12)


def test_the_best_point_is_kept() -> None:
    # Momentum with such a step jumps over the valley and back.
    sizes, rate, mass = np.array([1.0, 30.0, 300.0]), 0.004, 0.9
    found = run(PROBLEMS["valley"](), optax.sgd(rate, momentum=mass), max_steps=12)
    x, trace, points = np.zeros(3), np.zeros(3), []
    for _ in range(12):
        points.append(x)
        trace = sizes * np.sinh(x - [0.3, -0.7, 0.5]) + mass * trace
        x = x - rate * trace
    values = [sizes @ (np.cosh(x - [0.3, -0.7, 0.5]) - 1.0) + 2.0 for x in points]
    best = int(np.argmin(values))
    assert 0 < best < 11
    np.testing.assert_allclose(found.x, points[best], rtol=0, atol=1e-12)
    assert found.status is Status.MAX_STEPS


def test_max_steps_is_told_to_the_model() -> None:
    found = FullBatch(optax.adam(0.01), max_steps=7)(Problem("valley"))
    assert found.max_steps_reached
    assert found.n_steps == 7


def test_a_schedule_that_ends_stalls() -> None:
    # Zero at first, which must not count as the end; then zero for good.
    schedule = optax.join_schedules(
        [optax.constant_schedule(0.0), optax.constant_schedule(0.01), lambda _: 0.0],
        [5, 25],
    )
    found = run(PROBLEMS["valley"](), optax.adam(schedule))
    assert found.status is Status.STALLED
    assert found.n_steps == 25 + full_batch.STILL
    assert found.gradient_norm > 1e-2


def test_leaving_the_domain_ends_at_the_best_point() -> None:
    o = Objective(logarithm, np.array([0.5, 2.0]), (np.float64(0.0),), None)
    found = run(o, optax.sgd(10.0))
    assert found.status is Status.STALLED
    assert np.isfinite(found.value)
    assert (found.x > 0).all()


def test_not_finite_at_the_start() -> None:
    o = Objective(logarithm, np.array([-1.0, 2.0]), (np.float64(0.0),), None)
    found = run(o, optax.adam(0.1))
    assert found.status is Status.NOT_FINITE
    assert found.n_steps == 1
    np.testing.assert_array_equal(found.x, o.x0)


def test_line_search_sees_the_whole_objective() -> None:
    # Without value_fn it could not run; with a wrong one it would not arrive.
    o = Objective(logarithm, np.array([0.02, 9.0]), (np.float64(3.0),), None)
    found = run(o, optax.lbfgs())
    assert found.status is Status.CONVERGED
    np.testing.assert_allclose(found.x, 1.0, rtol=0, atol=1e-6)
    assert found.value == pytest.approx(5.0, abs=1e-12)


def test_progress_is_told() -> None:
    seen: list[tuple[int, float, float]] = []
    estimator = FullBatch(
        optax.adam(0.05),
        max_steps=120,
        progress=lambda n, value, slope: seen.append((n, value, slope)),
    )
    estimator(Problem("valley"))
    assert [n for n, _, _ in seen] == [50, 100, 120]
    values = [value for _, value, _ in seen]
    assert values == sorted(values, reverse=True)
    assert all(slope > 0 for _, _, slope in seen)


@pytest.mark.parametrize("wrap", [False, True])
def test_equal_problems_compile_once(wrap: bool) -> None:
    transformation = optax.sgd(1e-3)
    if wrap:
        # Without extra arguments, as older or hand-written transformations are.
        transformation = optax.GradientTransformation(*optax.sgd(1e-3))
    o = PROBLEMS["valley"]()
    run(o, transformation, max_steps=3)
    before = full_batch._advance.cache_size()
    longer = Objective(o.fun, o.x0 + 0.1, (o.args[0] * 2.0,), o.layout)
    run(longer, transformation, max_steps=120, tolerance=1e-3)
    assert full_batch._advance.cache_size() == before


def test_jax_settings_are_left_alone() -> None:
    run(PROBLEMS["valley"](), optax.sgd(1e-3), max_steps=2)
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transformation": optax.adam}, r"such as optax.lbfgs\(\), .*: call it, with"),
        ({"transformation": "adam"}, "must be an optax.GradientTransformation.*'adam'"),
        ({"max_steps": 0}, "max_steps must be a positive whole number, got 0"),
        ({"max_steps": 10.5}, "max_steps must be a positive whole number, got 10.5"),
        ({"tolerance": 0.0}, "tolerance must be a positive number, got 0.0"),
        ({"tolerance": float("nan")}, "tolerance must be a positive number, got nan"),
        ({"tolerance": "tiny"}, "tolerance must be a positive number, got 'tiny'"),
        ({"progress": True}, "progress must be a function"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        FullBatch(**{"transformation": optax.sgd(0.1), **options})


def test_what_counts_as_a_transformation() -> None:
    assert is_transformation(optax.adam(0.1))
    assert is_transformation(optax.lbfgs())
    assert not is_transformation(optax.adam)
    assert not is_transformation(Newton())
    assert not is_transformation(("init", "update"))


def test_prints_what_can_be_read() -> None:
    text = repr(FullBatch(optax.adam(0.1), max_steps=10))
    assert text == "FullBatch(max_steps=10, tolerance=1e-06)"
