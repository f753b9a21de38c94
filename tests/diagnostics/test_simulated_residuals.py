"""Quantile residuals by simulation, and the tests that stand on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ngmm
from ngmm.diagnostics import normality, overdispersion, residual_tests, zero_inflation
from ngmm.errors import OptionError
from ngmm.inference.normality import anderson_darling
from ngmm.inference.quantile_residuals import (
    outliers,
    rank_test,
    spread,
    statistics,
    uniform_ranks,
    uniformity,
)


def counts(seed: int, size: float, zeros: float) -> pd.DataFrame:
    """Counts of 40 groups of 6 rows; overdispersed and inflated with zeros."""
    r = np.random.default_rng(seed)
    g = np.repeat(np.arange(40), 6)
    mu = np.exp(1.0 + 0.5 * r.normal(size=40)[g])
    y = r.poisson(mu * r.gamma(size, 1 / size, len(g)))
    y = np.where(r.uniform(size=len(g)) < zeros, 0, y)
    return pd.DataFrame({"y": y, "g": g})


@pytest.fixture(scope="module")
def good() -> ngmm.MixedModelFit:
    return ngmm.fit("y ~ 1 + (1 | g)", counts(1, 1e6, 0.0), family="poisson")


@pytest.fixture(scope="module")
def bad() -> ngmm.MixedModelFit:
    return ngmm.fit("y ~ 1 + (1 | g)", counts(2, 1.0, 0.2), family="poisson")


@pytest.fixture(scope="module")
def sleep() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("sleepstudy")
    return ngmm.fit("Reaction ~ Days + (Days | Subject)", data)


def test_ranks_are_those_of_the_pooled_row() -> None:
    r = np.random.default_rng(0)
    y, simulated = r.normal(size=7), r.normal(size=(7, 19))
    u = uniform_ranks(y, simulated, r)
    pooled = np.column_stack([y, simulated])
    np.testing.assert_array_equal(
        np.ceil(20 * u), stats.rankdata(pooled, axis=1, method="ordinal")
    )


def test_ties_are_broken_evenly() -> None:
    r = np.random.default_rng(0)
    # All responses equal: every value is noise alone, uniform on (0, 1).
    u = uniform_ranks(np.zeros(4000), np.zeros((4000, 9)), r)
    # A false alarm in one of a thousand seeds.
    assert stats.kstest(u[:, 0], "uniform").pvalue > 1e-3
    assert np.corrcoef(u[:, 0], u[:, 1])[0, 1] < 0


def test_statistics_are_those_of_scipy() -> None:
    r = np.random.default_rng(3)
    u = uniform_ranks(r.normal(size=30), r.normal(size=(30, 49)), r)
    # The same sum in another order.
    assert uniformity(u).statistic == pytest.approx(
        stats.kstest(u[:, 0], "uniform").statistic, rel=1e-12
    )
    x = r.gamma(2.0, size=25)
    found = anderson_darling(x)
    z = np.sort((x - x.mean()) / x.std(ddof=1))
    i = np.arange(1, 26)
    tails = stats.norm.logcdf(z) + stats.norm.logsf(z[::-1])
    # Anderson & Darling (1954), eq. 2.
    assert found.statistic == pytest.approx(
        -25 - np.mean((2 * i - 1) * tails), rel=1e-10
    )
    assert found.skewness == pytest.approx(stats.skew(x), rel=1e-12)


def test_a_test_by_ranks_counts_the_data_among_the_simulations() -> None:
    values = np.arange(10.0)
    assert rank_test(values[::-1]).p_value == 0.1
    assert rank_test(values, two_sided=True).p_value == 0.2
    assert rank_test(np.ones(10), two_sided=True).p_value == 1.0


def test_outliers_and_spread_of_a_row_beyond_its_simulations() -> None:
    r = np.random.default_rng(5)
    simulated = r.normal(size=(50, 99))
    y = r.normal(size=50) * 0.5
    y[:8] = 9.0
    u = uniform_ranks(y, simulated, r)
    found = outliers(u)
    assert found.statistic >= 8
    # Every row has two places of a hundred beyond all others.
    assert found.expected == pytest.approx((100 - found.statistic) / 99)
    assert found.p_value == pytest.approx(0.02)
    assert spread(y, simulated).p_value == pytest.approx(0.02)


def test_given_the_modes_they_are_the_exact_quantile_residuals(sleep) -> None:
    found = residual_tests(sleep, n=2000, conditional=True, refits=0).residuals
    exact = stats.norm.cdf(sleep.resid("quantile"))
    # A share of 2,000 draws has a standard error of 0.011 at most; 180 of them.
    assert np.abs(found - exact).max() < 4.5 * 0.0112


def test_a_model_that_holds_passes_and_one_that_does_not_fails(good, bad) -> None:
    # A false alarm in three of a hundred seeds.
    assert np.all(residual_tests(good).to_frame()["p_value"] > 0.01)
    failed = residual_tests(bad, conditional=True).to_frame()
    # The smallest p-values that 99 refits can give.
    assert failed.loc["dispersion", "p_value"] == pytest.approx(2 / 100)
    assert failed.loc["uniformity", "p_value"] == pytest.approx(1 / 100)


def test_the_same_seed_gives_the_same_residuals(good) -> None:
    first = residual_tests(good, n=20, seed=4, refits=0).residuals
    assert first.equals(residual_tests(good, n=20, seed=4, refits=0).residuals)
    assert not first.equals(residual_tests(good, n=20, seed=5, refits=0).residuals)


def test_overdispersion_is_the_pearson_chi_square(good, bad) -> None:
    row = overdispersion(good, n=39).to_frame().loc["Pearson"]
    # The same residuals, summed.
    assert row["chi2"] == pytest.approx((good.resid("pearson") ** 2).sum(), rel=1e-10)
    assert row["df"] == good.nobs - 2
    assert row["p_value"] > 0.05
    # Without the shrinkage of the modes the mean ratio would be one.
    assert 0.7 < row["expected"] < 1.0
    worse = overdispersion(bad, n=39).to_frame().loc["Pearson"]
    assert worse["relative"] > 1.5
    assert worse["p_value"] == pytest.approx(2 / 40)


def test_zero_inflation_counts_zeros(good, bad) -> None:
    row = zero_inflation(good, n=199, seed=1).to_frame().loc["zeros"]
    assert row["observed"] == (good.design.y == 0).sum()
    assert row["p_value"] > 0.05
    assert row["low"] <= row["expected"] <= row["high"]
    worse = zero_inflation(bad, n=199).to_frame().loc["zeros"]
    assert worse["ratio"] > 1.2
    assert worse["p_value"] == pytest.approx(2 / 200)


def test_normality_sees_two_clusters_of_levels(sleep) -> None:
    r = np.random.default_rng(8)
    g = np.repeat(np.arange(40), 10)
    b = np.where(np.arange(40) % 2, 3.0, -3.0) + 0.1 * r.normal(size=40)
    data = pd.DataFrame({"y": b[g] + r.normal(size=400), "g": g})
    row = normality(ngmm.fit("y ~ 1 + (1 | g)", data), n=99).to_frame().iloc[0]
    assert row["p_value"] == pytest.approx(0.01)
    table = normality(sleep, n=99)
    assert np.all(table.to_frame()["p_value"] > 0.05)
    assert "Shrinkage makes modes look normal" in table.caption


def test_normality_without_variance_says_why() -> None:
    data = ngmm.datasets.load("Dyestuff2")
    table = normality(ngmm.fit("Yield ~ 1 + (1 | Batch)", data), n=19)
    assert np.isnan(table.to_frame()["p_value"].iloc[0])
    assert "estimated at zero" in table.caption


def test_what_is_refused(sleep) -> None:
    with pytest.raises(OptionError, match="parameter of its own"):
        overdispersion(sleep)
    with pytest.raises(OptionError, match="zeros are for counts"):
        zero_inflation(sleep)
    with pytest.raises(OptionError, match="n must be a positive whole number"):
        residual_tests(sleep, n=0)
    with pytest.raises(OptionError, match="seed must be"):
        normality(sleep, seed=-1)
    data = pd.DataFrame({"y": [0, 1, 1, 0] * 10, "g": np.repeat(np.arange(8), 5)})
    binary = ngmm.fit("y ~ 1 + (1 | g)", data, family="bernoulli")
    with pytest.raises(OptionError, match="single 0/1 response"):
        overdispersion(binary)
    with pytest.raises(OptionError, match="no excess"):
        zero_inflation(binary)


def test_without_refits_the_caption_says_what_is_missing(sleep) -> None:
    found = residual_tests(sleep, n=50, conditional=True, refits=0)
    assert "as if the parameters were known" in found.caption
    assert "expect a dispersion below 1" in found.caption
    # Modes and fixed effects take 29 of 180 degrees of freedom; a mean square of as
    # many has a standard error of 0.11, one of 19 refits of 0.025.
    left = 1.0 - 29 / 180
    assert found.tests.loc["dispersion", "statistic"] == pytest.approx(left, abs=0.11)
    again = residual_tests(sleep, n=50, conditional=True, refits=19)
    assert again.tests.loc["dispersion", "expected"] == pytest.approx(left, abs=0.075)
    assert "19 refits" in again.caption


def test_statistics_of_one_data_set_are_those_of_the_pooled_ranks() -> None:
    r = np.random.default_rng(1)
    y, simulated = r.normal(size=300), r.normal(size=(300, 19))
    u = uniform_ranks(y, simulated, r)
    found = statistics(y, simulated, r)
    assert found.dispersion == spread(y, simulated).statistic
    assert found.outliers == outliers(u).statistic
    # The noise within a twentieth differs.
    assert found.uniformity == pytest.approx(uniformity(u).statistic, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_tests_hold_their_size(conditional: bool) -> None:
    """Where rows are dependent and parameters estimated."""
    r = np.random.default_rng(11)
    g = np.repeat(np.arange(20), 10)
    rejected, n_sets = np.zeros(3), 200
    for i in range(n_sets):
        y = 2.0 * r.normal(size=20)[g] + r.normal(size=200)
        fit = ngmm.fit("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g}))
        found = residual_tests(fit, n=99, seed=i, refits=39, conditional=conditional)
        rejected += found.tests["p_value"].to_numpy() <= 0.05
    # 5 % and three standard errors of 200 data sets.
    assert (np.abs(rejected / n_sets - 0.05) < 3 * 0.0154).all()
