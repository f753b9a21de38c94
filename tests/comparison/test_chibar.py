"""Chi-bar-squares: weights, projections on cones, and the information they need."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ngmm.inference.mixtures import chibar_survival
from ngmm.inference.ratio.chibar import (
    chibar_tail,
    orthant_weights,
    project,
    squared_cosines,
)
from ngmm.inference.ratio.information import (
    MOST,
    Columns,
    Direction,
    efficient_information,
)

Matrix = NDArray[np.float64]


def spread(size: int, seed: int) -> Matrix:
    root = np.random.default_rng(seed).normal(size=(size, size + 1))
    return root @ root.T


def test_one_variance_has_half_the_p_value() -> None:
    for q in (0.3, 2.7, 42.0):
        # One formula on both sides.
        expected = 0.5 * stats.chi2.sf(q, 1)
        assert chibar_tail(q, 0, [1]).p_value == pytest.approx(expected, rel=1e-13)


def test_a_column_with_covariances_is_the_mixture_of_stram_and_lee() -> None:
    for k in (2, 3, 4):
        expected = 0.5 * (stats.chi2.sf(9.0, k - 1) + stats.chi2.sf(9.0, k))
        tail = chibar_tail(9.0, k - 1, [1])
        assert tail.p_value == pytest.approx(expected, rel=1e-13)


def test_a_ratio_of_zero_says_nothing() -> None:
    assert chibar_tail(0.0, 0, [1]).p_value == 1.0
    assert chibar_tail(-1e-9, 1, [2], np.eye(3)).p_value == 1.0


@pytest.mark.parametrize("size", [2, 3])
def test_weights_of_independent_variances_are_binomial(size: int) -> None:
    # To rounding of the arcsine.
    expected = stats.binom.pmf(np.arange(size + 1), size, 0.5)
    np.testing.assert_allclose(
        orthant_weights(np.eye(size), size), expected, atol=1e-14
    )


@pytest.mark.parametrize("size", [2, 3])
def test_weights_in_closed_form_agree_with_projections(size: int) -> None:
    information = spread(size, 4)
    weights = orthant_weights(information, size)
    assert weights.sum() == pytest.approx(1.0, abs=1e-14)
    n = 100_000
    cosine = squared_cosines(0, [1] * size, information, n, 1)
    with np.errstate(divide="ignore"):
        for q in (1.0, 6.0, 30.0):
            chance = stats.chi2.sf(q / cosine, size)
            error = chance.std() / np.sqrt(n)
            exact = chibar_survival(q, weights, np.arange(size + 1))
            assert abs(chance.mean() - exact) < 4 * error
    # A projection on all faces: nothing is left.
    share = (cosine == 0.0).mean()
    assert abs(share - weights[0]) < 4 * np.sqrt(weights[0] * (1 - weights[0]) / n)


def test_semidefinite_matrices_of_two() -> None:
    # In the metric of Frobenius (covariances count twice) the cone is circular with a
    # half angle of 45 degrees, whose weights are (1 - 1/sqrt 2) / 2 at both ends.
    end = 0.5 * (1.0 - np.sqrt(0.5))
    weights = [end, 0.5 - end, 0.5 - end, end]
    for n_free in (0, 2):
        for q in (2.0, 12.0, 40.0):
            tail = chibar_tail(q, n_free, [2], np.diag([1.0, 2.0, 1.0]), seed=1)
            exact = chibar_survival(q, weights, n_free + np.arange(4))
            assert 0 < tail.std_error < 0.02 * exact
            assert abs(tail.p_value - exact) < 4 * tail.std_error


@pytest.mark.parametrize("sizes", [[2], [3], [1, 2]])
def test_projections_satisfy_the_conditions_of_a_minimum(sizes: list[int]) -> None:
    length = sum(k * (k + 1) // 2 for k in sizes)
    metric = spread(length, 7)
    z = np.random.default_rng(0).normal(size=(500, length))
    x = project(z, metric, sizes)
    slope = (x - z) @ metric
    scale = np.linalg.eigvalsh(metric)[-1]
    # Complementary, and both in the cone, which is its own dual: a projection in the
    # Euclidean metric moves neither. To the step at which points count as settled.
    assert np.abs((slope * x).sum(axis=1)).max() < 1e-4 * scale
    for y in (x, slope / scale):
        same = project(y, np.eye(length), sizes)
        np.testing.assert_allclose(same, y, rtol=0, atol=1e-4)


def dense_information(V: Matrix, directions: list[Matrix]) -> Matrix:
    """Half the traces of V^-1 V_a V^-1 V_b, by n x n matrices."""
    half = [np.linalg.solve(V, d) for d in directions]
    return np.array([[0.5 * np.trace(a @ b) for b in half] for a in half])


def test_information_against_dense_matrices() -> None:
    rng = np.random.default_rng(3)
    n = 60
    g, h = (
        rng.integers(0, 6, n).astype(np.int32),
        rng.integers(0, 4, n).astype(np.int32),
    )
    one, x = np.ones((n, 1)), rng.normal(size=(n, 1))
    precision = rng.uniform(0.5, 2.0, n)
    A, B = np.eye(6)[g], np.eye(4)[h]
    z1, z2, z3 = A, A * x, B
    residual = np.diag(1 / precision)
    V = residual + 0.7 * z1 @ z1.T
    # (1 + x | g) + (1 | h) against (1 | g): new are the variances of x and of h.
    order = [z1 @ z1.T, z1 @ z2.T + z2 @ z1.T, z2 @ z2.T, z3 @ z3.T, residual]
    whole = dense_information(V, order)
    tested, other = [2, 3], [0, 1, 4]
    expected = whole[np.ix_(tested, tested)] - whole[np.ix_(tested, other)] @ (
        np.linalg.solve(whole[np.ix_(other, other)], whole[np.ix_(other, tested)])
    )
    found = efficient_information(
        [(Columns(g, 6, one), np.array([[0.7]]))],
        [
            Direction(Columns(g, 6, np.hstack([one, x])), 1),
            Direction(Columns(h, 4, one), 1),
        ],
        precision,
        residual=True,
    )
    # Traces of well-conditioned matrices by two routes.
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_information_of_a_whole_term_without_other_random_effects() -> None:
    rng = np.random.default_rng(5)
    n = 40
    g = rng.integers(0, 5, n).astype(np.int32)
    Z = np.column_stack([np.ones(n), rng.normal(size=n)])
    precision = np.full(n, 2.0)
    A = np.eye(5)[g]
    z1, z2, residual = A, A * Z[:, 1:], np.eye(n) / 2.0
    order = [z1 @ z1.T, z1 @ z2.T + z2 @ z1.T, z2 @ z2.T, residual]
    whole = dense_information(residual, order)
    expected = whole[:3, :3] - np.outer(whole[:3, 3], whole[3, :3]) / whole[3, 3]
    found = efficient_information(
        [], [Direction(Columns(g, 5, Z), 2)], precision, residual=True
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_too_many_random_effects_are_refused() -> None:
    from ngmm.errors import NotSupportedError

    n = MOST + 1
    columns = Columns(np.arange(n, dtype=np.int32), n, np.ones((n, 1)))
    with pytest.raises(NotSupportedError, match='method="bootstrap"'):
        efficient_information([], [Direction(columns, 1)], np.ones(n), residual=True)
