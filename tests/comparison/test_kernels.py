"""The kernel of random networks, and its factor of few columns."""

from __future__ import annotations

import numpy as np
import pytest

from ngmm.inference.score.kernels import (
    ArcCosine,
    between_share,
    features,
    pivoted_cholesky,
)
from ngmm.networks import Inputs


def whole(kernel: ArcCosine) -> np.ndarray:
    return kernel.columns(np.arange(kernel.inputs.n_rows))


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(12, 2))


def test_kernel_is_the_covariance_of_random_rectifiers(x):
    generator = np.random.default_rng(2)
    n_units = 400_000
    w = generator.normal(size=(3, n_units))
    units = np.maximum(np.column_stack([np.ones(len(x)), x]) @ w, 0.0)
    brute = 2.0 * units @ units.T / n_units
    # A product of two units has a standard deviation of about 2 |z|^2: with 400,000 of
    # them four standard errors are 0.013 |z|^2.
    size = np.sqrt(np.outer(np.diag(brute), np.diag(brute)))
    assert np.abs(whole(ArcCosine(Inputs(x))) - brute).max() < 0.013 * size.max()


def test_a_second_layer_maps_the_kernel_of_the_first(x):
    first = whole(ArcCosine(Inputs(x)))
    length = np.sqrt(np.diag(first))
    scale = np.outer(length, length)
    angle = np.arccos(np.clip(first / scale, -1, 1))
    by_hand = scale / np.pi * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    # The same operations in another order: rounding, and arccos near one.
    np.testing.assert_allclose(
        whole(ArcCosine(Inputs(x), depth=2)), by_hand, atol=1e-7, rtol=0
    )


def test_codes_are_indicators(x):
    codes = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
    by_codes = ArcCosine(Inputs(x, (codes,)))
    by_columns = ArcCosine(Inputs(np.column_stack([x, np.eye(3)[codes]])))
    np.testing.assert_allclose(whole(by_codes), whole(by_columns), rtol=1e-12)
    np.testing.assert_allclose(by_codes.diagonal, by_columns.diagonal, rtol=1e-12)


def test_the_diagonal_is_that_of_the_matrix(x):
    kernel = ArcCosine(Inputs(x), depth=3)
    np.testing.assert_allclose(np.diag(whole(kernel)), kernel.diagonal, rtol=1e-12)


def test_the_factor_leaves_out_no_more_than_it_may():
    x = np.random.default_rng(3).normal(size=(200, 2))
    kernel = ArcCosine(Inputs(x))
    factor = pivoted_cholesky(kernel.columns, kernel.diagonal, tolerance=1e-3)
    left = whole(kernel) - factor @ factor.T
    assert factor.shape[1] < 100
    assert np.trace(left) <= 1e-3 * kernel.diagonal.sum()
    # What is left out of a positive semidefinite matrix is one, up to rounding.
    assert np.linalg.eigvalsh(left).min() > -1e-10


def test_features_are_the_kernel_beyond_the_fixed_effects(x):
    X = np.column_stack([np.ones(len(x)), x])
    found = features([ArcCosine(Inputs(x))], X, most=50, tolerance=1e-12, roots=(1.0,))
    H = X @ np.linalg.solve(X.T @ X, X.T)
    beyond = (np.eye(len(x)) - H) @ whole(ArcCosine(Inputs(x))) @ (np.eye(len(x)) - H)
    expected = beyond * len(x) / np.trace(beyond)
    # Twelve rows less three columns; products of orthogonal factors keep 12 digits.
    assert found.n == 9
    np.testing.assert_allclose(found.columns @ found.columns.T, expected, atol=1e-10)
    np.testing.assert_allclose(X.T @ found.columns, 0.0, atol=1e-10)


def test_roots_of_the_kernel_have_equal_norms(x):
    X = np.ones((len(x), 1))
    kernel = [ArcCosine(Inputs(x))]
    one = features(kernel, X, most=50, roots=(1.0,)).columns
    found = features(kernel, X, most=50, roots=(0.5, 0.25)).columns
    values, vectors = np.linalg.eigh(one @ one.T)
    values = np.maximum(values, 0.0)
    roots = [vectors @ np.diag(values**p) @ vectors.T for p in (0.5, 0.25)]
    total = sum(r / np.linalg.norm(r) for r in roots)
    # Roots of eigenvalues that are rounding errors, 1e-16 and below, are 1e-4.
    expected = total * len(x) / np.trace(total)
    np.testing.assert_allclose(found @ found.T, expected, atol=2e-3)


def test_kernels_of_several_networks_have_equal_traces():
    x = np.random.default_rng(4).normal(size=(60, 2)) * [1.0, 10.0]
    X = np.ones((60, 1))
    kernels = [ArcCosine(Inputs(x[:, [j]])) for j in range(2)]
    single = [features([k], X, most=60, roots=(1.0,)).columns for k in kernels]
    both = features(kernels, X, most=120, roots=(1.0,)).columns
    expected = 0.5 * (single[0] @ single[0].T + single[1] @ single[1].T)
    # Each factor leaves out 1e-6 of a trace of 60.
    np.testing.assert_allclose(both @ both.T, expected, atol=1e-4)


def test_a_linear_network_has_nothing_beyond_linear_terms(x):
    X = np.column_stack([np.ones(len(x)), x])
    assert features([ArcCosine(Inputs(x), depth=0)], X, most=50).n == 0


def test_few_features_say_how_much_they_hold():
    x = np.random.default_rng(5).normal(size=(100, 3))
    X = np.ones((100, 1))
    found = features([ArcCosine(Inputs(x))], X, most=3)
    assert found.n == 3
    assert 0.5 < found.share < 1.0
    # Scaled to the trace of the whole, whatever is left out.
    assert (found.columns**2).sum() == pytest.approx(100.0, rel=1e-12)


def test_between_share_of_constant_and_of_centred_columns():
    codes = np.repeat(np.arange(4, dtype=np.int32), 5)
    constant = np.random.default_rng(6).normal(size=(4, 2))[codes]
    within = np.random.default_rng(7).normal(size=(20, 2))
    for level in range(4):
        within[codes == level] -= within[codes == level].mean(0)
    assert between_share(constant, codes) == pytest.approx(1.0, rel=1e-12)
    # A sum of squares of rounding errors.
    assert between_share(within, codes) < 1e-28
