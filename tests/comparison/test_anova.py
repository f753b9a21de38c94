"""Tests of fixed terms: against lmerTest, and what must not depend on the coding."""

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
from ngmm.errors import OptionError
from ngmm.inference.wald.term_contrasts import type_one, type_three, type_two, vanishing
from ngmm.inference.wald.tests import combinations, f_denominator, f_tail, wald_test
from ngmm.results import MixedModelFit
from tests.reference import case_ids, load_entry, load_reference_case

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "reference" / "anova.json").read_text()
)
CASES = {case["name"]: case for case in REFERENCE["cases"]}
FACTORS = ("a", "b", "recipe", "temperature", "schgend", "sex")

# lmerTest differentiates numerically at a maximum found to about 1e-7 in theta: its F
# and degrees of freedom have relative errors of up to 1e-6.
LMERTEST = 5e-6


@cache
def frame(name: str) -> pd.DataFrame:
    if name not in ("unbalanced", "missing_cell"):
        return ngmm.datasets.load(name)
    data = pd.DataFrame(REFERENCE["data"]["unbalanced"])
    return data.loc[data["empty"] == 0] if name == "missing_cell" else data


@cache
def fitted(name: str, coding: str = "") -> MixedModelFit:
    case = CASES[name]
    kind = coding or case["coding"].removeprefix("contr.")
    fixed = case["formula"].split("(")[0].replace("*", " ").split()
    contrasts = (
        {f: kind for f in FACTORS if f in fixed} if kind != "treatment" else None
    )
    with warnings.catch_warnings():
        # One coefficient of the data with an empty cell is aliased.
        warnings.simplefilter("ignore", ngmm.errors.RankDeficiencyWarning)
        return ngmm.fit(
            case["formula"], frame(case["data"]), reml=case["reml"], contrasts=contrasts
        )


def assert_same(table: pd.DataFrame, rows: list[dict[str, Any]], rtol: float) -> None:
    assert list(table.index) == [row["term"] for row in rows]
    for row in rows:
        got = table.loc[row["term"]]
        assert got["num_df"] == row["num_df"]
        assert got["statistic"] == pytest.approx(row["F"], rel=rtol)
        assert got["den_df"] == pytest.approx(row["den_df"], rel=rtol)
        # The tail of F magnifies a relative error of F by up to its logarithm.
        assert got["p_value"] == pytest.approx(row["p"], rel=50 * rtol)


@pytest.mark.reference
@pytest.mark.parametrize("name", CASES)
def test_type_three_is_that_of_lmertest(name: str) -> None:
    assert_same(fitted(name).anova().to_frame(), CASES[name]["type3"], LMERTEST)


@pytest.mark.reference
@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_types_one_and_two_are_those_of_lmertest(name: str, kind: int) -> None:
    found = fitted(name).anova(kind).to_frame()
    rows = CASES[name][f"type{kind}"]
    if CASES[name]["coding"] == "contr.treatment" and name != "exam" and kind == 1:
        assert_same(found, rows, LMERTEST)
        return
    # There lmerTest's denominators of several columns depend on the coding.
    assert list(found.index) == [row["term"] for row in rows]
    for row in rows:
        statistic, den_df = found.loc[row["term"], ["statistic", "den_df"]].tolist()
        assert statistic == pytest.approx(row["F"], rel=LMERTEST)
        rtol = LMERTEST if row["num_df"] == 1 else 2e-2
        assert den_df == pytest.approx(row["den_df"], rel=rtol)


@pytest.mark.reference
@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize(
    "name", ["cake_factor", "cake_covariate", "unbalanced", "missing_cell"]
)
def test_denominators_agree_in_treatment_coding(name: str, kind: int) -> None:
    assert_same(fitted(name).anova(kind).to_frame(), CASES[name][f"type{kind}"], 1e-5)


WITH_ANOVA = [
    i
    for i in case_ids("models")
    if load_entry(i, "models")["expected"].get("anova_type3_satterthwaite")
]


@pytest.mark.reference
@pytest.mark.parametrize(
    "case_id",
    [
        # 73,421 rows with crossed factors.
        pytest.param(i, marks=pytest.mark.slow) if "insteval" in i else i
        for i in WITH_ANOVA
    ],
)
def test_satterthwaite_of_the_reference_models(case_id: str) -> None:
    case = load_reference_case(case_id)
    found = ngmm.fit(data=case.data, **case.call).anova().to_frame()
    rows = case.expected["anova_type3_satterthwaite"]
    assert len(found) == len(rows)
    for got, row in zip(found.to_dict("records"), rows, strict=True):
        assert got["num_df"] == row["num_df"]
        # The reference is precise to 1e-6; its denominators of singular fits rest on
        # numerical derivatives at the boundary.
        assert got["statistic"] == pytest.approx(row["F"], rel=1e-5)
        assert got["den_df"] == pytest.approx(row["den_df"], rel=1e-4)


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("coding", ["sum", "helmert"])
def test_no_type_depends_on_the_coding(kind: int, coding: str) -> None:
    one = fitted("unbalanced").anova(kind).to_frame()
    other = fitted("unbalanced", coding).anova(kind).to_frame()
    # Two searches for one maximum, each to about 1e-9 in theta.
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


def test_a_coding_written_into_the_formula_changes_nothing() -> None:
    case = CASES["missing_cell"]
    formula = case["formula"].replace("a * b", "C(a, contr.sum) * C(b, contr.helmert)")
    with pytest.warns(ngmm.errors.RankDeficiencyWarning):
        fit = ngmm.fit(formula, frame("missing_cell"), reml=True)
    found = fit.anova().to_frame()
    expected = fitted("missing_cell").anova().to_frame()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_empty_cell_is_named() -> None:
    caption = fitted("missing_cell").anova().caption
    assert "No data for a[C]:b[v]" in caption
    assert "No data" not in fitted("unbalanced").anova().caption


