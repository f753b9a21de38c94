"""What networks lose beside the response, as the objective counts it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ngmm
from ngmm.design import build_design
from ngmm.families import get
from ngmm.formula import parse
from ngmm.linalg import precise
from ngmm.networks import Autoencoder, network_for
from ngmm.training.joint.arrays import Batch
from ngmm.training.joint.objective import (
    divergence,
    loss,
    predictor,
    response_losses,
    take,
)
from ngmm.training.joint.own import own_losses
from ngmm.training.joint.task import JointTask, prepare

ROWS, GROUPS = 24, 4
KEY = np.array([1, 2], dtype=np.uint32)


def task_of(formula: str, **options: Any) -> JointTask:
    """A few images in groups."""
    rng = np.random.default_rng(0)
    data = {
        "y": rng.normal(size=ROWS),
        "image": rng.normal(size=(ROWS, 4, 4)),
        "g": np.arange(ROWS) % GROUPS,
    }
    design, _ = build_design(parse(formula), data)
    named = {"ae": Autoencoder((2,), 2, (2,), reconstruction=0.5)}
    networks = tuple(network_for(d, named) for d in design.networks)
    joint = ngmm.Joint(held_out=0.0, batch_rows=6, **options)
    return prepare(design, networks, get("gaussian"), options=joint)


SLOPES = "y ~ nn(image, net=ae) + (1 + nn(net=ae) || g)"


def with_effects(task: JointTask, log_sd: float) -> Any:
    """Weights whose random effects are not zero."""
    weights = task.initial_weights(0)
    (b,) = weights.effects
    mean = 0.3 * np.random.default_rng(1).normal(size=np.shape(b.mean))
    return weights._replace(
        effects=(b._replace(mean=mean, log_sd=np.full_like(mean, log_sd)),)
    )


@pytest.mark.slow
def test_random_effects_are_drawn_row_by_row() -> None:
    task = task_of(SLOPES)
    network, data = task.layout.networks[0], task.arrays
    with precise():
        # Without spread they are their means.
        certain = with_effects(task, -40.0)
        found = own_losses(certain, data, task.layout, KEY)
        b = jnp.asarray(certain.effects[0].mean)[np.arange(ROWS) % GROUPS][:, 1:]
        each = network.own_loss(certain.networks[0], data.inputs[0], b)  # type: ignore[attr-defined]
        least = float(each.mean())
        # Single precision.
        assert float(found.with_effects) == pytest.approx(least, rel=1e-6)
        # A shift of the image drawn with sd s adds s^2 to the squared error.
        weights = with_effects(task, -40.0)
        (effects,) = weights.effects
        effects.log_sd[:, -1] = np.log(0.5)
        sums = jax.jit(
            lambda key: own_losses(weights, data, task.layout, key).with_effects
        )
        keys = np.random.default_rng(2).integers(2**32, size=(500, 2), dtype=np.uint32)
        drawn = np.array([float(sums(k)) for k in keys])
    added = 0.5 * 0.5 * 0.5**2  # half, the weight, the variance
    error = drawn.std(ddof=1) / np.sqrt(len(drawn))
    assert drawn.mean() - least == pytest.approx(added, abs=4.0 * error)


@pytest.mark.parametrize("population", [0.0, 0.25])
def test_the_objective_adds_what_networks_lose(population: float) -> None:
    task = task_of(SLOPES, population=population)
    weights, rows = with_effects(task, -1.0), np.arange(6)
    known = task.settle(weights, 1, None)._replace(told={})
    with precise():
        total = loss(weights, known, Batch(rows, KEY), task.arrays, layout=task.layout)
        some = take(task.arrays, rows)
        at = predictor(weights, known, some, task.layout)
        given, alone = response_losses(at, weights, some, task.layout)
        own = own_losses(weights, some, task.layout, KEY)
        expected = given.mean() + divergence(weights, known) / ROWS + own.with_effects
        expected += population * (alone.mean() + own.without)
    # The same sums in another order, in single precision.
    assert float(total) == pytest.approx(float(expected), rel=1e-6)


def test_without_random_effects_on_units_there_is_one_loss() -> None:
    task = task_of("y ~ nn(image, net=ae) + (1 | g)")
    with precise():
        found = own_losses(task.initial_weights(0), task.arrays, task.layout, KEY)
    assert float(found.with_effects) == float(found.without) > 0.0


def test_batches_have_keys_where_something_is_drawn() -> None:
    drawn = task_of(SLOPES).draw(np.random.default_rng(0))
    assert len(np.unique(drawn.key, axis=0)) == len(drawn.rows)
