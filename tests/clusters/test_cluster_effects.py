"""Random effects by level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.clusters import effects
from tests.clusters.fits import counts, crossed, latent, nested, sleep
from tests.joint.frames import curved, fitted

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")


@pytest.fixture(autouse=True)
def no_open_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("fit", [sleep, nested, counts, latent, fitted])
def test_they_are_those_of_ranef(fit: Callable[[], Any]) -> None:
    frame = effects(fit()).to_frame()
    modes, with_sd = fit().ranef(), fit().ranef(cond_sd=True)
    assert list(dict.fromkeys(frame["group"])) == list(modes)
    for _, part in frame.groupby(["group", "effect"], sort=False):
        group, name = part[["group", "effect"]].iloc[0]
        assert part["level"].tolist() == modes[group].index.tolist()
        np.testing.assert_array_equal(part["estimate"], modes[group][name])
        np.testing.assert_array_equal(part["std_error"], with_sd[group][f"{name}_sd"])


def test_intervals_are_normal() -> None:
    frame = effects(sleep(), level=0.9).to_frame()
    half = (frame["conf_high"] - frame["conf_low"]) / 2
    # The 95th percentile of the normal distribution, to the digits it is written with.
    np.testing.assert_allclose(half / frame["std_error"], 1.6448536, rtol=1e-7)


def test_rows_and_mean_responses_are_those_of_the_level() -> None:
    data: Any = curved()
    frame = effects(fitted()).to_frame()
    part = frame[frame["effect"] == "Intercept"].set_index("level")
    by_level = data.groupby("g")["y"]
    assert part["rows"].to_dict() == by_level.size().to_dict()
    # Two ways to sum twenty numbers.
    np.testing.assert_allclose(part["mean_response"], by_level.mean(), atol=1e-14)


def test_mean_responses_of_counts_are_shares() -> None:
    data = counts().call.data
    part = effects(counts()).to_frame().query("effect == 'x'")
    expected = (data["k"] / 8).groupby(data["g"]).mean()
    np.testing.assert_allclose(part["mean_response"], expected, atol=1e-14)  # as above


def test_caption_has_the_correlation_of_intercepts_with_means() -> None:
    found = effects(sleep())
    data: Any = ngmm.datasets.load("sleepstudy")
    means = data.groupby("Subject")["Reaction"].mean()
    r = np.corrcoef(sleep().ranef()["Subject"]["Intercept"], means)[0, 1]
    # The same numbers in another order of sums.
    assert found.correlations["Subject"] == pytest.approx(r, abs=1e-12)
    assert f"intercepts of Subject with its mean responses {r:.2f}" in str(found)


def test_equal_intercepts_have_no_correlation() -> None:
    data = ngmm.datasets.load("Dyestuff2")
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    assert fit.is_singular
    found = effects(fit)
    assert found.correlations == {}
    assert "correlation" not in str(found)


def test_one_factor_of_several() -> None:
    assert set(effects(crossed(), group="sample").to_frame()["group"]) == {"sample"}
    both = effects(crossed())
    assert set(both.to_frame()["group"]) == {"plate", "sample"}
    assert str(both).count("Intercept ") == 2


def test_many_levels_are_not_all_printed() -> None:
    # Of the forty levels thirty are.
    assert "10 more rows in to_frame()" in str(effects(latent()))
    assert "more rows" not in str(effects(sleep()))


def test_plot_has_a_panel_an_effect_in_order_with_intervals() -> None:
    found = effects(sleep())
    axes = found.plot()
    assert axes.shape == (2,)
    assert [a.get_title() for a in axes] == ["Intercept", "Days"]
    for axis in axes:
        part = found.to_frame().query(f"effect == '{axis.get_title()}'")
        part = part.sort_values("estimate")
        (bars,) = axis.containers
        np.testing.assert_array_equal(bars.lines[0].get_xdata(), part["estimate"])
        ends = np.array([s[:, 0] for s in bars.lines[2][0].get_segments()])
        # The bars are drawn from the estimate and its distance from the end.
        np.testing.assert_allclose(ends, part[["conf_low", "conf_high"]], rtol=1e-12)
        labels = [label.get_text() for label in axis.get_yticklabels()]
        assert labels == part["level"].tolist()


def test_plot_draws_on_the_axes_given() -> None:
    _, axes = plt.subplots(1, 2)
    assert effects(sleep()).plot(axes) is axes
    assert axes[1].get_title() == "Days"
    _, axis = plt.subplots()
    assert effects(crossed(), "plate").plot(axis) is axis
    with pytest.raises(ngmm.errors.OptionError, match="2 panels; ax= has 1 axes"):
        effects(sleep()).plot(axis)
