"""R2 and ICC: closed forms, the R package performance, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import ngmm
from ngmm import families
from ngmm.diagnostics import icc, r2
from ngmm.errors import NotSupportedError, OptionError
from ngmm.inference.marginal.observation_variance import observation_variance


@pytest.fixture(scope="module")
def sleep() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("sleepstudy")
    return ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)


@pytest.fixture(scope="module")
def cbpp() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return ngmm.fit(formula, data, family="binomial", quad="laplace")


def test_balanced_one_way_layout_is_that_of_the_analysis_of_variance() -> None:
    data = ngmm.datasets.load("Dyestuff")
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data, reml=True)
    y = data.sort_values("Batch")["Yield"].to_numpy().reshape(6, 5)
    between = 5 * y.mean(1).var(ddof=1)
    within = y.var(1, ddof=1).mean()
    expected = (between - within) / 5 / ((between - within) / 5 + within)
    found = r2(fit)
    assert found.marginal == 0.0
    # The maximum is found to a gain of 1e-6 in the log-likelihood, and exceeds that
    # by far; the estimates are good to the square root of its rounding error.
    assert found.conditional == pytest.approx(expected, rel=1e-6)
    assert icc(fit).to_frame().loc["Batch", "adjusted"] == pytest.approx(
        expected, rel=1e-6
    )


# R package performance 0.10.2, r2() and icc(); lme4 1.1-31 with tight optimisers.
def test_random_slopes_agree_with_performance(sleep: ngmm.MixedModelFit) -> None:
    found, share = r2(sleep), icc(sleep).to_frame().loc["Subject"]
    # lme4's variances are good to about 1e-6.
    assert found.marginal == pytest.approx(0.278652042562012, rel=1e-5)
    assert found.conditional == pytest.approx(0.799218896977232, rel=1e-5)
    assert share["adjusted"] == pytest.approx(0.721658457679865, rel=1e-5)
    assert share["unadjusted"] == pytest.approx(0.520566854415219, rel=1e-5)


def test_binomial_logit_agrees_with_performance(cbpp: ngmm.MixedModelFit) -> None:
    found, share = r2(cbpp), icc(cbpp).to_frame().loc["herd"]
    # The same Laplace approximation, maximised by a derivative-free method there.
    assert found.marginal == pytest.approx(0.0854160688528098, rel=1e-4)
    assert found.conditional == pytest.approx(0.187314541989469, rel=1e-4)
    assert share["adjusted"] == pytest.approx(0.111415114202636, rel=1e-4)


def test_crossed_factors_add_up() -> None:
    data = ngmm.datasets.load("Penicillin")
    fit = ngmm.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    frame = icc(fit).to_frame()
    sd = fit.varcorr().to_frame()["sd"].to_numpy()
    # The same numbers in another order of operations.
    np.testing.assert_allclose(
        frame["adjusted"],
        np.append(sd[:2] ** 2, sum(sd[:2] ** 2)) / sum(sd**2),
        rtol=1e-12,
    )


def test_precision_weights_average_the_residual_variance() -> None:
    data = ngmm.datasets.load("sleepstudy")
    weights = np.where(data["Days"] < 5, 2.0, 0.5)
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", data, weights=weights)
    # Half of the rows have each weight: (1/2 + 2) / 2.
    assert r2(fit).variances.observation == pytest.approx(1.25 * fit.sigma**2)


@pytest.mark.parametrize(
    ("family", "mean", "phi", "method", "expected"),
    [
        # Nakagawa, Johnson & Schielzeth (2017), table 1.
        (families.poisson(), 3.0, 1.0, "lognormal", np.log1p(1 / 3)),
        (families.poisson(), 3.0, 1.0, "trigamma", special.polygamma(1, 3.0)),
        (families.poisson(), 3.0, 1.0, "delta", 1 / 3),
        (families.poisson("sqrt"), 3.0, 1.0, "delta", 0.25),
        (families.negative_binomial(), 3.0, 2.0, "lognormal", np.log1p(1 / 3 + 1 / 2)),
        (families.negative_binomial(), 3.0, 2.0, "delta", 1 / 3 + 1 / 2),
        # Variance of the logarithm of a gamma variable of shape 4, exactly.
        (families.gamma("log"), 3.0, 0.25, "trigamma", stats.loggamma(4).var()),
        (families.gamma("log"), 3.0, 0.25, "delta", 0.25),
        (families.bernoulli(), 0.2, 1.0, "latent", np.pi**2 / 3),
        (families.bernoulli(), 0.2, 1.0, "delta", 1 / (0.2 * 0.8)),
        (families.bernoulli("probit"), 0.2, 1.0, "latent", 1.0),
        (families.bernoulli("cloglog"), 0.2, 1.0, "latent", np.pi**2 / 6),
        (families.beta(), 0.2, 9.0, "delta", 1 / (10 * 0.2 * 0.8)),
    ],
)
def test_variance_of_an_observation(family, mean, phi, method, expected) -> None:
    # Closed forms of a few operations.
    assert observation_variance(family, mean, phi, method) == pytest.approx(
        expected, rel=1e-10
    )


def test_a_network_counts_as_fixed() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (1 | Subject)", data)
    line = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    # One model in two parametrisations, maximised to a gain of 1e-6 at most.
    assert r2(fit).marginal == pytest.approx(r2(line).marginal, rel=1e-5)


def test_prints_in_three_formats(sleep: ngmm.MixedModelFit) -> None:
    found = r2(sleep)
    assert "marginal      0.279" in str(found)
    assert repr(found) == str(found)
    assert "<table" in found._repr_html_()
    assert "random slopes: averages over the rows" in " ".join(str(icc(sleep)).split())


@pytest.mark.parametrize("function", [r2, icc])
def test_what_is_refused(function, sleep, cbpp) -> None:
    with pytest.raises(OptionError, match="needs a fitted model"):
        function(3)
    with pytest.raises(OptionError, match="has its residual variance"):
        function(sleep, method="delta")
    with pytest.raises(OptionError, match='use one of "auto", "latent", "delta"'):
        function(cbpp, method="lognormal")
    with pytest.raises(OptionError, match='did you mean "delta"'):
        function(cbpp, method="dlta")


@pytest.mark.slow
def test_latent_inputs_are_refused() -> None:
    r = np.random.default_rng(1)
    data = pd.DataFrame(
        {"y": r.normal(size=80), "x": r.normal(size=80), "g": np.repeat(range(20), 4)}
    )
    fit = ngmm.fit("y ~ x + (nn(x, hidden=()) | g)", data)
    with pytest.raises(NotSupportedError, match="enter a network"):
        r2(fit)
    with pytest.raises(NotSupportedError, match="compare does not hold out rows"):
        ngmm.compare(fit, fit)
