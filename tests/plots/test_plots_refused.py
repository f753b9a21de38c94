"""What pictures refuse, what they leave alone, and what they return."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import ngmm
from ngmm import plots
from ngmm.errors import MissingPackageError, NotSupportedError, OptionError
from tests.clusters.fits import latent, nested, sleep
from tests.joint.frames import fitted
from tests.plots.fits import additive, bacteria, dyes

# Arguments of wrong types are given on purpose.
untyped: Any = plots

# Each picture with its number of panels.
PICTURES: dict[str, tuple[Callable[..., Any], int]] = {
    "bootstrap": (
        lambda ax: plots.bootstrap(dyes().bootstrap(50, progress=False), ax=ax),
        3,
    ),
    "calibration": (lambda ax: plots.calibration(bacteria(), ax=ax), 0),
    "caterpillar": (lambda ax: plots.caterpillar(sleep(), ax=ax), 2),
    "lattice": (lambda ax: plots.lattice(sleep(), "Days", ax=ax), 18),
    "partial": (lambda ax: plots.partial(sleep(), ["Days", "odd"], ax=ax), 3),
    "profile_zeta": (lambda ax: plots.profile_zeta(dyes(), "sigma", ax=ax), 1),
    "quadrature": (lambda ax: plots.quadrature(bacteria(), [25], ax=ax), 0),
    "residuals": (lambda ax: plots.residuals(sleep(), ax=ax), 3),
    "training": (lambda ax: plots.training(fitted(), ax=ax), 1),
    "variances": (lambda ax: plots.variances(sleep(), ax=ax), 2),
}


@pytest.mark.parametrize("name", plots.__all__)
def test_pictures_make_one_figure_or_none(name: str) -> None:
    draw, n = PICTURES[name]
    before = mpl.rcParams.copy()
    made = draw(None)
    assert len(plt.get_fignums()) == 1
    # A single panel by nature is its axes; any other number comes as an array.
    assert np.shape(made) == (() if n == 0 else (n,))
    assert all(axis.get_xlabel() or name == "lattice" for axis in np.ravel([made]))
    plt.close("all")
    _, given = plt.subplots(1, max(n, 1), squeeze=False)
    _, current = plt.subplots()
    given = given[0] if n > 1 else given[0, 0]
    assert draw(given) is given
    for axis in np.ravel(np.asarray([given], dtype=object)):
        assert axis.has_data()
        assert axis.get_xlabel()
        assert axis.get_ylabel() or name in {"variances", "partial"}
    assert plt.gca() is current
    assert len(plt.get_fignums()) == 2
    assert mpl.rcParams == before
    plt.gcf().canvas.draw()


@pytest.mark.parametrize("name", plots.__all__)
def test_axes_are_counted(name: str) -> None:
    draw, n = PICTURES[name]
    _, axes = plt.subplots(1, 4)
    with pytest.raises(OptionError, match=f"{max(n, 1)} panels; ax= has 4 axes"):
        draw(axes)


def test_matplotlib_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw, _ in PICTURES.values():
        with pytest.raises(MissingPackageError, match=r'pip install "ngmm\[plot\]"'):
            draw(None)


def test_matplotlib_is_not_imported_with_the_module() -> None:
    probe = "import sys, ngmm; ngmm.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", probe], check=True)


@pytest.mark.parametrize("name", [n for n in plots.__all__ if n != "bootstrap"])
def test_what_is_no_fit_is_refused(name: str) -> None:
    extra = ("Days",) if name in {"lattice", "partial"} else ()
    draw: Any = getattr(plots, name)
    what = "clusters.effects|plots." + name
    with pytest.raises(OptionError, match=f"({what}) needs a fitted model"):
        draw("y ~ x", *extra)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.caterpillar(sleep(), "subject"), 'did you mean "Subject"'),
        (lambda: plots.caterpillar(sleep(), level=95), "did you mean 0.95"),
        (lambda: plots.lattice(sleep(), "days"), 'did you mean "Days"'),
        (lambda: plots.lattice(sleep(), "Subject"), "Numeric inputs: Days, odd"),
        (lambda: plots.lattice(bacteria(), "trt"), "'trt' is a factor"),
        (lambda: untyped.lattice(sleep(), ["Days"]), "is not an input"),
        (lambda: plots.lattice(sleep(), "Days", "Subjct"), 'did you mean "Subject"'),
        (lambda: plots.lattice(sleep(), "Days", levels=["38"]), "not a level of"),
        (lambda: plots.lattice(sleep(), "Days", levels=[]), "levels= is empty"),
        (lambda: plots.lattice(sleep(), "Days", at={"Days": 1}), "leave it out of at="),
        (lambda: plots.lattice(sleep(), "Days", at={"od": 1}), 'did you mean "odd"'),
        (lambda: plots.lattice(sleep(), "Days", at={"odd": [1]}), "at one value"),
        (lambda: untyped.lattice(sleep(), "Days", at=["odd"]), "at= maps inputs"),
        (lambda: plots.lattice(nested(), "nitro"), 'say group="Block" or'),
        (lambda: plots.partial(sleep(), "days"), 'did you mean "Days"'),
        (lambda: plots.partial(sleep(), "Subject"), "is a grouping factor only"),
        (lambda: plots.partial(sleep(), "nn(Days)"), "has no network terms"),
        (lambda: untyped.partial(sleep(), None), "one column or two; got None"),
        (lambda: plots.partial(sleep(), ["x", "z", "f"]), "one column or two"),
        (lambda: plots.partial(sleep(), "Days", "odd"), "variables= names inputs"),
        (lambda: plots.partial(sleep(), "Days", grid=1), "grid must be a number"),
        (lambda: plots.partial(sleep(), "Days", grid={"days": [1]}), 'mean "Days"'),
        (lambda: plots.partial(sleep(), "Days", at={"Days": 1}), "leave it out of at="),
        (lambda: plots.partial(sleep(), "Days", level=2), "level"),
        (lambda: plots.partial(additive(), "nn(x1, x2)"), "Network terms: nn"),
        (lambda: plots.partial(additive(), "nn(x1, x2, c)", "x3"), "Inputs: x1, x2, c"),
        (
            lambda: plots.partial(sleep(), ["Days", "odd"], residuals=True),
            "residuals are drawn for one input",
        ),
        (lambda: plots.residuals(sleep(), "subject"), 'did you mean "Subject"'),
        (lambda: plots.variances(sleep(), method="walt"), 'did you mean "wald"'),
        (lambda: plots.variances(sleep(), n=100), "an option of method="),
        (lambda: plots.variances(latent()), "estimates no variance"),
        (lambda: plots.profile_zeta(dyes(), "sgma"), 'did you mean "sigma"'),
        (
            lambda: plots.bootstrap(dyes()),
            r"what fit.bootstrap\(1000\) gives; got a fit",
        ),
        (lambda: untyped.bootstrap(3), "got int"),
        (lambda: plots.training(sleep()), "has no network in its fixed part"),
        (lambda: plots.training(latent()), "has no network in its fixed part"),
        (lambda: plots.training(additive()), "not trained in epochs"),
        (lambda: plots.quadrature(sleep()), "integrated out exactly"),
        (lambda: untyped.quadrature(bacteria(), [2.5]), "whole numbers such as"),
        (lambda: plots.quadrature(bacteria(), []), "whole numbers such as"),
        (lambda: plots.quadrature(bacteria(), [0]), "whole number from 1"),
        (lambda: plots.calibration(sleep()), "this fit is gaussian"),
        (lambda: plots.calibration(bacteria(), bins=0), "bins must be a whole number"),
        (lambda: plots.calibration(bacteria(), re="some"), "re must be"),
    ],
)
def test_arguments_are_checked(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        draw()
    # Nothing half drawn is left behind.
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.partial(latent(), "item"),
        lambda: plots.quadrature(latent()),
        lambda: plots.profile_zeta(additive()),
    ],
)
def test_what_is_not_offered_says_so(draw: Callable[[], Any]) -> None:
    with pytest.raises(NotSupportedError, match=r"Use|use"):
        draw()


def test_a_loaded_fit_without_data_says_what_is_missing(tmp_path: Any) -> None:
    dyes().save(tmp_path / "fit.ngmm", data=False)
    again = ngmm.load(tmp_path / "fit.ngmm")
    (axis,) = plots.variances(again)
    assert axis.get_yticklabels()[0].get_text() == "sd(Intercept | Batch)"
    with pytest.raises(ngmm.errors.SavedFitError, match="needs"):
        plots.residuals(again)
