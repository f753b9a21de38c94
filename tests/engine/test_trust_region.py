"""The step of a trust region against brute force over the ball.

The step may fall short of the boundary by a twentieth of the radius, as the comment in
the code says, which costs at most a tenth of what the best step gains: the model is
concave along the ray from the origin, or falls faster the further out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngmm.estimation.newton import trust_region_step
from ngmm.linalg import precise

Vector = NDArray[np.float64]
SHARE = 0.9
ROUNDING = 1 + 1e-9


@cache
def compiled() -> Any:
    return jax.jit(trust_region_step)


def step(g: Vector, H: Vector, radius: float) -> tuple[Vector, float, float, bool]:
    with precise():
        p, predicted, gain, convex = compiled()(
            jnp.asarray(g), jnp.asarray(H), jnp.asarray(radius, dtype=jnp.float64)
        )
    return np.asarray(p), float(predicted), float(gain), bool(convex)


def decrease(p: Vector, g: Vector, H: Vector) -> Vector:
    """What the quadratic model promises for steps along the last axis."""
    return -(p @ g + 0.5 * np.einsum("...i,ij,...j->...", p, H, p))


def best_of_the_disc(g: Vector, H: Vector, radius: float) -> float:
    """Largest decrease over a fine grid of a disc in two dimensions."""
    angle = np.linspace(0, 2 * np.pi, 721)
    length = radius * np.linspace(0, 1, 101)[:, None]
    grid = np.stack([length * np.cos(angle), length * np.sin(angle)], -1)
    return float(decrease(grid, g, H).max())


def best_on_the_sphere(g: Vector, H: Vector, radius: float) -> float:
    """Largest decrease on the boundary, by bisection of the secular equation."""
    values, vectors = np.linalg.eigh(H)
    c = vectors.T @ g
    low = -values[0]
    high = low + np.linalg.norm(c) / radius
    for _ in range(200):
        middle = 0.5 * (low + high)
        outside = np.linalg.norm(c / (values + middle)) > radius
        low, high = (middle, high) if outside else (low, middle)
    return float(decrease(vectors @ (-c / (values + high)), g, H))


def rotated(low: float, high: float, angle: float) -> Vector:
    """Symmetric matrix with these eigenvalues."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([low, high]) @ turn.T


numbers = st.floats(-3, 3)


@settings(max_examples=100)
@given(numbers, numbers, numbers, numbers, st.floats(0, 3.2), st.floats(0.05, 3))
def test_step_is_inside_the_ball_and_almost_the_best_there(
    g0: float, g1: float, low: float, high: float, angle: float, radius: float
) -> None:
    g, H = np.array([g0, g1]), rotated(low, high, angle)
    p, predicted, _, _ = step(g, H, radius)
    assert np.linalg.norm(p) <= radius * ROUNDING
    assert predicted == pytest.approx(float(decrease(p, g, H)), rel=1e-9, abs=1e-12)
    # 1e-8: what directions without slope or curvature may hide.
    assert predicted >= SHARE * best_of_the_disc(g, H, radius) - 1e-8


@settings(max_examples=20)
@given(numbers, numbers, st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0, 3.2))
def test_convex_problem_with_room_takes_the_newton_step(
    g0: float, g1: float, low: float, high: float, angle: float
) -> None:
    g, H = np.array([g0, g1]), rotated(low, high, angle)
    newton = -np.linalg.solve(H, g)
    p, predicted, gain, convex = step(g, H, 2 * float(np.linalg.norm(newton)) + 1e-6)
    assert convex
    # Solved through eigenvalues that differ by a factor of 30 at most.
    np.testing.assert_allclose(p, newton, rtol=1e-10, atol=1e-12)
    assert predicted == pytest.approx(gain, rel=1e-10, abs=1e-15)
    assert gain == pytest.approx(-0.5 * float(g @ newton), rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("radius", [1e-6, 1.0, 1e3])
def test_hard_case_goes_along_the_negative_direction(radius: float) -> None:
    # The gradient has nothing along the direction of negative curvature.
    g, H = np.array([0.5, 0.0]), np.diag([2.0, -1.0])
    p, predicted, _, convex = step(g, H, radius)
    assert not convex
    assert np.linalg.norm(p) <= radius * ROUNDING
    assert predicted >= SHARE * best_of_the_disc(g, H, radius)
    if radius >= 1.0:
        assert abs(p[1]) > abs(p[0])


def test_zero_gradient_at_a_saddle_still_moves() -> None:
    p, predicted, _, convex = step(np.zeros(2), np.diag([1.0, -4.0]), 0.5)
    assert not convex
    np.testing.assert_allclose(np.abs(p), [0.0, 0.5], atol=1e-12)
    assert predicted == pytest.approx(0.5, rel=1e-12)


def test_flat_directions_are_not_followed_at_a_minimum() -> None:
    # Nothing to gain along the second coordinate, and no curvature to say how far.
    p, predicted, gain, convex = step(np.array([0.2, 0.0]), np.diag([2.0, 0.0]), 5.0)
    assert convex
    np.testing.assert_allclose(p, [-0.1, 0.0], atol=1e-15)
    assert predicted == pytest.approx(0.01)
    assert gain == pytest.approx(0.01)


def test_random_indefinite_problems_of_eight_dimensions() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        a, g = rng.normal(size=(8, 8)), rng.normal(size=8)
        H, radius = a + a.T, 10 ** rng.uniform(-2, 1)
        p, predicted, _, convex = step(g, H, radius)
        assert not convex
        assert np.linalg.norm(p) <= radius * ROUNDING
        assert predicted == pytest.approx(float(decrease(p, g, H)), rel=1e-9)
        best = best_on_the_sphere(g, H, radius)
        assert SHARE * best <= predicted <= best * ROUNDING
