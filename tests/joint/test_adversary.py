"""Fits against an adversary, through `ngmm.fit`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import optax
import pandas as pd
import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.training.joint.arrays import Weights
from ngmm.training.joint.task import Best
from tests.joint.frames import SHORT, SLOPES, curved, fitted

NETWORK = "y ~ nn(x, z, hidden=(8, 3)) + (1 | g)"


def with_a_tell(seed: int = 3) -> pd.DataFrame:
    """Rows with a column, w, that says in which group they are and nothing else."""
    data = curved(seed=seed)
    rng = np.random.default_rng(seed)
    shift = rng.normal(size=12)[data["g"].str[1:].astype(int)]
    return data.assign(w=shift + 0.1 * rng.normal(size=len(data)))


def initial() -> Weights:
    """Weights of nothing."""
    return Weights((), np.zeros(0), (), np.zeros(()), np.zeros(()))


@pytest.mark.slow
def test_a_strength_of_zero_is_no_adversary() -> None:
    off = ngmm.Adversary(strength=0.0)
    again = ngmm.fit(SLOPES, curved(), estimator=SHORT, adversary=off, progress=False)
    assert again.loglik == fitted().loglik
    assert again.networks is not None
    assert again.networks.adversary is None
    np.testing.assert_array_equal(again.fitted(), fitted().fitted())


@pytest.mark.slow
# The loss of two players does not settle in so few epochs, which is warned of.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_it_hides_the_groups() -> None:
    data = with_a_tell()
    formula = "y ~ nn(x, w, hidden=(8, 8)) + (1 | g)"
    found = {}
    for strength in (1e-9, 1.0):
        fit = ngmm.fit(
            formula,
            data,
            adversary=ngmm.Adversary(strength=strength),
            estimator=ngmm.Joint(epochs=200),
            progress=False,
        )
        assert fit.networks is not None
        faced = fit.networks.adversary
        assert faced is not None
        assert faced.chance == pytest.approx(1 / 12)
        found[strength] = faced.fresh
    # Without resistance the classifier reads w, which tells most groups apart.
    assert found[1e-9] > 0.5
    # Of 120 rows: a difference of three standard errors and more.
    assert found[1.0] < found[1e-9] - 0.13


def test_training_that_has_not_settled_is_warned_of() -> None:
    with pytest.warns(ngmm.errors.ConvergenceWarning, match="did not settle"):
        fit = ngmm.fit(
            NETWORK,
            curved(),
            estimator=ngmm.Joint(optax.sgd(1e-3), epochs=10, batch_rows=30),
            progress=False,
        )
    assert not fit.check().ok


@cache
def opposed() -> Any:
    """A fit against an adversary."""
    return ngmm.fit(
        NETWORK,
        curved(),
        estimator=SHORT,
        adversary=ngmm.Adversary(strength=0.5),
        progress=False,
    )


def test_its_accuracy_is_kept_and_drawn() -> None:
    fit = opposed()
    assert fit.networks is not None
    history = fit.networks.history
    told = history.to_frame()["adversary"]
    assert len(told) == fit.networks.n_epochs
    assert told.between(0.0, 1.0).all()
    loss, accuracy = history.plot()
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), history.loss)
    np.testing.assert_array_equal(accuracy.lines[0].get_ydata(), told)
    # Twelve groups.
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), 1 / 12)


def test_summary_says_how_well_groups_are_told() -> None:
    fit = opposed()
    text = str(fit.summary())
    assert "adversary" in text
    assert "guessing 8 %" in text


def test_what_an_adversary_undid_is_brought_back() -> None:
    best = Best()
    weights = [initial() for _ in range(4)]
    for epoch, (w, loss) in enumerate(zip(weights, [3.0, 2.0, 1.0, 1.9], strict=True)):
        best.see(w, loss, epoch)
    assert best.weights is weights[2]
    # Gained 2 since the start; half of it may go before the best epoch is kept.
    assert best.is_lost(2.1)
    assert not best.is_lost(1.9)


# The loss of two players does not settle in so few epochs, which is warned of.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_no_strength_breaks_a_fit() -> None:
    fit = ngmm.fit(
        NETWORK,
        curved(),
        estimator=SHORT,
        adversary=ngmm.Adversary(strength=1e6, given_response=False),
        progress=False,
    )
    assert np.isfinite(fit.loglik)
    assert np.isfinite(fit.fitted()).all()


@pytest.mark.parametrize(
    ("adversary", "formula", "message"),
    [
        (ngmm.Adversary(), "y ~ x + (1 | g)", "has none: write nn"),
        (ngmm.Adversary("site"), NETWORK, "'site' is not a grouping factor"),
        (ngmm.Adversary, NETWORK, "is a class: call it"),
        ("g", NETWORK, "must be ngmm.Adversary"),
        (ngmm.Adversary(strength=1), "y ~ nn(x, hidden=()) + (1 | g)", "hidden units"),
        (ngmm.Adversary(strength=1), "y ~ nn(x) + (1 | g) + (1 | h)", "several"),
        (ngmm.Adversary("h", 1.0), "y ~ nn(x) + (1 | g) + (1 | h)", "too many"),
    ],
)
def test_what_makes_no_sense_is_refused(
    adversary: object, formula: str, message: str
) -> None:
    data = curved().assign(h=np.arange(240) // 1.5)
    with pytest.raises(OptionError, match=message):
        ngmm.fit(formula, data, adversary=adversary, estimator="auto", progress=False)


def test_another_estimator_is_refused() -> None:
    with pytest.raises(OptionError, match="knows no adversary"):
        ngmm.fit(
            NETWORK,
            curved(),
            adversary=ngmm.Adversary(strength=1.0),
            estimator=ngmm.Evidence(),
        )


@pytest.mark.parametrize(
    "options",
    [
        {"strength": -1.0},
        {"strength": "much"},
        {"strength": np.nan},
        {"layers": "first"},
        {"given_response": 1},
        {"warm_up": 2.0},
        {"hidden": (0,)},
        {"group": 3},
    ],
)
def test_options_are_checked(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        ngmm.Adversary(**options)


@pytest.mark.slow
def test_a_response_lost_to_an_adversary_is_brought_back() -> None:
    # The input tells the group, and is all that the response depends on.
    rng = np.random.default_rng(0)
    g = np.arange(240) % 12
    x = rng.normal(size=12)[g] + 0.1 * rng.normal(size=240)
    y = np.sin(2.0 * x) + 0.3 * rng.normal(size=240)
    data = pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})
    with pytest.warns(ngmm.errors.ConvergenceWarning, match="too strong"):
        fit = ngmm.fit(
            "y ~ nn(x, hidden=(8, 8)) + (1 | g)",
            data,
            adversary=ngmm.Adversary(strength=1e4),
            estimator=ngmm.Joint(epochs=100, batch_rows=60, held_out=0.0),
            progress=False,
        )
    assert not fit.check().ok
    assert fit.networks is not None
    loss = fit.networks.history.to_frame()["loss"]
    assert loss.iloc[-1] > loss.min() + 1.0
    # What is kept is from before: noise alone would bring a correlation below 0.2.
    assert np.corrcoef(fit.predict(re="none"), np.sin(2.0 * x))[0, 1] > 0.8
