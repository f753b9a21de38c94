"""Parametric and cluster bootstrap."""

from __future__ import annotations

import io
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import NotSupportedError, OptionError
from ngmm.inference.bootstrap_intervals import (
    acceleration,
    basic_limits,
    bca_shares,
    draws_needed,
    percentile_limits,
)
from ngmm.intervals import bootstrap
from ngmm.intervals.resampling import RANK
from ngmm.results import MixedModelFit


@cache
def batches() -> MixedModelFit:
    data = ngmm.datasets.load("Dyestuff")
    return ngmm.fit("Yield ~ 1 + (1 | Batch)", data, reml=True)


# Limits from draws -----------------------------------------------------------------


def test_limits_of_consecutive_numbers() -> None:
    draws = np.random.default_rng(1).permutation(np.arange(1.0, 100.0))
    # Of 99 draws the 5th and the 95th cut off 5 % each.
    assert percentile_limits(draws, 0.9) == pytest.approx((5.0, 95.0))
    assert basic_limits(draws, 40.0, 0.9) == pytest.approx((-15.0, 75.0))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_fewest_draws_reach_their_extremes(level: float) -> None:
    n = draws_needed(level)
    tail = 0.5 * (1.0 - level)
    # n is whole, and 1 - level carries rounding.
    assert tail * (n + 1) >= 1 - 1e-9
    assert tail * n < 1


def test_bca_without_bias_or_skewness_is_percentile() -> None:
    draws = np.arange(1.0, 100.0)
    assert bca_shares(draws, 50.0, 0.0, 0.9) == pytest.approx((0.05, 0.95))


def test_bca_by_hand() -> None:
    draws = np.arange(1.0, 1000.0)
    # 40 % of the draws below: z0 = -0.2533; a = 0.05 and z = -+1.6449 give
    # Phi(z0 + (z0 + z) / (1 - a (z0 + z))): -1.9868 and 1.2420, by a calculator.
    low, high = bca_shares(draws, 400.1, 0.05, 0.9)
    assert low == pytest.approx(0.0235, abs=2e-3)
    assert high == pytest.approx(0.893, abs=2e-3)


def test_bca_needs_draws_on_both_sides() -> None:
    assert np.isnan(bca_shares(np.ones(99), 0.0, 0.0, 0.9)).all()


def test_acceleration_of_skewed_influence() -> None:
    # Deviations -1, -1, 2: cubes add up to 6, squares to 6.
    assert acceleration(np.array([0.0, 0.0, 3.0])) == pytest.approx(6 / (6 * 6**1.5))
    assert acceleration(np.array([-1.0, 0.0, 1.0])) == 0.0
    assert np.isnan(acceleration(np.array([np.nan, 1.0])))


# Parametric ------------------------------------------------------------------------


def test_draws_are_refits_to_simulated_responses() -> None:
    fit = batches()
    found = bootstrap(fit, 3, seed=7)
    responses = fit.simulate(3, seed=7)
    for i in range(3):
        one = fit.refit(responses[i].to_numpy()).conf_int().to_frame()["estimate"]
        # Two searches of one restricted likelihood; a variance of zero is exact in
        # both.
        np.testing.assert_allclose(found.to_frame().iloc[i], one, rtol=1e-5, atol=1e-5)
        assert found.to_frame().columns.tolist() == one.index.tolist()


def test_bootstrap_says_what_it_did() -> None:
    fit = batches()
    found = fit.bootstrap(60, seed=1)
    again = fit.bootstrap(60, seed=1)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    assert "60 refits: responses simulated from the fit; none failed" in str(found)
    frame = found.to_frame()
    np.testing.assert_allclose(found.std_error(), frame.to_numpy().std(0, ddof=1))
    expected = frame.to_numpy().mean(0) - fit.conf_int().frame["estimate"]
    np.testing.assert_allclose(found.bias(), expected)
    table = fit.conf_int(method="bootstrap", n=60, seed=1, kind="basic")
    pd.testing.assert_frame_equal(table.frame, found.conf_int(kind="basic").frame)
    assert "basic bootstrap, 60 refits" in table.caption


def test_limits_stay_where_the_parameter_can_be() -> None:
    found = bootstrap(batches(), 200, seed=1)
    basic = found.conf_int(kind="basic").frame.loc["sd(Intercept | Batch)"]
    draws = found.to_frame()["sd(Intercept | Batch)"]
    # The upper quantile is more than twice the estimate, or reflection stays positive.
    reflected = 2 * basic["estimate"] - percentile_limits(draws.to_numpy(), 0.95)[1]
    assert basic["conf_low"] == max(0.0, reflected)
    for kind in ("percentile", "bca"):
        row = found.conf_int(kind=kind).frame
        assert all(row["conf_low"] < row["conf_high"])
        assert min(row["conf_low"].iloc[1:]) >= 0


def test_bca_of_a_balanced_mean_is_nearly_percentile() -> None:
    found = bootstrap(batches(), 1000, seed=3)
    bca = found.conf_int(kind="bca").frame.loc["Intercept"]
    plain = found.conf_int().frame.loc["Intercept"]
    width = plain["conf_high"] - plain["conf_low"]
    # Simulated means are symmetric, and six batches make an acceleration below 0.1: a
    # shift of a tenth of the width is far more than that and the noise can do.
    for side in ("conf_low", "conf_high"):
        assert abs(bca[side] - plain[side]) < 0.1 * width


