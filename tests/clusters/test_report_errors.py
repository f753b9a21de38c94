"""What the reports refuse, and in which words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm import clusters
from ngmm.errors import NewDataError, NgmmError, NotSupportedError, OptionError
from tests.clusters.fits import counts, crossed, latent, sleep
from tests.joint.frames import curved

REPORTS = {
    "effects": clusters.effects,
    "variation": clusters.variation,
    "boundaries": lambda fit: clusters.boundaries(fit, "x", "z"),
    "counterfactuals": lambda fit: clusters.counterfactuals(fit, curved()),
    "latent_scores": clusters.latent_scores,
}


@pytest.mark.parametrize("name", [*REPORTS, "importance"])
def test_what_is_no_fit_is_refused(name: str) -> None:
    report: Any = {**REPORTS, "importance": clusters.importance}[name]
    with pytest.raises(OptionError, match=f"clusters.{name} needs a fitted model"):
        report("y ~ x")


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (lambda: clusters.effects(sleep(), "subject"), 'did you mean "Subject"'),
        (lambda: clusters.effects(sleep(), level=95), "did you mean 0.95"),
        (lambda: clusters.variation(sleep(), "days"), 'did you mean "Days"'),
        (lambda: clusters.variation(counts(), "f"), "f is a factor"),
        (lambda: clusters.variation(crossed()), "no numeric inputs"),
        (lambda: clusters.variation(sleep(), n_draws=0), "n_draws must be"),
        (lambda: clusters.variation(sleep(), seed=-1), "seed must be"),
        (lambda: clusters.variation(sleep(), rows="each"), "rows must be one of"),
        (
            lambda: clusters.counterfactuals(crossed(), crossed().call.data),
            'say group="plate" or group="sample"',
        ),
        (lambda: clusters.importance([]), "list of fits is empty"),
        (lambda: clusters.importance(sleep(), "Odd"), 'did you mean "odd"'),
        (lambda: clusters.importance(sleep(), ["Days", "odd"]), "all inputs are"),
        (lambda: clusters.importance(sleep(), scale="logit"), "scale must be one of"),
        (lambda: clusters.importance([sleep(), counts()]), "must have the same inputs"),
        (lambda: clusters.importance(crossed()), "no numeric inputs"),
    ],
)
def test_arguments_are_checked(report: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        report()


def test_new_data_are_checked() -> None:
    data = sleep().call.data
    with pytest.raises(NewDataError, match='"Subject" is not a column of rows'):
        clusters.counterfactuals(sleep(), data[["Days", "odd"]])
    with pytest.raises(NewDataError, match="Days"):
        clusters.counterfactuals(sleep(), data.assign(Days=np.nan))
    with pytest.raises(NewDataError, match='"odd" is not a column of newdata'):
        clusters.importance(sleep(), newdata=data[["Days", "Subject"]])
    with pytest.raises(NewDataError, match="Days"):
        clusters.importance(sleep(), newdata=data.assign(Days=np.nan))
    with pytest.raises(NewDataError, match="Days"):
        clusters.importance(sleep(), newdata=data.assign(Days="a"))


@pytest.mark.parametrize("name", ["variation", "boundaries", "counterfactuals"])
def test_neural_random_effects_are_refused(name: str) -> None:
    with pytest.raises(NotSupportedError, match=f"clusters.{name}"):
        REPORTS[name](latent())


@pytest.mark.parametrize(
    ("module", "extra", "report"),
    [
        ("matplotlib.pyplot", "plot", lambda: clusters.effects(sleep()).plot()),
        (
            "sklearn.metrics",
            "images",
            lambda: clusters.latent_scores(
                ngmm.fit("y ~ nn(x, hidden=(2,)) + (1 | g)", curved())
            ),
        ),
    ],
)
def test_missing_packages_are_named(
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    extra: str,
    report: Callable[[], Any],
) -> None:
    # Python's own way to say that a module cannot be imported.
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NgmmError, match=rf'pip install "ngmm\[{extra}\]"') as caught:
        report()
    assert isinstance(caught.value, ImportError)
