"""Standard deviations and correlations: derivatives, boundaries, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngmm.covariance import Pattern, factor_numpy, pattern
from ngmm.inference.components import components, fisher_interval, log_interval

PATTERNS = [
    pattern([(1, True)]),
    pattern([(2, True)]),
    pattern([(3, True)]),
    pattern([(3, False)]),
]


def values(theta: np.ndarray, sigma: float, p: Pattern) -> tuple[np.ndarray, ...]:
    """log sd and atanh of the correlations, written out."""
    lam = factor_numpy(theta, p)
    cov = sigma**2 * lam @ lam.T
    sd = np.sqrt(np.diag(cov))
    off = ~np.eye(p.k, dtype=bool)
    z = np.zeros((p.k, p.k))
    z[off] = np.arctanh((cov / np.outer(sd, sd))[off])
    return np.log(sd), z


@given(
    p=st.sampled_from(PATTERNS),
    numbers=st.lists(st.floats(-0.8, 0.8), min_size=6, max_size=6),
    sigma=st.floats(0.1, 10),
)
def test_derivatives_are_differences(
    p: Pattern, numbers: list[float], sigma: float
) -> None:
    theta = np.array(numbers[: p.n_theta])
    theta[list(p.diagonal)] = 1 + theta[list(p.diagonal)] / 2
    found = components(theta, sigma, p)
    log_sd, z = values(theta, sigma, p)
    # The same formulas.
    np.testing.assert_allclose(np.log(found.sd), log_sd, atol=1e-12)
    np.testing.assert_allclose(np.diag(found.correlation), 1, rtol=1e-15)
    off = ~np.eye(p.k, dtype=bool)
    np.testing.assert_allclose(found.correlation[off], np.tanh(z)[off], atol=1e-12)

    h = 1e-5
    point = np.append(theta, sigma)
    for i in range(len(point)):
        step = np.zeros(len(point))
        step[i] = h * max(1.0, abs(point[i]))
        up, down = point + step, point - step
        high, low = values(up[:-1], up[-1], p), values(down[:-1], down[-1], p)
        # Central differences: h^2 times a third derivative, which is below 1e3 here.
        width = 2 * step[i]
        np.testing.assert_allclose(
            found.d_log_sd[:, i], (high[0] - low[0]) / width, rtol=1e-6, atol=1e-6
        )
        np.testing.assert_allclose(
            found.d_z[:, :, i][off], (high[1] - low[1])[off] / width, rtol=1e-5,
            atol=1e-6,
        )  # fmt: skip


def test_a_zero_variance_has_neither_correlation_nor_derivative() -> None:
    found = components(np.array([0.0, 0.0, 2.0]), 1.5, pattern([(2, True)]))
    np.testing.assert_array_equal(found.sd, [0, 3])
    assert np.isnan(found.correlation[0, 1])
    assert np.isnan(found.d_log_sd[0, :-1]).all()
    assert np.isfinite(found.d_log_sd[1]).all()


def test_a_perfect_correlation_has_no_derivative() -> None:
    found = components(np.array([1.0, -2.0, 0.0]), 1.0, pattern([(2, True)]))
    assert found.correlation[0, 1] == -1
    assert np.isnan(found.d_z[0, 1, :-1]).all()


@pytest.mark.parametrize("size", [1e-70, 1e70])
def test_extreme_sizes_keep_their_correlation(size: float) -> None:
    theta = np.array([1.0, 0.5 * size, 0.5 * size])
    found = components(theta, 1.0, pattern([(2, True)]))
    assert found.correlation[1, 0] == pytest.approx(np.sqrt(0.5), rel=1e-12)


@given(value=st.floats(1e-3, 1e3), se=st.floats(0, 5), z=st.floats(0.1, 4))
def test_intervals_of_positive_quantities(value: float, se: float, z: float) -> None:
    low, high = log_interval(value, se, z)
    assert 0 < low <= value <= high
    # Symmetric on the log scale.
    assert low * high == pytest.approx(value**2, rel=1e-12)
    assert np.log(high / low) == pytest.approx(2 * z * se, rel=1e-9, abs=1e-12)


def test_an_interval_may_be_all_positive_numbers() -> None:
    assert log_interval(1.0, 1e6, 2.0) == (0.0, np.inf)


@given(r=st.floats(-0.999, 0.999), se=st.floats(0, 5), z=st.floats(0.1, 4))
def test_intervals_of_correlations(r: float, se: float, z: float) -> None:
    low, high = fisher_interval(r, se, z)
    assert -1 <= low <= r + 1e-12
    assert r - 1e-12 <= high <= 1
    assert fisher_interval(-r, se, z) == pytest.approx((-high, -low), abs=1e-15)


@pytest.mark.parametrize("r", [1.0, -1.0, np.nan])
def test_a_correlation_at_its_boundary_has_no_interval(r: float) -> None:
    assert np.isnan(fisher_interval(r, 0.1, 2.0)).all()
