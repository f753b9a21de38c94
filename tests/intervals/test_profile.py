"""Profile-likelihood intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import ngmm
from ngmm.errors import (
    ConvergenceWarning,
    NgmmWarning,
    NotSupportedError,
    OptionError,
)
from ngmm.intervals import profile
from ngmm.results import MixedModelFit
from tests.reference import load_reference_case, translate_group, translate_names

SLEEP = "Reaction ~ Days + (Days | Subject)"
HALF = 1.959963984540054  # standard normal quantile at 0.975


@cache
def sleep() -> MixedModelFit:
    return ngmm.fit(SLEEP, ngmm.datasets.load("sleepstudy"))


@cache
def herds() -> MixedModelFit:
    data = ngmm.datasets.load("cbpp")
    formula = "incidence ~ period + (1 | herd)"
    return ngmm.fit(formula, data, family="binomial", trials="size", quad=9)


def quietly(formula: str, data: pd.DataFrame, **call: object) -> MixedModelFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        return ngmm.fit(formula, data, **call)  # type: ignore[arg-type]


# Reference -----------------------------------------------------------------------


def translated(names: Sequence[str], data: pd.DataFrame, formula: str) -> list[str]:
    """R's sd_(Intercept)|g and cor_x.(Intercept)|g as ngmm writes them."""
    out = []
    for name in names:
        kind, _, rest = name.partition("_")
        if kind not in ("sd", "cor") or "|" not in rest:
            out += ["sigma"] if name == "sigma" else translate_names([name], data)
            continue
        inner, group = rest.split("|")
        (column,) = translate_names([inner.removesuffix(".(Intercept)")], data)
        group = translate_group(group, formula)
        pair = f"Intercept, {column}" if kind == "cor" else column
        out.append(f"{kind}({pair} | {group})")
    return out


@pytest.mark.reference
@pytest.mark.parametrize(
    "case_id",
    [
        "lmm_sleep_corr_reml",
        pytest.param("lmm_dyestuff_ml", marks=pytest.mark.slow),
        pytest.param("lmm_pastes_nested_reml", marks=pytest.mark.slow),
        pytest.param("lmm_penicillin_crossed_reml", marks=pytest.mark.slow),
        pytest.param("lmm_sleep_dbar_reml", marks=pytest.mark.slow),
        pytest.param("glmm_cbpp_agq1", marks=pytest.mark.slow),
        pytest.param("glmm_cbpp_agq9", marks=pytest.mark.slow),
        pytest.param("glmm_contra_slope", marks=pytest.mark.slow),
        pytest.param("glmm_epil_poisson", marks=pytest.mark.slow),
    ],
)
def test_limits_are_those_of_the_reference(case_id: str) -> None:
    case = load_reference_case(case_id)
    expected = case.expected["confint_profile"]
    limits = profile(quietly(data=case.data, **case.call)).limits
    names = translated(expected["names"], case.data, case.formula)
    assert sorted(names) == sorted(limits.index)
    found = limits.loc[names, ["conf_low", "conf_high"]].to_numpy()
    wanted = np.column_stack([expected["lower"], expected["upper"]])
    width = (wanted[:, 1] - wanted[:, 0])[:, None] / (2 * HALF)
    # The reference meets the critical value to 1e-7 of a likelihood ratio, which is
    # 3e-8 of a standard error; the issue asks for 1e-3, its file for 1e-4.
    np.testing.assert_allclose(found / width, wanted / width, rtol=0, atol=1e-5)
    at_zero = wanted[:, 0] == 0.0
    assert (limits.loc[names, "note"].str.contains("boundary") == at_zero).all()


# Agreement with other ways to hold a parameter -------------------------------------


def test_held_coefficient_is_an_offset() -> None:
    fit = sleep()
    limits = profile(fit, 0.9, "Days").limits.loc["Days"]
    data = ngmm.datasets.load("sleepstudy")
    for limit in (limits["conf_low"], limits["conf_high"]):
        held = ngmm.fit(
            "Reaction ~ 1 + (Days | Subject)", data, offset=limit * data["Days"]
        )
        # chi-squared with one df at 0.9; zeta is found to 1e-6, and 2 zeta dzeta.
        ratio = 2.0 * (fit.loglik - held.loglik)
        assert ratio == pytest.approx(2.705543454095404, abs=1e-5)


