"""Samples, variances, distribution functions and deviances against log_prob."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ngmm.families import Family
from tests.families.cases import (
    PRECISION_WEIGHTS,
    SETTINGS,
    every_family,
    log_prob,
)

DRAWS = 40_000


def _settings(family: Family) -> Any:
    setting = SETTINGS[family.name]
    return [
        (setting, mu, phi, weight)
        for mu in setting.means
        for phi in setting.phis
        for weight in ((1.0, 2.5) if family.name in PRECISION_WEIGHTS else (1.0,))
    ]


def _draws(family: Family, mu: float, phi: Any, weight: float, trials: Any) -> Any:
    generator = np.random.default_rng(7)
    n = None if trials is None else np.full(DRAWS, trials)
    return family.sample(generator, np.full(DRAWS, mu), phi, weight, n)


@every_family
def test_variance_is_that_of_scipy(family: Family) -> None:
    for setting, mu, phi, _ in _settings(family):
        law = setting.distribution(mu, phi, 1.0, setting.trials)
        # Closed forms both; scipy's for the beta-binomial takes a difference.
        assert family.variance(mu, phi, setting.trials) == pytest.approx(
            law.var(), rel=1e-9
        )


@every_family
def test_moments_of_samples(family: Family) -> None:
    for setting, mu, phi, weight in _settings(family):
        law = setting.distribution(mu, phi, weight, setting.trials)
        y = _draws(family, mu, phi, weight, setting.trials)
        assert y.dtype == np.float64
        mean = mu * (setting.trials or 1.0)
        variance = float(law.var())
        # Five standard errors: exceeded by chance once in two million.
        assert abs(y.mean() - mean) < 5 * np.sqrt(variance / DRAWS)
        squares = (y - mean) ** 2
        # The squares of a fair coin are all equal.
        error = squares.std() / np.sqrt(DRAWS) + 1e-12
        assert abs(squares.mean() - variance) < 5 * error


@every_family
def test_cdf_against_samples_and_scipy(family: Family) -> None:
    for setting, mu, phi, weight in _settings(family):
        y = _draws(family, mu, phi, weight, setting.trials)
        law = setting.distribution(mu, phi, weight, setting.trials)
        points = np.unique(np.quantile(y, [0.0, 0.1, 0.5, 0.9, 1.0]))
        mine = family.cdf(points, mu, phi, weight, setting.trials)
        # Two routes to the same function.
        np.testing.assert_allclose(mine, law.cdf(points), rtol=1e-8, atol=1e-12)
        share = (y[:, None] <= points).mean(axis=0)
        # Dvoretzky, Kiefer & Wolfowitz: exceeded with probability 1e-6.
        assert np.abs(share - mine).max() < np.sqrt(np.log(2e6) / (2 * DRAWS))


@every_family
def test_cdf_outside_the_range(family: Family) -> None:
    setting = SETTINGS[family.name]
    mu, phi = setting.means[1], setting.phis[0]
    low = family.cdf(np.array([-1e9]), mu, phi, 1.0, setting.trials)
    high = family.cdf(np.array([1e9]), mu, phi, 1.0, setting.trials)
    assert (float(low[0]), float(high[0])) == (0.0, 1.0)


@every_family
def test_samples_are_in_the_range_and_repeat(family: Family) -> None:
    setting = SETTINGS[family.name]
    low, high = setting.support
    for phi in (*setting.phis, *((0.01, 50.0) if setting.phis[0] else ())):
        mu = np.full(500, setting.means[0])
        first, again = (
            family.sample(np.random.default_rng(3), mu, phi, 1.0, setting.trials)
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, again)
        assert first.shape == mu.shape
        if family.discrete:
            assert (first == np.floor(first)).all()
            assert (first >= low).all()
            if np.isfinite(high):
                assert (first <= max(high, 0)).all() or setting.trials is None
        else:
            assert ((first > low) & (first < high)).all()


@every_family
def test_unit_deviance_is_twice_the_log_likelihood_ratio(family: Family) -> None:
    """To the best mean of each response, times the dispersion where it scales."""
    for setting, mu, phi, weight in _settings(family):
        eta = family.transform.link(np.float64(mu))
        for y in setting.responses:

            def loss(e: float, y: float = y, phi: Any = phi, w: float = weight) -> Any:
                value = log_prob(family, y, e, phi, w, SETTINGS[family.name].trials)
                return -float(value)

            best: Any = minimize_scalar(
                loss, bounds=(-40.0, 40.0), method="bounded", options={"xatol": 1e-9}
            )
            scale = phi if family.name in PRECISION_WEIGHTS else 1.0
            expected = 2.0 * (loss(float(eta)) - best.fun) * scale
            mine = family.unit_deviance(
                np.array([y]), np.array([mu]), phi, weight, setting.trials
            )[0]
            # Rounding of log-probabilities of size 100; the search stops within 1e-9
            # of a flat optimum.
            assert mine == pytest.approx(expected, rel=1e-9, abs=1e-11), (y, mu, phi)


@every_family
def test_unit_deviance_counts_the_weight(family: Family) -> None:
    setting = SETTINGS[family.name]
    y, mu = np.array(setting.responses), np.float64(setting.means[0])
    one, three = (
        family.unit_deviance(y, mu, setting.phis[0], w, setting.trials)
        for w in (1.0, 3.0)
    )
    assert (one >= 0).all()
    np.testing.assert_allclose(three, 3.0 * one, rtol=1e-14)


@every_family
def test_starting_values_are_inside(family: Family) -> None:
    setting = SETTINGS[family.name]
    y = np.array(setting.responses)
    n = None if setting.trials is None else np.full_like(y, setting.trials)
    mu = family.start(y, n)
    eta = family.transform.link(mu)
    assert np.isfinite(eta).all()
    phi = family.start_phi(y, np.full_like(y, mu.mean()), n)
    assert np.isfinite(log_prob(family, y, eta, phi, 1.0, setting.trials)).all()


@every_family
def test_starting_dispersion_is_near(family: Family) -> None:
    setting = SETTINGS[family.name]
    for phi in setting.phis:
        mu = np.full(DRAWS, setting.means[1])
        n = None if setting.trials is None else np.full(DRAWS, setting.trials)
        y = family.sample(np.random.default_rng(5), mu, phi, 1.0, n)
        start = family.start_phi(y, mu, n)
        # A moment estimate from 40,000 draws. Near the Poisson it is a noisy one.
        tolerance = 0.5 if family.dispersion == "size" else 0.2
        assert start == pytest.approx(phi or 1.0, rel=tolerance)
