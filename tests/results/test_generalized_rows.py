"""Rows of generalized fits: effects, predictions, residuals, new responses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import ngmm
from ngmm.errors import DataError, NewDataError, OptionError
from ngmm.results import MixedModelFit
from tests.results.generalized import (
    CASES,
    conditional_covariance,
    curvature,
    distribution,
    fitted,
    frame,
    linear_predictor,
    log_prob,
    mean,
    modes,
    random_part,
)

Z95 = 1.959963984540054  # standard normal quantile of 0.975


@pytest.fixture(params=CASES)
def fit(request: pytest.FixtureRequest) -> MixedModelFit:
    return fitted(request.param)


def predicted(fit: MixedModelFit, new: Any = None, **ask: Any) -> Any:
    """A frame of predictions."""
    found = fit.predict(new, **ask)
    assert isinstance(found, pd.DataFrame)
    return found


def observed(fit: MixedModelFit) -> np.ndarray:
    """Response on the scale of the fitted values."""
    d = fit.design
    return d.y if d.trials is None else d.y / d.trials


# Effects ------------------------------------------------------------------------------


def test_modes_maximise_the_joint_density(fit: MixedModelFit) -> None:
    Z, lam = random_part(fit)
    step = 1e-5
    eta = linear_predictor(fit)
    up, down = log_prob(fit, eta + step), log_prob(fit, eta - step)
    score = lam.T @ (Z.T @ ((up - down) / (2 * step)))
    spherical = np.linalg.pinv(lam) @ modes(fit)
    # The gradient in u; differences of size 1e-10, summed over the rows of a level.
    np.testing.assert_allclose(score, spherical, rtol=0, atol=1e-6)


def test_conditional_sds_come_from_the_curvature(fit: MixedModelFit) -> None:
    b = fit.ranef(cond_sd=True)
    columns = [
        b[t.group][[f"{name}_sd" for name in t.names]].to_numpy().ravel()
        for t in fit.design.random
    ]
    expected = np.sqrt(np.diag(conditional_covariance(fit)))
    # Second differences of the log-density.
    np.testing.assert_allclose(np.concatenate(columns), expected, rtol=1e-7, atol=1e-9)


def test_coefficients_by_level(fit: MixedModelFit) -> None:
    for group, b in fit.ranef().items():
        expected = fit.fixef["Intercept"] + b["Intercept"]
        np.testing.assert_array_equal(fit.coef()[group]["Intercept"], expected)


# Predictions --------------------------------------------------------------------------


def test_fitted_is_the_mean_at_the_modes(fit: MixedModelFit) -> None:
    eta = linear_predictor(fit)
    # The same sums in another order.
    np.testing.assert_allclose(fit.fitted(), mean(fit, eta), rtol=1e-12)
    np.testing.assert_allclose(fit.predict(kind="link"), eta, rtol=0, atol=1e-12)
    terms = fit.predict(kind="terms")
    assert isinstance(terms, pd.DataFrame)
    np.testing.assert_allclose(terms.sum(axis=1), eta, rtol=0, atol=1e-12)
    new = fit.predict(frame())
    assert isinstance(new, pd.Series)
    pd.testing.assert_series_equal(new, fit.fitted(), check_names=False)


def test_standard_errors_of_the_linear_predictor(fit: MixedModelFit) -> None:
    # d b / d beta = -Lambda H^-1 Lambda' Z' W X, with W the curvature of the rows.
    X, C, W = fit.design.X, conditional_covariance(fit), curvature(fit)
    Z = random_part(fit)[0]
    a = X - Z @ C @ (Z.T @ (W[:, None] * X))
    v = np.einsum("np,pq,nq->n", a, fit.vcov().to_numpy(), a)
    v += np.einsum("ni,ij,nj->n", Z, C, Z)
    got = predicted(fit, kind="link", se=True)["se"]
    # Exact but for rows with a convex log-density, which stand in with weight zero.
    tolerance = 1e-7 if (W > 0).all() else 0.03
    np.testing.assert_allclose(got, np.sqrt(v), rtol=tolerance)


def test_the_mean_over_the_effects_is_an_integral(fit: MixedModelFit) -> None:
    rows = np.arange(5)
    eta = fit.predict(kind="link", re="none").to_numpy()[rows]
    v = integrated_variance(fit)[rows]
    got = fit.predict(re="marginal").to_numpy()[rows]
    for value, m, s in zip(got, eta, np.sqrt(v), strict=True):
        expected, _ = integrate.quad(
            lambda t, m=m, s=s: mean(fit, m + s * t) * stats.norm.pdf(t), -12, 12
        )
        # quad's default tolerance.
        assert value == pytest.approx(expected, rel=1e-8)
    # New data need not have the groups.
    new = frame()[["x", "o"]]
    np.testing.assert_allclose(fit.predict(new, re="marginal").iloc[rows], got)


def integrated_variance(fit: MixedModelFit) -> np.ndarray:
    """Variance of z' b for every row of the fit."""
    Z, lam = random_part(fit)
    return ((Z @ lam) ** 2).sum(axis=1)