@pytest.mark.slow
def test_held_coefficient_of_a_generalized_model_is_an_offset() -> None:
    fit = herds()
    limits = profile(fit, parameters="period[T.4]").limits
    data = ngmm.datasets.load("cbpp")
    data["rest"] = data["period"].astype(str).replace("4", "1")
    for limit in limits[["conf_low", "conf_high"]].to_numpy().ravel():
        held = ngmm.fit(
            "incidence ~ rest + (1 | herd)",
            data,
            family="binomial",
            trials="size",
            quad=9,
            offset=np.where(data["period"].astype(str) == "4", limit, 0.0),
        )
        ratio = 2.0 * (fit.loglik - held.loglik)
        assert ratio == pytest.approx(HALF**2, abs=1e-5)


def held_out(fit: MixedModelFit, theta_of, start) -> float:  # type: ignore[no-untyped-def]
    """Twice the fall of the log-likelihood, maximised by a method without slopes."""
    found = minimize(
        lambda x: -fit.model.loglik(*theta_of(x)),
        start,
        method="Nelder-Mead",
        options={"xatol": 1e-5, "fatol": 1e-8, "maxiter": 4000},
    )
    return 2.0 * (fit.loglik + found.fun)


def test_held_correlation_by_another_search() -> None:
    fit = sleep()
    name = "cor(Intercept, Days | Subject)"
    low, high = profile(fit, parameters=name).limits.loc[
        name, ["conf_low", "conf_high"]
    ]
    start = np.log([fit.theta[0], np.hypot(*fit.theta[1:])])
    for r in (low, high):

        def theta_of(x: np.ndarray, r: float = r) -> tuple[list[float]]:
            one, other = np.exp(x)
            return ([one, r * other, np.sqrt(1 - r * r) * other],)

        # Nelder-Mead stops within 1e-8 of the maximum.
        assert held_out(fit, theta_of, start) == pytest.approx(HALF**2, abs=1e-5)


def test_held_deviation_by_another_search() -> None:
    fit = sleep()
    name = "sd(Days | Subject)"
    limits = profile(fit, parameters=name).limits.loc[name, ["conf_low", "conf_high"]]
    for sd in limits:

        def theta_of(x: np.ndarray, sd: float = sd) -> tuple[list[float], float]:
            sigma, angle = np.exp(x[0]), x[2]
            slope = sd / sigma
            return [x[1], slope * np.sin(angle), slope * np.cos(angle)], sigma

        start = [np.log(fit.sigma), fit.theta[0], 0.1]
        assert held_out(fit, theta_of, start) == pytest.approx(HALF**2, abs=1e-5)


@pytest.mark.slow
def test_held_dispersion_by_another_search() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit(
        "Reaction ~ Days + (1 | Subject)", data, family="gamma", link="log", quad=9
    )
    limits = profile(fit, parameters="phi").limits.loc["phi"]

    def theta_of(x: np.ndarray):  # type: ignore[no-untyped-def]
        return x[2:], None, x[:2], limits["conf_high"]

    start = [*fit.fixef, *fit.theta]
    # Nelder-Mead stops within 1e-8 of the maximum.
    assert held_out(fit, theta_of, start) == pytest.approx(HALF**2, abs=1e-4)


# The curve -------------------------------------------------------------------------


def test_curve_rises_through_the_estimate() -> None:
    found = profile(sleep(), 0.9)
    z = 1.6448536269514722  # standard normal quantile at 0.95
    for name, curve in found.to_frame().groupby("parameter"):
        assert (np.diff(curve["zeta"]) > 0).all(), name
        row = found.limits.loc[str(name)]
        for value, zeta in (
            (row["estimate"], 0.0),
            (row["conf_low"], -z),
            (row["conf_high"], z),
        ):
            near = curve.loc[(curve["value"] - value).abs().idxmin()]
            # The tolerance of the search.
            assert near["zeta"] == pytest.approx(zeta, abs=1e-6), name


def test_one_program_serves_all_parameters() -> None:
    from ngmm.inference.profile.gaussian import _hold_at

    profile(sleep(), parameters="sigma")
    before = _hold_at.cache_size()
    profile(sleep())
    assert _hold_at.cache_size() == before


# Boundaries and failures -----------------------------------------------------------


