"""Likelihood-ratio tests: which method for which pair, and its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ngmm
from ngmm.errors import DataError, OptionError
from ngmm.results import MixedModelFit
from ngmm.results.table import Table
from tests.reference import generalized_call, load_data, load_entry

GAUSSIAN = [
    "lrt_sleep_days",
    "lrt_sleep_slopes_ml",
    "lrt_sleep_slopes_reml",
    "lrt_cake_interaction",
]
GENERALIZED = [
    "lrt_cbpp_period",
    "lrt_contra_age2_livch",
    "lrt_contra_slope",
    "lrt_grouse_height",
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return ngmm.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def slope(data: pd.DataFrame) -> MixedModelFit:
    return ngmm.fit("Reaction ~ Days + (Days | Subject)", data)


@pytest.fixture(scope="module")
def intercept(data: pd.DataFrame) -> MixedModelFit:
    return ngmm.fit("Reaction ~ Days + (1 | Subject)", data)


@pytest.fixture(scope="module")
def independent(data: pd.DataFrame) -> MixedModelFit:
    return ngmm.fit("Reaction ~ Days + (Days || Subject)", data)


def last(table: Table) -> dict[str, Any]:
    row = table.to_frame().iloc[-1]
    return {str(name): row[name] for name in row.index}


def agrees_with_reference(entry: dict[str, Any], fits: list[MixedModelFit]) -> None:
    found = ngmm.lrt(*reversed(fits), method="chi2").to_frame()
    rows: list[Any] = found.to_dict("records")
    for row, expected in zip(rows, entry["table"], strict=True):
        assert row["df"] == expected["npar"]
        # What the log-likelihoods are good to, and twice that.
        assert row["loglik"] == pytest.approx(expected["logLik"], rel=0, abs=5e-5)
        assert row["aic"] == pytest.approx(expected["AIC"], rel=0, abs=1e-4)
        if expected["chisq"] is None:
            assert np.isnan(row["statistic"])
            continue
        assert row["statistic"] == pytest.approx(expected["chisq"], rel=0, abs=1e-4)
        assert row["test_df"] == expected["df"]
        # The p-value moves by half the error of the statistic, relatively.
        assert row["p_value"] == pytest.approx(expected["p"], rel=1e-3)


@pytest.mark.reference
@pytest.mark.parametrize("entry_id", GAUSSIAN)
def test_tables_of_lme4(entry_id: str) -> None:
    entry = load_entry(entry_id, "lrt")
    frame = load_data(entry["dataset"])
    fits = [
        ngmm.fit(row["formula"], frame, reml=entry["REML"]) for row in entry["table"]
    ]
    agrees_with_reference(entry, fits)


@pytest.mark.reference
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ngmm.errors.ConvergenceWarning")
@pytest.mark.parametrize("entry_id", GENERALIZED)
def test_tables_of_glmer(entry_id: str) -> None:
    # glmer's default is Laplace, of which ngmm says what its error is.
    entry = load_entry(entry_id, "lrt")
    frame = load_data(entry["dataset"])
    fits = []
    for row in entry["table"]:
        call = generalized_call({**entry, "formula": row["formula"], "link": None})
        fits.append(ngmm.fit(data=frame, **call))
    agrees_with_reference(entry, fits)


def test_dropping_a_slope(slope: MixedModelFit, intercept: MixedModelFit) -> None:
    row = last(ngmm.lrt(intercept, slope))
    assert row["method"] == "chibar"
    assert row["statistic"] == pytest.approx(42.139, abs=5e-4)
    assert row["test_df"] == 2
    # Three digits, as published.
    assert row["p_value"] == pytest.approx(3.96e-10, rel=2e-3)
    mixture = stats.chi2.sf(row["statistic"], [1, 2]).mean()
    assert row["p_value"] == pytest.approx(mixture, rel=1e-12)
    table = ngmm.lrt(intercept, slope, method="chi2")
    assert last(table)["p_value"] == pytest.approx(7.07e-10, rel=2e-3)
    assert "conservative" in table.caption
    assert "p = 3.96e-10 in place of 7.07e-10" in table.caption


def test_one_variance_has_half_the_p_value(
    intercept: MixedModelFit, independent: MixedModelFit
) -> None:
    half = last(ngmm.lrt(intercept, independent))
    whole = last(ngmm.lrt(intercept, independent, method="chi2"))
    assert half["method"] == "chibar"
    assert half["p_value"] == pytest.approx(0.5 * whole["p_value"], rel=1e-12)


def test_a_correlation_is_not_at_its_bound(
    independent: MixedModelFit, slope: MixedModelFit
) -> None:
    row = last(ngmm.lrt(independent, slope))
    assert (row["method"], row["test_df"]) == ("chi2", 1)


def test_the_order_does_not_matter(
    intercept: MixedModelFit, independent: MixedModelFit, slope: MixedModelFit
) -> None:
    one = ngmm.lrt(intercept, independent, slope)
    two = ngmm.lrt(slope, intercept, independent)
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    assert list(one.to_frame()["df"]) == [4, 5, 6]
    assert one.to_frame()["method"].tolist() == ["", "chibar", "chi2"]
    assert one.caption == two.caption


def test_units_do_not_matter(data: pd.DataFrame, slope: MixedModelFit) -> None:
    moved = data.assign(Reaction=data["Reaction"] / 1000, Days=24 * data["Days"] - 7)
    fits = [
        ngmm.fit(f"Reaction ~ Days + ({r} | Subject)", moved) for r in ("1", "Days")
    ]
    found = last(ngmm.lrt(*fits))
    # A slope on a moved variable has another intercept variance as its null model.
    assert found["method"] == "chibar"
    same = ngmm.fit("Reaction ~ Days + (Days | Subject)", moved)
    base = last(ngmm.lrt("Reaction ~ Days", same, n=2000))
    plain = last(ngmm.lrt("Reaction ~ Days", slope, n=2000))
    assert base["statistic"] == pytest.approx(plain["statistic"], abs=1e-6)
    # One cone in two bases, by different draws of 2,000: some per cent each.
    assert base["p_value"] == pytest.approx(plain["p_value"], rel=0.2)


def test_two_variances_have_weights(independent: MixedModelFit) -> None:
    table = ngmm.lrt("Reaction ~ Days", independent)
    row = last(table)
    assert row["method"] == "chibar"
    q = row["statistic"]
    # The law lies between that of one variance and a chi-square with two df.
    assert 0.25 * stats.chi2.sf(q, 2) / 2 < row["p_value"] < stats.chi2.sf(q, 2) / 2
    assert "0.5 chi2(1)" in table.caption


def test_a_whole_block_is_simulated(slope: MixedModelFit) -> None:
    table = ngmm.lrt("Reaction ~ Days", slope, n=5000, seed=2)
    row = last(table)
    assert row["method"] == "chibar"
    assert 0 < row["std_error"] < 0.1 * row["p_value"]
    assert row["p_value"] < stats.chi2.sf(row["statistic"], 3)
    assert "5,000 random projections" in table.caption
    again = last(ngmm.lrt("Reaction ~ Days", slope, n=5000, seed=2))
    assert again["p_value"] == row["p_value"]


def test_the_only_variance_is_tested_exactly(intercept: MixedModelFit) -> None:
    table = ngmm.lrt("Reaction ~ Days", intercept, n=5000)
    row = last(table)
    assert row["method"] == "exact"
    assert row["p_value"] == pytest.approx(1 / 5001, rel=1e-12)
    assert "p is a bound" in table.caption
    assert "df" not in table.caption
    restricted = ngmm.lrt("Reaction ~ Days", intercept.update(reml=True), n=5000)
    assert "restricted likelihood ratio in finite samples" in restricted.caption


def test_exact_and_chibar_of_a_weak_variance() -> None:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(40), 5)
    frame = pd.DataFrame({"g": g, "y": 0.45 * rng.normal(size=40)[g]})
    frame["y"] += rng.normal(size=200)
    fit = ngmm.fit("y ~ 1 + (1 | g)", frame, reml=True)
    exact = last(ngmm.lrt("y ~ 1", fit))
    mixture = last(ngmm.lrt("y ~ 1", fit, method="chibar"))
    assert 0.001 < exact["p_value"] < 0.4
    # Half of the ratios are zero in the limit; with 40 groups some more.
    assert 0.8 < exact["p_value"] / mixture["p_value"] < 1.02


def test_restricted_fits_with_other_fixed_effects_are_refitted(
    slope: MixedModelFit,
) -> None:
    fits = [f.update(reml=True) for f in (slope.update(". ~ . - Days"), slope)]
    table = ngmm.lrt(*fits)
    assert "refitted by maximum likelihood: the fixed effects differ" in table.caption
    # Refits of one model: to what the search stops at.
    expected = last(ngmm.lrt(slope.update(". ~ . - Days"), slope))
    assert last(table)["statistic"] == pytest.approx(expected["statistic"], abs=1e-6)
    assert "18 levels of Subject" in table.caption
    base = ngmm.lrt("Reaction ~ 1", fits[1], n=500)
    assert "refitted by maximum likelihood" in base.caption
    mixed = ngmm.lrt(fits[0], slope)
    assert "refitted by maximum likelihood" in mixed.caption


def test_a_formula_with_bars_is_fitted_as_the_others(
    slope: MixedModelFit, intercept: MixedModelFit
) -> None:
    one = last(ngmm.lrt("Reaction ~ Days + (1 | Subject)", slope))
    assert one["p_value"] == last(ngmm.lrt(intercept, slope))["p_value"]


@pytest.fixture(scope="module")
def singular() -> tuple[MixedModelFit, MixedModelFit]:
    """Fits whose first variance is estimated as zero."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(8), 6)
    frame = pd.DataFrame({"g": g, "x": np.tile(np.arange(6.0) - 2.5, 8)})
    noise = rng.normal(size=48)
    noise -= pd.Series(noise).groupby(g).transform("mean").to_numpy()
    frame["y"] = frame["x"] * rng.normal(size=8)[g] + noise
    small = ngmm.fit("y ~ x + (1 | g)", frame)
    assert small.is_singular
    return small, ngmm.fit("y ~ x + (x || g)", frame)


