"""t and normal quantiles against scipy.stats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ngmm.errors import OptionError
from ngmm.inference.quantiles import check_level, critical, two_sided

DF = [0.5, 1, 2.5, 17, 1e3, 1e8]


@given(t=st.floats(-30, 30), df=st.sampled_from(DF))
def test_p_values_of_t(t: float, df: float) -> None:
    # Two implementations of the incomplete beta function.
    assert two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-9)


@given(z=st.floats(-37, 37))
def test_p_values_of_z(z: float) -> None:
    assert two_sided(z, np.inf) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-12)


@given(level=st.floats(1e-6, 1 - 1e-6), df=st.sampled_from(DF))
def test_critical_values_of_t(level: float, df: float) -> None:
    # 0.5 + level / 2 rounds: near 1 the quantile magnifies that.
    expected = stats.t.isf((1 - level) / 2, df)
    assert critical(level, df) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@given(level=st.floats(1e-6, 1 - 1e-6))
def test_critical_values_of_z(level: float) -> None:
    expected = stats.norm.isf((1 - level) / 2)
    assert critical(level) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_arrays_may_mix_t_and_z() -> None:
    df = np.array([3.0, np.inf, 40.0])
    expected = [stats.t.ppf(0.95, 3), stats.norm.ppf(0.95), stats.t.ppf(0.95, 40)]
    np.testing.assert_allclose(critical(0.9, df), expected, rtol=1e-12)
    p = two_sided([2.0, -2.0, 0.0], df)
    expected = [2 * stats.t.sf(2, 3), 2 * stats.norm.sf(2), 1]
    np.testing.assert_allclose(p, expected, rtol=1e-12)


def test_extreme_statistics() -> None:
    assert two_sided(np.inf, 5) == 0
    assert two_sided(0.0, np.inf) == 1
    assert 0 < two_sided(1e6, 30) < 1e-100
    assert np.isnan(two_sided(np.nan, 4))


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, 95, np.nan, np.inf])
def test_levels_outside_zero_and_one(level: float) -> None:
    with pytest.raises(OptionError, match=r"^level must be between 0 and 1, got "):
        check_level(level)


@pytest.mark.parametrize("level", [True, "0.9", None, [0.9]])
def test_levels_that_are_no_numbers(level: object) -> None:
    with pytest.raises(OptionError, match=r"^level must be a number between 0 and 1"):
        critical(level)  # type: ignore[arg-type]


def test_a_percentage_is_recognised() -> None:
    with pytest.raises(OptionError, match=r"got 99\.5; did you mean 0\.995\?$"):
        check_level(99.5)
    assert check_level(np.float64(0.9)) == 0.9
