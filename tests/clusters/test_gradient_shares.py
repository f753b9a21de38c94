"""Shares of the inputs in the population part, and tests of probes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

import ngmm
from ngmm.clusters import importance, with_probes
from tests.clusters.fits import counts, nested, sleep
from tests.joint.frames import curved, fitted

FOLDER = Path(__file__).parents[2] / "benchmarks" / "armed"

# The differences have an error of about 1e-9 of a slope.
CLOSE = 1e-7


def shares(table: Any) -> dict[str, float]:
    return table.to_frame().set_index("input")["share"].to_dict()


@cache
def probed() -> pd.DataFrame:
    """Data of `curved` with two probes."""
    (data,) = with_probes(
        curved(), response="y", group="g", transforms=["identity", "sin"], seed=0
    )
    return data


@cache
def folds() -> tuple[Any, ...]:
    """Fits of a polynomial, each without a quarter of the rows."""
    formula = "y ~ x + I(x**2) + z + probe1 + I(probe2**2) + (1 | g)"
    data = probed()
    return tuple(ngmm.fit(formula, data[data.index % 4 != k]) for k in range(4))


def test_of_linear_terms_it_is_the_coefficient_times_the_sd() -> None:
    fit = sleep()
    raw = {n: abs(fit.fixef[n]) * fit.call.data[n].std() for n in ("Days", "odd")}
    total = sum(raw.values())
    found = shares(importance(fit))
    assert found == pytest.approx({n: v / total for n, v in raw.items()}, rel=CLOSE)


def test_transforms_count_by_the_chain_rule() -> None:
    fit = folds()[0]
    data, b = fit.call.data, fit.fixef
    raw = {
        "x": np.abs(b["x"] + 2 * b["I(x ** 2)"] * data["x"]).mean() * data["x"].std(),
        "z": abs(b["z"]) * data["z"].std(),
        "probe1": abs(b["probe1"]) * data["probe1"].std(),
        "probe2": np.abs(2 * b["I(probe2 ** 2)"] * data["probe2"]).mean()
        * data["probe2"].std(),
    }
    total = sum(raw.values())
    expected = {name: value / total for name, value in raw.items()}
    assert shares(importance(fit)) == pytest.approx(expected, rel=CLOSE)


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_it_is_the_share_that_the_benchmark_computes(
    monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import spirals  # pyright: ignore[reportMissingImports]

    fit, data = fitted(family), curved(family)
    raw = spirals._importance(fit, data, ["x", "z"])
    expected = dict(zip(["x", "z"], raw / raw.sum(), strict=True))
    found = shares(importance(fit, scale="response"))
    # Its step is 1e-4 in differences of the second order.
    assert found == pytest.approx(expected, rel=1e-6)
    if family == "gaussian":
        assert shares(importance(fit)) == pytest.approx(expected, rel=1e-6)
    else:
        assert shares(importance(fit))["x"] != pytest.approx(expected["x"], rel=1e-3)


@pytest.mark.slow
def test_random_effects_and_offsets_do_not_count() -> None:
    fit = counts()
    raw = {n: abs(fit.fixef[n]) * fit.call.data[n].std() for n in ("x", "z")}
    total = sum(raw.values())
    # The factor f has no slope; the random slopes in x are zero.
    expected = {n: v / total for n, v in raw.items()}
    assert shares(importance(fit)) == pytest.approx(expected, rel=CLOSE)
    known = ngmm.fit("y ~ x + offset(z) + (1 | g)", curved())
    assert shares(importance(known)) == {"x": 1.0}


def test_folds_are_averaged_and_tested_in_pairs() -> None:
    probes = ["probe1", "probe2"]
    table = importance(folds(), probes)
    frame = table.to_frame().set_index("input")
    each = pd.DataFrame([shares(importance(fit)) for fit in folds()])
    # Means of the same numbers.
    assert frame["share"].to_dict() == pytest.approx(each.mean().to_dict(), rel=1e-12)
    least = each[["x", "z"]].mean().idxmin()
    assert frame["probe"].tolist() == [False, False, True, True]
    for probe in probes:
        expected = ttest_rel(each[least], each[probe], alternative="greater")
        row = frame.loc[probe]
        difference = (each[least] - each[probe]).mean()
        assert row["difference"] == pytest.approx(difference, rel=1e-10)
        assert row["statistic"] == pytest.approx(expected.statistic, rel=1e-8)
        # Another algorithm for the tail of Student's distribution.
        assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-6)
        assert row["df"] == 3.0
    assert frame.loc[["x", "z"], "p_value"].isna().all()
    total = 100 * frame.loc[probes, "share"].sum()
    assert f"probes have {total:.1f} % in all" in table.caption
    assert f"share of {least} less that of a probe, paired over 4 fits" in table.caption


def test_with_one_fit_the_pairs_are_the_levels() -> None:
    fit, data = fitted(), curved()
    frame = importance(fit, "z").to_frame().set_index("input")
    step = 1e-4
    raw = {}
    for name in ("x", "z"):
        up, down = (
            fit.predict(data.assign(**{name: data[name] + s}), re="none")
            for s in (step, -step)
        )
        slope = ((up - down) / (2 * step)).abs()
        raw[name] = slope.groupby(data["g"]).mean() * data[name].std()
    x, z = (raw[n] / (raw["x"] + raw["z"]) for n in ("x", "z"))
    expected = ttest_rel(x, z, alternative="greater")
    # Differences of the second order, with an error of the order of the step squared.
    assert frame.loc["z", "statistic"] == pytest.approx(expected.statistic, rel=1e-5)
    assert frame.loc["z", "df"] == 11.0
    assert frame.loc["z", "p_value"] == pytest.approx(expected.pvalue, rel=1e-4)


def test_new_data_may_have_other_groups() -> None:
    new = curved(seed=4).assign(g=lambda d: "new " + d["g"].str[-1])
    table = importance(fitted(), "z", new)
    assert "paired over 10 levels of g" in table.caption
    same = importance(fitted(), "z", curved())
    pd.testing.assert_frame_equal(same.to_frame(), importance(fitted(), "z").to_frame())
    assert shares(table) != shares(same)


def test_equal_shares_in_all_pairs_have_no_test() -> None:
    table = importance(sleep(), "odd")
    row = table.to_frame().set_index("input").loc["odd"]
    assert row[["statistic", "df", "p_value"]].isna().all()
    assert row["difference"] > 0
    assert "no test where the difference is the same in all pairs" in table.caption


def test_one_group_makes_no_test() -> None:
    table = importance(fitted(), "z", curved().query("g == 'g04'"))
    frame = table.to_frame().set_index("input")
    assert np.isnan(frame.loc["z", "p_value"])
    assert np.isfinite(frame.loc["z", "difference"])
    assert "no tests: 1 levels of g" in table.caption


def test_networks_of_evidence_count_too() -> None:
    fit = ngmm.fit("y ~ z + nn(x, hidden=()) + (1 | g)", curved())
    linear = ngmm.fit("y ~ z + x + (1 | g)", curved())
    # A network without hidden units is a linear term whose slope is penalised; with
    # 240 rows by less than this.
    assert shares(importance(fit)) == pytest.approx(
        shares(importance(linear)), rel=0.02
    )


def test_several_factors_need_a_name() -> None:
    assert shares(importance(nested())) == {"nitro": 1.0}
    data = nested().call.data.assign(x=lambda d: np.sin(np.arange(len(d))))
    fit = nested().update(". ~ . + x", data=data)
    with pytest.raises(ngmm.errors.OptionError, match='say group="Block" or'):
        importance(fit, "x")
    caption = importance(fit, "x", group="Block").caption
    assert "paired over 6 levels of Block" in caption
