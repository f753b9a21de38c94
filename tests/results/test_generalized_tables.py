"""Tables and pages of generalized fits: from the observed information alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ngmm
from ngmm.errors import ConvergenceWarning, OptionError
from ngmm.estimation.status import Status
from ngmm.results import MixedModelFit
from tests.results.generalized import CROSSED, fitted, frame

Z95 = 1.959963984540054  # standard normal quantile of 0.975

TABLES = ("crossed", "negative_binomial", "bernoulli")


@pytest.fixture(params=TABLES)
def fit(request: pytest.FixtureRequest) -> MixedModelFit:
    return fitted(request.param)


def covariance(fit: MixedModelFit) -> np.ndarray:
    return np.linalg.inv(fit.estimate.information)  # type: ignore[attr-defined]


def test_covariance_is_the_inverse_information(fit: MixedModelFit) -> None:
    p = len(fit.fixef)
    # Another inverse of a well-conditioned matrix.
    np.testing.assert_allclose(fit.vcov(), covariance(fit)[:p, :p], rtol=1e-9)
    np.testing.assert_allclose(fit.bse**2, np.diag(fit.vcov()), rtol=1e-14)


def test_tests_are_z_tests(fit: MixedModelFit) -> None:
    frame = fit.coef_table().to_frame()
    z = fit.fixef / fit.bse
    np.testing.assert_allclose(frame["statistic"], z, rtol=1e-14)
    np.testing.assert_allclose(fit.pvalues, 2 * stats.norm.sf(abs(z)), rtol=1e-10)
    np.testing.assert_allclose(frame["conf_low"], fit.fixef - Z95 * fit.bse, rtol=1e-12)
    assert np.isinf(frame["df"]).all()
    assert fit.df_method == "none"
    assert str(fit.coef_table()).endswith("z tests (normal approximation)")


def test_satterthwaite_is_refused() -> None:
    with pytest.raises(OptionError, match="satterthwaite"):
        ngmm.fit("count ~ x + (1 | g)", frame(), family="poisson", df="satterthwaite")


def test_intervals_of_the_variances() -> None:
    fit = fitted("crossed")
    cov = covariance(fit)[2:, 2:]

    def parameters(theta: np.ndarray) -> np.ndarray:
        """Log sds and atanh of the correlation: (1 + x | h), then (1 | g)."""
        a, b, c, d = theta
        sd = np.hypot(b, c)
        return np.array([np.log(a), np.log(sd), np.arctanh(b / sd), np.log(d)])

    step = 1e-6 * np.eye(4)
    theta = fit.theta
    slopes = np.column_stack(
        [(parameters(theta + s) - parameters(theta - s)) / 2e-6 for s in step]
    )
    middle, se = parameters(theta), np.sqrt(np.diag(slopes @ cov @ slopes.T))
    back = [np.exp, np.exp, np.tanh, np.exp]
    table = fit.varcorr().to_frame()
    assert table["name2"].isna().tolist() == [True, True, False, True]
    for i, f in enumerate(back):
        row = table.iloc[i]
        value = row["corr"] if i == 2 else row["sd"]
        # Central differences.
        expected = f(middle[i] + se[i] * np.array([0, -Z95, Z95]))
        np.testing.assert_allclose(
            [value, row["conf_low"], row["conf_high"]], expected, rtol=1e-7
        )


def test_there_is_no_residual(fit: MixedModelFit) -> None:
    table = fit.varcorr().to_frame()
    assert "Residual" not in table["group"].to_list()
    assert fit.sigma == 1.0
    assert "sigma" not in fit.conf_int().to_frame().index
    assert "Residual" not in str(fit.summary())


def test_the_dispersion_has_a_row() -> None:
    fit = fitted("negative_binomial")
    row = fit.varcorr().to_frame().iloc[-1]
    assert fit.phi is not None
    found = (row["group"], row["name"], row["dispersion"])
    assert found == ("Dispersion", "size", fit.phi)
    assert row[["variance", "sd", "corr"]].isna().all()
    se = np.sqrt(covariance(fit)[-1, -1])
    limits = fit.phi * np.exp([-Z95 * se, Z95 * se])
    np.testing.assert_allclose(row[["conf_low", "conf_high"]].astype(float), limits)
    interval = fit.conf_int().to_frame().loc["size"]
    np.testing.assert_allclose(interval, [fit.phi, *limits])
    assert fit.conf_int().to_frame().index.tolist() == [
        "Intercept",
        "x",
        "sd(Intercept | g)",
        "size",
    ]


def test_families_without_a_dispersion_have_no_such_column() -> None:
    fit = fitted("crossed")
    assert fit.phi is None
    assert "dispersion" not in fit.varcorr().to_frame()
    assert "Dispersion" not in str(fit.summary())


def test_counts() -> None:
    crossed, size = fitted("crossed"), fitted("negative_binomial")
    assert (crossed.df_model, size.df_model) == (6, 4)
    for fit in (crossed, size):
        assert fit.deviance == -2 * fit.loglik
        assert fit.aic == pytest.approx(fit.deviance + 2 * fit.df_model, rel=1e-15)
        assert not fit.is_singular
        assert fit.converged
        assert fit.check().ok


# Pages --------------------------------------------------------------------------------


def page(fit: MixedModelFit) -> str:
    return str(fit.summary())


def test_summary_of_a_binary_response() -> None:
    text = page(fitted("bernoulli"))
    assert re.match(r"Generalized linear mixed model +\[OK\]\n", text)
    assert "family     bernoulli(logit), P(answer = yes)" in text
    assert re.search(r"integral   .*, error \de-\d\d\n", text)
    assert re.search(r"Fixed effects +estimate +se +z +p +95% CI", text)


def test_summary_of_a_dispersion() -> None:
    text = page(fitted("negative_binomial"))
    assert re.search(r"Dispersion +estimate +95% CI\n +size +\d", text)
    assert "Var(y) = mu + mu^2 / size" in text
    short = str(fitted("negative_binomial"))
    assert re.search(r"Dispersion +estimate\n +size +\d", short)
    assert "Var(y)" not in short


def test_summary_of_crossed_factors_says_that_the_error_is_not_known() -> None:
    expected = "integral   Laplace; its error is not known: fit.check(importance=1000)"
    assert expected in page(fitted("crossed"))


def test_pages_are_narrow_and_hold_no_nan(fit: MixedModelFit) -> None:
    for text in (page(fit), str(fit), str(fit.varcorr()), str(fit.conf_int())):
        assert max(map(len, text.splitlines())) <= 80
        assert not re.search(r"\b(nan|none|inf)\b", text, re.IGNORECASE)
    for document in (fit.summary().to_html(), fit.summary().to_markdown()):
        assert all(str(name) in document for name in fit.fixef.index)


# The verdict --------------------------------------------------------------------------


def test_too_few_nodes_are_a_message() -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(60), 5)
    p = 1 / (1 + np.exp(-4 * rng.normal(size=60)[g]))
    data = pd.DataFrame({"y": rng.binomial(1, p), "g": g})
    with pytest.warns(ConvergenceWarning, match="error of about"):
        rough = ngmm.fit("y ~ 1 + (1 | g)", data, family="bernoulli", quad=3)
    verdict = rough.check()
    assert not verdict.ok
    (message,) = verdict.messages
    fine = rough.update(quad="auto")
    assert fine.check().ok
    # The announced error covers the true one, at the parameters of the rough fit.
    exact = fine.model.loglik(rough.theta, beta=rough.fixef)
    assert abs(rough.loglik - exact) < rough.estimate.integral.error  # type: ignore[attr-defined]
    assert "quad=" in message.remedy


def test_what_explains_a_failure_comes_first() -> None:
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(20), 6)
    data = pd.DataFrame(
        {"y": rng.integers(0, 2, 20)[g], "x": rng.normal(size=120), "g": g}
    )
    with pytest.warns(ConvergenceWarning, match=r"sd\(Intercept \| g\) = .* runs away"):
        runaway = ngmm.fit("y ~ x + (1 | g)", data, family="bernoulli")
    assert runaway.theta[0] > 20
    data = data.assign(x=np.arange(120) % 2)
    data["y"] = np.where(data["x"] == 1, 1, rng.integers(0, 2, 120))
    with pytest.warns(ConvergenceWarning, match="The estimate of x is infinite"):
        separated = ngmm.fit("y ~ x + (1 | g)", data, family="bernoulli")
    assert separated.check().messages[0].remedy.startswith("remove x")


def test_responses_that_the_random_effects_reproduce() -> None:
    data = frame().assign(time=lambda d: np.exp(d["x"] + pd.factorize(d["g"])[0] / 10))
    with pytest.warns(ConvergenceWarning, match="all but reproduce the response"):
        ngmm.fit("time ~ x + (1 | g)", data, family="gamma")


def test_a_fit_without_numbers_says_so_and_prints() -> None:
    fit = fitted("gamma")
    estimate: Any = fit.estimate
    lost = replace(
        fit,
        estimate=replace(
            estimate,
            status=Status.NOT_FINITE,
            loglik=np.nan,
            information=np.full_like(estimate.information, np.nan),
            modes=tuple(np.full_like(b, np.nan) for b in estimate.modes),
        ),
    )
    (message,) = lost.check().messages
    assert "none of the estimates mean anything" in message.text
    assert lost.bse.isna().all()
    assert not re.search(r"\bnan\b", page(lost) + str(lost.conf_int()))


@pytest.mark.slow
def test_no_overdispersion_is_a_note() -> None:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(20), 8)
    mu = np.exp(1 + 0.5 * rng.normal(size=20)[g])
    # Binomial counts vary less than Poisson ones.
    data = pd.DataFrame({"y": rng.binomial(20, mu / (20 + mu)), "g": g})
    fit = ngmm.fit("y ~ 1 + (1 | g)", data, family="negative_binomial")
    (note,) = fit.check().notes
    assert "no overdispersion beyond Poisson" in note
    other = fit.update(family="poisson")
    # The likelihood of the limit, as the note says; size stops at some 1e6 or more.
    assert fit.loglik == pytest.approx(other.loglik, abs=1e-3)
    np.testing.assert_allclose(fit.fixef, other.fixef, rtol=1e-4)


def test_importance_sampling_of_crossed_factors() -> None:
    fit = fitted("crossed")
    verdict = fit.check(importance=400)
    assert verdict.ok
    note = verdict.notes[-1]
    assert note.startswith("importance sampling with 400 draws")
    assert fit.check(importance=400).notes == verdict.notes
    assert note not in fit.check().notes


def test_importance_sampling_is_refused_where_it_makes_no_sense() -> None:
    with pytest.raises(OptionError, match=r"^importance must be a positive whole"):
        fitted("crossed").check(importance=0)
    gaussian = ngmm.fit("y ~ 1 + (1 | g)", frame().assign(y=frame()["time"]))
    with pytest.raises(OptionError, match=r"that of a Gaussian model is exact"):
        gaussian.check(importance=100)


def test_a_zero_variance_is_a_note() -> None:
    rng = np.random.default_rng(1)
    data = frame().assign(count=rng.poisson(2.0, len(frame())))
    fit = ngmm.fit(CROSSED, data, family="poisson")
    assert fit.is_singular
    assert any("(boundary)" in note for note in fit.check().notes)
    assert fit.check().ok
    assert np.isfinite(fit.bse).all()
