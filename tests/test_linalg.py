"""Batched Cholesky factors and triangular solves, on each of the ways they are made."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ngmm import linalg

# Written out, in loops, by LAPACK.
SIZES = (1, 3, 4, 5, 9, 33, 65)


def positive(k: int, batch: tuple[int, ...] = (3,)) -> np.ndarray:
    """Well-conditioned covariances."""
    x = np.random.default_rng(k).normal(size=(*batch, 3 * k + 2, k))
    return np.einsum("...ij,...ik->...jk", x, x) / x.shape[-2]


@pytest.mark.parametrize("k", SIZES)
def test_factors_are_those_of_numpy(k: int) -> None:
    a = positive(k)
    with linalg.precise():
        found = np.asarray(linalg.cholesky(jnp.asarray(a)))
    # Condition numbers are below 100; a few hundred roundings.
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=0, atol=1e-13)


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_solutions_solve(k: int, batch: tuple[int, ...]) -> None:
    L = np.linalg.cholesky(positive(k, batch))
    b = np.random.default_rng(0).normal(size=(*batch, k, 2))
    with linalg.precise():
        lower = np.asarray(linalg.solve_lower(jnp.asarray(L), jnp.asarray(b)))
        upper = np.asarray(linalg.solve_upper(jnp.asarray(L), jnp.asarray(b)))
    # As above.
    np.testing.assert_allclose(L @ lower, b, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.swapaxes(L, -1, -2) @ upper, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [3, 9])
def test_one_factor_solves_for_many_right_sides(k: int) -> None:
    L = np.linalg.cholesky(positive(k, ()))
    b = np.random.default_rng(0).normal(size=(4, k, 2))
    with linalg.precise():
        found = np.asarray(linalg.solve_lower(jnp.asarray(L), jnp.asarray(b)))
    np.testing.assert_allclose(L @ found, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [9, pytest.param(65, marks=pytest.mark.slow)])
def test_derivatives_are_those_of_the_log_determinant(k: int) -> None:
    # d log|A| = tr(A^-1 dA), d2 = -tr(A^-1 dA A^-1 dA).
    a, direction = positive(k, ()), positive(k + 100, ())[:k, :k]

    def log_det(t: jax.Array) -> jax.Array:
        return linalg.log_det_from_cholesky(
            linalg.cholesky(jnp.asarray(a) + t * direction)
        )

    with linalg.precise():
        first, second = (
            float(f(0.0)) for f in (jax.grad(log_det), jax.hessian(log_det))
        )
    ratio = np.linalg.solve(a, direction)
    # Relative rounding of k^2 terms.
    assert first == pytest.approx(np.trace(ratio), rel=1e-11)
    assert second == pytest.approx(-np.trace(ratio @ ratio), rel=1e-11)


def test_derivatives_of_an_inverse() -> None:
    k = 9
    a, direction = positive(k, ()), positive(k + 100, ())[:k, :k]

    def inverse(t: jax.Array) -> jax.Array:
        return linalg.inverse_from_cholesky(
            linalg.cholesky(jnp.asarray(a) + t * direction)
        )

    with linalg.precise():
        forwards = np.asarray(jax.jacfwd(inverse)(0.0))
        backwards = np.asarray(jax.jacrev(inverse)(0.0))
    expected = -np.linalg.solve(a, direction) @ np.linalg.inv(a)
    # Relative rounding of k^2 terms.
    np.testing.assert_allclose(forwards, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(backwards, expected, rtol=0, atol=1e-11)


def test_what_is_not_positive_definite_is_nan() -> None:
    for k in (3, 9):
        with linalg.precise():
            found = linalg.cholesky(jnp.asarray(-np.eye(k)))
        assert np.isnan(np.asarray(found)).any()


PROGRAM = """
import jax, jax.numpy as jnp
from ngmm import linalg
with linalg.precise():
    b = jnp.ones((1000, 20, 20))
    L = jnp.tril(b) + 20 * jnp.eye(20)
    f = jax.jit(lambda L, b: sum(linalg.solve_lower(L * i, b).sum() for i in (1, 2, 3)))
    for _ in range(50):
        f(L, b).block_until_ready()
print("done")
"""


def test_solves_side_by_side_do_not_wait_for_each_other() -> None:
    # LAPACK's batched calls do, forever, where there are two cores.
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.strip() == "done"