def test_standard_errors_of_means_are_by_the_delta_method(fit: MixedModelFit) -> None:
    h = 1e-5
    for re in ("all", "none"):
        link = predicted(fit, kind="link", re=re, se=True)
        slope = (mean(fit, link["fit"] + h) - mean(fit, link["fit"] - h)) / (2 * h)
        got = predicted(fit, re=re, se=True)
        # Central differences.
        np.testing.assert_allclose(got["se"], slope * link["se"], rtol=1e-7)
        np.testing.assert_allclose(got["fit"], mean(fit, link["fit"]), rtol=1e-12)


def test_confidence_intervals_are_carried_over(fit: MixedModelFit) -> None:
    for re in ("all", "none"):
        link = predicted(fit, kind="link", re=re, se=True)
        got = predicted(fit, re=re, interval="confidence")
        for side, z in (("lower", -Z95), ("upper", Z95)):
            expected = mean(fit, link["fit"] + z * link["se"])
            np.testing.assert_allclose(got[side], expected, rtol=1e-10)


def test_a_marginal_interval_moves_the_population_mean() -> None:
    fit = fitted("bernoulli")
    link = predicted(fit, kind="link", re="marginal", se=True).iloc[:4]
    got = predicted(fit, re="marginal", interval="confidence", se=True).iloc[:4]
    s = fit.theta[0]

    def population(m: float) -> float:
        def integrand(t: float) -> float:
            return float(mean(fit, np.asarray(m + s * t)) * stats.norm.pdf(t))

        return float(integrate.quad(integrand, -10, 10, epsabs=1e-12)[0])

    for (_, at), (_, row) in zip(link.iterrows(), got.iterrows(), strict=True):
        low, high = at["fit"] - Z95 * at["se"], at["fit"] + Z95 * at["se"]
        expected = [population(low), population(high)]
        np.testing.assert_allclose(row[["lower", "upper"]], expected, rtol=1e-9)
        slope = (population(at["fit"] + 1e-4) - population(at["fit"] - 1e-4)) / 2e-4
        assert row["se"] == pytest.approx(slope * at["se"], rel=1e-6)


UNSEEN = {
    "x": [0.0, 1.0, 0.5],
    "o": [0.0] * 3,
    "g": ["new", "new", "g01"],
    "h": [0] * 3,
}


