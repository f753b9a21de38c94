from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngmm.results.formatting import (
    common_decimals,
    fixed,
    integer,
    interval,
    number,
    numbers,
    p_value,
    percent,
)

NAN = float("nan")
INF = float("inf")
anything = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("scale", "decimals"),
    [
        ([6.63, 1.502], 3),  # a leading 1 keeps four digits
        ([6.63, 2.502], 2),
        ([0.038, 0.081], 4),
        ([4321.0], 0),
        ([0.0, NAN, 0.25], 3),
        ([], 2),
        ([0.0], 2),
    ],
)
def test_decimals_follow_the_smallest_scale(scale, decimals):
    assert common_decimals(scale) == decimals


def test_the_largest_number_limits_the_decimals():
    # Eight digits in all: 251.40510 is the longest that is still read.
    assert common_decimals([251.4, 1e-5], [6.6, 4e-6]) == 5


def test_numbers_share_their_decimals():
    assert numbers([251.4051, 10.46729, -0.5], scale=[6.632, 1.502, 1.9]) == [
        "251.405",
        "10.467",
        "-0.500",
    ]


def test_very_small_and_very_large_numbers_are_scientific():
    assert numbers([251.4, 1.234e-9]) == ["251.40000", "1.234e-09"]
    assert numbers([2.5e12, 1.5]) == ["2.500e+12", "1.500"]


def test_small_estimates_with_large_errors_are_just_zero():
    texts = numbers([1e-9, -1e-9], 3, scale=[0.5, 0.5])
    assert texts == ["0.000", "0.000"]


def test_fixed_keeps_its_decimals_for_small_numbers():
    assert fixed([0.081, 0.0001, NAN], 2) == ["0.08", "0.00", "-"]


def test_what_is_not_finite_is_a_dash():
    assert numbers([NAN, INF, -INF], 2) == ["-", "-", "-"]
    assert numbers([NAN, 1.0], 2, missing="") == ["", "1.00"]
    assert (number(NAN, 2), integer(NAN), p_value(NAN)) == ("-", "-", "-")


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "<0.001"),
        (0.0009999, "<0.001"),
        (0.001, "0.001"),
        (0.0496, "0.050"),
        (1.0, "1.000"),
    ],
)
def test_p_values(p, text):
    assert p_value(p) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.3701, 0.7083, "[0.37, 0.71]"),
        (-0.001, 3.146, "[0.00, 3.15]"),
        (0.37, INF, ">= 0.37"),
        (-INF, 0.37, "<= 0.37"),
        (NAN, NAN, "-"),
        (-INF, INF, "-"),
        (NAN, 0.5, "[-, 0.50]"),
        (1.5e-6, 4e-6, "[1.500e-06, 4.000e-06]"),
    ],
)
def test_intervals(low, high, text):
    assert interval(low, high, 2) == text


def test_intervals_of_correlations_keep_their_decimals():
    assert interval(-0.01, 0.03, 2, scale=1.0) == "[-0.01, 0.03]"


def test_integers_and_levels():
    assert (integer(73421), integer(999), integer(-1e6)) == (
        "73,421",
        "999",
        "-1,000,000",
    )
    assert (percent(0.95), percent(0.9), percent(0.999)) == ("95%", "90%", "99.9%")


@given(st.lists(anything, min_size=1, max_size=6))
def test_no_number_ever_prints_as_nan_or_inf(values):
    texts = [*numbers(values), *fixed(values, 2), *map(p_value, values)]
    texts += [interval(values[0], values[-1], 2), integer(values[0])]
    assert re.search("nan|inf", " ".join(texts), re.IGNORECASE) is None


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=6))
def test_the_printed_number_is_the_number(values):
    for value, text in zip(values, numbers(values), strict=True):
        # Every entry shows two significant digits or more, so at most 5% is lost.
        assert float(text) == pytest.approx(value, rel=0.051, abs=0)
        assert len(text) <= len("-1.234e-300")


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=6))
def test_decimal_points_line_up(values):
    tails = {len(text.partition(".")[2]) for text in numbers(values)}
    assert len(tails) == 1
    assert not math.isnan(common_decimals(values))
