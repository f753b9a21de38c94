"""Standard errors from exact derivatives, against differences of the log-likelihood."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import ngmm
from ngmm.inference.gaussian import parameter_covariance
from ngmm.likelihood.information import covariance_from_information
from ngmm.model import GaussianEstimate
from ngmm.results import MixedModelFit
from tests.engine.dense import Dense, relative_factor
from tests.engine.derivatives import differences, relative_error
from tests.reference import load_entry

Z95 = 1.959963984540054  # standard normal quantile of 0.975

FORMULAS = {
    "vector": "y ~ x + (1 + x | g)",
    "two terms": "y ~ x + (1 | g) + (0 + x | g)",
    "small factor first": "y ~ x + (1 | h) + (1 + x | g)",
    "nested": "y ~ x + (1 | lab/g)",
}

# Every formula once, and one of them by both likelihoods.
each_fit = pytest.mark.parametrize(
    ("name", "reml"),
    [
        ("vector", False),
        ("vector", True),
        ("two terms", False),
        ("small factor first", True),
        ("nested", True),
    ],
)


@cache
def frame() -> pd.DataFrame:
    """Data with all variances well away from zero."""
    rng = np.random.default_rng(11)
    n = 120
    g, h, x = np.arange(n) % 10, np.arange(n) // 10 % 6, rng.normal(size=n)
    lab = g % 5
    y = 1 + x + rng.normal(size=10)[g] + rng.normal(size=10)[g] * x
    y += rng.normal(size=6)[h] + 2 * rng.normal(size=5)[lab] + rng.normal(size=n)
    w = rng.uniform(0.5, 2.0, n)
    return pd.DataFrame({"g": g, "h": h, "lab": lab, "x": x, "y": y, "w": w})


@cache
def fitted(name: str, reml: bool, weights: str | None = None) -> MixedModelFit:
    return ngmm.fit(FORMULAS[name], frame(), reml=reml, weights=weights)


@cache
def numerical_covariance(fit: MixedModelFit) -> NDArray[Any]:
    """Inverse Hessian of -loglik in (theta, sigma), by differences of differences."""
    model, x = fit.model, np.append(fit.theta, fit.sigma)

    def slope(at: NDArray[Any]) -> NDArray[Any]:
        return differences(lambda v: model.loglik(v[:-1], v[-1]), at, 3e-3)

    hessian = -differences(slope, x, 3e-3)
    return np.linalg.inv(0.5 * (hessian + hessian.T))


def check_information(fit: MixedModelFit) -> None:
    assert not fit.is_singular
    expected = numerical_covariance(fit)
    assert isinstance(fit.estimate, GaussianEstimate)
    actual = parameter_covariance(fit.model, fit.estimate)
    # Second differences: 1e-13 of the value over a step of 3e-3 squared, and the
    # sixth derivative times the fourth power of the step.
    assert relative_error(actual, expected) < 1e-6


@each_fit
def test_inverse_information(name: str, reml: bool) -> None:
    check_information(fitted(name, reml))


def test_inverse_information_with_weights() -> None:
    check_information(fitted("vector", True, "w"))


@each_fit
def test_covariance_of_the_fixed_effects(name: str, reml: bool) -> None:
    fit = fitted(name, reml)
    dense = Dense(fit.design, fit.theta)
    expected = fit.sigma**2 * dense.unscaled_vcov.astype(float)
    np.testing.assert_allclose(fit.vcov(), expected, rtol=1e-10)
    np.testing.assert_allclose(fit.fixef, dense.beta.astype(float), rtol=1e-10)


def test_covariance_of_badly_scaled_fixed_effects() -> None:
    data = frame().assign(big=lambda d: 1e6 * (d["x"] + 100), tiny=lambda d: 1e-6 * d.w)
    fit = ngmm.fit("y ~ big + tiny + (1 | g)", data)
    dense = Dense(fit.design, fit.theta)
    expected = fit.sigma**2 * dense.unscaled_vcov.astype(float)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # A column 100 of its sds from zero costs four digits.
    np.testing.assert_allclose(fit.vcov() / size, expected / size, rtol=0, atol=1e-9)


def term_values(fit: MixedModelFit, x: NDArray[Any]) -> NDArray[Any]:
    """Rows of varcorr as log sd and Fisher's z, from (theta, sigma)."""
    out: list[float] = []
    theta, sigma, start = x[:-1], x[-1], 0
    for term in fit.design.random:
        k = term.Z.shape[1]
        size = k * (k + 1) // 2 if term.correlated else k
        part = theta[start : start + size]
        lam = relative_factor(part, k, correlated=term.correlated).astype(float)
        cov = sigma**2 * lam @ lam.T
        sd = np.sqrt(np.diag(cov))
        out += list(np.log(sd))
        if term.correlated:
            r = cov / np.outer(sd, sd)
            out += [np.arctanh(r[i, j]) for i in range(k) for j in range(i)]
        start += size
    return np.array([*out, np.log(sigma)])