def test_beside_a_variance_of_zero_it_is_simulated(
    singular: tuple[MixedModelFit, MixedModelFit],
) -> None:
    table = ngmm.lrt(*singular, n=100, progress=False)
    assert last(table)["method"] == "bootstrap"
    assert "(1 | g) of the smaller model is at a bound itself" in table.caption
    asked = ngmm.lrt(*singular, method="chibar")
    assert "WARNING: (1 | g) of m0 is at a bound itself" in asked.caption


@pytest.mark.parametrize("sd", [0.0, 0.25, 1.0])
@pytest.mark.slow
def test_with_few_levels_an_unclear_mixture_gives_way_to_the_bootstrap(
    sd: float,
) -> None:
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(20), 8)
    x, e = rng.normal(size=(2, 160))
    y = rng.normal(size=20)[g] + sd * rng.normal(size=20)[g] * x + e
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    fits = [ngmm.fit(f"y ~ x + ({t} | g)", frame) for t in ("1", "x")]
    mixture = last(ngmm.lrt(*fits, method="chibar"))
    table = ngmm.lrt(*fits, n=299, progress=False)
    if sd == 0.25:
        assert 0.001 < mixture["p_value"] < 0.25
        assert last(table)["method"] == "bootstrap"
        assert "is conservative with 20 levels of g" in table.caption
        # The mixture is conservative: to three Monte Carlo errors, p is no larger.
        found = last(table)
        assert found["p_value"] < mixture["p_value"] + 3 * found["std_error"]
    else:
        assert mixture["p_value"] > 0.25 or mixture["p_value"] < 0.001
        assert last(table)["method"] == "chibar"
        assert last(table)["p_value"] == mixture["p_value"]


