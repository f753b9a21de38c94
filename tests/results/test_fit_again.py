"""Fitting again: refit, update, the arguments of fit, copies and pickles."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import (
    DataError,
    DesignError,
    FormulaError,
    OptionError,
    RankDeficiencyWarning,
)
from ngmm.results import MixedModelFit
from tests.results.examples import NAMES, RICH, SLEEP, fitted, load, model, panel


def assert_same_fit(a: MixedModelFit, b: MixedModelFit) -> None:
    """The very same numbers: one computation, done twice."""
    assert a.loglik == b.loglik
    np.testing.assert_array_equal(a.theta, b.theta)
    pd.testing.assert_series_equal(a.fixef, b.fixef)
    pd.testing.assert_series_equal(a.bse, b.bse)


# refit --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slope_reml", "crossed", "rich", "no_fixed"])
def test_refit_is_a_fit_of_the_frame_with_another_response(name: str) -> None:
    fit = fitted(name)
    formula, data, arguments = model(name)
    y = fit.simulate(seed=7)[0]
    response = fit.design.response_name
    changed = data.loc[fit.design.index].assign(**{response: y})
    if name == "rich":
        with pytest.warns(RankDeficiencyWarning):
            direct = ngmm.fit(formula, changed, **arguments)
    else:
        direct = ngmm.fit(formula, changed, **arguments)
    for given in (y, y.to_numpy(), y.tolist()):
        assert_same_fit(fit.refit(given), direct)


def test_refit_leaves_the_fit_as_it_was() -> None:
    fit = ngmm.fit(SLEEP, load("sleepstudy"))
    before = fit.loglik, fit.fitted(), fit.bse
    other = fit.refit(fit.simulate(seed=2)[0])
    assert other.loglik != before[0]
    assert fit.loglik == before[0]
    pd.testing.assert_series_equal(fit.fitted(), before[1])
    pd.testing.assert_series_equal(fit.bse, before[2])
    # Nothing computed for the first is left in the second.
    assert (other.fitted() != before[1]).all()
    assert (other.bse != before[2]).all()


def test_refit_to_its_own_response_is_the_same_fit() -> None:
    fit = fitted("rich")
    assert_same_fit(fit.refit(fit.design.y), fit)


def test_refit_keeps_the_estimator() -> None:
    fit = ngmm.fit(SLEEP, load("sleepstudy"), estimator=ngmm.Newton(max_steps=50))
    assert fit.estimator == ngmm.Newton(max_steps=50)
    assert fit.refit(fit.design.y).estimator == fit.estimator


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(3), r"a value for each of the 180 rows used; got shape \(3,\)$"),
        (np.zeros((180, 1)), r"of the 180 rows used; got shape \(180, 1\)$"),
        (4.0, r"of the 180 rows used; got shape \(\)$"),
        (np.r_[np.nan, np.arange(179)], r"missing or infinite values$"),
        (np.r_[np.inf, np.arange(179)], r"missing or infinite values$"),
        (["a"] * 180, r"^refit: the response is not numeric$"),
        (np.ones(180), r"^the fixed effects reproduce the response exactly"),
        (
            np.arange(180) * 1e200,
            r"^the response Reaction has values of size 1\.8e\+20",
        ),
    ],
)
def test_refit_refuses(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted("slope").refit(y)


# update -------------------------------------------------------------------------------


def test_update_of_the_formula() -> None:
    less = fitted("slope").update(". ~ . - Days")
    assert less.formula == "Reaction ~ 1 + (1 + Days | Subject)"
    direct = ngmm.fit("Reaction ~ 1 + (Days | Subject)", load("sleepstudy"))
    assert_same_fit(less, direct)
    more = less.update(". ~ . + Days")
    assert more.loglik == pytest.approx(fitted("slope").loglik, rel=1e-12)


def test_update_of_a_random_term() -> None:
    fit = fitted("slope").update(". ~ . - (Days | Subject) + (1 | Subject)")
    assert fit.formula == "Reaction ~ 1 + Days + (1 | Subject)"
    assert fit.df_model == 4


def test_update_without_a_change_shows_the_formula_as_typed() -> None:
    fit = ngmm.fit("Reaction~Days+( Days|Subject )", load("sleepstudy"))
    assert fit.formula == "Reaction~Days+( Days|Subject )"
    assert fit.update().formula == fit.formula
    assert_same_fit(fit.update(), fit)


def test_a_formula_on_several_lines_is_shown_on_one() -> None:
    fit = ngmm.fit("Reaction ~ Days\n   + (Days | Subject)", load("sleepstudy"))
    assert fit.formula == "Reaction ~ Days + (Days | Subject)"


def test_update_of_arguments() -> None:
    fit = fitted("slope")
    assert_same_fit(fit.update(reml=True), fitted("slope_reml"))
    assert fit.update(df="none").df_method == "none"
    assert fit.update(seed=9).seed == 9
    both = fit.update(". ~ . - Days", reml=True)
    assert (both.reml, both.formula) == (True, "Reaction ~ 1 + (1 + Days | Subject)")


def test_update_of_the_data() -> None:
    data = load("sleepstudy")
    early = data[data["Days"] < 5]
    fit = fitted("slope").update(data=early)
    assert_same_fit(fit, ngmm.fit(SLEEP, early))
    assert fit.nobs == 90


def test_update_keeps_a_column_of_weights() -> None:
    with pytest.warns(RankDeficiencyWarning, match=r"^dropped copy: "):
        fit = fitted("rich").update(". ~ . - f")
    np.testing.assert_array_equal(fit.design.weights, fitted("rich").design.weights)
    plain = fit.update(". ~ . - copy", weights=None)
    assert not plain.design.has_weights


def test_update_sees_the_data_as_they_were() -> None:
    data = load("sleepstudy")
    fit = ngmm.fit(SLEEP, data)
    data.loc[:, "Reaction"] = 0.0
    assert_same_fit(fit.update(), fit)
    data["Days"] = 0.0
    assert_same_fit(fit.update(), fit)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (". ~ . - Dayz", {}, FormulaError, r"^no Dayz to take away; fixed terms: Days"),
        (". ~ . + Dayz", {}, DataError, r"did you mean \"Days\"\?"),
        (
            ". ~ . - (Days | Subject)",
            {},
            DesignError,
            r"^no random effect in `Reaction",
        ),
        (". ~ .", {"groups": "Subject"}, OptionError, r"^unknown argument groups="),
        (
            5,
            {},
            OptionError,
            r'^expected a change of the formula such as "\. ~ \. - x"',
        ),
        (". ~ . + | Subject", {}, FormulaError, r"^random-effects bar outside par"),
    ],
)
def test_update_refuses(
    change: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted("slope").update(change, **arguments)


# Arguments of fit ---------------------------------------------------------------------


def test_weights_as_column_array_series_and_list() -> None:
    data = panel().dropna()
    formula = "y ~ x + (1 | g)"
    by_name = ngmm.fit(formula, data, weights="w")
    for weights in (data["w"], data["w"].to_numpy(), data["w"].tolist()):
        assert_same_fit(ngmm.fit(formula, data, weights=weights), by_name)
    assert by_name.design.has_weights
    assert by_name.loglik != ngmm.fit(formula, data).loglik


def test_weights_are_precisions() -> None:
    # Twice the weights: the same model, sigma^2 twice as large.
    data = panel().dropna()
    one = ngmm.fit("y ~ x + (1 | g)", data, weights="w")
    two = ngmm.fit("y ~ x + (1 | g)", data, weights=2 * data["w"])
    assert two.loglik == pytest.approx(one.loglik, rel=1e-12)
    assert two.sigma == pytest.approx(np.sqrt(2) * one.sigma, rel=1e-8)
    np.testing.assert_allclose(two.fixef, one.fixef, rtol=1e-8)


def test_missing_weights_drop_their_rows() -> None:
    data = panel().dropna()
    weights = data["w"].where(data["x"] > -1)
    fit = ngmm.fit("y ~ x + (1 | g)", data, weights=weights)
    n = int(np.isnan(weights.to_numpy()).sum())
    assert (fit.n_dropped, fit.missing) == (n, {"weights": n})


def test_an_offset_is_a_shift_of_the_response() -> None:
    data = panel().dropna()
    by_formula = ngmm.fit("y ~ x + offset(o) + (1 | g)", data)
    for offset in ("o", data["o"], data["o"].to_numpy()):
        assert_same_fit(ngmm.fit("y ~ x + (1 | g)", data, offset=offset), by_formula)
    moved = ngmm.fit("I(y - o) ~ x + (1 | g)", data)
    assert moved.loglik == pytest.approx(by_formula.loglik, rel=1e-12)
    np.testing.assert_allclose(moved.fitted() + data["o"], by_formula.fitted())


@pytest.mark.parametrize(
    ("coding", "names"),
    [
        ("treatment", ["f[T.b]", "f[T.c]"]),
        ("sum", ["f[S.a]", "f[S.b]"]),
        ("helmert", ["f[H.b]", "f[H.c]"]),
        ("poly", ["f.L", "f.Q"]),
    ],
)
def test_contrasts_change_names_but_not_the_model(
    coding: str, names: list[str]
) -> None:
    data = panel().dropna()
    plain = ngmm.fit("y ~ f + (1 | g)", data)
    fit = ngmm.fit("y ~ f + (1 | g)", data, contrasts={"f": coding})
    assert fit.fixef.index.tolist() == ["Intercept", *names]
    # The same column space: equal up to rounding.
    assert fit.loglik == pytest.approx(plain.loglik, rel=1e-12)
    np.testing.assert_allclose(fit.fitted(), plain.fitted(), rtol=1e-9)


def test_missing_values_can_be_refused() -> None:
    with pytest.raises(DataError, match=r'^data has missing values: "x" in 2 rows'):
        ngmm.fit("y ~ x + (1 | g)", panel(), na_action="raise")
    complete = panel().dropna()
    fit = ngmm.fit("y ~ x + (1 | g)", complete, na_action="raise")
    assert fit.n_dropped == 0


# Copies -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_is_the_same_fit(name: str) -> None:
    fit = fitted(name)
    again: MixedModelFit = pickle.loads(pickle.dumps(fit))
    assert_same_fit(again, fit)
    assert str(again.summary()) == str(fit.summary())
    new = model(name)[1].loc[fit.design.index[:5]]
    ask: dict[str, Any] = {"se": True, "interval": "prediction"}
    np.testing.assert_array_equal(again.predict(new, **ask), fit.predict(new, **ask))


def test_a_pickle_can_fit_again() -> None:
    again = pickle.loads(pickle.dumps(fitted("slope")))
    assert_same_fit(again.update(reml=True), fitted("slope_reml"))
    assert_same_fit(again.refit(again.design.y), fitted("slope"))


def test_a_deep_copy_is_the_same_fit() -> None:
    fit = fitted("rich")
    again = copy.deepcopy(fit)
    assert again is not fit
    assert_same_fit(again, fit)
    pd.testing.assert_series_equal(again.fitted(), fit.fitted())


def test_a_fit_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        fitted("slope").seed = 3  # type: ignore[misc]
    assert fitted("slope") != fitted("slope_reml")
    assert fitted("rich").formula == RICH