# Groups ----------------------------------------------------------------------------


def explicit(data: pd.DataFrame, group: str, n: int, seed: int) -> list[pd.DataFrame]:
    """Frames of groups drawn with replacement, each draw with a label of its own."""
    rng = np.random.default_rng(seed)
    parts = [part for _, part in data.groupby(group, observed=True)]
    out = []
    for _ in range(n):
        pick = rng.integers(0, len(parts), len(parts))
        drawn = [parts[g].assign(**{group: f"d{i:03d}"}) for i, g in enumerate(pick)]
        out.append(pd.concat(drawn, ignore_index=True))
    return out


def test_groups_are_drawn_with_all_their_rows() -> None:
    data = ngmm.datasets.load("Dyestuff")
    fit = batches()
    found = bootstrap(fit, 3, seed=5, resample="groups")
    for i, frame in enumerate(explicit(data, "Batch", 3, 5)):
        one = ngmm.fit("Yield ~ 1 + (1 | Batch)", frame, reml=True)
        expected = one.conf_int().frame["estimate"]
        # Two starts of one search; sds near zero are found to 1e-4 of sigma.
        np.testing.assert_allclose(found.draws.iloc[i], expected, rtol=1e-5, atol=1e-3)
    assert "levels of Batch drawn with replacement" in str(found)


@pytest.mark.slow
def test_groups_of_unequal_size_of_a_generalized_model() -> None:
    data = ngmm.datasets.load("cbpp")
    call = {"family": "binomial", "trials": "size", "quad": 9}
    formula = "incidence ~ period + (1 | herd)"
    fit = ngmm.fit(formula, data, **call)
    found = bootstrap(fit, 4, seed=2, resample="groups")
    frames = explicit(data, "herd", 4, 2)
    # Herds have one to four rows: samples differ in size and are filled up.
    assert len({len(f) for f in frames}) > 1
    for i, frame in enumerate(frames[:2]):
        expected = ngmm.fit(formula, frame, **call).conf_int().frame["estimate"]
        # The same likelihood from two starts.
        np.testing.assert_allclose(found.draws.iloc[i], expected, rtol=1e-5, atol=1e-5)


def rare(seed: int = 0) -> MixedModelFit:
    """A treatment that one group in six has had: most resamples lack it or it alone."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(6), 8)
    y = rng.normal(size=6)[g] + rng.normal(size=48)
    data = pd.DataFrame({"y": y, "g": g, "t": (g == 0).astype(float)})
    return ngmm.fit("y ~ t + (1 | g)", data)


def test_failures_are_counted_and_left_out() -> None:
    fit = rare()
    found = bootstrap(fit, 100, seed=1, resample="groups")
    rng = np.random.default_rng(1)
    lost = [0 not in rng.integers(0, 6, 6) for _ in range(100)]
    assert found.reasons == {RANK: sum(lost)}
    assert found.to_frame().isna().all(axis=1).tolist() == lost
    text = " ".join(str(found.conf_int()).split())
    assert f"{sum(lost)} failed and are left out: the columns of the fixed" in text
    limits = found.conf_int().frame[["conf_low", "conf_high"]]
    assert np.isfinite(np.asarray(limits)).all()


def test_all_failing_is_an_error() -> None:
    fit = rare()
    seed = next(
        s for s in range(50) if 0 not in np.random.default_rng(s).integers(0, 6, 6)
    )
    with pytest.raises(OptionError, match=r"all 1 bootstrap refits failed: the column"):
        bootstrap(fit, 1, seed=seed, resample="groups")


# Networks --------------------------------------------------------------------------


def test_networks_are_refitted_one_by_one() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (1 | Subject)", data)
    for resample in ("parametric", "groups"):
        found = bootstrap(fit, 2, seed=1, resample=resample)
        assert found.n_failed == 0
        names = fit.conf_int().frame.index.tolist()
        assert found.to_frame().columns.tolist() == names
        # Two data sets give two estimates of every parameter.
        assert min(found.to_frame().std()) > 0


# Bad input -------------------------------------------------------------------------


def test_too_few_draws_for_the_level() -> None:
    found = bootstrap(batches(), 30, seed=1)
    with pytest.raises(OptionError, match=r"0\.95 needs at least 39 .* there are 30:"):
        found.conf_int()
    assert len(found.conf_int(0.9).frame) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"n": 0}, r"n must be a positive whole number, got 0"),
        ({"seed": -1}, r"seed must be a whole number"),
        ({"resample": "group"}, r"got 'group'; did you mean \"groups\"\?"),
        ({"cluster": "Batch"}, r"cluster= is for resample=\"groups\""),
        ({"resample": "groups", "cluster": "Bach"}, r"did you mean \"Batch\"\?"),
        ({"progress": "yes"}, r"progress must be"),
    ],
)
def test_bad_bootstrap_options(call: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        bootstrap(batches(), **{"n": 10, **call})


def test_crossed_groups_are_refused() -> None:
    data = ngmm.datasets.load("Penicillin")
    fit = ngmm.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    with pytest.raises(NotSupportedError, match=r"plate, sample are crossed"):
        bootstrap(fit, 10, resample="groups")
    found = bootstrap(fit, 40, seed=1)
    with pytest.raises(NotSupportedError, match=r"use kind=\"percentile\""):
        found.conf_int(kind="bca")


def test_silent_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    bootstrap(batches(), 50, seed=1)
    assert out.getvalue() == ""