def test_fixed_effects_beside_a_variance_of_zero(
    singular: tuple[MixedModelFit, MixedModelFit],
) -> None:
    small = singular[0]
    assert last(ngmm.lrt(small.update(". ~ . - x"), small))["method"] == "chi2"


def test_what_is_not_nested_is_refused(
    intercept: MixedModelFit, slope: MixedModelFit
) -> None:
    other = intercept.update("Reaction ~ I(Days^2) + (1 | Subject)")
    for method in ("auto", "chi2", "chibar", "exact"):
        with pytest.raises(OptionError, match=r"I\(Days\^2\) are not .*ngmm\.compare"):
            ngmm.lrt(other, slope, method=method)
    with pytest.raises(OptionError, match="nothing to test"):
        ngmm.lrt(slope, slope)
    shifted = intercept.update(offset=np.arange(180.0))
    with pytest.raises(OptionError, match="the offsets of"):
        ngmm.lrt(shifted, slope)
    found = last(ngmm.lrt(other, slope, method="bootstrap", n=20, progress=False))
    assert 0 < found["p_value"] <= 1


def test_bad_arguments(slope: MixedModelFit, intercept: MixedModelFit) -> None:
    with pytest.raises(OptionError, match='did you mean "chi2"'):
        ngmm.lrt(intercept, slope, method="chisq")
    with pytest.raises(OptionError, match="two models or more"):
        ngmm.lrt(slope)
    with pytest.raises(OptionError, match="at least one of them fitted"):
        ngmm.lrt("y ~ x", "y ~ 1")
    with pytest.raises(OptionError, match="got int"):
        ngmm.lrt(slope, 3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"no option n_sim=.*n, seed, progress"):
        ngmm.lrt(intercept, slope, n_sim=9)
    with pytest.raises(OptionError, match="no option stop="):
        ngmm.lrt(intercept, slope, method="chi2", stop=True)
    with pytest.raises(OptionError, match='method="exact": one model must have'):
        ngmm.lrt(intercept, slope, method="exact")
    with pytest.raises(OptionError, match="seed must be"):
        ngmm.lrt(intercept, slope, seed=-1)
    with pytest.raises(OptionError, match="one model without random effects"):
        ngmm.lrt("Reaction ~ 1", "Reaction ~ Days", slope)
    with pytest.raises(OptionError, match="mixed model without the network"):
        ngmm.lrt("Reaction ~ Days", slope, method="score")
    with pytest.raises(DataError, match='did you mean "Days"'):
        ngmm.lrt("Reaction ~ Dys", slope)