def test_limits_at_boundaries() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "x": np.tile(range(6), 10)})
    b = rng.normal(size=10)[data["g"]]
    # Lines of all levels meet in one point: intercept and slope correlate at -1.
    data["y"] = b * (2 - data["x"]) + rng.normal(size=60)
    found = profile(quietly("y ~ x + (x | g)", data))
    row = found.limits.loc["cor(Intercept, x | g)"]
    assert row["estimate"] == pytest.approx(-1.0, abs=1e-12)
    assert row["conf_low"] == -1.0
    assert -1.0 < row["conf_high"] < -0.9
    assert row["note"] == "lower limit at the boundary"
    assert "lower limit at the boundary" in str(found)


def test_variance_of_zero() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "x": rng.normal(size=60)})
    e = pd.Series(rng.normal(size=60))
    data["y"] = 3 + data["x"] + e - e.groupby(data["g"]).transform("mean")
    fit = quietly("y ~ 1 + (x | g)", data)
    limits = profile(fit).limits
    row = limits.loc["sd(Intercept | g)"]
    assert row["conf_low"] == 0.0 < row["conf_high"]
    if fit.varcorr().frame["sd"].iloc[0] == 0.0:
        assert limits.loc["cor(Intercept, x | g)", "note"].startswith("not defined")


@pytest.mark.slow
def test_infinite_estimate_has_no_limit() -> None:
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(20), 5), np.tile([0, 0, 1, 1, 1], 20)
    y = np.where(x == 1, 1, rng.integers(0, 2, 100))
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    fit = quietly("y ~ x + (1 | g)", data, family="bernoulli", quad=9)
    found = profile(fit, parameters="x")
    row = found.limits.loc["x"]
    assert np.isnan(row["conf_high"])
    assert np.isfinite(row["conf_low"])
    assert row["note"] == "no upper limit: the likelihood does not fall that far"
    assert "nan" not in str(found)


def test_higher_likelihood_is_reported() -> None:
    fit = sleep()
    at = fit.model.problem.to_engine(1.2 * fit.theta)
    worse = replace(fit, estimate=fit.model.finish(at, 1, False))
    with pytest.warns(ConvergenceWarning, match=r"above that of the fit"):
        profile(worse, parameters="Days")


def test_estimates_of_reml_are_named_so() -> None:
    data = ngmm.datasets.load("Dyestuff")
    formula = "Yield ~ 1 + (1 | Batch)"
    restricted = profile(ngmm.fit(formula, data, reml=True))
    plain = profile(ngmm.fit(formula, data))
    limits = ["conf_low", "conf_high"]
    # One likelihood, reached from two starting points, each to 1e-6 of zeta.
    np.testing.assert_allclose(restricted.limits[limits], plain.limits[limits], 1e-5)
    name = "sd(Intercept | Batch)"
    assert restricted.limits.loc[name, "estimate"] > plain.limits.loc[name, "estimate"]
    assert "profile of the ML likelihood" in str(restricted)


# Bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"method": "wals"}, r"got 'wals'; did you mean \"wald\"\?$"),
        (
            {"method": "profile", "n": 10},
            r"^n= is an option of method=\"bootstrap\", not of \"profile\"$",
        ),
        (
            {"method": "profile", "parameter": "Days"},
            r"\"parameter\" is not an option .* did you mean \"parameters\"",
        ),
        ({"parameters": "Days"}, r"option of method=\"profile\", not of \"wald\""),
        (
            {"method": "profile", "parameters": ["Dayz"]},
            r"'Dayz' is not a parameter of the model; did you mean \"Days\"\?",
        ),
        ({"method": "profile", "parameters": []}, r"names none; .*sigma"),
        ({"method": "profile", "level": 95}, r"did you mean 0\.95"),
        ({"method": "bootstrap", "n": 10}, r"at least 39 bootstrap draws, got n=10"),
        ({"method": "bootstrap", "kind": "BCA"}, r"got 'BCA'; did you mean \"bca\""),
    ],
)
def test_bad_options(call: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        sleep().conf_int(**call)  # type: ignore[arg-type]


def test_networks_are_refused() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (1 | Subject)", data)
    with pytest.raises(NotSupportedError, match=r"method=\"bootstrap\""):
        fit.conf_int(method="profile")
