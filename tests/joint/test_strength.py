"""The strength that serves groups that were left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.estimation.adversary import STRENGTHS
from ngmm.neural.held_out import loglik_elsewhere
from ngmm.neural.strength import choose_strength
from ngmm.progress import ProgressLine
from tests.joint.frames import curved


def base(n_groups: int = 12) -> Any:
    """A model without networks."""
    data = curved()
    data = data[data["g"].isin(sorted(data["g"].unique())[:n_groups])]
    design, _ = ngmm.build_design(ngmm.parse("y ~ x + (1 | g)"), data)
    return ngmm.Model(design)


@pytest.mark.parametrize("best", [0.0, 0.3])
def test_it_is_the_one_whose_fits_are_best_elsewhere(best: float) -> None:
    model = base()

    def fit(part: Any, strength: float) -> tuple[Any, None]:
        """Fits that are spoilt by any other strength."""
        found = part.maximise()
        return replace(found, beta=found.beta + 2.0 * (strength != best)), None

    codes = model.design.random[0].codes
    with ProgressLine(False, "") as line:
        assert choose_strength(model, codes, fit, 0, line) == best


def test_too_few_groups_are_refused() -> None:
    model = base(2)
    with ProgressLine(False, "") as line, pytest.raises(OptionError, match="are 2"):
        choose_strength(model, model.design.random[0].codes, None, 0, line)  # type: ignore[arg-type]


def test_log_likelihood_elsewhere_is_that_of_a_model_at_given_parameters() -> None:
    model = base()
    found = model.maximise()
    X = model.design.X
    value = loglik_elsewhere(found, None, model, X)
    expected = model.loglik(found.theta, found.sigma, found.beta)
    assert value == pytest.approx(expected, rel=1e-12)


# Few epochs, with or without an adversary.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
@pytest.mark.slow
def test_auto_is_one_of_those_tried() -> None:
    fit = ngmm.fit(
        "y ~ nn(x, z, hidden=(8, 3)) + (1 | g)",
        curved(),
        adversary=ngmm.Adversary(),
        estimator=ngmm.Joint(epochs=40),
        progress=False,
    )
    assert fit.networks is not None
    faced = fit.networks.adversary
    assert faced is not None
    assert faced.strength in STRENGTHS
    assert np.isfinite(fit.loglik)