def test_type_three_of_complete_cells_is_the_marginal_test_of_sum_contrasts() -> None:
    fit = fitted("unbalanced", "sum")
    for term in ("a", "b", "a:b"):
        at = [i for i, owner in enumerate(fit.design.column_terms) if owner == term]
        beta, vcov = fit.fixef.to_numpy()[at], fit.vcov().to_numpy()[np.ix_(at, at)]
        chi2 = beta @ np.linalg.solve(vcov, beta)
        found = fit.anova(df="none").to_frame().loc[term]
        # Both are the same quadratic form; solving in another basis costs digits.
        assert found["statistic"] == pytest.approx(chi2, rel=1e-9)
        assert found["df"] == len(at)


def test_a_wholly_aliased_term_has_no_test() -> None:
    data = frame("unbalanced").assign(double=lambda d: 2.0 * d["x"])
    with pytest.warns(ngmm.errors.RankDeficiencyWarning):
        fit = ngmm.fit("y ~ x + double + (1 | g)", data)
    table = fit.anova()
    row = table.to_frame().loc["double"]
    assert row["num_df"] == 0
    assert np.isnan(row["statistic"])
    assert "No test of double" in table.caption


def test_the_method_of_the_fit_is_the_default() -> None:
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", frame("sleepstudy"), df="none")
    assert "statistic" in fit.anova().to_frame()
    assert list(fit.anova().to_frame().columns) == ["df", "statistic", "p_value"]
    assert "den_df" in fit.anova(df="satterthwaite").to_frame()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"type": 4}, "type must be 1, 2 or 3; got 4"),
        ({"type": True}, "type must be 1, 2 or 3"),
        ({"df": "satterthwait"}, 'did you mean "satterthwaite"'),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted("sleepstudy").anova(**arguments)


def test_without_fixed_terms_there_is_nothing_to_test() -> None:
    fit = ngmm.fit("Reaction ~ 1 + (1 | Subject)", frame("sleepstudy"))
    with pytest.raises(OptionError, match="no fixed terms beside the intercept"):
        fit.anova()


def test_linear_terms_beside_a_network() -> None:
    fit = ngmm.fit("y ~ a + nn(x, hidden=()) + (1 | g)", frame("unbalanced"))
    found = fit.anova().to_frame()
    beta, vcov = fit.fixef.to_numpy()[1:], fit.vcov().to_numpy()[1:, 1:]
    assert list(found.index) == ["a"]
    # The same quadratic form.
    chi2 = beta @ np.linalg.solve(vcov, beta)
    assert found.loc["a", "statistic"] == pytest.approx(chi2, rel=1e-9)


# Numbers on arrays --------------------------------------------------------------------


def test_types_of_hypotheses_vanish_where_they_must() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 30), rng.integers(0, 2, 30)
    one = np.ones(30)
    X = np.column_stack([one, a, b, a * b]).astype(float)
    cells = [(a == i) & (b == j) for i in (0, 1) for j in (0, 1)]
    complete = np.column_stack([one, a == 0, a == 1, b == 0, b == 1, *cells])
    terms = [np.array([1]), np.array([2]), np.array([3])]
    above = [[2], [2], []]
    I = type_one(X, terms)  # noqa: E741
    II = type_two(X, terms, above)
    III = type_three(X, complete.astype(float), terms, above)
    # a before b: the difference of raw means of a.
    raw = X[a == 1].mean(0) - X[a == 0].mean(0)
    np.testing.assert_allclose(I[0][0], raw, atol=1e-12)
    # Type III of a: the difference of unweighted means of the cells.
    np.testing.assert_allclose(III[0][0] / III[0][0, 1], [0, 1, 0, 0.5], atol=1e-12)
    # The highest term is the same in all types.
    for found in (I, II, III):
        np.testing.assert_allclose(found[2][0], [0, 0, 0, 1], atol=1e-12)


def test_vanishing_contrasts() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20, 4))
    smaller = X @ rng.normal(size=(4, 2))
    L = vanishing(X, smaller)
    gamma = np.linalg.lstsq(X, smaller, rcond=None)[0]
    assert L.shape == (2, 4)
    # Rounding of two factorisations.
    np.testing.assert_allclose(L @ gamma, 0.0, atol=1e-12)


def test_rank_deficient_combinations_count_once() -> None:
    rng = np.random.default_rng(2)
    half = rng.normal(size=(3, 3))
    vcov, beta = half @ half.T, rng.normal(size=3)
    L = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0], [1e6, 0, 0]])
    found = wald_test(combinations(L, vcov, beta, np.zeros(4)), None)
    plain = beta[:2] @ np.linalg.solve(vcov[:2, :2], beta[:2])
    assert found.rank == 2
    # Rows are scaled where their units differ as much.
    assert found.chi2 == pytest.approx(plain, rel=1e-8)


def test_denominators_of_f_tests() -> None:
    assert f_denominator(np.array([7.0])) == 7.0
    assert f_denominator(np.array([np.inf, np.inf])) == np.inf
    # Fai and Cornelius: E = 10/8 + 20/18, nu = 2 E / (E - 2).
    E = 10 / 8 + 20 / 18
    # Rounding only.
    assert f_denominator(np.array([10.0, 20.0])) == pytest.approx(2 * E / (E - 2))
    assert f_tail(0.0, 2, np.inf) == 1.0
    # F with (1, 17) is the square of t: qt(0.975, 17) = 2.109815577833317.
    assert f_tail(2.109815577833317**2, 1, 17.0) == pytest.approx(0.05, rel=1e-12)
