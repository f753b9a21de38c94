"""Whole designs: arrays of known data, missing rows, weights, offsets, responses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngmm import datasets
from ngmm.design import Design, build_design
from ngmm.formula import parse


def build(formula: str, data: Any, **options: Any) -> Design:
    return build_design(parse(formula), data, **options)[0]


@pytest.fixture
def small() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "y": [1.0, 2.0, 4.0, 3.0, 5.0, 9.0],
            "x": [1, 2, 3, 4, 5, 6],
            "k": [0, 1, 2, 3, 1, 0],
            "n": [4, 4, 4, 4, 4, 4],
            "a": ["p", "q", "r", "p", "q", "r"],
            "g": ["u", "u", "v", "v", "w", "w"],
        },
        index=[10, 20, 30, 40, 50, 60],
    )


def test_sleepstudy_arrays() -> None:
    data = datasets.load("sleepstudy")
    design = build("Reaction ~ Days + (Days | Subject)", data)
    assert design.names == ("Intercept", "Days")
    assert design.column_terms == ("Intercept", "Days")
    assert design.X.shape == (180, 2)
    assert design.X.dtype == np.float64
    assert design.X.flags.c_contiguous
    np.testing.assert_array_equal(design.X[:, 1], np.tile(np.arange(10.0), 18))
    (term,) = design.random
    assert term.group == "Subject"
    assert term.names == ("Intercept", "Days")
    assert term.label == "(1 + Days | Subject)"
    assert term.codes.dtype == np.int32
    np.testing.assert_array_equal(term.Z, design.X)
    labels = np.asarray(term.levels)[term.codes].astype(str)
    np.testing.assert_array_equal(labels, data["Subject"].astype(str))
    np.testing.assert_array_equal(design.weights, np.ones(180))
    np.testing.assert_array_equal(design.offset, np.zeros(180))
    assert not design.has_weights
    assert design.trials is None
    assert design.missing == {}
    assert design.rows.tolist() == list(range(180))


def test_cake_has_45_crossed_levels() -> None:
    design = build(
        "angle ~ recipe * temp + (1 | recipe:replicate)", datasets.load("cake")
    )
    assert design.names == (
        "Intercept",
        "recipe[T.B]",
        "recipe[T.C]",
        "temp",
        "recipe[T.B]:temp",
        "recipe[T.C]:temp",
    )
    assert design.column_terms[3:] == ("temp", "recipe:temp", "recipe:temp")
    assert design.random[0].group == "recipe:replicate"
    assert design.random[0].n_levels == 45


def test_terms_on_one_factor_share_its_codes() -> None:
    design = build("y ~ 1 + (1 | g) + (0 + x | g)", _random_frame(20))
    first, second = design.random
    assert first.codes is second.codes
    assert first.names == ("Intercept",)
    assert second.names == ("x",)


def test_factor_left_of_a_bar_has_an_indicator_for_each_level(
    small: pd.DataFrame,
) -> None:
    full = build("y ~ 1 + (0 + a | g)", small).random[0]
    assert full.names == ("a[p]", "a[q]", "a[r]")
    np.testing.assert_array_equal(full.Z.sum(axis=1), np.ones(6))
    reduced = build("y ~ 1 + (a || g)", small).random[0]
    assert reduced.names == ("Intercept", "a[T.q]", "a[T.r]")
    assert not reduced.correlated
    assert reduced.label == "(1 + a[T.q] + a[T.r] || g)"


def test_contrasts_apply_inside_bars(small: pd.DataFrame) -> None:
    design = build("y ~ a + (a | g)", small, contrasts={"a": "sum"})
    assert design.names == ("Intercept", "a[S.p]", "a[S.q]")
    assert design.random[0].names == design.names


@pytest.mark.parametrize(
    "missing", [np.nan, None, pd.NA], ids=["nan", "None", "pandas.NA"]
)
def test_rows_with_missing_values_are_dropped_and_counted(
    small: pd.DataFrame, missing: Any
) -> None:
    small["x"] = small["x"].astype(object)
    small.loc[20, "x"] = missing
    small.loc[[20, 60], "g"] = None
    small["unused"] = np.nan
    design = build("y ~ x + (1 | g)", small)
    assert design.missing == {"x": 1, "g": 2}
    assert design.n_dropped == 2
    assert design.rows.tolist() == [0, 2, 3, 4]
    assert design.index.tolist() == [10, 30, 40, 50]
    np.testing.assert_array_equal(design.X[:, 1], [1.0, 3.0, 4.0, 5.0])


def test_a_missing_weight_drops_its_row(small: pd.DataFrame) -> None:
    weights = np.array([1.0, 2.0, np.nan, 1.0, 1.0, 0.5])
    design = build("y ~ x + (1 | g)", small, weights=weights)
    assert design.missing == {"weights": 1}
    assert design.has_weights
    np.testing.assert_array_equal(design.weights, [1.0, 2.0, 1.0, 1.0, 0.5])


def test_levels_that_only_occur_in_dropped_rows_are_no_levels(
    small: pd.DataFrame,
) -> None:
    small["a"] = pd.Categorical(small["a"], categories=["r", "q", "p", "never"])
    small["g"] = pd.Categorical(small["g"], categories=["w", "v", "u", "never"])
    small.loc[(small["g"] == "v") | (small["a"] == "q"), "y"] = np.nan
    design = build("y ~ a + (1 | g)", small)
    assert design.names == ("Intercept", "a[T.p]")
    assert list(design.random[0].levels) == ["w", "u"]


def test_offsets_of_formula_and_argument_add(small: pd.DataFrame) -> None:
    by_name = build("y ~ x + offset(log(n)) + offset(k) + (1 | g)", small, offset="x")
    by_array = build(
        "y ~ x + offset(log(n) + k) + (1 | g)", small, offset=np.arange(1, 7)
    )
    expected = np.log(4.0) + small["k"] + small["x"]
    # One rounding of a sum of numbers below 10.
    np.testing.assert_allclose(by_name.offset, expected, rtol=1e-15)
    np.testing.assert_allclose(by_array.offset, expected, rtol=1e-15)


def test_weights_as_a_column_or_a_series(small: pd.DataFrame) -> None:
    by_name = build("y ~ x + (1 | g)", small, weights="n")
    by_series = build("y ~ x + (1 | g)", small, weights=small["n"])
    np.testing.assert_array_equal(by_name.weights, np.full(6, 4.0))
    np.testing.assert_array_equal(by_series.weights, by_name.weights)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("y", [1.0, 2.0, 4.0, 3.0, 5.0, 9.0]),
        ("k/n", [0.0, 0.25, 0.5, 0.75, 0.25, 0.0]),
        ("y^2", [1.0, 4.0, 16.0, 9.0, 25.0, 81.0]),
        ("x * y^2", [1.0, 8.0, 48.0, 36.0, 125.0, 486.0]),
        ("I(-y)", [-1.0, -2.0, -4.0, -3.0, -5.0, -9.0]),
        ("y > 2", [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
        ("a == 'p'", [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        ("x % 2", [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        ("np.maximum(y, x)", [1.0, 2.0, 4.0, 4.0, 5.0, 9.0]),
        ("2^-k", [1.0, 0.5, 0.25, 0.125, 0.5, 1.0]),
    ],
)
def test_responses_are_evaluated_as_in_r(
    small: pd.DataFrame, response: str, expected: list[float]
) -> None:
    design = build(f"{response} ~ 1 + (1 | g)", small)
    np.testing.assert_array_equal(design.y, expected)


def test_transformed_responses(small: pd.DataFrame) -> None:
    y = small["y"].to_numpy()
    np.testing.assert_array_equal(build("log(y) ~ 1 + (1 | g)", small).y, np.log(y))
    scaled = build("scale(y) ~ 1 + (1 | g)", small).y
    # Mean and sum of squares of six numbers: a few roundings.
    assert abs(scaled.mean()) < 1e-15
    assert scaled @ scaled == pytest.approx(5.0, rel=1e-14)
    base = build("log(y, 2) ~ 1 + (1 | g)", small).y
    # A quotient of logarithms has two roundings.
    np.testing.assert_allclose(base, np.log2(y), rtol=1e-15)


def test_cbind_gives_successes_and_trials(small: pd.DataFrame) -> None:
    design = build("cbind(k, n - k) ~ x + (1 | g)", small)
    np.testing.assert_array_equal(design.y, small["k"])
    np.testing.assert_array_equal(design.trials, small["n"])
    assert design.response_name == "cbind(k, n - k)"
    named = build("k ~ x + (1 | g)", small, trials="n")
    np.testing.assert_array_equal(named.trials, design.trials)


def test_boolean_responses_are_zero_and_one(small: pd.DataFrame) -> None:
    small["passed"] = small["y"] > 2
    for dtype in ("bool", "boolean", object):
        small["passed"] = small["passed"].astype(dtype)
        design = build("passed ~ x + (1 | g)", small)
        np.testing.assert_array_equal(design.y, [0, 0, 1, 1, 1, 1])


def test_aliased_columns_are_dropped_from_left_to_right(small: pd.DataFrame) -> None:
    small["twice"] = 2 * small["x"] + 3
    design = build("y ~ x + twice + I(x^2) + (1 | g)", small)
    assert design.names == ("Intercept", "x", "I(x^2)")
    assert design.column_terms == ("Intercept", "x", "I(x^2)")
    assert design.aliased == ("twice",)
    assert design.X.flags.c_contiguous
    np.testing.assert_array_equal(design.X[:, 2], small["x"] ** 2)


def test_empty_cells_of_an_interaction_are_aliased() -> None:
    data = pd.DataFrame(
        {
            "y": np.arange(6.0),
            "a": ["p", "p", "q", "q", "p", "q"],
            "b": ["u", "v", "u", "u", "v", "u"],
            "g": [1, 2, 1, 2, 1, 2],
        }
    )
    design = build("y ~ a * b + (1 | g)", data)
    assert design.names == ("Intercept", "a[T.q]", "b[T.v]")
    assert design.aliased == ("a[T.q]:b[T.v]",)


def test_no_fixed_column_at_all(small: pd.DataFrame) -> None:
    design = build("y ~ 0 + (1 | g)", small)
    assert design.X.shape == (6, 0)
    assert design.names == ()


def test_names_are_looked_up_in_data_only(small: pd.DataFrame) -> None:
    x = np.full(6, 1000.0)
    design = build("y ~ x + I(x + 1) + (1 | g)", small)
    assert design.X.max() < x.min()


def _random_frame(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "a": rng.choice(list("pqr"), n),
            "g": rng.choice(list("uvwxyz"), n),
            "h": rng.integers(0, 4, n),
        }
    )


# The first example imports formulaic, which takes longer than any deadline.
@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(30)))
def test_row_order_does_not_matter(order: list[int]) -> None:
    data = _random_frame(30)
    formula = "y ~ x * a + poly(x, 2) + (x | g) + (0 + a | g:h)"
    straight = build(formula, data)
    shuffled = build(formula, data.iloc[order])
    assert shuffled.names == straight.names
    assert shuffled.aliased == straight.aliased
    np.testing.assert_array_equal(shuffled.y, straight.y[order])
    assert shuffled.index.tolist() == order
    # poly() sums over the rows, and a sum depends on its order in the last digits.
    np.testing.assert_allclose(shuffled.X, straight.X[order], rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(shuffled.random, straight.random, strict=True):
        assert list(ours.levels) == list(theirs.levels)
        np.testing.assert_array_equal(ours.codes, theirs.codes[order])
        np.testing.assert_array_equal(ours.Z, theirs.Z[order])


def test_plain_formulas_do_not_import_formulaic() -> None:
    script = (
        "import sys, pandas as pd\n"
        "from ngmm.formula import parse\n"
        "from ngmm.design import build_design\n"
        "data = pd.DataFrame({'y': [1., 2, 4], 'x': [0, 1, 3], 'a': list('pqp'),"
        " 'g': list('aab')})\n"
        "build_design(parse('y ~ x + a + (x | g)'), data)\n"
        "assert 'formulaic' not in sys.modules and 'narwhals' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
