"""A convolutional network for images, and what scale and shift of its channels do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.errors import OptionError
from ngmm.networks.activations import activation_named
from ngmm.networks.groups import Groups
from ngmm.networks.images import (
    KERNEL,
    Pixels,
    convolve,
    halved,
    image_of,
    modulated,
    normal,
    zeros,
)
from ngmm.networks.inputs import Inputs
from ngmm.networks.mlp import check_widths

__all__ = ["CNN"]

VARYING = ("units", "channels")


class _Passed(NamedTuple):
    """What the layers give: each channel's mean over the image, dense layers."""

    channels: tuple[Array, ...]
    dense: tuple[Array, ...]


@dataclass(frozen=True)
class CNN:
    """A convolutional network for one image a row, and numbers beside it.

    Each convolutional layer has 3 x 3 filters, an activation, and means over 2 x 2
    pixels. The last one's channels, and the numeric inputs of the term, go through
    dense layers to a linear output.

    Parameters
    ----------
    channels
        Channels of the convolutional layers.
    hidden
        Widths of the dense layers.
    activation
        Name of the activation: tanh, relu, silu, gelu, softplus, sigmoid or identity.
    varying
        What random slopes ``(1 + nn | g)`` multiply: the last hidden ``"units"``, or
        scale and shift of the ``"channels"``, or both in a tuple.
    standardised
        ``"rows"``: what is subtracted from each pixel, and what it is divided by, are
        the same in all images. ``"image"``: mean and standard deviation of each channel
        of the image itself, so that its brightness and contrast say nothing. Where
        groups of images differ in these, a network cannot tell groups by them.
    centre, spread
        Of pixels standardised by ``"rows"``; None for mean and standard deviation over
        the rows of the fit, to two digits.

    Raises
    ------
    OptionError
        If the options are not what they should be, or a term has not exactly one image.

    Notes
    -----
    Scale and shift of the channels by group is feature-wise linear modulation (Perez et
    al. 2018, AAAI 32) with random effects: channel c of a layer is (1 + u_c) a_c + v_c
    before the activation, with u and v of the group. It is taken to first order in u
    and v, so that the model is linear in the random effects: what these multiply are
    the derivatives of the output in them.

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.networks import CNN, Inputs
    >>> network = CNN(channels=(4,), hidden=(8,))
    >>> inputs = Inputs(np.zeros((5, 0)), arrays=(np.ones((5, 8, 8)),))
    >>> network.layout(inputs)
    '8x8-4c-8-1'
    """

    channels: tuple[int, ...] = (8, 16)
    hidden: tuple[int, ...] = (16,)
    activation: str = "silu"
    varying: str | tuple[str, ...] = "units"
    standardised: str = "rows"
    centre: float | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        activation_named(self.activation)
        check_widths("channels", self.channels)
        check_widths("hidden", self.hidden, "for no dense layer")
        object.__setattr__(self, "varying", check_varying(self.varying))
        # Raises where it is not known.
        self._pixels  # noqa: B018

    @property
    def _pixels(self) -> Pixels:
        return Pixels(self.standardised, self.centre, self.spread)

    def for_inputs(self, inputs: Inputs) -> CNN:
        """Return the network with the scaling of pixels that suits these rows."""
        found = self._pixels.for_inputs(inputs)
        return replace(self, centre=found.centre, spread=found.spread)

    def init(self, key: Array, inputs: Inputs) -> dict[str, Any]:
        """Return weights drawn as normal / sqrt(fan in); biases are zero."""
        image = image_of(inputs)
        rows, columns = image.shape[1:3]
        depth = image.shape[3] if image.ndim == 4 else 1
        keys = iter(jax.random.split(key, len(self.channels) + len(self.hidden) + 1))
        filters = []
        for before, after in pairwise((depth, *self.channels)):
            shape = (KERNEL, KERNEL, before, after)
            K = normal(next(keys), shape, KERNEL**2 * before)
            filters.append((K, zeros(after)))
            rows, columns = -(-rows // 2), -(-columns // 2)
        flat = rows * columns * self.channels[-1] + inputs.x.shape[1]
        layers = tuple(
            (normal(next(keys), (a, b), a), zeros(b))
            for a, b in pairwise((flat, *self.hidden))
        )
        width = (flat, *self.hidden)[-1]
        out = normal(next(keys), (width,), width)
        return {"filters": tuple(filters), "layers": layers, "out": out}

    def apply(self, weights: Mapping[str, Any], inputs: Inputs) -> Array:
        """Return the output for each row, shape (n,)."""
        return self._pass(weights, inputs, None).dense[-1] @ weights["out"]

    def activations(
        self, weights: Mapping[str, Any], inputs: Inputs
    ) -> tuple[Array, ...]:
        """Return the channels' means and the dense layers, each of shape (n, width)."""
        found = self._pass(weights, inputs, None)
        return (*found.channels, *found.dense[1:])

    def units(self, weights: Mapping[str, Any], inputs: Inputs) -> Array:
        """Return what random slopes multiply, (n, k)."""
        parts = []
        if "units" in self.varying:
            parts.append(self.activations(weights, inputs)[-1])
        if "channels" in self.varying:
            parts.append(self._tangents(weights, inputs))
        return jnp.concatenate(parts, axis=1)

    def unit_names(self) -> tuple[str, ...]:
        """Return the names of what random slopes multiply."""
        names: list[str] = []
        if "units" in self.varying:
            width = (*self.channels, *self.hidden)[-1]
            names += [f"[{i + 1}]" for i in range(width)]
        if "channels" in self.varying:
            names += channel_names(self.channels)
        return tuple(names)

    def natural(self) -> tuple[bool, ...]:
        """Return which of these are derivatives in scale and shift."""
        return tuple(name.startswith(".") for name in self.unit_names())

    def _tangents(self, weights: Mapping[str, Any], inputs: Inputs) -> Array:
        """Derivative of the output in scale and shift of all channels, (n, k)."""

        def total(m: Array) -> Array:
            return (self._pass(weights, inputs, m).dense[-1] @ weights["out"]).sum()

        n, k = image_of(inputs).shape[0], 2 * sum(self.channels)
        return jax.grad(total)(jnp.zeros((n, k), weights["out"].dtype))

    def penalty_groups(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ridge group of each weight: one for each array."""
        groups = Groups()
        return jax.tree.map(lambda a: groups.one(np.shape(a)), dict(weights))

    def layout(self, inputs: Inputs) -> str:
        """Return image, channels and widths, ``"8x8-8c-16c-16-1"``."""
        size = "x".join(map(str, image_of(inputs).shape[1:]))
        channels = (f"{n}c" for n in self.channels)
        return "-".join([size, *channels, *map(str, self.hidden), "1"])

    def symmetries(self, weights: Any = None) -> float:  # noqa: ARG002
        """Return the log of the number of orders of channels and units."""
        return sum(math.lgamma(n + 1.0) for n in (*self.channels, *self.hidden))

    def _pass(
        self, weights: Mapping[str, Any], inputs: Inputs, modulators: Array | None
    ) -> _Passed:
        activation = activation_named(self.activation).function
        h = self._pixels.scaled(inputs, weights["out"].dtype).values
        channels, start = [], 0
        for K, c in weights["filters"]:
            stop = start + 2 * K.shape[-1]
            m = None if modulators is None else modulators[:, start:stop]
            h = halved(activation(modulated(convolve(h, K) + c, m)))
            channels.append(h.mean((1, 2)))
            start = stop
        flat = h.reshape(len(h), -1)
        dense = [jnp.concatenate([flat, inputs.x.astype(flat.dtype)], axis=1)]
        for W, c in weights["layers"]:
            dense.append(activation(dense[-1] @ W + c))
        return _Passed(tuple(channels), tuple(dense))


def check_varying(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return what random slopes multiply as a tuple.

    Raises
    ------
    OptionError
        If it is nothing that they can multiply.
    """
    what = (value,) if isinstance(value, str) else tuple(value)
    if not what or set(what) - set(VARYING):
        raise OptionError(
            f"varying={value!r} is not known; it is what random slopes multiply: "
            '"units", "channels", or ("units", "channels")'
        )
    return what


def channel_names(widths: tuple[int, ...], mark: str = "") -> list[str]:
    """Return names of scale and shift of the channels of layers."""
    return [
        f".{what}{mark}[{layer + 1},{c + 1}]"
        for layer, n in enumerate(widths)
        for what in ("scale", "shift")
        for c in range(n)
    ]