@pytest.mark.slow
def test_levels_that_were_not_in_the_data() -> None:
    fit = fitted("negative_binomial")
    with pytest.raises(NewDataError, match='2 rows have 1 unseen level of "g"'):
        fit.predict(UNSEEN)
    none = fit.predict(UNSEEN, re="none")
    population = fit.predict(UNSEEN, new_levels="population")
    np.testing.assert_array_equal(population[:2], none[:2])
    # A log link: the mean of exp(b) is exp(sd^2 / 2), its variance known as well.
    s2 = fit.theta[0] ** 2
    got = predicted(fit, UNSEEN, new_levels="marginal", se=True, interval="confidence")
    np.testing.assert_allclose(got["fit"][:2], none[:2] * np.exp(s2 / 2), rtol=1e-12)
    assert got["fit"][2] == population[2]
    link = predicted(fit, UNSEEN, re="none", kind="link", se=True)
    estimation = got["fit"][:2] ** 2 * link["se"][:2] ** 2
    between = got["fit"][:2] ** 2 * np.expm1(s2)
    np.testing.assert_allclose(got["se"][:2] ** 2, estimation + between, rtol=1e-10)
    width = Z95 * np.sqrt(link["se"][:2] ** 2 + s2)
    np.testing.assert_allclose(got["upper"][:2], np.exp(link["fit"][:2] + width))
    drawn = fit.predict(UNSEEN, new_levels="sample", kind="link")
    effect = drawn[:2] - link["fit"][:2]
    assert effect[0] == pytest.approx(effect[1])
    assert abs(effect[0]) > 1e-3


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "gamma"])
@pytest.mark.parametrize("re", ["all", "marginal"])
def test_prediction_limits_are_quantiles_of_a_mixture(name: str, re: str) -> None:
    fit = fitted(name)
    link = predicted(fit, kind="link", re=re, se=True)
    v = link["se"] ** 2 + (integrated_variance(fit) if re == "marginal" else 0.0)
    got = predicted(fit, re=re, interval="prediction", level=0.9)
    t = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    eta = link["fit"].to_numpy()[:, None] + np.asarray(np.sqrt(v))[:, None] * t
    rows = distribution(fit, mean(fit, eta))
    below, upto = (
        rows.cdf(y.to_numpy()[:, None]).mean(axis=1)
        for y in (got["lower"] - 1e-9, got["upper"])
    )
    # A share of 10,000 draws has the standard error 0.0022; the largest of 360
    # deviations stays below 4.5 of them. Counts jump over the level.
    assert (below < 0.05 + 0.01).all()
    assert (upto > 0.95 - 0.01).all()
    if name in ("gamma", "beta"):
        np.testing.assert_allclose(below, 0.05, atol=0.01)
        np.testing.assert_allclose(upto, 0.95, atol=0.01)
    again = predicted(fit, re=re, interval="prediction", level=0.9)
    pd.testing.assert_frame_equal(got, again)


@pytest.mark.slow
def test_prediction_limits_of_successes_are_proportions() -> None:
    fit = fitted("binomial")
    got = predicted(fit, interval="prediction")
    assert fit.design.trials is not None
    counts = got[["lower", "upper"]].mul(fit.design.trials, axis=0)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    inside = (observed(fit) >= got["lower"]) & (observed(fit) <= got["upper"])
    # At least 95 % by construction, and 180 rows: three standard errors below.
    assert inside.mean() > 0.9


