"""Tests of linear combinations, and how they are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.comparison.hypotheses import as_hypothesis
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit

NAMES = (
    "Intercept",
    "recipe[T.B]",
    "recipe[T.C]",
    "temp",
    "I(temp ** 2)",
    "recipe[T.B]:temp",
    "x - y",
)


@pytest.fixture(scope="module")
def fit() -> MixedModelFit:
    data = ngmm.datasets.load("cake")
    return ngmm.fit("angle ~ recipe * temp + (1 | recipe:replicate)", data, reml=True)


@pytest.mark.parametrize(
    ("text", "weights", "value"),
    [
        ("temp", {3: 1}, 0),
        ("recipe[T.B] - recipe[T.C] = 0", {1: 1, 2: -1}, 0),
        ("recipe[T.B]=recipe[T.C]", {1: 1, 2: -1}, 0),
        ("(recipe[T.B] + recipe[T.C]) / 2 = 1.5", {1: 0.5, 2: 0.5}, 1.5),
        ("recipe[T.B]:temp + temp", {5: 1, 3: 1}, 0),
        ("2 * (Intercept - 3) == temp", {0: 2, 3: -1}, 6),
        ("-temp * 1e-1 + .5", {3: -0.1}, -0.5),
        ("I(temp**2) = 0", {4: 1}, 0),
        ("x - y = 2", {6: 1}, 2),
        ("temp - -temp", {3: 2}, 0),
    ],
)
def test_text(text: str, weights: dict[int, float], value: float) -> None:
    found = as_hypothesis(text, 0.0, NAMES)
    expected = np.zeros(len(NAMES))
    for position, weight in weights.items():
        expected[position] = weight
    np.testing.assert_array_equal(found.L, [expected])
    np.testing.assert_array_equal(found.rhs, [value])


@pytest.mark.parametrize(
    ("L", "message"),
    [
        ("recipe[T.D]", r'"recipe\[T.D\]" is not a coefficient.*did you mean "recipe'),
        ("temp:recipe[T.B]", r'did you mean "recipe\[T.B\]:temp"'),
        ("temp temp", r"expected \+ - \* / or the end"),
        ("temp * temp", "not linear"),
        ("temp / 0", "divided by a number only"),
        ("(temp", r"expected \)"),
        ("temp +", "expected a coefficient or a number"),
        ("temp - temp", "all weights are zero"),
        ("3 = 3", "all weights are zero"),
        ({"tmp": 1.0}, 'did you mean "temp"'),
        ({"temp": "1"}, "the weight of temp is '1'; give a number"),
        ({"temp": np.nan}, "give a finite one"),
        ([1.0, 2.0], r"shape \(2,\); 7 weights a row.*order: Intercept, recipe\[T.B\]"),
        (np.ones((2, 3)), r"shape \(2, 3\); 7 weights"),
        (np.full(7, np.nan), "not finite"),
        ([["a"]], "L must be numbers, a mapping"),
        ([], "7 weights a row"),
    ],
)
def test_what_cannot_be_read(L: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        as_hypothesis(L, 0.0, NAMES)


def test_values_on_the_right() -> None:
    found = as_hypothesis(["temp", {"temp": 2, "Intercept": 1}], [1.0, 2.0], NAMES)
    np.testing.assert_array_equal(found.rhs, [1.0, 2.0])
    assert found.labels == ("temp = 0", "Intercept + 2 temp = 2")
    with pytest.raises(OptionError, match="given twice"):
        as_hypothesis("temp = 1", 1.0, NAMES)
    with pytest.raises(OptionError, match="one finite number, or 1 of them"):
        as_hypothesis("temp", [1.0, 2.0], NAMES)


def test_all_ways_to_write_one_hypothesis_agree(fit: MixedModelFit) -> None:
    row = np.array([0.0, 1, -1, 0, 0, 0])
    weights = {"recipe[T.B]": 1, "recipe[T.C]": -1}
    tables = [
        fit.contest(L).to_frame()
        for L in (
            row,
            row[None],
            row.tolist(),
            weights,
            [weights],
            pd.Series(row, index=fit.fixef.index),
            "recipe[T.B] - recipe[T.C] = 0",
            "recipe[T.B] = recipe[T.C]",
        )
    ]
    for table in tables[1:]:
        np.testing.assert_array_equal(table, tables[0])


def test_a_single_coefficient_is_its_row_of_the_coefficient_table(
    fit: MixedModelFit,
) -> None:
    row = fit.contest("temp").to_frame().iloc[0]
    expected = fit.coef_table().to_frame().loc["temp"]
    for name in ("estimate", "std_error", "p_value", "conf_low", "conf_high"):
        # The same arithmetic in another order.
        assert row[name] == pytest.approx(expected[name], rel=1e-9)
    assert row["den_df"] == pytest.approx(expected["df"], rel=1e-9)
    assert row["statistic"] == pytest.approx(expected["statistic"] ** 2, rel=1e-9)


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger", "none"])
def test_a_term_is_its_row_of_the_analysis_of_variance(
    fit: MixedModelFit, df: str
) -> None:
    joint = fit.contest(["recipe[T.B]:temp", "recipe[T.C]:temp"], df=df).to_frame()
    expected = fit.anova(df=df).to_frame().loc["recipe:temp"]
    # The same arithmetic in another order.
    np.testing.assert_allclose(joint.iloc[0], expected, rtol=1e-9)


def test_dependent_rows_count_once(fit: MixedModelFit) -> None:
    one = fit.contest(["temp"]).to_frame().iloc[0]
    two = fit.contest(["temp", "2 * temp = 0"])
    assert two.to_frame()["num_df"].iloc[0] == 1
    assert "2 combinations, of which 1 is independent" in two.caption
    # The eigenvector of two rows costs digits.
    assert two.to_frame()["statistic"].iloc[0] == pytest.approx(
        one["statistic"], rel=1e-9
    )
    with pytest.raises(OptionError, match="contradict each other"):
        fit.contest(["temp = 1", "temp = 2"])


def test_the_value_tested_is_subtracted(fit: MixedModelFit) -> None:
    value = fit.fixef.tolist()[3]
    row = fit.contest("temp", rhs=value).to_frame().iloc[0]
    assert row["statistic"] == 0.0
    assert row["p_value"] == 1.0
    assert row["estimate"] == value
    two = fit.contest(["temp", "Intercept"], rhs=fit.fixef[["temp", "Intercept"]])
    # Differences of rotated numbers of order ten.
    assert two.to_frame()["statistic"].iloc[0] == pytest.approx(0.0, abs=1e-18)
