"""Predictions over two inputs, level by level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.clusters import boundaries
from ngmm.errors import OptionError
from tests.clusters.fits import counts, nested, sleep
from tests.joint.frames import curved, fitted

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")

# Sums of the same numbers in another order.
SAME: Any = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def no_open_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.slow
def test_they_are_predictions_on_the_grid() -> None:
    fit = fitted("bernoulli")
    found = boundaries(fit, "z", "x", levels=["g07", "g02"], n=6)
    frame = found.to_frame()
    assert len(frame) == 3 * 36
    population = frame[frame["g"].isna()]
    np.testing.assert_allclose(
        population["mean"], fit.predict(population[["x", "z"]], re="none"), **SAME
    )
    for level in ("g07", "g02"):
        part = frame[frame["g"] == level]
        np.testing.assert_allclose(part["mean"], fit.predict(part), **SAME)
    data = curved("bernoulli")
    for name, values in (("z", found.x1), ("x", found.x2)):
        ends = data[name].min(), data[name].max()
        np.testing.assert_allclose(values, np.linspace(*ends, 6), **SAME)


def test_other_inputs_are_typical_or_held() -> None:
    fit = counts()
    found = boundaries(fit, "x", "z", levels=[3], n=4)
    assert found.held == {"f": fit.call.data["f"].mode().iloc[0]} == {"f": "a"}
    frame = found.to_frame().query("g == 3")
    np.testing.assert_allclose(frame["mean"], fit.predict(frame.assign(f="a")), **SAME)
    other = boundaries(fit, "x", "z", levels=[3], n=4, at={"f": "b"})
    frame = other.to_frame().query("g == 3")
    np.testing.assert_allclose(frame["mean"], fit.predict(frame.assign(f="b")), **SAME)
    assert "at f = b" in str(other)
    data = curved().assign(w=lambda d: d["x"] * 2 + np.arange(len(d)) % 5)
    three = ngmm.fit("y ~ x + z + w + (1 | g)", data)
    assert boundaries(three, "x", "z", n=2).held["w"] == data["w"].mean()


def test_effects_of_other_factors_are_zero() -> None:
    fit = nested().update(". ~ . + x", data=nested().call.data.assign(x=_wave))
    found = boundaries(fit, "nitro", "x", n=3, group="Block", levels="II")
    frame = (
        found.to_frame().query("Block == 'II'").assign(Variety=found.held["Variety"])
    )
    expected = fit.predict(frame, re=["Block"])
    np.testing.assert_allclose(frame["mean"], expected, **SAME)


def _wave(data: pd.DataFrame) -> np.ndarray:
    return np.sin(np.arange(len(data)))


def test_levels_left_out_are_those_with_few_rows() -> None:
    assert (
        list(boundaries(fitted(), "x", "z", n=2).levels)
        == sorted(curved()["g"].unique())[:11]
    )
    few = curved()[lambda d: (d["g"] != "g00") | (d.index > 100)]
    fit = ngmm.fit("y ~ x + z + (1 | g)", few)
    assert "g00" not in boundaries(fit, "x", "z", n=2).levels


def test_the_table_counts_the_grid() -> None:
    found = boundaries(sleep(), "Days", "odd", ["308"], n=20, threshold=300.0)
    frame = found.to_table().to_frame()
    above = found.means[0] > 300.0
    assert frame["above"].tolist() == [(found.population > 300.0).mean(), above.mean()]
    other = (above != (found.population > 300.0)).mean()
    assert frame["other_side"].iloc[1] == other > 0


def test_plot_has_the_boundary_in_each_panel() -> None:
    found = boundaries(fitted("bernoulli"), "x", "z", ["g00", "g01"], n=30)
    axes = found.plot(rows=True)
    assert [a.get_title() for a in axes] == ["population", "g g00", "g g01"]
    fit = fitted("bernoulli")
    for axis, level in zip(axes, [None, "g00", "g01"], strict=True):
        (lines,) = [c for c in axis.collections if hasattr(c, "levels")]
        line = np.concatenate([p.vertices for p in lines.get_paths()])
        at = pd.DataFrame({"x": line[:, 0], "z": line[:, 1], "g": level or "g00"})
        mean = fit.predict(at, re="none" if level is None else "all")
        # Linear between points of a grid of 30: means are within a fiftieth.
        np.testing.assert_allclose(mean, 0.5, atol=0.02)
    n_shown = sum(len(c.get_offsets()) for c in axes[1].collections[-2:])
    assert n_shown == (curved("bernoulli")["g"] == "g00").sum()


def test_plot_without_a_boundary_has_no_line() -> None:
    found = boundaries(fitted("bernoulli"), "x", "z", ["g00"], n=5, threshold=2.0)
    _, given = plt.subplots(1, 2)
    assert found.plot(given) is given
    assert not any(hasattr(c, "levels") for a in given for c in a.collections)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x1": "X"}, 'did you mean "x"'),
        ({"x2": "x"}, "x1 and x2 are both 'x'"),
        ({"x2": "f"}, "f is a factor and has no slope"),
        ({"levels": ["99"]}, '\'99\' is not a level of "g"; did you mean "9"'),
        ({"levels": []}, "levels= is empty"),
        ({"at": {"z": 1.0}}, "z varies; leave it out of at="),
        ({"at": {"f": ["a", "b"]}}, "at= holds f at one value; got 2"),
        ({"at": {"f": "c"}}, "'c' is not a level of f"),
        ({"at": {"F": "a"}}, 'did you mean "f"'),
        ({"n": 1}, "n must be a number of values from 2"),
        ({"threshold": np.nan}, "threshold= must be a finite number"),
        ({"threshold": "half"}, "threshold= must be a finite number"),
        ({"group": "G"}, 'did you mean "g"'),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        boundaries(counts(), **{"x1": "x", "x2": "z", **arguments})
