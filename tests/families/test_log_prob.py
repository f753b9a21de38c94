"""Log-probabilities: values, sums to one, derivatives, limits, weights, range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ngmm import families
from ngmm.families import Family
from ngmm.linalg import precise
from tests.families.cases import (
    PRECISION_WEIGHTS,
    SETTINGS,
    evaluate,
    every_family,
    every_link,
    every_quick_link,
    log_prob,
    valid_eta,
)

# Made with mpmath at 60 digits: the textbook formula of each distribution (sums of
# logarithms for ratios of gamma functions), weight 1.5, 7 trials, differentiated by
# mpmath.diff. `eta_orders`: the value and four derivatives in eta; `phi_orders`: two in
# log phi; `mixed`: twice in eta, once in log phi.
EXACT = json.loads((Path(__file__).parent / "exact_derivatives.json").read_text())


@every_link
def test_against_scipy(family: Family) -> None:
    setting = SETTINGS[family.name]
    y = np.array(setting.responses)
    for mu in setting.means:
        eta = family.transform.link(np.float64(mu))
        for phi in setting.phis:
            law = setting.distribution(mu, phi, 1.0, setting.trials)
            expected = law.logpmf(y) if family.discrete else law.logpdf(y)
            mine = log_prob(family, y, eta, phi, trials=setting.trials)
            # scipy forms differences of gammaln, of size 100 here.
            np.testing.assert_allclose(mine, expected, rtol=1e-11, atol=1e-12)


@every_link
def test_probabilities_add_to_one(family: Family) -> None:
    setting = SETTINGS[family.name]
    low, high = setting.support
    y, measure = _sum(low, high) if family.discrete else _integral(low, high)
    mu = np.array(setting.means)[:, None]
    eta = family.transform.link(mu)
    for phi in setting.phis:
        density = np.exp(log_prob(family, y, eta, phi, trials=setting.trials))
        # What lies beyond the ends is below 1e-10 for these parameters.
        np.testing.assert_allclose(density @ measure, 1.0, atol=1e-9)


def _sum(low: float, high: float) -> tuple[Any, Any]:
    y = np.arange(low, high + 1.0)
    return y, np.ones_like(y)


def _integral(low: float, high: float) -> tuple[Any, Any]:
    """Nodes and weights of the trapezoidal rule on a scale without ends.

    The integrands are analytic and fall off at both ends: the error is below rounding.
    """
    t, step = np.linspace(-30.0, 30.0, 4096, retstep=True)
    if low == -np.inf:
        return t, np.full_like(t, step)
    if high == np.inf:
        return np.exp(t), step * np.exp(t)
    return 1 / (1 + np.exp(-t)), step / (2 + 2 * np.cosh(t))


@every_quick_link
def test_derivatives_against_values_of_sixty_digits(family: Family) -> None:
    cases = [
        case
        for case in EXACT
        if (case["family"], case["link"]) == (family.name, family.link)
    ]
    assert len(cases) >= 4
    y, eta = (np.array([case[key] for case in cases]) for key in ("y", "eta"))
    has_phi = cases[0]["log_phi"] is not None
    phi = np.exp([case["log_phi"] for case in cases]) if has_phi else None
    trials = 7.0 if family.takes_trials else None
    mine = evaluate(family, "eta", y, eta, phi, 1.5, trials)
    exact = np.array([case["eta_orders"] for case in cases]).T
    for value, true in zip(mine, exact, strict=True):
        # Values near zero are rounded relative to the constants they sum.
        np.testing.assert_allclose(value, true, rtol=1e-10, atol=1e-14)
    if has_phi:
        mine = evaluate(family, "phi", y, eta, phi, 1.5, trials)
        exact = np.array([[*c["phi_orders"], c["mixed"]] for c in cases]).T
        for value, true in zip(mine, exact, strict=True):
            # In the limits of Poisson and binomial these are 1e-8 and less; far from
            # the data of a gamma with phi = 1e-3, sums of terms of size 1e3.
            np.testing.assert_allclose(value, true, rtol=1e-9, atol=1e-14)


@every_quick_link
def test_each_derivative_against_differences_of_the_one_before(family: Family) -> None:
    setting = SETTINGS[family.name]
    moderate = [0.4, 1.3] if family.transform.lower == 0 else [-1.7, -0.2, 0.6, 1.4]
    eta, step = np.array(moderate), 1e-5
    y = np.array(setting.responses)[:, None]
    phi = setting.phis[0]
    centre, above, below = (
        evaluate(family, "eta", y, eta + shift, phi, 1.0, setting.trials)
        for shift in (0.0, step, -step)
    )
    for order in range(4):
        slope = (above[order] - below[order]) / (2 * step)
        # Truncation is step^2 times the third derivative, rounding 1e-16 / step: both
        # below 1e-7 of the largest.
        scale = np.abs(centre[order + 1]).max() + np.abs(centre[order]).max()
        np.testing.assert_allclose(
            centre[order + 1], slope, rtol=1e-6, atol=1e-7 * scale
        )


@every_quick_link
def test_no_nan_anywhere(family: Family) -> None:
    setting = SETTINGS[family.name]
    y = np.array(setting.responses)[:, None]
    for phi in (*setting.phis, *((1e-6, 1e8) if setting.phis[0] else ())):
        for value in evaluate(
            family, "eta", y, valid_eta(family), phi, 2.0, setting.trials
        ):
            assert not np.isnan(value).any(), phi
        if setting.phis[0]:
            for value in evaluate(
                family, "phi", y, valid_eta(family), phi, 2.0, setting.trials
            ):
                assert not np.isnan(value).any(), phi


@every_quick_link
def test_reverse_mode_agrees_with_forward_mode(family: Family) -> None:
    setting = SETTINGS[family.name]
    y = setting.responses[0]
    eta = valid_eta(family)
    forward = evaluate(family, "eta", y, eta, 1.3, 1.0, setting.trials)[1]
    with precise():
        backward = jax.jit(
            jax.grad(
                lambda e: family.log_prob(y, e, np.log(1.3), 1.0, setting.trials).sum()
            )
        )(jnp.asarray(eta))
    # The order of the products differs; where y is the mean they cancel.
    np.testing.assert_allclose(backward, forward, rtol=1e-12, atol=1e-14)


@every_link
def test_outside_the_interval_of_the_link(family: Family) -> None:
    y = SETTINGS[family.name].responses[1]
    eta = np.array([-700.0, -1.0, 0.0])
    value, *slopes = evaluate(family, "eta", y, eta, 1.0, 1.0, 5.0)
    if family.transform.lower == -np.inf:
        assert np.isfinite(value[1:]).all()
        return
    assert (value == -np.inf).all()
    assert all((slope == 0).all() for slope in slopes)


@every_link
def test_concave_is_what_it_says(family: Family) -> None:
    setting = SETTINGS[family.name]
    grid = np.linspace(0.05, 6.0, 40)
    if family.transform.lower == -np.inf:
        grid = np.concatenate([-grid[::-1], grid])
    y = np.array(setting.responses)[:, None]
    highest = max(
        evaluate(family, "eta", y, grid, phi, 1.0, setting.trials)[2].max()
        for phi in setting.phis
    )
    assert family.concave == (highest <= 0.0)


@every_family
def test_weights(family: Family) -> None:
    setting = SETTINGS[family.name]
    eta, y, phi = 0.7, setting.responses[1], setting.phis[0]
    weighted = log_prob(family, y, eta, phi, 2.5, setting.trials)
    if family.name in PRECISION_WEIGHTS:
        assert phi is not None
        same = log_prob(family, y, eta, phi / 2.5, 1.0, setting.trials)
    else:
        same = 2.5 * log_prob(family, y, eta, phi, 1.0, setting.trials)
    # The same numbers in another order.
    assert weighted == pytest.approx(same, rel=1e-13)


@every_family
def test_arguments_broadcast(family: Family) -> None:
    setting = SETTINGS[family.name]
    phi = setting.phis[0]
    y = np.array(setting.responses)[:, None]
    eta = np.array([[0.3, 0.9]])
    n = None if setting.trials is None else np.full_like(y, setting.trials)
    table = log_prob(family, y, eta, phi, np.full_like(y, 2.0), n)
    assert table.shape == (len(y), 2)
    assert table.dtype == np.float64
    one = log_prob(family, y[1, 0], 0.9, phi, 2.0, setting.trials)
    assert table[1, 1] == pytest.approx(one, rel=1e-14)


def test_the_negative_binomial_becomes_the_poisson() -> None:
    y = np.array([0.0, 1.0, 7.0, 60.0])
    eta, size = np.log(5.0), 1e10
    gap = log_prob(families.get("negative_binomial"), y, eta, size) - log_prob(
        families.get("poisson"), y, eta
    )
    # To first order in 1/size the gap is ((y - mu)^2 - y) / (2 size).
    expected = ((y - 5.0) ** 2 - y) / (2 * size)
    # Rounding of log-probabilities of size 100.
    np.testing.assert_allclose(gap, expected, atol=1e-13)


def test_the_beta_binomial_becomes_the_binomial() -> None:
    y = np.array([0.0, 1.0, 7.0, 12.0])
    gap = log_prob(families.get("betabinomial"), y, 0.4, 1e12, trials=12.0) - log_prob(
        families.get("binomial"), y, 0.4, trials=12.0
    )
    # The gap is of the order trials^2 / phi.
    np.testing.assert_allclose(gap, 0.0, atol=2e-10)


def test_a_binomial_of_one_trial_is_a_bernoulli() -> None:
    eta = np.linspace(-5, 5, 11)
    for link in ("logit", "probit", "cloglog"):
        for y in (0.0, 1.0):
            one = log_prob(families.bernoulli(link), y, eta)
            for other in (families.binomial(link), families.betabinomial(link)):
                mine = log_prob(other, y, eta, 3.0, trials=1.0)
                # Rounding of constants that cancel.
                np.testing.assert_allclose(mine, one, rtol=1e-14, atol=2e-15)


def test_zero_counts_far_out_do_not_become_nan() -> None:
    # Zero times an infinite logarithm is zero here.
    for y, eta in ((5.0, 800.0), (0.0, -800.0)):
        value = log_prob(families.binomial("cloglog"), y, eta, trials=5.0)
        assert value == pytest.approx(0.0, abs=1e-14)