@pytest.mark.parametrize(
    ("name", "new", "ask", "message"),
    [
        ("bernoulli", None, {}, r"^a new 0/1 response is 0 or 1 whatever the interval"),
        ("binomial", UNSEEN, {"re": "none"}, r"needs the number of trials, which is"),
        ("poisson", None, {"kind": "link"}, r"^a poisson response has no values on"),
    ],
)
def test_prediction_intervals_that_say_nothing(
    name: str, new: Any, ask: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        fitted(name).predict(new, interval="prediction", **ask)


# Residuals ----------------------------------------------------------------------------


def test_response_and_working_residuals(fit: MixedModelFit) -> None:
    eta, h = linear_predictor(fit), 1e-5
    raw = observed(fit) - mean(fit, eta)
    np.testing.assert_allclose(fit.resid(), raw, rtol=1e-10, atol=1e-13)
    slope = (mean(fit, eta + h) - mean(fit, eta - h)) / (2 * h)
    # Central differences.
    np.testing.assert_allclose(fit.resid("working"), raw / slope, rtol=1e-7)


def test_pearson_residuals(fit: MixedModelFit) -> None:
    d, mu = fit.design, mean(fit, linear_predictor(fit))
    trials = 1.0 if d.trials is None else d.trials
    variance = distribution(fit, mu).var() / trials**2
    if fit.family in ("gamma", "inverse_gaussian"):
        # The dispersion is left out: unit variance functions mu^2 and mu^3.
        variance = mu ** (2 if fit.family == "gamma" else 3) / d.weights
    expected = (observed(fit) - mu) / np.sqrt(variance)
    np.testing.assert_allclose(fit.resid("pearson"), expected, rtol=1e-9, atol=1e-12)


def test_deviance_residuals() -> None:
    poisson, gamma = fitted("poisson"), fitted("gamma")
    y, mu = poisson.design.y, poisson.fitted().to_numpy()
    square = 2 * (np.where(y > 0, y * np.log(np.maximum(y, 1) / mu), 0) - (y - mu))
    expected = np.sign(y - mu) * np.sqrt(square)
    np.testing.assert_allclose(poisson.resid("deviance"), expected, rtol=1e-9)
    y, mu, w = gamma.design.y, gamma.fitted().to_numpy(), gamma.design.weights
    square = 2 * w * ((y - mu) / mu - np.log(y / mu))
    expected = np.sign(y - mu) * np.sqrt(square)
    # Cancellation where y is close to mu.
    np.testing.assert_allclose(gamma.resid("deviance"), expected, atol=1e-7)


def test_deviance_residuals_have_the_sign_of_the_response_residual(
    fit: MixedModelFit,
) -> None:
    deviance, raw = fit.resid("deviance"), fit.resid()
    assert np.isfinite(deviance).all()
    # Where y is at the mean to the last digits, the deviance is zero.
    assert ((np.sign(deviance) == np.sign(raw)) | (deviance == 0)).all()


def test_quantile_residuals(fit: MixedModelFit) -> None:
    rows = distribution(fit, mean(fit, linear_predictor(fit)))
    u, y = stats.norm.cdf(fit.resid("quantile")), fit.design.y
    # Two ways to compute a distribution function.
    if isinstance(rows.dist, stats.rv_discrete):
        assert (rows.cdf(y - 1) - 1e-9 <= u).all()
        assert (u <= rows.cdf(y) + 1e-9).all()
    else:
        np.testing.assert_allclose(u, rows.cdf(y), rtol=1e-8, atol=1e-12)
    pd.testing.assert_series_equal(fit.resid("quantile"), fit.resid("quantile"))


# New responses ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bernoulli", "crossed", "gamma", "binomial"])
def test_simulated_responses_have_the_marginal_mean(name: str) -> None:
    fit, n = fitted(name), 2000
    draws = fit.simulate(n, seed=1)
    assert draws.shape == (fit.nobs, n)
    trials = 1.0 if fit.design.trials is None else fit.design.trials
    share = draws.div(trials, axis=0)
    error = share.mean(axis=1) - fit.predict(re="marginal")
    se = share.std(axis=1) / np.sqrt(n)
    # Heavy right tails: the largest of 180 such means stays below 5 standard errors.
    assert (error.abs() < 5 * se).all()
    # Rows share levels, but the average over rows is no further off than the rows are.
    assert abs(error.mean()) < 3 * se.mean()
    pd.testing.assert_frame_equal(draws, fit.simulate(n, seed=1))
    assert (draws != fit.simulate(n, seed=2)).any(axis=None)


def test_simulated_counts_are_counts() -> None:
    hits = fitted("binomial").simulate(5)
    trials = fitted("binomial").design.trials
    assert trials is not None
    assert ((hits >= 0) & hits.le(trials, axis=0) & (hits == hits.round())).all(
        axis=None
    )
    assert set(np.unique(fitted("bernoulli").simulate(5))) == {0.0, 1.0}


def test_the_inverse_link_has_no_negative_means() -> None:
    gamma = fitted("gamma")
    family = ngmm.families.get("gamma", "inverse")
    # The same numbers under another link: what is drawn is all that matters here.
    model = replace(gamma.model, family=family)
    fit = replace(gamma, model=model)
    with pytest.raises(OptionError, match=r"^\d+\.\d% of the linear predictors drawn"):
        fit.simulate()
    with pytest.raises(OptionError, match=r"^the mean over random effects does not ex"):
        fit.predict(re="marginal")


def test_refit_is_a_fit_of_the_frame_with_another_response() -> None:
    fit = fitted("binomial")
    y = fit.simulate(seed=4)[0]
    direct = ngmm.fit(
        "hits ~ x + (1 + x | g)", frame().assign(hits=y), family="binomial", trials="n"
    )
    other = fit.refit(y)
    assert other.loglik == direct.loglik
    np.testing.assert_array_equal(other.theta, direct.theta)
    assert fit.refit(fit.design.y).loglik == fit.loglik


@pytest.mark.parametrize(
    ("name", "y"),
    [("poisson", -1.0), ("poisson", 0.5), ("gamma", 0.0), ("bernoulli", 2.0)],
)
def test_refit_refuses_what_the_family_cannot_take(name: str, y: float) -> None:
    fit = fitted(name)
    values = fit.design.y.copy()
    values[3] = y
    with pytest.raises(DataError):
        fit.refit(values)


def test_update() -> None:
    fit = fitted("crossed")
    less = fit.update(". ~ . - (1 + x | h)")
    assert less.n_levels == {"g": 15}
    assert less.family == "poisson"
    assert less.loglik < fit.loglik
    np.testing.assert_array_equal(less.design.offset, frame()["o"])
