"""Pictures of likelihoods: profiles, bootstrap, training, quadrature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm import plots
from ngmm.intervals.profile import Profile
from tests.joint.frames import fitted
from tests.plots.fits import bacteria, dyes, line, singular

PARAMETERS = ["Intercept", "sd(Intercept | Batch)", "sigma"]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return ngmm.intervals.profile(dyes())


@pytest.fixture(scope="module")
def draws() -> Any:
    return dyes().bootstrap(400, seed=2, progress=False)


def test_profiles_pass_through_their_points_and_limits(profile: Profile) -> None:
    axes = plots.profile_zeta(profile)
    assert [axis.get_xlabel() for axis in axes] == PARAMETERS
    for axis in axes:
        own = profile.curve[profile.curve["parameter"] == axis.get_xlabel()]
        np.testing.assert_array_equal(line(axis, "maxima"), own[["value", "zeta"]].T)
        x, y = line(axis, "profile")
        limits = profile.limits.loc[axis.get_xlabel(), ["conf_low", "conf_high"]]
        # The limits are points of the curve, up to the search for them (0.001).
        at = np.interp(limits.astype(float), x, y)
        np.testing.assert_allclose(at, [-1.96, 1.96], atol=0.02)
        dotted = [
            one.get_xdata()[0] for one in axis.lines if one.get_linestyle() == ":"
        ]
        assert dotted == limits.tolist()


def test_the_straight_line_is_that_of_wald(profile: Profile) -> None:
    axis = plots.profile_zeta(profile, "Intercept")[0]
    x, y = line(axis, "Wald")
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    # A parabola through three points of the curve, which is nearly straight.
    assert slope == pytest.approx(1 / dyes().bse["Intercept"], rel=0.02)
    assert np.interp(dyes().fixef["Intercept"], x, y) == pytest.approx(0, abs=1e-8)


def test_profile_of_a_fit_and_at_a_boundary() -> None:
    (axis,) = plots.profile_zeta(singular(), "sd(Intercept | Batch)")
    x, y = line(axis, "maxima")
    # Nothing lies below a standard deviation of zero.
    assert (x[0], y[0]) == (0.0, 0.0)
    assert "Wald" not in [one.get_label() for one in axis.lines]


def test_bootstrap_bars_have_area_one_and_limits_their_share(draws: Any) -> None:
    axes = plots.bootstrap(draws, level=0.9)
    assert [axis.get_xlabel() for axis in axes] == PARAMETERS
    for axis in axes:
        values = draws.to_frame()[axis.get_xlabel()]
        area = sum(p.get_height() * p.get_width() for p in axis.patches)
        assert area == pytest.approx(1.0)
        assert axis.patches[0].get_x() == pytest.approx(values.min(), abs=1e-9)
        assert line(axis, "estimate")[0][0] == draws.estimate[axis.get_xlabel()]
        low, high = (
            one.get_xdata()[0] for one in axis.lines if one.get_label() == "limit"
        )
        # 5 % of 400 draws on either side, give or take the one at the limit; draws of
        # zero share the lower limit of a standard deviation.
        assert abs((values > high).sum() - 20) <= 1
        assert abs((values < low).sum() - 20) <= 1 or low == 0.0


def test_draws_that_are_not_defined_are_left_out_and_counted(draws: Any) -> None:
    table = draws.draws.copy()
    table.iloc[:7, 2] = np.nan
    (axis,) = plots.bootstrap(replace(draws, draws=table), "sigma")
    assert axis.get_title() == "7 of 400 left out"
    heights = np.array([p.get_height() * p.get_width() for p in axis.patches])
    # Shares of the 393 draws that are left.
    np.testing.assert_allclose(393 * heights, np.round(393 * heights), atol=1e-6)
    table["sigma"] = np.nan
    (axis,) = plots.bootstrap(replace(draws, draws=table), "sigma")
    assert [text.get_text() for text in axis.texts] == ["not defined in any refit"]


def test_many_equal_draws_do_not_make_many_bars(draws: Any) -> None:
    table = draws.draws.copy()
    table["sigma"] = 0.0
    table.iloc[:40, 2] = np.linspace(0, 1e6, 40)
    (axis,) = plots.bootstrap(replace(draws, draws=table), "sigma")
    assert 1 <= len(axis.patches) <= 40


def test_training_is_the_history() -> None:
    history = fitted().networks.history
    for given in (fitted(), history):
        (axis,) = plots.training(given)
        np.testing.assert_array_equal(line(axis, "training")[0], history.epoch)
        np.testing.assert_array_equal(line(axis, "training")[1], history.loss)
        assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "loss per row")


def brute_force(fit: Any) -> float:
    """The log-likelihood of a bernoulli model by the trapezoid rule on b."""
    y, codes = fit.design.y, fit.design.random[0].codes
    b = np.linspace(-12, 12, 4001) * fit.theta[0]
    eta = (fit.design.X @ fit.fixef.to_numpy())[:, None] + b
    log_p = -np.logaddexp(0.0, np.where(y == 1, -1.0, 1.0)[:, None] * eta)
    total = np.zeros((codes.max() + 1, len(b)))
    np.add.at(total, codes, log_p)
    density = np.exp(-0.5 * (b / fit.theta[0]) ** 2) / np.sqrt(2 * np.pi)
    step = (b[1] - b[0]) / fit.theta[0]
    return float(np.log((np.exp(total) * density).sum(1) * step).sum())


def test_quadrature_goes_to_the_integral() -> None:
    axis = plots.quadrature(bacteria(), nodes=[25, 1])
    x, y = line(axis, "adaptive")
    assert x.tolist() == [1, 25]
    # 25 nodes are within 1e-6 of the integral here, one node is not.
    assert y[1] == pytest.approx(brute_force(bacteria()), abs=1e-6)
    assert y[0] < y[1] - 0.1
    own = line(axis, "the fit: adaptive trapezoid, 45 nodes")[1]
    assert own[0] == pytest.approx(bacteria().loglik, abs=1e-8)  # one computation
    laplace = replace(bacteria().model, quad="laplace")
    at = {"theta": bacteria().theta, "beta": bacteria().fixef.to_numpy()}
    assert y[0] == pytest.approx(laplace.loglik(**at), abs=1e-9)  # one node


def test_quadrature_within_a_radius() -> None:
    axis = plots.quadrature(bacteria(), nodes=[61], radius=6.0)
    _, y = line(axis, "within 6 sd")
    # 61 nodes within 6 sd: spacing 0.2, beyond double precision for smooth integrands.
    assert y[0] == pytest.approx(brute_force(bacteria()), abs=1e-6)
