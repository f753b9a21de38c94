"""`fit.tidy` against broom.mixed, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import NotSupportedError, OptionError
from tests.broom.examples_broom import fitted, names_of_r, reference

# Estimates of two optimisers agree to about 1e-7 of their size, standard deviations and
# conditional modes to 1e-5: the likelihood is flat there.
CLOSE: dict[str, Any] = {"rtol": 2e-5, "atol": 1e-6}
# lme4's standard errors of generalized models are from a Hessian by differences.
DIFFERENCES: dict[str, Any] = {"rtol": 2e-4, "atol": 1e-8}


def numbers(values: Any) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


@pytest.mark.parametrize("name", ["reml", "ml", "binomial"])
def test_rows_and_estimates_are_those_of_broom_mixed(name: str) -> None:
    frame, theirs = fitted(name).tidy(), reference()[name]["tidy"]
    assert names_of_r(frame) == theirs["term"]
    assert frame["effect"].tolist() == theirs["effect"]
    groups = [None if pd.isna(g) else g for g in frame["group"]]
    assert groups == theirs["group"]
    np.testing.assert_allclose(frame["estimate"], theirs["estimate"], **CLOSE)


@pytest.mark.parametrize("name", ["reml", "binomial"])
def test_columns_are_those_of_broom_mixed(name: str) -> None:
    frame, theirs = fitted(name).tidy(conf_int=True), reference()[name]["tidy"]
    assert frame.columns.tolist() == list(theirs)
    tolerance = DIFFERENCES if name == "binomial" else CLOSE
    fixed = frame["effect"] == "fixed"
    for column in frame.columns[fixed.to_numpy().nonzero()[0][0] + 3 :]:
        values = numbers(theirs[column])[fixed]
        # P-values near 1e-17 move by some percent of a percent with their df.
        limits: dict[str, Any] = {"rtol": 1e-3} if column == "p.value" else tolerance
        np.testing.assert_allclose(frame.loc[fixed, column], values, **limits)


def test_a_fit_by_maximum_likelihood_has_t_tests_here() -> None:
    assert "df" in fitted("ml").tidy()
    assert "df" not in fitted("binomial").tidy()


@pytest.mark.parametrize("kind", ["ran_vals", "ran_coefs"])
def test_levels_are_those_of_broom_mixed(kind: str) -> None:
    frame = fitted("reml").tidy(kind, conf_int=True)
    theirs = reference()["reml"][kind]
    if kind == "ran_vals":
        assert frame.columns.tolist() == list(theirs)
        np.testing.assert_allclose(frame["std.error"], theirs["std.error"], **CLOSE)
        np.testing.assert_allclose(frame["conf.low"], theirs["conf.low"], **CLOSE)
    assert frame["level"].tolist() == theirs["level"]
    assert names_of_r(frame) == theirs["term"]
    np.testing.assert_allclose(frame["estimate"], theirs["estimate"], **CLOSE)


def test_exponentiated_fixed_effects_are_odds_ratios() -> None:
    frame = fitted("binomial").tidy("fixed", conf_int=True, exponentiate=True)
    theirs = reference()["odds"]
    assert frame.columns.tolist() == list(theirs)
    for column in ("estimate", "std.error", "conf.low", "conf.high"):
        np.testing.assert_allclose(frame[column], theirs[column], rtol=5e-4)
    plain = fitted("binomial").tidy("fixed")
    assert frame["p.value"].equals(plain["p.value"])


def test_standard_deviations_are_not_exponentiated() -> None:
    plain, ratios = (
        fitted("binomial").tidy("ran_pars", exponentiate=e) for e in (0, 1)
    )
    assert plain.equals(ratios)


def test_limits_are_those_of_conf_int() -> None:
    fit = fitted("ml")
    frame = fit.tidy(conf_int=True, conf_level=0.9)
    limits = fit.conf_int(0.9).to_frame()
    row = frame.set_index("term").loc["cor__Intercept.Days", ["conf.low", "conf.high"]]
    expected = limits.loc["cor(Intercept, Days | Subject)", ["conf_low", "conf_high"]]
    assert row.tolist() == expected.tolist()


def test_limits_by_profile() -> None:
    fit = fitted("smaller")
    frame = fit.tidy(conf_int=True, conf_method="profile").set_index("term")
    expected = fit.conf_int(method="profile").to_frame()
    for term, label in (("Days", "Days"), ("sd__Intercept", "sd(Intercept | Subject)")):
        # The same computation.
        assert frame.loc[term, "conf.low"] == expected.loc[label, "conf_low"]


def test_limits_of_some_parameters_only() -> None:
    frame = fitted("smaller").tidy(
        conf_int=True, conf_method="profile", parameters="sigma"
    )
    known = frame.loc[frame["conf.low"].notna(), "term"]
    assert known.tolist() == ["sd__Observation"]


def test_two_terms_of_a_factor_and_three_correlations_stand_in_the_order_of_r() -> None:
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(20), 10)
    data = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("xzw")).assign(g=g)
    b = rng.normal(size=(20, 3))[g]
    data["y"] = b[:, 0] + b[:, 1] * data["x"] + b[:, 2] * data["z"]
    data["y"] += rng.normal(size=200)
    fit = ngmm.fit("y ~ x + z + (x + z | g) + (0 + w | g)", data)
    assert fit.tidy("ran_pars")["term"].tolist() == [
        "sd__Intercept",
        "cor__Intercept.x",
        "cor__Intercept.z",
        "sd__x",
        "cor__x.z",
        "sd__z",
        "sd__w",
        "sd__Observation",
    ]


@pytest.mark.slow
def test_a_dispersion_is_a_row_of_its_own() -> None:
    fit = fitted("gamma")
    last = fit.tidy(conf_int=True).iloc[-1]
    assert (last["group"], last["term"]) == ("Dispersion", "phi")
    assert last["estimate"] == fit.phi
    assert last["conf.low"] < last["estimate"] < last["conf.high"]


@pytest.mark.slow
def test_a_latent_input_is_standard_normal_and_has_no_coefficients() -> None:
    fit = fitted("latent")
    frame = fit.tidy(["ran_pars", "ran_vals"], conf_int=True)
    assert frame["term"].tolist()[:2] == ["sd__v", "v"]
    assert frame.loc[0, "estimate"] == 1.0
    assert frame.loc[0, ["conf.low", "conf.high"]].isna().all()
    with pytest.raises(NotSupportedError, match="does not add to coefficients"):
        fit.tidy("ran_coefs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effects": "fixd"}, 'no effects .fixd.; did you mean "fixed"'),
        ({"effects": ["fixed", "random"]}, "no effects 'random'"),
        ({"effects": ()}, "effects must be one or more of 'fixed', 'ran_pars'"),
        ({"effects": 3}, "got 3"),
        ({"conf_int": True, "conf_level": 95}, "95"),
        ({"conf_int": True, "conf_method": "boot"}, "method must be"),
        ({"conf_int": True, "n": 100}, 'n= is an option of method="bootstrap"'),
        ({"confint": True}, 'without conf_int=True; did you mean "conf_int"'),
        ({"parameters": "sigma"}, "parameters= is no option of tidy without conf_int"),
    ],
    ids=str,
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted("smaller").tidy(**arguments)