@each_fit
def test_intervals_of_the_variances_are_the_delta_method(name: str, reml: bool) -> None:
    fit = fitted(name, reml)
    x = np.append(fit.theta, fit.sigma)
    value = term_values(fit, x)
    slopes = differences(lambda v: term_values(fit, v), x, 1e-3).T
    cov = numerical_covariance(fit)
    se = np.sqrt(np.einsum("ia,ab,ib->i", slopes, cov, slopes))
    table = fit.varcorr().to_frame()
    is_sd = table["name2"].isna().to_numpy()
    for sign, column in ((-1, "conf_low"), (1, "conf_high")):
        limit = value + sign * Z95 * se
        expected = np.where(is_sd, np.exp(limit), np.tanh(limit))
        # Second differences, as above.
        np.testing.assert_allclose(table[column], expected, rtol=1e-5)
    estimates = np.where(is_sd, table["sd"], table["corr"])
    expected = np.where(is_sd, np.exp(value), np.tanh(value))
    np.testing.assert_allclose(estimates, expected, rtol=1e-12)


@pytest.mark.reference
def test_standard_errors_of_the_variances_of_sleepstudy() -> None:
    entry = load_entry("vc_se_sleep", "tests")["expected"]
    assert entry["order"] == ["var_intercept", "cov", "var_Days", "var_residual"]
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    x = np.append(fit.theta, fit.sigma)

    def variances(v: NDArray[Any]) -> NDArray[Any]:
        lam = relative_factor(v[:3], 2, correlated=True).astype(float)
        cov = v[3] ** 2 * lam @ lam.T
        return np.array([cov[0, 0], cov[1, 0], cov[1, 1], v[3] ** 2])

    slopes = differences(variances, x, 1e-4).T
    assert isinstance(fit.estimate, GaussianEstimate)
    cov = parameter_covariance(fit.model, fit.estimate)
    se = np.sqrt(np.einsum("ia,ab,ib->i", slopes, cov, slopes))
    # The reference: lme4's variances to 1e-6, numDeriv's Hessian to 1e-5.
    np.testing.assert_allclose(variances(x), entry["estimate"], rtol=1e-5)
    np.testing.assert_allclose(se, entry["se"], rtol=1e-4)
    assert se[0] == pytest.approx(288.8, abs=0.1)


def test_parameters_at_the_boundary_have_no_interval() -> None:
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", ngmm.datasets.load("Dyestuff2"))
    table = fit.varcorr().to_frame()
    assert table.loc[0, ["conf_low", "conf_high"]].isna().all()
    # sigma is estimated from n independent numbers: se(log sigma) = 1 / sqrt(2 n).
    margin = Z95 / np.sqrt(2 * fit.nobs)
    limits = table.iloc[-1][["conf_low", "conf_high"]].astype(float)
    expected = fit.sigma * np.exp([-margin, margin])
    np.testing.assert_allclose(limits, expected, rtol=1e-10)


def test_inverse_over_the_directions_that_are_identified() -> None:
    # diag(4, 0) turned by 45 degrees: rank one.
    information = np.array([[2.0, 2.0], [2.0, 2.0]])
    found = covariance_from_information(information)
    np.testing.assert_allclose(found, np.linalg.pinv(information), atol=1e-15)
    with_zero = np.diag([4.0, 0.0, 1e-12])
    np.testing.assert_allclose(
        covariance_from_information(with_zero), np.diag([0.25, 0.0, 1e12]), rtol=1e-12
    )
