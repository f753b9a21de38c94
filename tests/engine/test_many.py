"""One program for many responses gives what fits of each of them give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm import datasets
from ngmm.errors import DataError, NotSupportedError
from ngmm.estimation.status import Status

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "slopes": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "reml": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"reml": True}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
    "quadrature": (CBPP, "cbpp", {"family": "binomial"}),
    "joint": (CBPP + " + (1 | obs)", "cbpp", {"family": "binomial", "quad": "laplace"}),
}

# Programs of their own; the others have the same parts.
LONG = ("joint", "reml")


def fitted(name: str) -> ngmm.MixedModelFit:
    formula, data, arguments = MODELS[name]
    frame = datasets.load(data)
    if name == "joint":
        # One level in two rows: factors that cross, so that Laplace's engine fits.
        frame = frame.assign(obs=np.arange(len(frame)) // 2)
    return ngmm.fit(formula, frame, **arguments)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in MODELS],
)
def test_as_refit(name: str) -> None:
    fit = fitted(name)
    Y = fit.simulate(7, seed=3).to_numpy().T
    found = fit.model.maximise_many(Y, fit.estimate)
    assert not found.failed.any()
    for i, y in enumerate(Y):
        one = fit.refit(y)
        # Both searches stop when a step gains less than 1e-8.
        np.testing.assert_allclose(found.loglik[i], one.loglik, atol=1e-8)
        # Which leaves a ten-thousandth of a standard error.
        se = one.bse.to_numpy()
        np.testing.assert_allclose((found.beta[i] - one.fixef) / se, 0.0, atol=1e-4)
        np.testing.assert_allclose(found.theta[i], one.theta, atol=1e-4)
        np.testing.assert_allclose(found.sigma[i], one.sigma, rtol=1e-6)


def test_offset_and_weights() -> None:
    data = datasets.load("sleepstudy")
    data = data.assign(w=1.0 + data["Days"] % 3, off=3.0 * data["Days"])
    formula = "Reaction ~ Days + (1 | Subject)"
    fit = ngmm.fit(formula, data, weights="w", offset="off")
    Y = np.stack([data["Reaction"], data["Reaction"] + np.arange(180.0)])
    found = fit.model.maximise_many(Y, fit.estimate)
    np.testing.assert_allclose(found.loglik[0], fit.loglik, atol=1e-8)
    one = fit.refit(Y[1])
    np.testing.assert_allclose(found.loglik[1], one.loglik, atol=1e-8)
    np.testing.assert_allclose(found.beta[1], one.fixef, rtol=1e-8)


def test_blocks_do_not_matter() -> None:
    """More responses than a block has: the last block is filled with repeats."""
    fit = fitted("slopes")
    Y = fit.simulate(131, seed=1).to_numpy().T
    done: list[int] = []
    found = fit.model.maximise_many(Y, fit.estimate, advance=done.append)
    assert done == [128, 131]
    alone = fit.model.maximise_many(Y[128:], fit.estimate)
    # The same arithmetic, in another order.
    np.testing.assert_allclose(found.loglik[128:], alone.loglik, atol=1e-9)
    assert len(found.beta) == len(found.status) == 131


def test_nothing_left_to_estimate_is_a_failure() -> None:
    fit = fitted("slopes")
    Y = np.stack([fit.design.y, 2.0 + 3.0 * fit.design.X[:, 1]])
    found = fit.model.maximise_many(Y, fit.estimate)
    assert list(found.failed) == [False, True]
    assert found.status[1] == Status.NOT_FINITE


def test_few_steps_are_a_failure() -> None:
    fit = fitted("slopes")
    Y = fit.simulate(2, seed=1).to_numpy().T
    found = fit.model.maximise_many(Y, fit.estimate, max_steps=1)
    assert found.failed.all()
    assert (found.status == Status.MAX_STEPS).all()


def test_refuses() -> None:
    fit = fitted("slopes")
    with pytest.raises(DataError, match="180 columns"):
        fit.model.maximise_many(np.zeros((3, 179)), fit.estimate)
    with pytest.raises(DataError, match="missing or infinite"):
        fit.model.maximise_many(np.full((3, 180), np.nan), fit.estimate)
    network = ngmm.fit(
        "Reaction ~ nn(Days, hidden=()) + (1 | Subject)", datasets.load("sleepstudy")
    )
    with pytest.raises(NotSupportedError, match="refit"):
        network.model.maximise_many(np.zeros((1, 180)), network.estimate)


def test_a_valley_that_bends() -> None:
    """A correlation of one beside a small variance: a hundred straight steps fail."""
    fit = fitted("slopes")
    y = fit.simulate(1000, seed=3).to_numpy()[:, 98]
    found = fit.refit(y).estimate
    assert found.status is Status.CONVERGED
    assert found.theta[2] == 0.0
    # 17 steps; twice as many leave room for another rounding.
    assert found.n_steps < 35
