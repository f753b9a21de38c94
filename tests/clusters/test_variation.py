"""How much slopes differ between levels, and the draws it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.clusters import variation
from ngmm.clusters.posterior import draws_of_effects
from ngmm.inference.modes import row_effects
from tests.clusters.fits import counts, crossed, nested, sleep
from tests.joint.frames import curved, fitted


def draws(fit: Any, n: int = 4000) -> tuple[np.ndarray, ...]:
    return draws_of_effects(fit._analysis, n, np.random.default_rng(1))


@pytest.mark.parametrize(
    "fit", [sleep, crossed, nested, counts, fitted, lambda: fitted("bernoulli")]
)
@pytest.mark.slow
def test_draws_have_the_modes_and_conditional_variances(fit: Callable[[], Any]) -> None:
    analysis = fit()._analysis
    each = zip(draws(fit()), analysis.modes, analysis.mode_variances(), strict=True)
    for b, mode, variance in each:
        assert b.shape == (4000, *mode.shape)
        known = variance > 1e-12 * variance.max()
        z = (b.mean(0) - mode)[known] / np.sqrt(variance[known] / 4000)
        # Standard errors; five of them for as many as a hundred numbers.
        assert np.abs(z).max() < 5.0
        # A variance of 4,000 draws has a relative standard error of sqrt(2 / 4,000).
        ratio = b.var(0)[known] / variance[known]
        assert np.abs(ratio - 1.0).max() < 5.0 * np.sqrt(2.0 / 4000)


def test_draws_have_the_conditional_correlations() -> None:
    (b,) = draws(sleep())
    analysis = sleep()._analysis
    expected = sleep().sigma ** 2 * analysis.posterior.covariance(0)
    for i in (0, 7):
        found = np.corrcoef(b[:, i].T)[0, 1]
        c = expected[i]
        r = c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])
        # Standard error of a correlation, (1 - r^2) / sqrt(n); five of them.
        assert found == pytest.approx(r, abs=5 * (1 - r**2) / np.sqrt(4000))


def test_crossed_draws_have_the_covariance_between_factors() -> None:
    # Within a row the two effects are known better together than either of them.
    plate, sample = draws(crossed())
    analysis = crossed()._analysis
    terms = [replace(t, Z=t.Z[:1], codes=t.codes[:1]) for t in analysis.design.random]
    rows = row_effects(analysis.model.problem, terms, 1)
    # Beta is given: it has no columns, and no covariance.
    posterior, none = analysis.posterior, np.zeros((1, 1))
    v = crossed().sigma ** 2 * posterior.row_variance(none, rows, none)[0]
    i, j = (int(t.codes[0]) for t in terms)
    apart = plate[:, i, 0].var() + sample[:, j, 0].var()
    together = np.var(plate[:, i, 0] + sample[:, j, 0])
    # Of a variance of 4,000 draws; five standard errors.
    assert together == pytest.approx(v, rel=5 * np.sqrt(2.0 / 4000))
    assert together < 0.9 * apart


def test_mean_squares_of_draws_are_the_variance_estimated() -> None:
    (b,) = draws(sleep())
    analysis = sleep()._analysis
    total = analysis.modes[0] ** 2 + analysis.mode_variances()[0]
    table = sleep().varcorr().to_frame()
    sd = table["sd"].dropna().to_numpy()[:2]
    # A maximum of the likelihood is a fixed point of the EM algorithm; the search
    # ended within 1e-6 of it, relatively.
    np.testing.assert_allclose(total.mean(0), sd**2, rtol=1e-5)
    square = (b**2).mean(1)
    error = square.std(0) / np.sqrt(len(b))
    np.testing.assert_allclose(square.mean(0), sd**2, atol=5 * error.max(), rtol=0)
    assert (np.abs(square.mean(0) - sd**2) < 5 * error).all()


def test_a_random_slope_varies_by_its_standard_deviation() -> None:
    found = variation(sleep()).to_frame().set_index("input").loc["Days"]
    sd = 5.72  # of the slopes, by maximum likelihood: lme4 has the same
    assert found["conf_low"] < sd < found["conf_high"]
    # The sd of the eighteen slopes is below that of their distribution or above it by
    # its own standard error of a sixth.
    assert found["sd"] == pytest.approx(sd, rel=1 / 6)
    assert found["sd_modes"] < found["sd"]
    modes = sleep().ranef()["Subject"]["Days"].std()
    # Differences are exact to 1e-9 or so where the predictor is linear.
    assert found["sd_modes"] == pytest.approx(modes, rel=1e-8)
    assert found["slope"] == pytest.approx(sleep().fixef["Days"], rel=1e-8)


def test_an_input_without_random_slopes_does_not_vary() -> None:
    found = variation(sleep(), "odd").to_frame().iloc[0]
    names = ["sd", "conf_low", "conf_high", "sd_modes", "sd_rows"]
    assert found[names].tolist() == [0.0] * 5
    assert found["slope"] == pytest.approx(sleep().fixef["odd"], rel=1e-8)  # as above


def test_every_factor_has_its_own_rows() -> None:
    found = variation(nested(), "nitro").to_frame().set_index("group")
    assert list(found.index) == ["Block", "Block:Variety"]
    for group in found.index:
        modes = nested().ranef()[group]["nitro"].std()
        # All levels have the same nitro; differences as above.
        assert found.loc[group, "sd_modes"] == pytest.approx(modes, rel=1e-7)
    # The same rows in all levels: no difference comes from these.
    assert found["sd_rows"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_slopes_pass_through_the_units_of_a_network(family: str) -> None:
    fit, data = fitted(family), curved(family)
    found = variation(fit).to_frame().set_index("input")
    step = 1e-4
    for name in ("x", "z"):
        for re, column in (("all", "sd_modes"), ("none", "sd_rows")):
            up, down = (
                fit.predict(data.assign(**{name: data[name] + s}), kind="link", re=re)
                for s in (step, -step)
            )
            slope = ((up - down) / (2 * step)).groupby(data["g"]).mean()
            # Central differences of the second order: their error is of the order of
            # the step squared.
            assert found.loc[name, column] == pytest.approx(slope.std(), rel=1e-5)


def test_rows_elsewhere_have_other_slopes() -> None:
    rng = np.random.default_rng(2)
    data = curved().assign(x=lambda d: d["x"] + d["g"].str[1:].astype(int) / 3)
    data["y"] = data["x"] ** 2 + rng.normal(size=len(data))
    fit = ngmm.fit("y ~ x + I(x**2) + (1 | g)", data)
    found = variation(fit).to_frame().iloc[0]
    means = 2 * fit.fixef["I(x ** 2)"] * data["x"].groupby(data["g"]).mean()
    # The rule of differences is exact for polynomials but for rounding.
    assert found["sd_rows"] == pytest.approx(means.std(), rel=1e-8)
    assert found["sd"] == pytest.approx(found["sd_rows"], rel=1e-12)
    same = variation(fit, rows="all").to_frame().iloc[0]
    assert same[["sd", "sd_modes", "sd_rows"]].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_all_rows_are_seen_with_the_effects_of_each_level(family: str) -> None:
    fit, data, step = fitted(family), curved(family), 1e-4
    found = variation(fit, "x", rows="all").to_frame().iloc[0]
    slopes = []
    for level in fit.ranef()["g"].index:
        up, down = (
            fit.predict(data.assign(x=data["x"] + s, g=level), kind="link")
            for s in (step, -step)
        )
        slopes.append(((up - down) / (2 * step)).mean())
    # As above.
    assert found["sd_modes"] == pytest.approx(np.std(slopes, ddof=1), rel=1e-5)
    assert found["sd_rows"] == 0.0
    assert "averages over all rows" in variation(fit, "x", rows="all").caption


def test_the_seed_is_all_there_is_to_chance() -> None:
    one, same, other = (
        variation(sleep(), "Days", seed=seed).to_frame()["sd"].iloc[0]
        for seed in (3, 3, 4)
    )
    assert one == same
    assert one != other
    default = variation(sleep(), "Days").to_frame()
    assert default.equals(variation(sleep(), "Days", seed=sleep().seed).to_frame())
