"""The convolutional network against scipy's correlation and exact derivatives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

import ngmm
from ngmm.errors import DataError, OptionError
from ngmm.linalg import precise
from ngmm.networks import CNN, Inputs

ROWS = 6


def images(rows: int = 7, columns: int = 5) -> np.ndarray:
    """Images with an odd number of rows and columns."""
    return np.random.default_rng(0).normal(size=(ROWS, rows, columns))


def drawn(network: CNN, inputs: Inputs) -> Any:
    """Weights with biases that are not zero."""
    rng = np.random.default_rng(1)
    weights = network.init(jax.random.key(0), inputs)
    return jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape), weights)


def test_layers_are_correlations_and_means() -> None:
    network = CNN((2,), (), activation="tanh", centre=0.0, spread=1.0)
    inputs = Inputs(np.zeros((ROWS, 0)), arrays=(images(),))
    with precise():
        weights = drawn(network, inputs)
        found = np.asarray(network.apply(weights, inputs))
        (means,) = network.activations(weights, inputs)
    ((K, c),) = (tuple(map(np.asarray, f)) for f in weights["filters"])
    for i, image in enumerate(images()):
        pooled = []
        for channel in range(2):
            sums = correlate2d(image, K[:, :, 0, channel], mode="same") + c[channel]
            a = np.pad(np.tanh(sums), ((0, 1), (0, 1)), mode="edge")
            pooled.append(a.reshape(4, 2, 3, 2).mean((1, 3)))
        flat = np.stack(pooled, -1).ravel()
        # Rounding of sums of a few dozen terms.
        assert found[i] == pytest.approx(flat @ np.asarray(weights["out"]), abs=1e-13)
        expected = np.array(pooled).mean((1, 2))
        np.testing.assert_allclose(np.asarray(means)[i], expected, atol=1e-14)


@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.slow
def test_scale_and_shift_are_derivatives_in_filters_and_biases(hidden: Any) -> None:
    network = CNN((2, 3), hidden, varying="channels", centre=0.2, spread=0.5)
    inputs = Inputs(np.ones((ROWS, 1)), arrays=(images(),))
    with precise():
        weights = drawn(network, inputs)
        columns = dict(
            zip(network.unit_names(), network.units(weights, inputs).T, strict=True)
        )

        def along(layer: int, channel: int, *, scale: bool) -> np.ndarray:
            zero = jax.tree.map(jnp.zeros_like, weights)
            K, c = weights["filters"][layer]
            dK = jnp.zeros_like(K).at[..., channel].set(K[..., channel])
            dc = jnp.zeros_like(c).at[channel].set(c[channel] if scale else 1.0)
            filters = list(zero["filters"])
            filters[layer] = (dK if scale else jnp.zeros_like(K), dc)
            direction = {**zero, "filters": tuple(filters)}
            f = lambda w: network.apply(w, inputs)  # noqa: E731
            return np.asarray(jax.jvp(f, (weights,), (direction,))[1])

        for layer, n in enumerate(network.channels):
            for channel in range(n):
                for what in ("scale", "shift"):
                    name = f".{what}[{layer + 1},{channel + 1}]"
                    expected = along(layer, channel, scale=what == "scale")
                    # Two orders of the same sums.
                    np.testing.assert_allclose(
                        np.asarray(columns.pop(name)), expected, atol=1e-13
                    )
    assert not columns


def test_pixels_are_scaled_by_the_rows_of_the_fit() -> None:
    inputs = Inputs(np.zeros((ROWS, 0)), arrays=(200.0 + 50.0 * images(),))
    network = CNN().for_inputs(inputs)
    # Two digits.
    assert network.centre == pytest.approx(inputs.arrays[0].mean(), rel=0.05)
    assert network.spread == pytest.approx(inputs.arrays[0].std(), rel=0.05)
    constant = Inputs(np.zeros((2, 0)), arrays=(np.ones((2, 4, 4)),))
    assert CNN().for_inputs(constant).spread == 1.0


def test_channels_of_colour() -> None:
    image = np.random.default_rng(0).normal(size=(4, 6, 6, 3))
    inputs = Inputs(np.zeros((4, 0)), arrays=(image,))
    network = CNN((2,), (3,))
    weights = network.init(jax.random.key(0), inputs)
    assert weights["filters"][0][0].shape == (3, 3, 3, 2)
    assert network.apply(weights, inputs).shape == (4,)
    assert network.layout(inputs) == "6x6x3-2c-3-1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ()}, "channels="),
        ({"channels": (0,)}, "channels="),
        ({"hidden": 8}, "hidden="),
        ({"varying": "film"}, '"channels"'),
        ({"activation": "sine"}, "activation="),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        CNN(**options)


def fit(data: Any, formula: str = "y ~ nn(image, net=cnn) + (1 | g)") -> Any:
    """A fit of a small network."""
    return ngmm.fit(
        formula,
        data,
        networks={"cnn": CNN((2,), (3,))},
        estimator=ngmm.Joint(epochs=2, batch_rows=8),
        progress=False,
    )


def small() -> dict[str, Any]:
    """Sixty-four images of stripes in eight groups."""
    rng = np.random.default_rng(0)
    g = np.arange(64) % 8
    x = rng.normal(size=64)
    image = x[:, None, None] * np.array([1.0, -1.0] * 2)[:, None] + 0.1 * rng.normal(
        size=(64, 4, 4)
    )
    y = np.abs(x) + rng.normal(size=8)[g] + 0.1 * rng.normal(size=64)
    return {"y": y, "image": image, "g": g}


def test_what_is_no_image_is_refused() -> None:
    data = small()
    with pytest.raises(OptionError, match="one image a row"):
        fit(data | {"x": data["y"]}, "y ~ nn(x, net=cnn) + (1 | g)")
    with pytest.raises(OptionError, match="one image a row"):
        fit({**data, "image": data["image"][:, 0]})


def test_images_of_unequal_size_are_refused() -> None:
    data = small()
    ragged = np.empty(64, dtype=object)
    for i in range(64):
        ragged[i] = np.zeros((4, 4 + (i == 3)))
    with pytest.raises(DataError, match="image"):
        fit({**data, "image": ragged})


# Two epochs are enough here, and are no training.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
@pytest.mark.slow
def test_random_slopes_on_channels() -> None:
    data = small()
    found = ngmm.fit(
        "y ~ nn(image, net=cnn) + (1 + nn(net=cnn) || g)",
        data,
        networks={"cnn": CNN((2,), (3,), varying=("units", "channels"))},
        estimator=ngmm.Joint(epochs=2, batch_rows=8),
        progress=False,
    )
    names = list(found.ranef()["g"].columns)
    assert names[0] == "Intercept"
    assert {"cnn[1]", "cnn.scale[1,1]", "cnn.shift[1,2]"} <= set(names)
    # The same rows, as new ones.
    np.testing.assert_allclose(found.predict(data), found.fitted(), rtol=1e-8)
    new = {name: values[:5] for name, values in data.items()} | {"g": np.full(5, 99)}
    adapted = found.adapt(new)
    assert np.isfinite(adapted.predict(new)).all()


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1.0, 20.0])
def test_the_sd_of_a_scale_is_relative(unit: float) -> None:
    # Steeper and flatter responses to one filter: scale 1 + u of its channel.
    rng = np.random.default_rng(0)
    g, image = np.arange(1200) % 30, rng.normal(size=(1200, 4, 4))
    u = 0.4 * rng.normal(size=30)
    f = image[:, 1:3, 1:3].mean((1, 2))
    y = unit * ((1.0 + u[g]) * f + 0.1 * rng.normal(size=1200))
    network = CNN((1,), (), activation="identity", varying="channels")
    found = ngmm.fit(
        "y ~ nn(image, net=cnn) + (1 + nn(net=cnn) || g)",
        {"y": y, "image": image, "g": g},
        networks={"cnn": network},
        estimator=ngmm.Joint(held_out=0.0),
        progress=False,
    )
    frame = found.varcorr().to_frame()
    sd = float(frame.loc[frame["name"] == "cnn.scale[1,1]", "sd"].iloc[0])
    # The filter is known only as well as the noise lets it: 0.1 against 0.5.
    assert sd == pytest.approx(np.sqrt((u**2).mean()), rel=0.1)
