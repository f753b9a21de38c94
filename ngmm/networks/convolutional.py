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
from ngmm.networks.inputs import Inputs
from ngmm.networks.mlp import check_widths

__all__ = ["CNN"]

# Rows and columns of a filter.
KERNEL = 3
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
    centre, spread
        What is subtracted from each pixel, and what it is divided by; None for mean and
        standard deviation over the rows of the fit, to two digits.

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
    >>> network = CNN(channels=(4,), hidden=(8,))
    >>> inputs = Inputs(np.zeros((5, 0)), arrays=(np.ones((5, 8, 8)),))
    >>> network.layout(inputs)
    '8x8-4c-8-1'
    """

    channels: tuple[int, ...] = (8, 16)
    hidden: tuple[int, ...] = (16,)
    activation: str = "silu"
    varying: str | tuple[str, ...] = "units"
    centre: float | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        activation_named(self.activation)
        check_widths("channels", self.channels)
        check_widths("hidden", self.hidden, "for no dense layer")
        what = (self.varying,) if isinstance(self.varying, str) else self.varying
        if not what or set(what) - set(VARYING):
            raise OptionError(
                f"varying={self.varying!r} is not known; it is what random slopes "
                'multiply: "units", "channels", or ("units", "channels")'
            )
        object.__setattr__(self, "varying", tuple(what))

    def for_inputs(self, inputs: Inputs) -> CNN:
        """Return the network with the scaling of pixels that suits these rows."""
        image = np.asarray(_image(inputs), dtype=np.float64)
        centre, spread = self.centre, self.spread
        if centre is None:
            centre = float(f"{image.mean():.1e}")
        if spread is None:
            spread = float(f"{image.std():.1e}") or 1.0
        return replace(self, centre=centre, spread=spread)

    def init(self, key: Array, inputs: Inputs) -> dict[str, Any]:
        """Return weights drawn as normal / sqrt(fan in); biases are zero."""
        image = _image(inputs)
        rows, columns = image.shape[1:3]
        depth = image.shape[3] if image.ndim == 4 else 1
        keys = iter(jax.random.split(key, len(self.channels) + len(self.hidden) + 1))
        filters = []
        for before, after in pairwise((depth, *self.channels)):
            K = _normal(next(keys), (KERNEL, KERNEL, before, after))
            filters.append((K / (KERNEL * math.sqrt(before)), _zeros(after)))
            rows, columns = -(-rows // 2), -(-columns // 2)
        flat = rows * columns * self.channels[-1] + inputs.x.shape[1]
        layers = tuple(
            (_normal(next(keys), (a, b)) / math.sqrt(a), _zeros(b))
            for a, b in pairwise((flat, *self.hidden))
        )
        width = (flat, *self.hidden)[-1]
        out = _normal(next(keys), (width,)) / math.sqrt(width)
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
            names += [
                f".{what}[{layer + 1},{c + 1}]"
                for layer, n in enumerate(self.channels)
                for what in ("scale", "shift")
                for c in range(n)
            ]
        return tuple(names)

    def natural(self) -> tuple[bool, ...]:
        """Return which of these are derivatives in scale and shift."""
        return tuple(name.startswith(".") for name in self.unit_names())

    def _tangents(self, weights: Mapping[str, Any], inputs: Inputs) -> Array:
        """Derivative of the output in scale and shift of all channels, (n, k)."""

        def total(m: Array) -> Array:
            return (self._pass(weights, inputs, m).dense[-1] @ weights["out"]).sum()

        n, k = _image(inputs).shape[0], 2 * sum(self.channels)
        return jax.grad(total)(jnp.zeros((n, k), weights["out"].dtype))

    def penalty_groups(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ridge group of each weight: one for each array."""
        groups = Groups()
        return jax.tree.map(lambda a: groups.one(np.shape(a)), dict(weights))

    def layout(self, inputs: Inputs) -> str:
        """Return image, channels and widths, ``"8x8-8c-16c-16-1"``."""
        size = "x".join(map(str, _image(inputs).shape[1:]))
        channels = (f"{n}c" for n in self.channels)
        return "-".join([size, *channels, *map(str, self.hidden), "1"])

    def symmetries(self, weights: Any = None) -> float:  # noqa: ARG002
        """Return the log of the number of orders of channels and units."""
        return sum(math.lgamma(n + 1.0) for n in (*self.channels, *self.hidden))

    def _pass(
        self, weights: Mapping[str, Any], inputs: Inputs, modulators: Array | None
    ) -> _Passed:
        activation = activation_named(self.activation).function
        h = _image(inputs).astype(weights["out"].dtype)
        h = (h - (self.centre or 0.0)) / (self.spread or 1.0)
        h = h if h.ndim == 4 else h[..., None]
        channels, start = [], 0
        for K, c in weights["filters"]:
            a, width = _convolve(h, K) + c, K.shape[-1]
            if modulators is not None:
                m = modulators[:, None, None, start : start + 2 * width]
                a = (1.0 + m[..., :width]) * a + m[..., width:]
            start += 2 * width
            h = _halved(activation(a))
            channels.append(h.mean((1, 2)))
        flat = h.reshape(len(h), -1)
        dense = [jnp.concatenate([flat, inputs.x.astype(flat.dtype)], axis=1)]
        for W, c in weights["layers"]:
            dense.append(activation(dense[-1] @ W + c))
        return _Passed(tuple(channels), tuple(dense))


def _image(inputs: Inputs) -> Any:
    """The one image of a row."""
    if len(inputs.arrays) != 1 or inputs.arrays[0].ndim not in (3, 4):
        shapes = ", ".join(str(a.shape[1:]) for a in inputs.arrays) or "none"
        raise OptionError(
            "a convolutional network reads one image a row, (rows, columns) or (rows, "
            f"columns, channels); arrays of the term: {shapes}"
        )
    if inputs.codes:
        raise OptionError(
            "a convolutional network reads images and numbers; a factor with many "
            "levels belongs into a random effect, (1 | g), or is left out"
        )
    return inputs.arrays[0]


def _convolve(h: Array, K: Array) -> Array:
    # A sum of shifted products: on a CPU its derivatives cost less than those of a
    # convolution.
    rows, columns = h.shape[1:3]
    edge = KERNEL // 2
    wide = jnp.pad(h, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    return sum(
        (
            wide[:, i : i + rows, j : j + columns] @ K[i, j]
            for i in range(KERNEL)
            for j in range(KERNEL)
        ),
        jnp.zeros((), h.dtype),
    )


def _halved(h: Array) -> Array:
    """Means over 2 x 2 pixels; an odd edge is doubled."""
    rows, columns = h.shape[1:3]
    h = jnp.pad(h, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")
    n, rows, columns, depth = h.shape
    return h.reshape(n, rows // 2, 2, columns // 2, 2, depth).mean((2, 4))


def _normal(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.normal(key, shape, dtype=float)


def _zeros(n: int) -> Array:
    return jnp.zeros(n, dtype=float)
