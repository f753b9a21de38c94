"""Networks of other libraries, and of arrays, from the formula to predictions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ngmm
from tests.neural.frames import frame

ONE = ngmm.Evidence(restarts=1)
FORMULA = "y ~ x1 + nn(x1, x2, net=own) + (1 | g)"


def equinox_mlp() -> Any:
    eqx = pytest.importorskip("equinox")

    def make(key: Any) -> Any:
        return eqx.nn.MLP(2, "scalar", 4, 1, activation=jnp.tanh, key=key)

    return make


def flax_mlp() -> Any:
    linen = pytest.importorskip("flax.linen")
    layers = [linen.Dense(4), jnp.tanh, linen.Dense(1)]
    return linen.Sequential(layers)


@pytest.mark.slow
@pytest.mark.parametrize("make", [equinox_mlp, flax_mlp])
def test_modules_find_the_function(make: Any) -> None:
    data = frame()
    fit: Any = ngmm.fit(FORMULA, data, networks={"own": make()}, estimator=ONE)
    f = fit.predict(kind="terms")["nn(x1, x2)"]
    shared = np.column_stack([np.ones(len(data)), data["x1"]])
    truth = data["f"] - shared @ np.linalg.lstsq(shared, data["f"], rcond=None)[0]
    # The noise has a standard deviation of 0.5, about ten weights are determined.
    assert np.mean((f - truth) ** 2) < 0.06 < 0.2 < np.mean(truth**2)
    assert 4 < fit.networks.edf[0] < 17
    assert fit.sigma == pytest.approx(0.5, abs=0.1)
    assert np.isfinite(fit.predict(data.iloc[:5], se=True)).all(axis=None)


def init(key: Any, images: Any) -> dict[str, Any]:
    del images
    first, second = jax.random.split(key)
    return {
        "kernels": 0.3 * jax.random.normal(first, (2, 1, 3, 3)),
        "out": 0.3 * jax.random.normal(second, (2,)),
    }


def convolve(w: dict[str, Any], images: Any) -> Any:
    x = images[:, None].astype(w["kernels"].dtype)
    h = jax.lax.conv(x, w["kernels"], (2, 2), "VALID")
    return jnp.tanh(h).mean((2, 3)) @ w["out"]


def images(data: Any) -> dict[str, Any]:
    """A mapping of columns, with images in the middle of which x2 is seen."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(len(data), 8, 8)).astype(np.float32)
    pixels[:, 2:5, 2:5] += data["x2"].to_numpy()[:, None, None]
    y = data["y"] - data["f"] + np.sin(data["x1"]) + data["x2"]
    return {"y": y.to_numpy(), "x1": data["x1"], "g": data["g"], "image": pixels}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [ONE, ngmm.Stochastic(epochs=60)])
def test_images(estimator: Any) -> None:
    data = frame()
    given = images(data)
    fit: Any = ngmm.fit(
        "y ~ x1 + nn(image, net=cnn) + (1 | g)",
        given,
        networks={"cnn": (init, convolve)},
        estimator=estimator,
    )
    f = fit.predict(kind="terms")["nn(image)"]
    # What the image shows of x2 is blurred by noise of one third a pixel.
    assert np.corrcoef(f, data["x2"])[0, 1] > 0.8
    # Minibatches work in single precision.
    assert abs(float(f.sum())) < 1e-6 * len(f)
    new = {name: values[:5] for name, values in given.items()}
    answer = fit.predict(new, se=True)
    # The same rows: sums in another order, in single precision by minibatches.
    np.testing.assert_allclose(answer["fit"], fit.fitted()[:5], rtol=1e-4)
    assert np.isfinite(answer).all(axis=None)
