"""Neural random effects, ``(nn(x) | g)``, from the formula to what a fit gives."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import DesignError, NewDataError, NotSupportedError, OptionError
from ngmm.estimation.status import Status
from tests.engine.latent import problems

N_ITEMS, N_STUDENTS = 6, 300
TWO = "correct ~ 0 + item + (nn(item, hidden=()) | student)"


@cache
def answers() -> pd.DataFrame:
    """Answers of students to items."""
    rows = problems.items(N_STUDENTS, N_ITEMS, seed=2)
    names = [f"i{j}" for j in range(N_ITEMS)]
    item = pd.Categorical.from_codes(rows.inputs.codes[0], categories=names)
    student = [f"s{c:03}" for c in rows.codes]
    return pd.DataFrame({"correct": rows.y, "item": item, "student": student})


@cache
def two_parameter() -> ngmm.MixedModelFit:
    """The 2PL model."""
    return ngmm.fit(TWO, answers(), family="bernoulli")


def slopes(fit: ngmm.MixedModelFit) -> np.ndarray:
    """The loadings."""
    return fit.loadings().to_frame()["loading"].to_numpy()


@cache
def rank_one() -> tuple[pd.DataFrame, ngmm.MixedModelFit]:
    """A Gaussian response with numeric inputs."""
    generator = np.random.default_rng(4)
    n, groups = 240, 30
    g = generator.integers(0, groups, n)
    x = generator.normal(3.0, 2.0, n)
    v = generator.standard_normal(groups)[g]
    y = 1.0 + 0.5 * x + (0.8 + 0.4 * x) * v + generator.standard_normal(n)
    data = pd.DataFrame({"y": y, "x": x, "g": [f"g{i:02}" for i in g]})
    return data, ngmm.fit("y ~ x + (nn(x, hidden=()) | g)", data)


def test_rasch_is_the_random_intercept() -> None:
    formula = "correct ~ 0 + item + (nn(item, shared=True) | student)"
    fit = ngmm.fit(formula, answers(), family="bernoulli")
    other = ngmm.fit(
        "correct ~ 0 + item + (1 | student)", answers(), family="bernoulli", quad=31
    )
    # Both integrals are accurate to 1e-6 or better, both are at their maximum.
    assert fit.loglik == pytest.approx(other.loglik, abs=1e-5)
    np.testing.assert_allclose(fit.fixef, other.fixef, atol=1e-5)
    np.testing.assert_allclose(fit.bse, other.bse, atol=1e-4)
    sd = other.varcorr().to_frame()["sd"].iloc[0]
    loading = fit.loadings().to_frame()
    assert loading.index.tolist() == ["shared"]
    assert loading["loading"].iloc[0] == pytest.approx(sd, abs=1e-5)
    assert fit.df_model == other.df_model
    assert fit.aic == pytest.approx(other.aic, abs=1e-4)
    # Posterior means beside modes, of skewed densities: the same order, and closer than
    # a tenth of the standard deviation of abilities.
    mean, mode = fit.ranef()["student"]["v"], other.ranef()["student"]["Intercept"] / sd
    assert mean.index.equals(mode.index)
    assert np.corrcoef(mean, mode)[0, 1] > 0.999
    np.testing.assert_allclose(mean, mode, atol=0.1)


def test_linear_loadings_are_the_mixed_model_of_rank_one() -> None:
    data, fit = rank_one()
    slope = fit.loadings().to_frame()["loading"]
    assert slope.index.tolist() == ["(average)", "x"]
    # The random intercept and slope of one v: theta is the loading at x = 0 and that of
    # x in residual standard deviations, without a variance of its own.
    at_zero = slope["(average)"] - slope["x"] * data["x"].mean()
    theta = [at_zero / fit.sigma, slope["x"] / fit.sigma, 0.0]
    design, _ = ngmm.build_design(ngmm.parse("y ~ x + (x | g)"), data)
    model = ngmm.Model(design)
    value = model.loglik(theta, sigma=fit.sigma, beta=fit.fixef.to_numpy())
    # The rule's error for normal densities is below 1e-6.
    assert fit.loglik == pytest.approx(value, abs=1e-5)
    # Fixed effects (2), loadings (2), sigma.
    assert fit.df_model == 5
    residual = fit.varcorr().to_frame().set_index("group").loc["Residual"]
    assert residual["conf_low"] < fit.sigma < residual["conf_high"]


def test_residual_deviation_has_the_standard_error_of_a_chi_square() -> None:
    fit = rank_one()[1]
    frame = fit.varcorr().to_frame().set_index("group")
    width = np.log(frame.loc["Residual", "conf_high"] / fit.sigma) / 1.959964
    # 240 rows less 30 levels and two coefficients, at 1 / sqrt(2 n) within a tenth.
    assert width == pytest.approx(1.0 / np.sqrt(2.0 * 208.0), rel=0.1)


def test_v_rises_with_the_linear_predictor_on_average() -> None:
    fit = two_parameter()
    assert np.mean(slopes(fit)) > 0
    right = answers()["correct"].to_numpy().reshape(N_STUDENTS, N_ITEMS)
    ability = fit.ranef()["student"]["v"].to_numpy()
    # Students of more right answers have more of v; items weigh differently.
    assert np.corrcoef(ability, right.mean(1))[0, 1] > 0.9


def test_levels_have_posterior_moments() -> None:
    frame = two_parameter().ranef(cond_sd=True)["student"]
    assert list(frame.columns) == ["v", "v_sd"]
    assert frame.shape == (N_STUDENTS, 2)
    assert frame.index.tolist() == sorted(set(answers()["student"]))
    # The score of a factor common to all loadings: E v^2 averages to one at the
    # maximum, where the gradient is below 1e-3.
    square = frame["v"].to_numpy() ** 2 + frame["v_sd"].to_numpy() ** 2
    assert square.mean() == pytest.approx(1.0, abs=1e-3)


def test_tables_show_v_as_fixed_and_loadings_with_errors() -> None:
    fit = two_parameter()
    row = fit.varcorr().to_frame().iloc[0]
    assert (row["group"], row["name"], row["sd"]) == ("student", "v", 1.0)
    assert "(fixed)" in str(fit.varcorr())
    assert len(fit.conf_int().to_frame()) == N_ITEMS
    table = fit.loadings(0.9).to_frame()
    assert table.index.tolist() == [f"item[i{j}]" for j in range(N_ITEMS)]
    assert np.all(table["conf_low"].to_numpy() < table["loading"].to_numpy())
    assert np.all(table["std_error"].to_numpy() > 0)
    network = fit.nn_table().to_frame().iloc[0]
    assert network["edf"] == N_ITEMS
    assert network["linear"] == pytest.approx(1.0)
    # With a line each, h has the standard deviation of the loadings, all rows alike.
    rms = np.sqrt((table["loading"] ** 2).mean())
    assert network["sd"] == pytest.approx(rms, rel=1e-6)
    text = str(fit.summary())
    assert "Neural generalized mixed model" in text
    assert "student  v" in text
    assert "student 300" in text
    assert fit.check().ok
    assert fit.df_model == 2 * N_ITEMS


def test_predictions_for_known_and_new_levels() -> None:
    fit = two_parameter()
    new = answers().head(2 * N_ITEMS).assign(student="new")
    base = fit.fixef.to_numpy()
    at_zero = 1.0 / (1.0 + np.exp(-base))
    population = fit.predict(new, new_levels="population")
    np.testing.assert_allclose(population[:N_ITEMS], at_zero, atol=1e-12)
    np.testing.assert_allclose(fit.predict(new, re="none"), population, atol=1e-12)
    marginal = fit.predict(new, new_levels="marginal").to_numpy()
    slope = fit.loadings().to_frame()["loading"].to_numpy()
    v = np.linspace(-8.0, 8.0, 2001)
    weight = np.exp(-0.5 * v**2)
    eta = base[:, None] + slope[:, None] * v
    expected = (1.0 / (1.0 + np.exp(-eta))) @ weight / weight.sum()
    # Two rules of exponential convergence.
    np.testing.assert_allclose(marginal[:N_ITEMS], expected, atol=1e-9)
    np.testing.assert_allclose(fit.predict(new, re="marginal"), marginal, atol=1e-12)
    drawn = fit.predict(new, kind="link", new_levels="sample").to_numpy()
    one = (drawn[:N_ITEMS] - base) / slope
    # All rows of one new level share its v.
    np.testing.assert_allclose(one, one[0], atol=1e-9)
    again = fit.predict(answers().head(5))
    np.testing.assert_allclose(again, fit.fitted().head(5), atol=1e-12)
    with pytest.raises(NewDataError, match=r"unseen level.*averaged over"):
        fit.predict(new)


def test_terms_add_up_and_residuals_are_from_the_fitted_mean() -> None:
    fit = two_parameter()
    terms = fit.predict(kind="terms")
    assert list(terms.columns) == ["item", "(nn(item) | student)"]
    np.testing.assert_allclose(terms.sum(axis=1), fit.predict(kind="link"), atol=1e-12)
    np.testing.assert_allclose(
        fit.resid() + fit.fitted(), answers()["correct"], atol=1e-12
    )
    # The score equation of an item's easiness, in which the link is canonical.
    by_item = fit.resid().to_numpy().reshape(N_STUDENTS, N_ITEMS).sum(0)
    np.testing.assert_allclose(by_item, 0.0, atol=1e-3)


def test_simulate_is_reproducible_and_refit_finds_the_estimate_again() -> None:
    fit = two_parameter()
    first, second = fit.simulate(2, seed=5), fit.simulate(2, seed=5)
    pd.testing.assert_frame_equal(first, second)
    assert not first[0].equals(first[1])
    assert not fit.simulate(1, seed=6)[0].equals(first[0])
    same = fit.refit(fit.design.y)
    assert same.loglik == pytest.approx(fit.loglik, abs=1e-9)
    other = fit.refit(first[0])
    assert np.isfinite(other.loglik)
    assert other.loglik != fit.loglik


@pytest.mark.slow
def test_two_dimensions_count_without_their_rotation() -> None:
    data, _ = rank_one()
    data = data.assign(z=np.random.default_rng(1).standard_normal(len(data)))
    fit = ngmm.fit("y ~ x + (nn(x, z, hidden=(), latent=2) | g)", data, quad=25)
    # Fixed effects (2), loadings (2 x 3) less a rotation, sigma.
    assert fit.df_model == 2 + 5 + 1
    assert list(fit.ranef()["g"].columns) == ["v1", "v2"]
    table = fit.loadings().to_frame()
    assert table["v"].tolist() == ["v1", "v2"] * 3
    assert np.isfinite(table["std_error"]).all()


@pytest.mark.slow
def test_hidden_layers_converge_and_count_their_effective_weights() -> None:
    formula = "correct ~ 0 + item + (nn(item, hidden=(3,)) | student)"
    fit = ngmm.fit(formula, answers(), family="bernoulli")
    assert fit.estimate.status is Status.CONVERGED
    assert "best of 3 starts" in fit.estimate_text
    row = fit.nn_table().to_frame().iloc[0]
    # Loadings are free; what is penalised counts as far as the data determine it.
    assert N_ITEMS <= row["edf"] < row["weights"]
    assert fit.df_model == pytest.approx(N_ITEMS + row["edf"])
    assert row["linear"] <= 1.0
    # Bilinear answers: the free curves gain less than they cost.
    assert fit.aic > two_parameter().aic - 2.0
    assert np.isfinite(fit.bse).all()
    assert np.isfinite(fit.loadings().to_frame()["std_error"]).all()


def refused(formula: str, **arguments: object) -> str:
    """What the refusal says."""
    with pytest.raises((NotSupportedError, OptionError, DesignError)) as caught:
        ngmm.fit(formula, answers(), family="bernoulli", **arguments)  # type: ignore[arg-type]
    return str(caught.value)


def test_what_a_fit_cannot_be_combined_with() -> None:
    data = answers()
    assert "stands alone" in refused(TWO + " + (1 | item)")
    assert "one network more latent dimensions" in refused(
        TWO + " + (nn(student) | item)"
    )
    assert "cannot be combined" in refused(
        "correct ~ nn(item, hidden=()) + (nn(item, hidden=()) | student)"
    )
    stochastic = ngmm.Stochastic()
    assert "leave it out for" in refused(TWO, estimator=stochastic)
    assert "ngmm.Evidence" in refused(TWO, estimator=ngmm.Newton())
    evidence = ngmm.Evidence(widths=(3,))
    assert "hidden=(3,)" in refused(TWO, estimator=evidence)
    assert "laplace" in refused(TWO, quad="laplace")
    assert "latent=4" in refused(TWO.replace("hidden=()", "hidden=(), latent=4"))
    assert "Leave reml out" in refused(TWO, reml=True)
    number = data["student"].str[1:].astype(int)
    one_row = data[data["item"].cat.codes == number % N_ITEMS]
    with pytest.raises(DesignError, match="one trial a level"):
        ngmm.fit(TWO, one_row, family="bernoulli")


def test_what_cannot_be_asked_of_a_fit() -> None:
    fit = two_parameter()
    with pytest.raises(NotSupportedError, match="leave se and interval out"):
        fit.predict(se=True)
    with pytest.raises(NotSupportedError, match="leave se and interval out"):
        fit.predict(interval="confidence")
    with pytest.raises(NotSupportedError, match="Leave importance out"):
        fit.check(importance=100)
    with pytest.raises(NotSupportedError, match="use ranef"):
        fit.coef()
    with pytest.raises(NotSupportedError, match=r"ngmm\.fit"):
        fit.model.maximise()
    plain = ngmm.datasets.load("sleepstudy")
    with pytest.raises(OptionError, match="neural random effect"):
        ngmm.fit("Reaction ~ Days + (1 | Subject)", plain).loadings()


def test_separation_is_reported() -> None:
    data = answers().copy()
    data.loc[data["item"] == "i0", "correct"] = 1.0
    with pytest.warns(ngmm.errors.ConvergenceWarning, match="i0"):
        fit = ngmm.fit(TWO, data, family="bernoulli")
    assert not fit.check().ok
