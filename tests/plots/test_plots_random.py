"""Pictures of random effects: by level, over the rows, and their variances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm import plots
from tests.clusters.fits import counts, crossed, nested, sleep
from tests.plots.fits import additive, bacteria, crossing, dyes, line, singular

# Two ways to sum a handful of numbers.
SUMS = 1e-10


def test_caterpillar_draws_the_modes_in_order_with_intervals() -> None:
    axes = plots.caterpillar(sleep(), level=0.9)
    modes, with_sd = sleep().ranef()["Subject"], sleep().ranef(cond_sd=True)["Subject"]
    assert [axis.get_title() for axis in axes] == list(modes)
    for axis in axes:
        effect = axis.get_title()
        (bars,) = axis.containers
        expected = modes[effect].sort_values()
        np.testing.assert_array_equal(bars.lines[0].get_xdata(), expected)
        ends = np.array([s[:, 0] for s in bars.lines[2][0].get_segments()])
        half = with_sd.loc[expected.index, f"{effect}_sd"] * 1.6448536
        # The 95th percentile of the normal distribution, as it is written above.
        np.testing.assert_allclose(np.ptp(ends, axis=1), 2 * half, rtol=1e-7)
        assert axis.get_xlabel() == "effect on Reaction, 90% intervals"


def test_caterpillar_of_a_record_and_of_one_factor() -> None:
    record = ngmm.clusters.effects(crossed(), "plate", level=0.8)
    (axis,) = plots.caterpillar(record)
    assert axis.get_ylabel() == "plate"
    assert axis.get_xlabel() == "effect, 80% intervals"
    (axis,) = plots.caterpillar(crossed(), "sample")
    assert axis.get_ylabel() == "sample"
    (axis,) = plots.caterpillar(bacteria())
    assert "effect on the logit of the mean of y" in axis.get_xlabel()


def test_lattice_has_the_rows_and_lines_of_each_level() -> None:
    axes = plots.lattice(sleep(), "Days", at={"odd": 1})
    data, coef = sleep().call.data, sleep().coef()["Subject"]
    assert [axis.get_title() for axis in axes] == list(coef.index)
    for axis, (level, own) in zip(axes, coef.iterrows(), strict=True):
        rows = data[data["Subject"] == level]
        np.testing.assert_array_equal(line(axis, "rows"), rows[["Days", "Reaction"]].T)
        x, y = line(axis, f"Subject {level}")
        assert (x[0], x[-1]) == (0, 9)
        expected = own["Intercept"] + own["odd"] + own["Days"] * x
        np.testing.assert_allclose(y, expected, rtol=SUMS)
        fixed = sleep().fixef
        expected = fixed["Intercept"] + fixed["odd"] + fixed["Days"] * x
        np.testing.assert_allclose(line(axis, "population")[1], expected, rtol=SUMS)
    figure = axes[0].figure
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("Days", "Reaction")


def test_lattice_holds_other_inputs_at_values_of_the_level() -> None:
    # Of five even and five odd days the smaller middle value is that of even ones.
    (axis,) = plots.lattice(sleep(), "Days", levels="308")
    own = sleep().coef()["Subject"].loc["308"]
    x, y = line(axis, "Subject 308")
    np.testing.assert_allclose(y, own["Intercept"] + own["Days"] * x, rtol=SUMS)


@pytest.mark.parametrize("group", ["Block", "Block:Variety"])
def test_lattice_of_nested_factors_has_the_outer_effects(group: str) -> None:
    axes = plots.lattice(nested(), "nitro", group)
    data: Any = nested().call.data
    labels = data["Block"].astype(str)
    if group == "Block:Variety":
        labels = labels + ":" + data["Variety"].astype(str)
    # Within an inner level only nitro varies: its line passes through fitted values.
    fitted = nested().predict(re=["Block", "Block:Variety"][: 1 + (":" in group)])
    for axis in axes:
        x, y = line(axis, f"{group} {axis.get_title()}")
        most = data["Variety"][labels == axis.get_title()].mode()[0]
        same = (labels == axis.get_title()) & (data["Variety"] == most)
        for at, value in ((0, x.min()), (-1, x.max())):
            row = same & np.isclose(data["nitro"], value)
            np.testing.assert_allclose(y[at], fitted[row], rtol=SUMS)


def test_lattice_along_a_number_that_is_a_factor_is_refused() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ C(Days) + (1 | Subject)", data)
    with pytest.raises(ngmm.errors.OptionError, match="'Days' is a factor"):
        plots.lattice(fit, "Days")


def test_lattice_leaves_crossed_effects_out() -> None:
    (axis,) = plots.lattice(crossing(), "Days", "Subject", "309")
    b = crossing().ranef()["Subject"].loc["309", "Intercept"]
    fixed = crossing().fixef
    x, y = line(axis, "Subject 309")
    expected = fixed["Intercept"] + b + fixed["Days"] * x
    np.testing.assert_allclose(y, expected, rtol=SUMS)


@pytest.mark.slow
def test_lattice_of_counts_shows_shares_and_probabilities() -> None:
    axes = plots.lattice(counts(), "x", at={"z": 0.0, "f": "a"}, levels=[3, 4])
    data, coef = counts().call.data, counts().coef()["g"]
    for axis, level in zip(axes, [3, 4], strict=True):
        rows = data[data["g"] == level]
        np.testing.assert_array_equal(line(axis, "rows")[1], rows["k"] / 8)
        x, y = line(axis, f"g {level}")
        eta = coef.loc[level, "Intercept"] + coef.loc[level, "x"] * x
        np.testing.assert_allclose(y, 1 / (1 + np.exp(-eta)), rtol=SUMS)
    assert axes[0].figure.get_supylabel() == "share of cbind(k, m)"


def test_lattice_of_many_levels_shows_those_with_most_rows() -> None:
    axes = plots.lattice(bacteria(), "week")
    size = bacteria().call.data["ID"].value_counts()
    shown = [axis.get_title() for axis in axes]
    assert len(shown) == 20
    assert size[shown].min() >= size.drop(shown).max()
    assert axes[0].figure.get_supylabel() == "P(y = y)"


def test_lattice_of_a_network_and_of_a_polars_frame() -> None:
    polars = pytest.importorskip("polars")
    data = additive().call.data
    axes = plots.lattice(additive(), "x1", levels=["g0"], at={"x2": 0.5, "c": "b"})
    x, y = line(axes[0], "g g0")
    ends = {"x1": x[[0, -1]], "x2": [0.5] * 2, "c": ["b"] * 2, "g": ["g0"] * 2}
    np.testing.assert_array_equal(y[[0, -1]], additive().predict(ends))
    fit = ngmm.fit("y ~ x1 + (1 | g)", polars.from_pandas(data))
    (axis,) = plots.lattice(fit, "x1", levels="g1")
    expected = data[data["g"] == "g1"][["x1", "y"]].T
    np.testing.assert_array_equal(line(axis, "rows"), expected)


@pytest.mark.parametrize("method", ["wald", "profile"])
def test_variances_are_those_of_the_intervals(method: str) -> None:
    axes = plots.variances(dyes(), 0.9, method)
    expected = dyes().conf_int(0.9, method).frame.iloc[1:]
    (axis,) = axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == list(expected.index) == ["sd(Intercept | Batch)", "sigma"]
    np.testing.assert_array_equal(line(axis, "estimate")[0], expected["estimate"])
    drawn = np.array([s[:, 0] for s in axis.collections[0].get_segments()])
    np.testing.assert_array_equal(drawn, expected[["conf_low", "conf_high"]])
    how = {"wald": "Wald", "profile": "profile"}[method]
    assert axis.get_xlabel() == f"sd on the scale of Yield, 90% {how} intervals"


def test_correlations_have_a_panel() -> None:
    axes = plots.variances(sleep())
    assert axes[1].get_xlabel() == "correlation, 95% Wald intervals"
    table = sleep().varcorr().frame
    r = table.loc[table["name2"].notna(), "corr"]
    np.testing.assert_array_equal(line(axes[1], "estimate")[0], r)


@pytest.mark.slow
def test_the_dispersion_has_a_panel() -> None:
    data = ngmm.datasets.load("Dyestuff")
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data, "gamma", link="log", quad=1)
    axes = plots.variances(fit)
    assert axes[1].get_xlabel().startswith("dispersion parameter")
    assert line(axes[1], "estimate")[0].tolist() == [fit.phi]


def test_a_variance_of_zero_is_drawn_without_limits() -> None:
    (axis,) = plots.variances(singular())
    assert line(axis, "estimate")[0][0] == 0.0
    drawn = np.array([s[:, 0] for s in axis.collections[0].get_segments()])
    assert np.isfinite(drawn).all()
    assert drawn[0].tolist() == [0.0, 0.0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["sd(Intercept | Batch)\n(limits not known)", "sigma"]
