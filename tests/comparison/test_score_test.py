"""The score test of networks as users call it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.comparison.score import score_test
from ngmm.errors import DataError, NotSupportedError, OptionError
from ngmm.inference.mixtures import survival


def make(n_groups=20, curve=0.0, seed=1, family="gaussian") -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), 10)
    x = generator.normal(size=(len(g), 2))
    eta = x[:, 0] - 0.5 * x[:, 1] + curve * np.sin(1.5 * x[:, 0]) * x[:, 1]
    eta += 0.7 * generator.normal(size=n_groups)[g]
    y = eta + generator.normal(size=len(g))
    if family == "bernoulli":
        y = (generator.uniform(size=len(g)) < 1 / (1 + np.exp(-eta))).astype(float)
    data = pd.DataFrame({"y": y, "x1": x[:, 0], "x2": x[:, 1], "g": g})
    data["k"] = np.array(["a", "b", "c"])[np.arange(len(g)) % 3]
    data["z"] = generator.normal(size=n_groups)[g]
    return data


@pytest.fixture(scope="module")
def linear() -> pd.DataFrame:
    return make()


@pytest.fixture(scope="module")
def m0(linear):
    return ngmm.fit("y ~ x1 + x2 + (1 | g)", linear)


@pytest.fixture(scope="module")
def m1(linear):
    return ngmm.fit(
        "y ~ nn(x1, x2, hidden=(2,)) + (1 | g)",
        linear,
        estimator=ngmm.Evidence(restarts=1),
    )


def test_curve_is_found_and_a_line_is_not(m0):
    assert score_test(m0, "nn(x1, x2)").p_value > 0.05
    found = score_test(m0.refit(make(curve=2.0).y), "nn(x1, x2)")
    assert found.p_value < 1e-4
    assert "mixture of chi-squares" in str(found)
    assert found.to_frame().loc["nn(x1, x2)", "p_value"] == found.p_value


@pytest.mark.slow
def test_the_fitted_network_does_not_matter(m0, m1):
    by_text = score_test(m0, "nn(x1, x2)")
    by_fit = score_test(m0, m1)
    assert by_fit.p_value == by_text.p_value
    assert by_fit.terms == ("nn(x1, x2)",)


def test_maximum_likelihood_and_restricted_nulls_give_the_same(m0):
    reml = m0.update(reml=True)
    # The same maximum of the restricted likelihood from two starts: searches end when
    # a further step would gain less than 1e-8 or so.
    expected = score_test(reml, "nn(x1)").p_value
    assert score_test(m0, "nn(x1)").p_value == pytest.approx(expected, rel=1e-3)


def test_statistic_and_df_are_a_chi_square_close_to_the_mixture(m0):
    found = score_test(m0, "nn(x1, x2)")
    by_moments = survival(found.statistic, [1.0], [found.df])
    # Two moments of a ratio of quadratic forms; its skewness differs.
    assert found.p_value == pytest.approx(by_moments, abs=0.06)


def test_units_of_the_data_do_not_matter(linear, m0):
    other = linear.assign(y=1e3 * linear.y + 7, x1=1e-2 * linear.x1 - 3)
    fit = ngmm.fit("y ~ x1 + x2 + (1 | g)", other)
    # Two searches for the variance ratio, as above.
    expected = score_test(m0, "nn(x1, x2)").p_value
    assert score_test(fit, "nn(x1, x2)").p_value == pytest.approx(expected, rel=1e-3)


def test_several_networks_are_tested_jointly(m0):
    found = score_test(m0, ["nn(x1)", "nn(x2, k)"])
    assert found.terms == ("nn(x1)", "nn(x2, k)")
    assert list(found.to_frame().index) == ["nn(x1) + nn(x2, k)"]
    assert 0.0 < found.p_value < 1.0


def test_simulation_agrees_with_the_mixture(m0):
    exact = score_test(m0, "nn(x1, x2)")
    found = score_test(m0, "nn(x1, x2)", calibrate="simulation", n=400, seed=1)
    # Four Monte Carlo errors, and one per cent for what the mixture may be off by.
    assert found.p_value == pytest.approx(exact.p_value, abs=4 * found.std_error + 0.01)
    assert found.n_failed == 0
    assert "400 responses simulated" in found.method


@pytest.mark.slow
def test_simulation_of_few_groups_with_inputs_of_groups():
    data = make(12, family="bernoulli", seed=3)
    fit = ngmm.fit("y ~ z + (1 | g)", data, family="bernoulli", quad=9)
    found = score_test(fit, "nn(z)", n=19)
    assert found.calibration == "simulation"
    assert score_test(fit, "nn(z)", calibrate="mixture").calibration == "mixture"
    # Multiples of 1 / 20.
    assert found.p_value * 20 == pytest.approx(round(found.p_value * 20), abs=1e-9)


@pytest.mark.slow
def test_binary_curve_is_found():
    data = make(40, curve=2.0, family="bernoulli")
    fit = ngmm.fit("y ~ x1 + x2 + (1 | g)", data, family="bernoulli", quad=9)
    found = score_test(fit, "nn(x1, x2)")
    assert found.p_value < 0.001
    assert found.calibration == "mixture"


@pytest.mark.slow
def test_crossed_factors_by_laplace():
    data = make(20, curve=2.0, family="bernoulli").assign(h=np.arange(200) % 7)
    fit = ngmm.fit("y ~ x1 + x2 + (1 | g) + (1 | h)", data, family="bernoulli")
    assert score_test(fit, "nn(x1, x2)", calibrate="mixture").p_value < 0.05


def test_fixed_effects_that_only_the_larger_model_has_are_named(linear, m0):
    more = ngmm.fit("y ~ k + nn(x1, x2, hidden=()) + (1 | g)", linear)
    with pytest.raises(OptionError, match=r"k\[T\.b\], k\[T\.c\]"):
        score_test(m0, more)


def test_fixed_effects_that_only_the_smaller_model_has_are_named(m0, m1):
    with pytest.raises(OptionError, match=r"not nested: .* has k\[T\.b\]"):
        score_test(m0.update(". ~ . + k"), m1)


def test_different_random_effects_are_named(m0, m1):
    with pytest.raises(OptionError, match=r"\(1 \+ x1 \| g\) and \(1 \| g\)"):
        score_test(m0.update(". ~ . - (1 | g) + (x1 | g)"), m1)


def test_different_rows_are_refused(linear, m1):
    fewer = ngmm.fit("y ~ x1 + x2 + (1 | g)", linear.iloc[1:])
    with pytest.raises(DataError, match="different rows"):
        score_test(fewer, m1)


def test_a_model_without_networks_has_nothing_to_test(m0):
    with pytest.raises(OptionError, match="no network to test"):
        score_test(m0, m0.update(". ~ . + k"))


def test_networks_of_the_null_call_for_the_bootstrap(m1):
    with pytest.raises(NotSupportedError, match=r"networks of its own.*bootstrap"):
        score_test(m1, m1)


def test_networks_of_arrays_call_for_the_bootstrap(linear):
    data = {name: linear[name].to_numpy() for name in ("y", "x1", "g")}
    data["image"] = np.random.default_rng(1).normal(size=(len(linear), 2, 2))
    fit = ngmm.fit("y ~ x1 + (1 | g)", data)
    with pytest.raises(NotSupportedError, match=r"reads arrays.*bootstrap"):
        score_test(fit, "nn(image)")


def test_a_linear_network_beside_linear_terms_does_nothing(m0):
    with pytest.raises(OptionError, match="there is nothing to test"):
        score_test(m0, "nn(x1, x2, hidden=())")


def test_missing_inputs_are_counted(linear):
    holes = linear.assign(k=linear.k.where(linear.index > 3))
    fit = ngmm.fit("y ~ x1 + x2 + (1 | g)", holes)
    with pytest.raises(DataError, match="missing values in 4 of the 200 rows"):
        score_test(fit, "nn(k)")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"calibrate": "exact"}, 'calibrate must be "auto"'),
        ({"depth": 0}, "depth must be a positive whole number"),
        ({"n": -1}, "n must be a positive whole number"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_options_out_of_range(m0, option, message):
    with pytest.raises(OptionError, match=message):
        score_test(m0, "nn(x1)", **option)


@pytest.mark.parametrize("text", ["x1", "nn(x1) + k", 3])
def test_text_that_is_no_network(m0, text):
    with pytest.raises(OptionError, match="text of"):
        score_test(m0, [text])


@pytest.mark.slow
@pytest.mark.calibration
@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_size(family):
    p = []
    for seed in range(400):
        data = make(30, family=family, seed=seed)
        fit = ngmm.fit("y ~ x1 + x2 + (1 | g)", data, family=family)
        p.append(score_test(fit, "nn(x1, x2)").p_value)
    # Three binomial standard errors of 400 sets about 5 %.
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 0.033
