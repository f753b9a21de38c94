"""Draws of parameters and random effects have the distributions that they should."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import ngmm
from ngmm.arviz_bridge.asymptotic import asymptotic
from ngmm.arviz_bridge.charts import draw_roots, to_chart
from ngmm.arviz_bridge.factors import factors_of
from ngmm.arviz_bridge.nested import units_of
from ngmm.arviz_bridge.parameters import ParameterDraws
from ngmm.arviz_bridge.rows import row_draws
from ngmm.covariance import factor_numpy, pattern
from ngmm.errors import NgmmWarning, NotSupportedError
from ngmm.results import MixedModelFit
from tests.results import examples, generalized

Vector = NDArray[np.float64]

N = 4000
# Five standard errors of a mean of N draws, and of a standard deviation: a false alarm
# in a million.
MEAN, SPREAD = 5 / np.sqrt(N), 5 / np.sqrt(2 * N)


def at_the_estimate(fit: MixedModelFit, n: int) -> ParameterDraws:
    """The estimate, n times."""
    roots, e, at = [], fit.estimate, 0
    for term in fit.design.random:
        p = pattern([(len(term.names), term.correlated)])
        lam = e.sigma * factor_numpy(e.theta[at : at + p.n_theta], p)
        roots.append(np.broadcast_to(lam, (n, p.k, p.k)))
        at += p.n_theta
    scale = e.sigma if fit.model.is_gaussian else (e.phi or 1.0)
    return ParameterDraws(
        np.tile(e.beta, (n, 1)),
        tuple(roots),
        np.full(n, scale),
        np.zeros((n, fit.nobs, 0)),
        ("",) * len(roots),
    )


def effects(fit: MixedModelFit, n: int = N) -> list[Vector]:
    """Draws of the effects of each factor, at the estimate."""
    factors = factors_of(fit.design.random)
    generator = np.random.default_rng(7)
    found = row_draws(
        fit, at_the_estimate(fit, n), factors, units_of(factors), generator
    )
    assert found.n_unsettled == 0
    return found.effects


# Several factors are solved draw by draw.
@pytest.mark.parametrize(("name", "n"), [("slope", N), ("crossed", 400)])
def test_effects_of_a_gaussian_model_are_those_of_ranef(name: str, n: int) -> None:
    fit = examples.fitted(name)
    frames = fit.ranef(cond_sd=True)
    for b, frame in zip(effects(fit, n), frames.values(), strict=True):
        k = b.shape[2]
        mode, sd = frame.iloc[:, :k].to_numpy(), frame.iloc[:, k:].to_numpy()
        # Five standard errors of a mean and of a standard deviation.
        assert np.abs((b.mean(0) - mode) / sd).max() < 5 / np.sqrt(n)
        assert np.abs(b.std(0) / sd - 1).max() < 5 / np.sqrt(2 * n)


def test_effects_of_a_binary_response_have_their_posterior_moments() -> None:
    fit = generalized.fitted("bernoulli")
    (b,) = effects(fit)
    d, sd = fit.design, float(fit.theta[0])
    grid = np.linspace(-8 * sd, 8 * sd, 4001)
    eta = (d.X @ fit.estimate.beta)[:, None] + grid
    sign = np.where(d.y == 1, 1.0, -1.0)[:, None]
    value = special.log_expit(sign * eta)
    for level in range(d.random[0].n_levels):
        log = value[d.random[0].codes == level].sum(0) - 0.5 * (grid / sd) ** 2
        weight = np.exp(log - log.max())
        mean = weight @ grid / weight.sum()
        spread = np.sqrt(weight @ (grid - mean) ** 2 / weight.sum())
        # Sixteen proposals leave an error of a few percent of a standard deviation;
        # the modes are further off than that.
        assert abs(b[:, level, 0].mean() - mean) < (MEAN + 0.03) * spread
        assert b[:, level, 0].std() == pytest.approx(spread, rel=SPREAD + 0.03)


@pytest.mark.parametrize("name", ["slope", "slope_reml", "independent", "crossed"])
def test_quantiles_are_the_wald_limits(name: str) -> None:
    fit = examples.fitted(name)
    draws = asymptotic(fit, N, np.random.default_rng(2))
    frame = fit.conf_int().to_frame()
    found = [draws.beta]
    for term, lam in zip(fit.design.random, draws.roots, strict=True):
        cov = lam @ np.swapaxes(lam, 1, 2)
        sd = np.sqrt(np.einsum("dii->di", cov))
        found.append(sd)
        if term.correlated and len(term.names) > 1:
            found.append((cov[:, 1, 0] / sd[:, 0] / sd[:, 1])[:, None])
    found.append(draws.scale[:, None])
    values = np.hstack(found)
    limits = np.quantile(values, [0.025, 0.975], axis=0).T
    p = len(fit.fixef)
    expected = frame[["conf_low", "conf_high"]].to_numpy(dtype=float).copy()
    # Fixed effects are drawn as normal: z limits, where the table has t.
    half = 1.959964 * fit.bse.to_numpy()
    expected[:p] = np.stack([fit.fixef - half, fit.fixef + half], axis=1)
    width = (expected[:, 1] - expected[:, 0])[:, None]
    # A 2.5 % quantile of N draws has a standard error of about one percent of the
    # width, of the long tail of a standard deviation of six groups more.
    assert np.abs((limits - expected) / width).max() < 0.08


def test_fixed_effects_have_the_covariance_of_the_fit() -> None:
    fit = examples.fitted("slope")
    beta = asymptotic(fit, N, np.random.default_rng(3)).beta
    root = np.linalg.inv(np.linalg.cholesky(fit.vcov().to_numpy()))
    z = (beta - fit.fixef.to_numpy()) @ root.T
    # Entries of a covariance of standard normal draws.
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=2 * MEAN)


def test_parameters_of_other_families_are_drawn_jointly() -> None:
    fit = generalized.fitted("bernoulli")
    draws = asymptotic(fit, N, np.random.default_rng(4))
    log_sd = np.log(np.abs(draws.roots[0][:, 0, 0]))
    covariance = fit._analysis.covariance  # type: ignore[union-attr]
    slope = np.diag([1.0, 1.0, 1.0 / fit.theta[0]])
    expected = slope @ covariance @ slope
    z = np.column_stack([draws.beta, log_sd])
    sd = np.sqrt(np.diag(expected))
    atol = 2 * MEAN
    np.testing.assert_allclose(
        np.cov(z.T) / np.outer(sd, sd), expected / np.outer(sd, sd), atol=atol
    )


def test_the_chart_of_three_columns_is_undone() -> None:
    p = pattern([(3, True)])
    theta, sigma = np.array([0.8, -0.3, 0.4, 0.5, 0.2, 0.7]), 1.7
    none = draw_roots(theta, sigma, p, np.zeros((2, 7)), np.zeros((7, 7)))
    lam = sigma * factor_numpy(theta, p)
    # A few roundings.
    np.testing.assert_allclose(none.lam[1], lam, rtol=1e-12, atol=1e-14)
    assert none.note == ""


def test_small_moves_follow_the_slope_of_the_chart() -> None:
    p = pattern([(3, True)])
    theta, sigma = np.array([0.8, -0.3, 0.4, 0.5, 0.2, 0.7]), 1.7
    step = 1e-5 * np.array([[1.0, -2.0, 0.5, 1.5, -1.0, 0.3, 0.7]])
    moved = draw_roots(theta, sigma, p, step, np.zeros((7, 7))).lam[0]
    there = sigma * np.exp(step[0, -1]) * factor_numpy(theta + step[0, :-1], p)
    # Linear on another scale: what is left is of second order.
    np.testing.assert_allclose(to_chart(moved), to_chart(there), atol=1e-8)


def test_correlations_of_three_columns_make_a_correlation_matrix() -> None:
    draws = asymptotic(examples.fitted("triple"), 500, np.random.default_rng(1))
    (lam,) = draws.roots
    assert np.isfinite(lam).all()
    assert (np.diagonal(lam, axis1=1, axis2=2) >= 0).all()
    assert draws.term_notes == ("near zero: normal and folded at zero",)
    # The log scale would reach beyond a thousand.
    assert np.sqrt((lam**2).sum(2)).max() < 20


def test_a_variance_of_zero_stays_zero() -> None:
    draws = asymptotic(examples.fitted("zero"), 50, np.random.default_rng(1))
    assert not draws.roots[0].any()
    assert draws.term_notes == ("estimated at zero, and zero in every draw",)


def test_a_correlation_of_one_stays_one() -> None:
    draws = asymptotic(examples.fitted("perfect"), 50, np.random.default_rng(1))
    (lam,) = draws.roots
    assert not lam[:, :, 1].any()
    assert (lam[:, :, 0].std(0) > 0).all()


def test_what_has_no_covariance_cannot_be_drawn() -> None:
    from ngmm.arviz_bridge.asymptotic import normal

    with pytest.raises(NotSupportedError, match='kind="bootstrap"'):
        normal(np.full((2, 2), np.nan), 3, np.random.default_rng(0))


@cache
def flat() -> MixedModelFit:
    """Levels that hardly differ: their variances are zero in many refits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        return ngmm.fit("y ~ x + (x | g)", examples.no_variance())


def test_refits_are_those_of_the_bootstrap() -> None:
    found = flat().to_arviz(40, "bootstrap", seed=5).posterior
    frame = flat().bootstrap(40, seed=5).to_frame()
    for name, column in {
        "x": "x",
        "1|g_sigma": "sd(Intercept | g)",
        "cor(Intercept, x | g)": "cor(Intercept, x | g)",
        "sigma": "sigma",
    }.items():
        # The same program and the same responses.
        expected = frame[column].to_numpy()
        np.testing.assert_allclose(found[name].to_numpy()[0], expected, rtol=1e-12)


def test_refits_at_zero_leave_correlations_out_and_say_so() -> None:
    found = flat().to_arviz(40, "bootstrap", seed=5).posterior
    r = found["cor(Intercept, x | g)"]
    zero = (found["1|g_sigma"] == 0) | (found["x|g_sigma"] == 0)
    missing = int(zero.sum())
    assert missing
    np.testing.assert_array_equal(np.isnan(r.to_numpy()), zero.to_numpy())
    assert r.attrs["note"] == (
        f"missing in {missing} draws with a standard deviation of zero"
    )
