"""Terms left out in turn: against lme4 and lmerTest, and on the same rows."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import NotSupportedError, OptionError
from ngmm.results import MixedModelFit

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "reference" / "anova.json").read_text()
)
CASES = {
    c["name"]: c
    for c in REFERENCE["cases"]
    if c.get("drop1_lrt") and c["coding"] == "contr.treatment"
}


@cache
def frame(name: str) -> pd.DataFrame:
    if name not in ("unbalanced", "missing_cell"):
        return ngmm.datasets.load(name)
    data = pd.DataFrame(REFERENCE["data"]["unbalanced"])
    return data.loc[data["empty"] == 0] if name == "missing_cell" else data


@cache
def fitted(name: str) -> MixedModelFit:
    case = CASES[name]
    with warnings.catch_warnings():
        # One coefficient of the data with an empty cell is aliased.
        warnings.simplefilter("ignore", ngmm.errors.RankDeficiencyWarning)
        return ngmm.fit(case["formula"], frame(case["data"]), reml=case["reml"])


@pytest.mark.reference
@pytest.mark.parametrize(
    "name",
    [
        # Each compiles for a structure of its own.
        pytest.param(n, marks=pytest.mark.slow) if "uncorrelated" in n else n
        for n in CASES
    ],
)
def test_likelihood_ratios_are_those_of_lme4(name: str) -> None:
    found = fitted(name).drop1().to_frame()
    rows = CASES[name]["drop1_lrt"]
    assert list(found.index) == [row["term"] for row in rows]
    # Differences of maxima that both have to about 1e-9.
    np.testing.assert_allclose(found["aic"], [r["AIC"] for r in rows], atol=1e-6)
    for row in rows[1:]:
        got = found.loc[row["term"]]
        assert got["df"] == row["npar"]
        assert got["statistic"] == pytest.approx(row["LRT"], abs=1e-6)
        assert got["p_value"] == pytest.approx(row["p"], rel=1e-5)


@pytest.mark.reference
@pytest.mark.parametrize("name", CASES)
def test_f_tests_are_those_of_lmertest(name: str) -> None:
    found = fitted(name).drop1(test="F").to_frame()
    rows = CASES[name]["drop1_F"]
    assert list(found.index) == [row["term"] for row in rows]
    for row in rows:
        got = found.loc[row["term"]]
        # lmerTest differentiates numerically.
        assert got["statistic"] == pytest.approx(row["F"], rel=5e-6)
        assert got["den_df"] == pytest.approx(row["den_df"], rel=5e-6)


@pytest.mark.reference
@pytest.mark.parametrize("name", [n for n in CASES if CASES[n].get("ranova")])
def test_simplified_random_effects_are_those_of_lmertest(name: str) -> None:
    found = fitted(name).ranova(method="chi2").to_frame()
    rows = CASES[name]["ranova"]
    assert len(found) == len(rows)
    np.testing.assert_array_equal(found["npar"], [r["npar"] for r in rows])
    # Differences of maxima that both have to about 1e-9.
    np.testing.assert_allclose(found["loglik"], [r["loglik"] for r in rows], atol=1e-6)
    for got, row in zip(found.to_dict("records")[1:], rows[1:], strict=True):
        assert got["df"] == row["df"]
        assert got["statistic"] == pytest.approx(row["LRT"], abs=1e-6)
        assert got["p_value"] == pytest.approx(row["p"], rel=1e-5)
        assert got["method"] == "chi2"


def test_reml_is_left_for_fixed_terms_and_kept_for_random_ones() -> None:
    fit = fitted("sleepstudy")
    assert "fitted again by maximum likelihood" in fit.drop1().caption
    assert fit.ranova().caption.startswith("restricted likelihood-ratio tests")
    assert fit.ranova().to_frame().loc["<none>", "loglik"] == fit.loglik


def test_the_last_random_effect_leaves_a_linear_model() -> None:
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", frame("sleepstudy"))
    row = fit.ranova(method="chibar").to_frame().iloc[1]
    x, y = frame("sleepstudy")["Days"], frame("sleepstudy")["Reaction"]
    X = np.column_stack([np.ones(len(x)), x])
    rss = float(np.linalg.lstsq(X, y, rcond=None)[1][0])
    n = len(y)
    loglik = -0.5 * n * (np.log(2 * np.pi * rss / n) + 1)
    # The same closed form.
    assert row["loglik"] == pytest.approx(loglik, rel=1e-12)
    assert row["npar"] == 3
    # Half the p-value of chi-square with one degree of freedom.
    half = 0.5 * fit.ranova(method="chi2").to_frame()["p_value"].iloc[1]
    assert row["p_value"] == pytest.approx(half, rel=1e-9)


@pytest.mark.slow  # compiles for four structures of random effects
def test_what_random_effects_become() -> None:
    data = frame("unbalanced")
    fit = ngmm.fit("y ~ x + (0 + b | h) + (x || g)", data)
    rows = fit.ranova(method="chi2").to_frame()
    assert list(rows.index) == [
        "<none>",
        "b in (0 + b | h)",
        "1 in (1 + x || g)",
        "x in (1 + x || g)",
    ]
    # (0 + b | h) becomes (1 | h): from three parameters to one.
    assert rows["df"].tolist()[1:] == [2, 1, 1]
    smaller = ngmm.fit("y ~ x + (1 | h) + (x || g)", data)
    # Two searches for one maximum.
    assert rows["loglik"].iloc[1] == pytest.approx(smaller.loglik, abs=1e-8)


def test_all_models_have_the_same_rows() -> None:
    data = frame("unbalanced").assign(z=lambda d: d["x"] ** 2)
    data.loc[[3, 8], "z"] = np.nan
    whole = ngmm.fit("y ~ x + z + (1 | g)", data)
    smaller = ngmm.fit("y ~ x + (1 | g)", data[data["z"].notna()])
    found = whole.drop1(scope="z").to_frame()
    # One design, one maximum.
    assert found.loc["z", "loglik"] == pytest.approx(smaller.loglik, abs=1e-9)
    assert list(found.index) == ["<none>", "z"]


def test_a_term_that_takes_over_the_intercept_is_counted_right() -> None:
    fit = ngmm.fit("y ~ 0 + a + b + (1 | g)", frame("unbalanced"))
    # Without a, b has an indicator for each level: two parameters fewer.
    assert fit.drop1().to_frame().loc["a", "df"] == 2
    assert fit.drop1(test="F").to_frame().loc["a", "num_df"] == 2


def test_expressions_with_operators_are_left_out_whole() -> None:
    data = frame("unbalanced")
    fit = ngmm.fit("y ~ b + {x + 1} + (1 | g)", data)
    smaller = ngmm.fit("y ~ b + (1 | g)", data)
    found = fit.drop1(scope="x + 1").to_frame()
    # Two searches for one maximum.
    assert found.loc["x + 1", "loglik"] == pytest.approx(smaller.loglik, abs=1e-8)


def test_an_idle_term_has_no_test() -> None:
    data = frame("unbalanced").assign(double=lambda d: 2.0 * d["x"])
    with pytest.warns(ngmm.errors.RankDeficiencyWarning):
        fit = ngmm.fit("y ~ x + double + (1 | g)", data)
    table = fit.drop1()
    assert table.to_frame()["df"].tolist()[1:] == [0, 0]
    assert np.isnan(table.to_frame()["p_value"].to_numpy()).all()
    assert "No test of x, double" in table.caption


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scope": "A:b"}, 'did you mean "a:b"'),
        ({"scope": "zzz"}, "'zzz' is not a fixed term of the model. Terms: a, b, x"),
        ({"scope": "a"}, "a cannot be left out while a:b is in the model"),
        ({"test": "Chisq"}, "test must be one of 'auto', 'lrt', 'F'"),
        ({"n": 99}, "unknown argument n="),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted("missing_cell").drop1(**arguments)


def test_bad_method_of_ranova() -> None:
    with pytest.raises(OptionError, match='did you mean "chibar"'):
        fitted("sleepstudy").ranova(method="chi-bar")


def test_beside_a_network_each_row_names_its_method() -> None:
    data = frame("unbalanced")
    fit = ngmm.fit("y ~ b + nn(x, hidden=()) + (1 | g)", data)
    table = fit.drop1(n=99, seed=1)
    found = table.to_frame()
    assert list(found.index) == ["<none>", "b", "nn(x)"]
    without = ngmm.fit("y ~ b + (1 | g)", data)
    # Two searches for one maximum.
    assert found["loglik"].tolist()[2] == pytest.approx(without.loglik, abs=1e-8)
    # A chi-square test does not hold beside a penalised network.
    assert set(found["method"].dropna()) <= {"bootstrap", "score"}
    assert found["p_value"].iloc[1:].between(0.0, 1.0).all()
    with pytest.raises(OptionError, match="for gaussian models without networks"):
        fit.drop1(test="F")
    with pytest.raises(NotSupportedError, match="without networks"):
        fit.ranova()
