"""The autoencoder against changed weights, densities and exact derivatives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from ngmm.errors import OptionError
from ngmm.linalg import precise
from ngmm.networks import Autoencoder, Inputs, Layered, Reconstructing

ROWS = 4


def inputs_of(*shape: int, columns: int = 1) -> Inputs:
    """Images with an odd edge, and numbers beside them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, columns))
    return Inputs(x, arrays=(rng.normal(2.0, 3.0, size=(ROWS, *shape)),))


def drawn(network: Autoencoder, inputs: Inputs) -> dict[str, Any]:
    """Weights without zeros."""
    rng = np.random.default_rng(1)
    weights = network.init(jax.random.key(0), inputs)
    return jax.tree.map(
        lambda a: np.asarray(a) + 0.2 * rng.normal(size=a.shape), weights
    )


def made(shape: tuple[int, ...] = (7, 6), **options: Any) -> tuple[Any, Any, Inputs]:
    """A network with weights and inputs."""
    inputs = inputs_of(*shape)
    network = Autoencoder((2, 3), 3, (4,), **options).for_inputs(inputs)
    with precise():
        return network, drawn(network, inputs), inputs


def test_it_is_what_the_fit_asks_of_it() -> None:
    network, weights, inputs = made(varying=("units", "channels"))
    assert isinstance(network, Layered)
    assert isinstance(network, Reconstructing)
    names = network.unit_names()
    with precise():
        units = jax.jit(network.units)(weights, inputs)
        layers = jax.jit(network.activations)(weights, inputs)
    assert len(set(names)) == len(names) == units.shape[1]
    assert names[:4] == ("[1]", "[2]", "[3]", ".scale[1,1]")
    # The decoder's layers go back from three channels to two, and to the image.
    assert names[-2:] == (".scale'[2,1]", ".shift'[2,1]")
    assert network.natural() == (False,) * 3 + (True,) * (len(names) - 3)
    assert [h.shape[1] for h in layers] == [2, 3, 3]


@pytest.mark.parametrize("shape", [(7, 6), (5, 5, 3)])
@pytest.mark.parametrize("standardised", ["rows", "image"])
def test_scale_and_shift_are_other_filters_and_biases(
    shape: tuple[int, ...], standardised: str
) -> None:
    # The last layer too: all channels of the image have one scale and one shift.
    network, weights, inputs = made(shape, standardised=standardised)
    rng = np.random.default_rng(2)
    effects = 0.3 * rng.normal(size=len(network.unit_names()))
    changed = dict(weights)
    start = 0
    for part in ("encoder", "decoder"):
        layers = []
        for i, (K, c) in enumerate(weights[part]):
            last = part == "decoder" and i == 1
            width = 1 if last else K.shape[-1]
            u, v = effects[start : start + 2 * width].reshape(2, width)
            layers.append((K * (1.0 + u), c * (1.0 + u) + v))
            start += 2 * width
        changed[part] = tuple(layers)
    with precise():
        b = jnp.asarray(np.tile(effects, (ROWS, 1)))
        found = network.reconstruct(weights, inputs, b)
        expected = network.reconstruct(changed, inputs)
    assert found.shape == inputs.arrays[0].shape
    # Rounding of sums of a few dozen terms of the size of the images.
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
def test_units_are_derivatives_of_the_head_that_mixes_codes(hidden: Any) -> None:
    inputs = inputs_of(7, 6)
    network = Autoencoder((2, 3), 3, hidden).for_inputs(inputs)
    own = 2 * 5
    with precise():
        weights = drawn(network, inputs)
        # With the weights of the code itself the head sees the changed code only.
        code_rows = weights["head"][0][0] if hidden else weights["out"][:, None]
        weights["mix"] = code_rows[:3]
        columns = np.asarray(network.units(weights, inputs))
        step = 1e-5
        for j in range(own):
            outputs = []
            for sign in (1.0, -1.0):
                effects = np.zeros(len(network.unit_names()))
                effects[j] = sign * step
                outputs.append(network.apply(_encoder(weights, effects), inputs))
            slope = (outputs[0] - outputs[1]) / (2.0 * step)
            # Error of central differences: step^2 and rounding over the step.
            np.testing.assert_allclose(columns[:, j], slope, rtol=1e-6, atol=1e-8)
    # The response does not see the decoder.
    np.testing.assert_array_equal(columns[:, own:], 0.0)


def _encoder(weights: dict[str, Any], effects: np.ndarray) -> dict[str, Any]:
    """Weights with scale and shift in the encoder."""
    layers, start = [], 0
    for K, c in weights["encoder"]:
        u, v = effects[start : start + 2 * K.shape[-1]].reshape(2, -1)
        layers.append((K * (1.0 + u), c * (1.0 + u) + v))
        start += 2 * K.shape[-1]
    return weights | {"encoder": tuple(layers)}


@pytest.mark.parametrize("with_effects", [False, True])
def test_its_loss_is_a_density_per_pixel(with_effects: bool) -> None:
    network, weights, inputs = made(reconstruction=0.7)
    k = len(network.unit_names())
    with precise():
        effects = jnp.full((ROWS, k), 0.1) if with_effects else None
        loss = network.own_loss(weights, inputs, effects)
        images = np.asarray(network.reconstruct(weights, inputs, effects))
    sd = np.exp(0.5 * float(weights["log_variance"][int(with_effects)]))
    z = (inputs.arrays[0] - images) / network.spread
    # Without the constant of the density.
    expected = -norm.logpdf(z, scale=sd).mean((1, 2)) - 0.5 * np.log(2.0 * np.pi)
    np.testing.assert_allclose(loss, 0.7 * expected, rtol=1e-12)


def test_images_standardised_one_by_one_keep_brightness_and_contrast() -> None:
    network, weights, inputs = made(standardised="image")
    image = inputs.arrays[0]
    a = np.array([0.5, 2.0, 1.0, 7.0])[:, None, None]
    other = Inputs(inputs.x, arrays=(a * image - 3.0 * a,))
    with precise():
        same = network.apply(weights, inputs), network.apply(weights, other)
        here = np.asarray(network.reconstruct(weights, inputs))
        there = np.asarray(network.reconstruct(weights, other))
    # Rounding only: numbers of the size of ten.
    np.testing.assert_allclose(same[0], same[1], rtol=1e-11)
    np.testing.assert_allclose(there, a * here - 3.0 * a, rtol=1e-10, atol=1e-10)


def test_a_blank_image_has_finite_derivatives() -> None:
    network, weights, _ = made(standardised="image")
    blank = Inputs(np.zeros((1, 1)), arrays=(np.full((1, 7, 6), 0.3),))
    with precise():
        slope = jax.jit(jax.grad(lambda w: network.own_loss(w, blank).sum()))(weights)
        np.testing.assert_allclose(network.reconstruct(weights, blank), 0.3, atol=1e-4)
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(slope))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ()}, "channels="),
        ({"code": 0}, "code="),
        ({"hidden": 8}, "hidden="),
        ({"varying": "film"}, '"channels"'),
        ({"standardised": "group"}, '"image"'),
        ({"reconstruction": -1.0}, "reconstruction="),
        ({"reconstruction": float("nan")}, "reconstruction="),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Autoencoder(**options)