def test_the_table(intercept: MixedModelFit, slope: MixedModelFit) -> None:
    text = str(ngmm.lrt(intercept, slope))
    assert max(map(len, text.splitlines())) <= 80
    assert "m1: Reaction ~ Days + (Days | Subject)" in text
    assert "0.5 chi2(1) + 0.5 chi2(2)" in text
    frame = ngmm.lrt(intercept, slope).to_frame()
    assert list(frame) == [
        *("model", "df", "loglik", "aic", "statistic", "test_df", "p_value"),
        *("std_error", "method"),
    ]
    assert list(frame.index) == ["m0", "m1"]


@pytest.fixture(scope="module")
def neural() -> tuple[MixedModelFit, MixedModelFit]:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 6)
    frame = pd.DataFrame({"g": g, "x": rng.uniform(-2, 2, 72)})
    frame["y"] = np.sin(2 * frame["x"]) + rng.normal(size=12)[g]
    frame["y"] += 0.5 * rng.normal(size=72)
    once = ngmm.Evidence(restarts=1)
    return (
        ngmm.fit("y ~ x + (1 | g)", frame),
        ngmm.fit("y ~ x + nn(x) + (1 | g)", frame, estimator=once),
    )


@pytest.mark.slow
def test_networks_never_have_a_chi_square(
    neural: tuple[MixedModelFit, MixedModelFit],
) -> None:
    for method in ("chi2", "chibar", "exact"):
        with pytest.raises(OptionError, match=r"no valid p-value beside nn\(x\)"):
            ngmm.lrt(*neural, method=method)
    table = ngmm.lrt(*neural)
    assert last(table)["method"] == "score"
    assert "for networks that the smaller model lacks" in table.caption
    assert last(table)["p_value"] < 0.05


@pytest.mark.slow
def test_networks_in_both_are_simulated(
    neural: tuple[MixedModelFit, MixedModelFit],
) -> None:
    small, large = neural
    table = ngmm.lrt(small.update(". ~ . - x"), large, n=3, progress=False)
    row = last(table)
    # Score where it can, bootstrap where more differs: always one that is valid.
    assert row["method"] in ("score", "bootstrap")
    plain = large.update(". ~ . - x")
    both = ngmm.lrt(plain, large, n=3, progress=False)
    assert last(both)["method"] == "bootstrap"
    assert "both models have networks" in both.caption


@pytest.mark.slow
@pytest.mark.calibration
def test_size_of_chibar_with_a_whole_block() -> None:
    # Dropping (1 + x | g) whole, 40 groups: of 200 sets, the rejections at 5 % lie
    # between 3 and 20 but for one time in 500.
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(40), 5)
    frame = pd.DataFrame({"g": g, "x": rng.normal(size=200)})
    fit = ngmm.fit("y ~ x + (x | g)", frame.assign(y=rng.normal(size=200)))
    rejected = 0
    for i in range(200):
        large = fit.update(data=frame.assign(y=rng.normal(size=200)))
        rejected += last(ngmm.lrt("y ~ x", large, n=2000, seed=i))["p_value"] <= 0.05
    assert 3 <= rejected <= 20
