"""Training over batches: where it arrives, what it keeps, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from jax import Array

import ngmm
from ngmm import training
from ngmm.design import Design
from ngmm.errors import NotSupportedError, OptionError
from ngmm.estimation import stochastic_loop
from ngmm.estimation.status import Status
from ngmm.estimation.stochastic import Stochastic, default_optimizer
from ngmm.estimation.stochastic_loop import follow
from ngmm.networks import MLP
from ngmm.progress import ProgressLine
from ngmm.training import programs

BAD_OPTIONS = [
    ({"optimizer": 1e-3}, "must be an optax transformation"),
    ({"optimizer": optax.adamw}, "call it, with a learning rate"),
    ({"epochs": 0}, 'epochs must be "auto" or a positive whole number, got 0'),
    ({"epochs": 2.5}, "epochs must be"),
    ({"batch_groups": "all"}, "batch_groups must be"),
    ({"batch_groups": True}, "batch_groups must be"),
    ({"validation": 0.9}, "share of groups to hold out, from 0 to 0.5"),
    ({"validation": None}, "validation must be"),
    ({"patience": -1}, "patience must be None or a positive whole number"),
    ({"precision": "float16"}, 'precision must be "float32" or "float64"'),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Stochastic(**options)


def test_more_groups_to_a_batch_than_there_are() -> None:
    with pytest.raises(OptionError, match="more than the 18 groups there are to train"):
        Stochastic(batch_groups=19).plan(100, 20, 9)
    assert Stochastic(batch_groups=18).plan(100, 20, 9).n_batches == 1
    with pytest.raises(OptionError, match="leaves no group to train on"):
        Stochastic().plan(100, 1, 100)


def test_the_plan_follows_the_size_of_the_data() -> None:
    small, large = (
        Stochastic().plan(1_000, 50, 30),
        Stochastic().plan(10**7, 10**5, 200),
    )
    assert small.n_batches == 1
    assert large.n_batches == 5_000
    assert small.epochs > large.epochs
    # A group with half of all rows stands in every batch's room: few batches.
    assert Stochastic().plan(100_000, 1_000, 50_000).n_batches == 4


@dataclass
class Line:
    """Least squares of a slope; the batches say what goes wrong, and when."""

    slopes: list[float] = field(default_factory=list)
    held_out: dict[int, float] = field(default_factory=dict)
    interrupt: int = 0
    broken: tuple[int, ...] = ()
    layout: None = None
    data: Any = 0.0
    drawn: int = 0

    @staticmethod
    def loss(w: Array, known: Any, batch: Any, data: Any, *, layout: None) -> Array:
        assert layout is None
        x, y = batch
        return jnp.mean((y - w * x) ** 2) + known + data

    def draw(self, generator: np.random.Generator) -> Any:
        self.drawn += 1
        if self.drawn == self.interrupt:
            raise KeyboardInterrupt
        x = generator.normal(size=(4, 10))
        return x, np.where(self.drawn in self.broken, np.nan, 2.0 * x)

    def settle(self, weights: Array, epoch: int, last: Any) -> float:
        assert (last is None) == (epoch == 0)
        return 0.0 * float(weights)

    def held_out_loss(self, weights: Array, known: Any) -> float | None:
        assert known == 0.0
        self.slopes.append(float(weights))
        if not self.held_out:
            return None
        return self.held_out.get(len(self.slopes), 1.0)

    def describe(self, known: Any) -> dict[str, float]:
        return {"known": known}


def run(task: Line, epochs: int = 30, patience: int = 100) -> Any:
    return follow(
        task,
        np.float64(0.0),
        ADAM,
        epochs=epochs,
        patience=patience,
        generator=np.random.default_rng(0),
        line=ProgressLine(False, ""),
    )


ADAM = optax.adam(0.05)


def test_the_epoch_that_predicts_best_is_kept() -> None:
    task = Line(held_out={3: 0.5, 7: 0.2, 8: 0.3})
    found = run(task, patience=5)
    assert found.best == 7
    assert float(found.weights) == task.slopes[6]
    # Five epochs without improvement after the seventh.
    assert len(found.history) == 12
    assert found.status is Status.CONVERGED


def test_without_groups_held_out_the_last_weights_are_kept() -> None:
    task = Line()
    found = run(task)
    assert found.best == 30
    assert float(found.weights) == task.slopes[-1]
    # 120 steps of 0.05 go three times as far as needed.
    assert float(found.weights) == pytest.approx(2.0, abs=0.05)


def test_an_interrupt_keeps_the_best_so_far() -> None:
    found = run(Line(held_out={2: 0.5}, interrupt=5))
    assert found.status is Status.INTERRUPTED
    assert len(found.history) == 4
    assert found.best == 2
    assert "interrupted" in found.status.sentence


def test_a_lost_loss_goes_back_to_the_best_weights_with_shorter_steps() -> None:
    task = Line(held_out={4: 0.5}, broken=(6,))
    found = run(task, epochs=8)
    assert found.status is not Status.NOT_FINITE
    assert len(found.history) == 7
    moves = np.abs(np.diff(task.slopes))
    # From the fourth epoch's weights, by steps a tenth as long: 4 x 0.05 / 10.
    assert abs(task.slopes[5] - task.slopes[3]) <= 0.02
    assert moves[0] > 0.05


def test_a_loss_that_stays_lost_ends_with_a_status() -> None:
    found = run(Line(held_out={2: 0.5}, broken=tuple(range(4, 99))))
    assert found.status is Status.NOT_FINITE
    assert len(found.history) == 3
    assert np.isfinite(found.weights)


@cache
def small(family: str = "gaussian") -> Design:
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(30), rng.integers(4, 16, 30))
    x1, x2 = rng.normal(size=(2, len(group)))
    eta = 1.0 + 0.8 * x1 - 0.5 * x2 + 0.7 * rng.normal(size=30)[group]
    y = eta + 0.5 * rng.normal(size=len(eta))
    if family == "bernoulli":
        y = (rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data = pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g": group})
    design, _ = ngmm.build_design(ngmm.parse("y ~ nn(x1, x2) + (1 | g)"), data)
    return design


@pytest.mark.parametrize(
    "family", ["gaussian", pytest.param("bernoulli", marks=pytest.mark.slow)]
)
def test_a_linear_network_reaches_the_maximum_of_the_likelihood(family: str) -> None:
    design = small(family)
    response = ngmm.families.get(family)
    options = Stochastic(
        optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 200)),
        epochs=200,
        batch_groups=30,
        validation=0.0,
        precision="float64",
    )
    found = training.train(design, [MLP(hidden=())], response, 15, options)
    X = np.column_stack([design.X, design.networks[0].inputs.x])
    names = ("Intercept", "a", "b")
    whole = replace(design, X=X, names=names, column_terms=names, networks=())
    exact = ngmm.Model(whole, response, quad=15).maximise()
    # Steps decay to zero at the optimum; the likelihood is flat there to second order.
    assert found.estimate.loglik == pytest.approx(exact.loglik, abs=1e-3)
    np.testing.assert_allclose(
        found.weights[0]["skip"], exact.beta[1:] / found.scale, atol=5e-3
    )
    np.testing.assert_allclose(found.estimate.theta, exact.theta, rtol=5e-3)
    # Orthogonal to the intercept, to rounding.
    assert abs(found.outputs[0].mean()) < 1e-12


def fit(seed: int) -> training.StochasticResult:
    options = Stochastic(epochs=6, batch_groups=5)
    network = MLP(hidden=(4,))
    return training.train(
        small(), [network], ngmm.families.get("gaussian"), options=options, seed=seed
    )


def compiled() -> list[int]:
    """Programs compiled so far."""
    functions = (stochastic_loop._epoch, programs.output, programs.sum_losses)
    return [f.cache_size() for f in functions]


def test_a_seed_gives_the_same_fit_to_the_last_bit() -> None:
    first = fit(1)
    n_programs = compiled()
    again = fit(1)
    assert compiled() == n_programs
    other = fit(2)
    jax.tree.map(np.testing.assert_array_equal, first.weights, again.weights)
    assert first.estimate.loglik == again.estimate.loglik
    np.testing.assert_array_equal(first.history.held_out, again.history.held_out)
    assert not np.array_equal(first.outputs[0], other.outputs[0])
    assert first.n_epochs == 6
    assert set(first.history.known) == {"theta[0]", "sigma"}


def test_crossed_factors_are_refused() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(60, 2)), columns=pd.Index(["y", "x"]))
    data["g"], data["h"] = np.arange(60) % 6, np.arange(60) % 5
    terms = ngmm.parse("y ~ nn(x) + (1 | g) + (1 | h)")
    design, _ = ngmm.build_design(terms, data)
    with pytest.raises(NotSupportedError, match=r"takes one grouping factor.*\(g, h\)"):
        training.train(design, [MLP()], ngmm.families.get("gaussian"))


def test_one_default_for_a_number_of_steps() -> None:
    """Programs are compiled for the transformation: another one would cost seconds."""
    assert default_optimizer(100) is default_optimizer(100)
