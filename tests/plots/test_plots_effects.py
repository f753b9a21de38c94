"""Pictures of effects of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm import plots
from tests.clusters.fits import sleep
from tests.joint.frames import fitted
from tests.plots.fits import additive, bacteria, band, line

TERM = "nn(x1, x2, c)"
# Two ways to sum a handful of numbers.
SUMS = 1e-9
NORMAL = 1.959963984540054


def test_a_column_has_the_mean_with_its_band() -> None:
    (axis,) = plots.partial(bacteria(), "week", grid=7)
    x = np.linspace(0, 11, 7)
    # The three levels of the factor have equal weights.
    rows = np.column_stack([np.ones(7), np.full((7, 2), 1 / 3), x])
    names = ["Intercept", "trt[T.drug]", "trt[T.drug+]", "week"]
    assert list(bacteria().fixef.index) == names
    eta = rows @ bacteria().fixef
    half = NORMAL * np.sqrt(np.einsum("ij,jk,ik->i", rows, bacteria().vcov(), rows))
    np.testing.assert_allclose(axis.lines[0].get_xdata(), x, rtol=SUMS)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), eta, rtol=SUMS)
    _, low, high = band(axis)
    np.testing.assert_allclose(low, eta - half, rtol=SUMS)
    np.testing.assert_allclose(high, eta + half, rtol=SUMS)
    assert axis.get_ylabel() == "logit of the mean of y"


def test_partial_residuals_of_a_linear_term_have_its_slope() -> None:
    (axis,) = plots.partial(sleep(), "Days", at={"odd": 0}, residuals=True)
    x, y = line(axis, "rows")
    fixed = sleep().fixef
    curve = fixed["Intercept"] + fixed["Days"] * x
    np.testing.assert_allclose(y, curve + sleep().resid(), rtol=SUMS)
    np.testing.assert_array_equal(x, sleep().call.data["Days"])


def test_a_factor_is_drawn_at_its_levels() -> None:
    (axis,) = plots.partial(bacteria(), "trt", residuals=True)
    levels = [label.get_text() for label in axis.get_xticklabels()]
    assert levels == ["placebo", "drug", "drug+"]
    (bars,) = axis.containers
    heights = dict(zip(levels, bars.lines[0].get_ydata(), strict=True))
    for level in levels[1:]:
        expected = bacteria().fixef[f"trt[T.{level}]"]
        assert heights[level] - heights["placebo"] == pytest.approx(expected, rel=SUMS)
    x, y = line(axis, "rows")
    trt = bacteria().call.data["trt"]
    residuals = y - trt.map(heights).astype(float)
    np.testing.assert_allclose(residuals, bacteria().resid("working"), atol=SUMS)
    assert x.tolist() == trt.tolist()


def test_curves_of_a_network_without_hidden_layers_add_up_to_it() -> None:
    axes = plots.partial(additive(), TERM)
    data = additive().call.data
    assert [axis.get_xlabel() for axis in axes] == ["x1", "x2", "c"]
    total = np.zeros(len(data))
    for axis, name in zip(axes[:2], ["x1", "x2"], strict=True):
        total += np.interp(data[name], *axis.lines[0].get_data())
    (bars,) = axes[2].containers
    levels = [label.get_text() for label in axes[2].get_xticklabels()]
    total += data["c"].map(dict(zip(levels, bars.lines[0].get_ydata(), strict=True)))
    terms = additive().predict(kind="terms")
    # Linear functions in double precision.
    np.testing.assert_allclose(total, terms[terms.columns[1]], atol=1e-8)
    assert axes[0].get_ylabel() == f"{TERM} on y"


def test_partial_residuals_of_a_network() -> None:
    (axis,) = plots.partial(additive(), TERM, "x2", residuals=True)
    data = additive().call.data
    _, y = line(axis, "rows")
    curve = np.interp(data["x2"], *axis.lines[0].get_data())
    np.testing.assert_allclose(y, curve + additive().resid(), atol=1e-12)


def test_two_numbers_are_surfaces_on_one_scale() -> None:
    axes = plots.partial(additive(), TERM, ["x1", "x2"], grid=5)
    assert [a.get_title() for a in axes] == ["lower limit", "effect", "upper limit"]
    meshes = [axis.collections[0] for axis in axes]
    low, effect, high = (np.asarray(m.get_array()) for m in meshes)
    assert (low < effect).all()
    assert (effect < high).all()
    assert {m.get_clim() for m in meshes} == {(low.min(), high.max())}
    single = [
        plots.partial(additive(), TERM, n, grid=5)[0].lines[0] for n in ("x1", "x2")
    ]
    x1, x2 = (np.asarray(one.get_ydata()) for one in single)
    # Two inputs that add up; x1 varies along the columns.
    np.testing.assert_allclose(effect, x1[None, :] + x2[:, None], atol=1e-8)
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("x1", "x2")
    assert axes[0].figure.axes[-1].get_ylabel() == f"{TERM} on y"


def test_a_number_and_a_factor_are_lines() -> None:
    fixed = bacteria().fixef
    for names in (["week", "trt"], ["trt", "week"]):
        (axis,) = plots.partial(bacteria(), names, grid={"week": [0.0, 2.0]})
        for level in ("placebo", "drug", "drug+"):
            start = fixed["Intercept"] + fixed.get(f"trt[T.{level}]", 0.0)
            expected = start + np.array([0.0, 2.0 * fixed["week"]])
            np.testing.assert_allclose(line(axis, level)[1], expected, rtol=SUMS)
        assert axis.get_xlabel() == "week"
        assert axis.get_legend().get_title().get_text() == "trt"


def test_two_numbers_of_a_linear_model() -> None:
    axes = plots.partial(sleep(), ["Days", "odd"], grid={"Days": [0, 9]})
    fixed: Any = sleep().fixef
    effect = np.asarray(axes[1].collections[0].get_array())
    expected = fixed["Intercept"] + np.add.outer(
        [0, fixed["odd"]], [0, 9 * fixed["Days"]]
    )
    np.testing.assert_allclose(effect, expected, rtol=SUMS)


@pytest.mark.slow
def test_a_surface_without_standard_errors_has_one_panel() -> None:
    (axis,) = plots.partial(fitted(), "nn(x, z)", ["x", "z"], grid=4)
    assert axis.get_title() == "effect"


def test_networks_without_standard_errors_have_no_bands() -> None:
    axes = plots.partial(fitted(), "nn(x, z)", grid=4)
    assert [len(axis.collections) for axis in axes] == [0, 0]
    expected = ngmm.effects.partial(
        fitted(), "nn(x, z)", "x", grid={"x": np.asarray(axes[0].lines[0].get_xdata())}
    )
    np.testing.assert_array_equal(
        axes[0].lines[0].get_ydata(), expected.to_frame()["effect"]
    )


def test_residuals_outside_the_curve_are_left_out() -> None:
    (axis,) = plots.partial(sleep(), "Days", grid={"Days": [2, 5]}, residuals=True)
    x, y = line(axis, "rows")
    np.testing.assert_array_equal(np.isnan(y), (x < 2) | (x > 5))


@pytest.mark.parametrize("grid", [2, 30])
def test_a_number_of_two_values_is_shown_at_these(grid: int) -> None:
    (axis,) = plots.partial(sleep(), "odd", grid=grid)
    assert axis.lines[0].get_xdata().tolist() == [0.0, 1.0]
