"""The split likelihood-ratio test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ngmm
from ngmm.comparison.split import split_test
from ngmm.comparison.split_halves import (
    best_loglik,
    half_of,
    halve,
    held_out_loglik,
    independent_groups,
)
from ngmm.errors import NotSupportedError, OptionError


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 6)
    x = generator.normal(size=72)
    y = 1.0 + x + generator.normal(size=12)[g] + generator.normal(size=72)
    out = pd.DataFrame({"y": y, "x": x, "g": g, "h": np.arange(72) % 6})
    out["k"] = np.where(g == 0, "rare", "common")
    return out


@pytest.fixture(scope="module")
def m1(data):
    return ngmm.fit("y ~ x + (1 | g)", data)


@pytest.fixture(scope="module")
def m0(data):
    return ngmm.fit("y ~ 1 + (1 | g)", data)


def dense_loglik(rows: pd.DataFrame, fit) -> float:
    same = rows.g.to_numpy()[:, None] == rows.g.to_numpy()
    V = fit.sigma**2 * (np.eye(len(rows)) + fit.theta[0] ** 2 * same)
    mean = fit.fixef["Intercept"] + fit.fixef.get("x", 0.0) * rows.x
    return stats.multivariate_normal(mean, V).logpdf(rows.y)


def test_one_split_by_hand(data, m0, m1):
    found = split_test(m0, m1, n_splits=1, seed=7)
    codes = m1.design.random[0].codes
    parts = [data.iloc[r] for r in halve(codes, np.random.default_rng(7))]
    ratios = []
    for test, train in (parts, parts[::-1]):
        fitted = ngmm.fit("y ~ x + (1 | g)", train)
        null = ngmm.fit("y ~ 1 + (1 | g)", test)
        ratios.append(dense_loglik(test, fitted) - null.loglik)
    expected = np.log(np.exp(ratios).mean())
    # Maxima are good to 1e-8; parameters, which act to first order, to 1e-4 or so.
    assert found.log_e == pytest.approx(expected, abs=1e-3)
    assert found.n_groups == 12
    assert found.group == "g"


def test_parameters_of_the_rows_themselves_give_their_maximum(m1):
    rows, _ = halve(m1.design.random[0].codes, np.random.default_rng(1))
    half = half_of(m1, rows)
    assert held_out_loglik(m1, half, half, rows) == pytest.approx(
        best_loglik(m1, half), abs=1e-7
    )


@pytest.mark.slow
def test_networks_are_fitted_to_each_half(data, m1):
    network = ngmm.fit(
        "y ~ nn(x, hidden=(2,)) + (1 | g)", data, estimator=ngmm.Evidence(restarts=1)
    )
    rows, _ = halve(m1.design.random[0].codes, np.random.default_rng(1))
    half = half_of(network, rows)
    refit = ngmm.fit(
        "y ~ nn(x, hidden=(2,)) + (1 | g)",
        data.iloc[rows],
        estimator=ngmm.Evidence(restarts=1),
    )
    # The inputs are standardised over all rows or over half: penalised fits differ.
    expected = refit.loglik
    found = held_out_loglik(network, half, half, rows)
    assert found == pytest.approx(expected, abs=0.5)
    result = split_test(m1, network, n_splits=1)
    # Nothing but a line is there: halves of six groups cannot say otherwise.
    assert result.p_value > 0.05
    assert result.is_exact
    swapped = split_test(network, m1, n_splits=1)
    assert not swapped.is_exact
    assert "approximate" in swapped.method


def test_strong_effects_are_found_and_absent_ones_are_not(m0, m1):
    found = split_test(m0, m1, n_splits=3)
    assert found.p_value < 0.05
    assert found.p_value == pytest.approx(1.0 / found.e_value, rel=1e-12)
    assert split_test(m1, m0, n_splits=3).p_value == 1.0
    assert "3 splits" in str(found)


def test_the_mean_is_taken_over_splits(m0, m1):
    found = split_test(m0, m1, n_splits=3)
    expected = np.log(np.exp(found.log_e_values).mean())
    assert found.log_e == pytest.approx(expected, rel=1e-12)


def test_the_same_seed_gives_the_same_splits(m0, m1):
    first = split_test(m0, m1, n_splits=2, seed=3)
    assert split_test(m0, m1, n_splits=2, seed=3).log_e == first.log_e
    assert split_test(m0, m1, n_splits=2, seed=4).log_e != first.log_e


def test_a_level_that_only_one_half_has(m1, data):
    rare = ngmm.fit("y ~ x + k + (1 | g)", data)
    found = split_test(m1, rare, n_splits=2)
    assert np.isfinite(found.log_e)
    assert found.n_failed == 0


@pytest.mark.slow
def test_binary_response(data):
    binary = data.assign(y=(data.y > data.y.median()).astype(float))
    large = ngmm.fit("y ~ x + (1 | g)", binary, family="bernoulli", quad=7)
    small = large.update(". ~ . - x")
    found = split_test(small, large, n_splits=1)
    rows = halve(large.design.random[0].codes, np.random.default_rng(0))
    ratios = []
    for test, train in (rows, rows[::-1]):
        fitted = large.update(data=binary.iloc[train])
        at = large.update(data=binary.iloc[test]).model
        top = at.loglik(fitted.theta, beta=fitted.fixef.to_numpy())
        ratios.append(top - small.update(data=binary.iloc[test]).loglik)
    # As above.
    assert found.log_e == pytest.approx(np.log(np.exp(ratios).mean()), abs=1e-3)


def test_mean_e_value_under_the_null_is_at_most_one(data, m0, m1):
    generator = np.random.default_rng(5)
    g = data.g.to_numpy()
    values = []
    for _ in range(60):
        y = generator.normal(size=12)[g] + generator.normal(size=72)
        found = split_test(m0.refit(y), m1.refit(y), n_splits=1)
        values.append(found.e_value)
    values = np.array(values)
    # Markov's bound: 60 e-values, 5 % of them above 20 at most; three standard errors.
    assert (values > 20).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
    assert values.mean() < 1 + 3 * values.std() / np.sqrt(60)


def test_crossed_factors_have_no_independent_parts(data, m1):
    crossed = ngmm.fit("y ~ x + (1 | g) + (1 | h)", data)
    with pytest.raises(NotSupportedError, match="levels of g, h are crossed"):
        split_test(m1, crossed)


def test_nested_factors_are_split_by_the_outer_one(data, m1):
    nested = data.assign(a=data.g // 2)
    fit = ngmm.fit("y ~ x + (1 | a/g)", nested)
    group, codes = independent_groups(m1, fit)
    assert group == "a"
    np.testing.assert_array_equal(codes, nested.a)


def test_too_few_groups(data):
    few = data[data.g < 3]
    fit = ngmm.fit("y ~ x + (1 | g)", few)
    with pytest.raises(OptionError, match="four in all; there are 3"):
        split_test(fit.update(". ~ . - x"), fit)


@pytest.mark.slow
def test_half_of_the_groups_may_not_be_enough(data):
    # One count in all: whatever the split, the rows of one half are all zero.
    counts = data.assign(y=1.0 * (data.index == 3))
    fit = ngmm.fit("y ~ 1 + (1 | g)", counts, family="poisson")
    with pytest.raises(OptionError, match="cannot be fitted to half of the groups"):
        split_test(fit, fit, n_splits=1)
