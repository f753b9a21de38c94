"""Every picture of the benchmarks shows what its CSV holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    import figures

    yield figures
    plt.close("all")


@pytest.fixture
def read() -> Any:
    return lambda name: pd.read_csv(FOLDER / "results" / f"{name}.csv")


def names(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def points(axes: Any, label: str) -> dict[float, float]:
    """Line -> value of the series of that name."""
    (series,) = (c for c in axes.containers if c.get_label() == label)
    x, y = series.lines[0].get_data()
    return dict(zip(map(float, y), map(float, x), strict=True))


def half_widths(axes: Any, label: str) -> Any:
    """Half the lengths of the bars of a series."""
    (series,) = (c for c in axes.containers if c.get_label() == label)
    ends = np.array(series.lines[2][0].get_segments())
    return (ends[:, 1, 0] - ends[:, 0, 0]) / 2


def in_legend(figure: Any) -> set[str]:
    return {text.get_text() for one in figure.legends for text in one.get_texts()}


def bands(axes: Any) -> list[tuple[float, float]]:
    return [(float(p.get_x()), float(p.get_x() + p.get_width())) for p in axes.patches]


def test_registry(figures: Any) -> None:
    # Every public function of the module that draws is in the registry by its name.
    assert all(f.__name__ == name for name, f in figures.FIGURES.items())
    drawn = {
        name
        for name, value in vars(figures).items()
        if getattr(value, "__module__", "") == "figures"
        and not name.startswith("_")
        and callable(value)
    }
    assert drawn == set(figures.FIGURES)


@pytest.mark.parametrize(
    "name",
    [
        *("speed_ratios", "agreement", "sizes", "coverage", "power"),
        *("neural_errors", "armed"),
    ],
)
def test_draws_from_the_committed_tables(figures: Any, name: str) -> None:
    figure = figures.FIGURES[name]()
    figure.canvas.draw()
    # An open figure is what the site shows under a block.
    assert plt.get_fignums() == [figure.number]
    for axes in figure.axes:
        assert axes.containers
        assert axes.get_xlabel() or axes is figure.axes[0]
    # Small: in inches, for a page of text.
    assert figure.get_size_inches()[0] <= 9


def test_speed_ratios(figures: Any, read: Any) -> None:
    figure = figures.speed_ratios()
    (axes,) = figure.axes
    assert {"ngmm", "mixedlm"} <= in_legend(figure)
    table = read("speed").query("quantity == 'repeated' and problem == 'sleepstudy'")
    seconds = table.set_index("adapter")["value"]
    line = names(axes).index("sleepstudy")
    found = {y: x for y, x in points(axes, "ngmm").items() if round(y) == line}
    assert list(found.values()) == [seconds["ngmm"] / seconds["lme4"]]
    assert axes.get_xscale() == "log"


def test_sizes(figures: Any, read: Any) -> None:
    figure = figures.sizes()
    (axes,) = figure.axes
    assert bands(axes) == [(4.0, 6.0)]
    assert names(axes)[0] == "fixed term: normal, 30 groups"
    row = read("calibration").query(
        "cell == 'fixed term: gaussian, 30 groups' and quantity == 'chi2, of the group'"
    )
    label = "chi2, term of the group"
    found = points(axes, label)
    first = min(found)
    assert round(first) == 0
    assert found[first] == pytest.approx(100 * row["value"].item(), rel=1e-12)
    # Monte Carlo intervals: 1.96 standard errors to both sides.
    at = list(found).index(first)
    expected = 1.96 * 100 * row["error"].item()
    assert half_widths(axes, label)[at] == pytest.approx(expected, rel=1e-9)
    # The mixture for variances is conservative: that must be seen.
    assert min(points(axes, "chibar").values()) < 4.0


def test_coverage(figures: Any, read: Any) -> None:
    figure = figures.coverage()
    (axes,) = figure.axes
    assert bands(axes) == [(93.0, 97.0)]
    labels = names(axes)
    bump = labels.index("its partial effect, with a bump: normal, 50 groups")
    own = read("calibration").query("quantity.str.startswith('band, b')")
    (series,) = (c for c in axes.containers if c.get_label() == "one point of a band")
    x, y = series.lines[0].get_data()
    shown = sorted(np.asarray(x)[np.asarray(y) == bump])
    np.testing.assert_allclose(shown, sorted(100 * own["value"]), rtol=1e-12)
    # The worst points are in the picture, not cut off by the axis.
    assert axes.get_xlim()[0] < 73.0


def test_power(figures: Any, read: Any) -> None:
    figure = figures.power()
    axes = figure.axes[0]
    table = read("power").query("quantity == 'rejected'")
    for label, method in (
        ("ngmm, score test of a network", "ngmm"),
        ("mgcv, test of a smooth", "mgcv"),
    ):
        own = table[table["method"] == method].sort_values("curve")
        (series,) = (c for c in axes.containers if c.get_label() == label)
        x, y = series.lines[0].get_data()
        np.testing.assert_allclose(np.asarray(y, float), 100 * own["value"], rtol=1e-12)
        # The programs stand 0.003 beside each other.
        np.testing.assert_allclose(np.asarray(x, float), own["curve"], atol=0.0031)


def test_neural_errors_are_of_shared_data_sets(figures: Any, read: Any) -> None:
    figure = figures.neural_errors()
    titles = [axes.get_title() for axes in figure.axes]
    # Of 50 data sets of ngmm, GPBoost ran 15.
    assert "XOR, normal, 15 sets" in titles
    axes = figure.axes[titles.index("XOR, normal, 15 sets")]
    assert names(axes) == ["ngmm", "linear", "GPBoost"]
    own = read("neural").query(
        "experiment == 'xor' and method == 'ngmm' and quantity == 'MSPE'"
        " and replicate < 15"
    )
    found = points(axes, "ngmm")[0.0]
    assert found == pytest.approx(own["value"].mean(), rel=1e-12)


def test_armed(figures: Any, read: Any) -> None:
    figure = figures.armed()
    upper, lower = figure.axes
    seen = read("spirals").query("part == 'seen' and quantity == 'with b'")["value"]
    assert points(upper, "ngmm, spirals") == {0.0: pytest.approx(seen.mean())}
    best = [line for line in upper.lines if line.get_label() == "best possible"]
    assert float(best[0].get_xdata()[0]) == 0.908
    new = read("digits").query("quantity == 'plain, new'")["value"]
    at = float(names(lower).index("plain network"))
    found = points(lower, "digits, new scanners")[at]
    assert found == pytest.approx(new.mean(), rel=1e-12)


def test_agreement(figures: Any, read: Any) -> None:
    figure = figures.agreement()
    (axes,) = figure.axes
    table = read("agreement")
    assert names(axes)[0] == "log-likelihood, absolute"
    shown = sum(len(c.lines[0].get_xdata()) for c in axes.containers)
    # A standard deviation of zero has no relative difference.
    expected = table["relative"].notna() | (table["quantity"] == "loglik")
    assert shown == expected.sum()
    lme4 = table[(table["program"] == "lme4") & (table["quantity"] == "df")]
    largest = max(x for y, x in points(axes, "lme4").items() if round(y) == 3)
    assert largest == pytest.approx(lme4["relative"].max(), rel=1e-9)


def test_figures_read_the_folder_that_they_are_given(
    figures: Any, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        figures.sizes(tmp_path)
