"""Rows that are held out of joint training, and decay of the networks' matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax
import pytest

import ngmm
from ngmm.design import build_design
from ngmm.errors import OptionError
from ngmm.estimation import stochastic_loop
from ngmm.estimation.stochastic_loop import Epoch
from ngmm.families import get
from ngmm.formula import parse
from ngmm.networks import network_for
from ngmm.training.joint.task import prepare
from tests.joint.frames import curved

FORMULA = "y ~ nn(x, z, hidden=(24, 24)) + (1 | g)"


def fit(**options: Any) -> Any:
    """A fit of a network that is far too large."""
    return ngmm.fit(
        FORMULA,
        curved("bernoulli"),
        family="bernoulli",
        estimator=ngmm.Joint(epochs=150, batch_rows=60, **options),
        progress=False,
    )


def test_rows_held_out_are_not_learnt_from() -> None:
    design, _ = build_design(parse(FORMULA), curved())
    networks = tuple(network_for(d) for d in design.networks)
    task = prepare(design, networks, get("gaussian"), options=ngmm.Joint(held_out=0.25))
    assert len(task.held) == 60
    drawn = np.ravel(task.draw(np.random.default_rng(0)).rows)
    assert not set(drawn) & set(task.held)
    assert set(drawn) | set(task.held) <= set(range(design.n_rows))


@pytest.mark.slow
# A network that is too large does not settle in so few epochs.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_they_keep_networks_from_learning_rows_by_heart() -> None:
    loose, held = fit(held_out=0.0), fit(held_out=0.2)
    new = curved("bernoulli", seed=1)
    f = [np.std(found.predict(new, re="none", kind="link")) for found in (loose, held)]
    assert f[1] < f[0]
    loss = [
        -np.log(np.where(new["y"], p, 1 - p)).mean()
        for p in (found.predict(new, re="none") for found in (loose, held))
    ]
    assert loss[1] < loss[0]
    # The best epoch was kept, and it was not the last one.
    history = held.networks.history
    assert np.isfinite(history.held_out).all()
    assert history.held_out.argmin() < len(history.epoch) - 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_decay_makes_matrices_smaller() -> None:
    sizes = []
    for decay in (0.0, 3.0):
        found = fit(held_out=0.0, decay=decay).networks
        w = found.weights(found.members[0])
        sizes.append(np.linalg.norm(w))
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": 1.0}, "held_out must be"),
        ({"held_out": "some"}, "held_out must be"),
        ({"decay": -1.0}, "decay must be"),
        ({"decay": float("nan")}, "decay must be"),
        ({"optimizer": optax.adam(1e-3), "decay": 0.1}, "belongs to the default"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ngmm.Joint(**options)


def test_some_row_is_learnt_from_whatever_is_held_out() -> None:
    assert ngmm.Joint(held_out=0.99, batch_rows=2).plan(10).n_held == 9


def test_losses_before_rows_are_held_out_do_not_settle_a_training() -> None:
    # While an adversary grows nothing is held out, and the loss is of other rows.
    before = [Epoch(i, -5.0, None, {}) for i in range(1, 11)]
    falling = [Epoch(i, -5.0, 3.0 - 0.1 * i, {}) for i in range(11, 21)]
    flat = [Epoch(i, -5.0, 1.0, {}) for i in range(11, 21)]
    assert not stochastic_loop._settled(before + falling)
    assert stochastic_loop._settled(before + flat)
