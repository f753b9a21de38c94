"""A network that draws an image again from a code, and tells the response from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ngmm.errors import OptionError
from ngmm.networks.activations import activation_named
from ngmm.networks.convolutional import channel_names, check_varying
from ngmm.networks.groups import Groups
from ngmm.networks.images import (
    KERNEL,
    Pixels,
    Scaled,
    convolve,
    doubled,
    halved,
    image_of,
    modulated,
    normal,
    zeros,
)
from ngmm.networks.inputs import Inputs
from ngmm.networks.mlp import check_widths

__all__ = ["Autoencoder"]

Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Autoencoder:
    """A code for one image a row, from which both image and response are told.

    The encoder has convolutional layers as `CNN` has, and a linear layer to the code.
    The decoder has them in the reverse order, with pixels doubled instead of halved.
    The head has dense layers from the code, and the numeric inputs of the term, to the
    output. The image's part of what is minimised is minus its normal log-density per
    pixel, with a variance that is estimated.

    Parameters
    ----------
    channels
        Channels of the encoder's layers.
    code
        Length of the code.
    hidden
        Widths of the head's dense layers.
    activation
        Name of the activation: tanh, relu, silu, gelu, softplus, sigmoid or identity.
    reconstruction
        Weight of the image's part, beside the log-likelihood of the response per row.
    varying
        What random slopes ``(1 + nn | g)`` multiply: the code (``"units"``), or scale
        and shift of the ``"channels"`` of both encoder and decoder, or both in a tuple.
    standardised, centre, spread
        As of `CNN`. Images that are standardised one by one get their mean and standard
        deviation back when they are drawn.

    Raises
    ------
    OptionError
        If the options are not what they should be, or a term has not exactly one image.

    Notes
    -----
    With ``(1 + nn | g)`` and ``varying="channels"`` channel c of every layer is
    (1 + u_c) a_c + v_c before the activation, with u and v of the group, as in the
    autoencoders of ARMED (Nguyen, Treacher and Montillo 2023, IEEE TPAMI 45,
    8081-8093). Images are drawn again with all of u and v, and once more without, so
    that the population part stands alone. The response depends on u and v through the
    code that they give: with e the code of an image without them and e' that with them,
    the head's first layer is

    .. math:: h = a(W e + R (e' - e) + c),

    which mixes both codes. It is taken to first order in u and v, so that the model of
    the response is linear in its random effects, and without them it is the head of e.

    References
    ----------
    Nguyen, Treacher & Montillo (2023), IEEE TPAMI 45, 8081-8093.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> from ngmm.networks import Autoencoder, Inputs
    >>> network = Autoencoder(channels=(4,), code=3, hidden=(8,))
    >>> inputs = Inputs(np.zeros((5, 0)), arrays=(np.ones((5, 8, 8)),))
    >>> network.layout(inputs)
    '8x8-4c-3-4c-8x8, 3-8-1'

    Shapes without the arithmetic:

    >>> key = jax.random.key(0)
    >>> weights = jax.eval_shape(lambda key: network.init(key, inputs), key)
    >>> jax.eval_shape(network.reconstruct, weights, inputs).shape
    (5, 8, 8)
    """

    channels: tuple[int, ...] = (8, 16)
    code: int = 8
    hidden: tuple[int, ...] = (16,)
    activation: str = "silu"
    reconstruction: float = 1.0
    varying: str | tuple[str, ...] = "channels"
    standardised: str = "rows"
    centre: float | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        activation_named(self.activation)
        check_widths("channels", self.channels)
        check_widths("code", (self.code,))
        check_widths("hidden", self.hidden, "for a linear head")
        object.__setattr__(self, "varying", check_varying(self.varying))
        weight = self.reconstruction
        if isinstance(weight, bool) or not 0 <= weight < math.inf:
            raise OptionError(
                f"reconstruction={weight!r} is the weight of the image's part and must "
                "be 0 or more"
            )
        # Raises where it is not known.
        self._pixels  # noqa: B018

    @property
    def _pixels(self) -> Pixels:
        return Pixels(self.standardised, self.centre, self.spread)

    def for_inputs(self, inputs: Inputs) -> Autoencoder:
        """Return the network with the scaling of pixels that suits these rows."""
        found = self._pixels.for_inputs(inputs)
        return replace(self, centre=found.centre, spread=found.spread)

    def init(self, key: Array, inputs: Inputs) -> dict[str, Any]:
        """Return weights drawn as normal / sqrt(fan in); biases are zero."""
        sizes, depth = self._sizes(inputs), _depth(inputs)
        keys = iter(
            jax.random.split(key, 2 * len(self.channels) + len(self.hidden) + 4)
        )

        def filters(widths: tuple[int, ...]) -> tuple[Any, ...]:
            return tuple(
                (normal(next(keys), (KERNEL, KERNEL, a, b), KERNEL**2 * a), zeros(b))
                for a, b in pairwise(widths)
            )

        rows, columns = sizes[-1]
        flat = rows * columns * self.channels[-1]
        widths = (self.code + inputs.x.shape[1], *self.hidden)
        head = tuple(
            (normal(next(keys), (a, b), a), zeros(b)) for a, b in pairwise(widths)
        )
        first = (self.hidden or (1,))[0]
        return {
            "encoder": filters((depth, *self.channels)),
            "code": (normal(next(keys), (flat, self.code), flat), zeros(self.code)),
            "open": (normal(next(keys), (self.code, flat), self.code), zeros(flat)),
            "decoder": filters((*self.channels[::-1], depth)),
            "head": head,
            "mix": normal(next(keys), (self.code, first), self.code),
            "out": normal(next(keys), (widths[-1],), widths[-1]),
            # Of pixels in units of their spread, without random effects and with them.
            "log_variance": zeros(2),
        }

    def apply(self, weights: Weights, inputs: Inputs) -> Array:
        """Return the output for each row, shape (n,)."""
        code = self._encode(weights, self._scaled(weights, inputs).values, None)[-1]
        return self._head(weights, inputs, code, code)

    def activations(self, weights: Weights, inputs: Inputs) -> tuple[Array, ...]:
        """Return means of the encoder's channels, and the code: each (n, width)."""
        return self._encode(weights, self._scaled(weights, inputs).values, None)

    def units(self, weights: Weights, inputs: Inputs) -> Array:
        """Return what random slopes multiply, (n, k)."""
        parts = []
        if "units" in self.varying:
            parts.append(self.activations(weights, inputs)[-1])
        if "channels" in self.varying:
            parts.append(self._tangents(weights, inputs))
        return jnp.concatenate(parts, axis=1)

    def unit_names(self) -> tuple[str, ...]:
        """Return the names of what random slopes multiply."""
        names = [f"[{i + 1}]" for i in range(self.code)]
        found = names if "units" in self.varying else []
        if "channels" in self.varying:
            encoder = channel_names(self.channels)
            # The last layer of the decoder is the image: one scale, one shift.
            found += encoder + channel_names((*self.channels[-2::-1], 1), "'")
        return tuple(found)

    def natural(self) -> tuple[bool, ...]:
        """Return which of these are derivatives in scale and shift."""
        return tuple(name.startswith(".") for name in self.unit_names())

    def own_loss(
        self, weights: Weights, inputs: Inputs, effects: Array | None = None
    ) -> Array:
        """Return minus the log-density per pixel of each image, times the weight: (n,).

        Parameters
        ----------
        weights, inputs
            Of the network.
        effects
            (n, k) random effects of the rows, in the order of `unit_names`; None for
            none.
        """
        scaled = self._scaled(weights, inputs)
        error = self._drawn(weights, scaled, effects) - scaled.values
        error = error * scaled.spread / (self.spread or 1.0)
        log_variance = weights["log_variance"][0 if effects is None else 1]
        mean_square = (error**2).mean((1, 2, 3))
        density = mean_square * jnp.exp(-log_variance) + log_variance
        return 0.5 * self.reconstruction * density

    def reconstruct(
        self, weights: Weights, inputs: Inputs, effects: Array | None = None
    ) -> Array:
        """Return the images as the decoder draws them, in their units and shape."""
        scaled = self._scaled(weights, inputs)
        drawn = self._drawn(weights, scaled, effects) * scaled.spread + scaled.centre
        return drawn.reshape(image_of(inputs).shape)

    def penalty_groups(self, weights: Weights) -> dict[str, Any]:
        """Return the ridge group of each weight: one for each array."""
        groups = Groups()
        return jax.tree.map(lambda a: groups.one(jnp.shape(a)), dict(weights))

    def layout(self, inputs: Inputs) -> str:
        """Return encoder, code, decoder; and the head: ``"8x8-4c-3-4c-8x8, 3-8-1"``."""
        size = "x".join(map(str, image_of(inputs).shape[1:]))
        there = [f"{n}c" for n in self.channels]
        ways = "-".join([size, *there, str(self.code), *there[::-1], size])
        return f"{ways}, " + "-".join(map(str, (self.code, *self.hidden, 1)))

    def symmetries(self, weights: Any = None) -> float:  # noqa: ARG002
        """Return the log of the number of orders of channels and units."""
        widths = (*self.channels, *self.channels, *self.hidden)
        return sum(math.lgamma(n + 1.0) for n in widths)

    def _sizes(self, inputs: Inputs) -> list[tuple[int, int]]:
        """Rows and columns of the image before each layer, and after the last one."""
        sizes = [image_of(inputs).shape[1:3]]
        for _ in self.channels:
            rows, columns = sizes[-1]
            sizes.append((-(-rows // 2), -(-columns // 2)))
        return sizes

    def _scaled(self, weights: Weights, inputs: Inputs) -> Scaled:
        return self._pixels.scaled(inputs, weights["out"].dtype)

    def _encode(
        self, weights: Weights, h: Array, modulators: Array | None
    ) -> tuple[Array, ...]:
        """Means of the channels of each layer, and the code."""
        activation = activation_named(self.activation).function
        means, start = [], 0
        for K, c in weights["encoder"]:
            m, start = _some(modulators, start, K.shape[-1])
            h = halved(activation(modulated(convolve(h, K) + c, m)))
            means.append(h.mean((1, 2)))
        W, c = weights["code"]
        return (*means, h.reshape(len(h), -1) @ W + c)

    def _decode(
        self,
        weights: Weights,
        code: Array,
        modulators: Array | None,
        sizes: list[tuple[int, int]],
    ) -> Array:
        """Standardised images, (n, rows, columns, channels)."""
        activation = activation_named(self.activation).function
        W, c = weights["open"]
        h = activation(code @ W + c)
        h = h.reshape(len(h), *sizes[-1], self.channels[-1])
        start = 0
        for K, c in weights["decoder"]:
            sizes = sizes[:-1]
            is_image = len(sizes) == 1
            m, start = _some(modulators, start, 1 if is_image else K.shape[-1])
            h = modulated(convolve(doubled(h, *sizes[-1]), K) + c, m)
            h = h if is_image else activation(h)
        return h

    def _drawn(self, weights: Weights, scaled: Scaled, effects: Array | None) -> Array:
        """The images drawn again, standardised."""
        m = None
        if effects is not None and "channels" in self.varying:
            m = effects[:, -self._n_modulators :].astype(scaled.values.dtype)
        n = 2 * sum(self.channels)
        encoder, decoder = (None, None) if m is None else (m[:, :n], m[:, n:])
        code = self._encode(weights, scaled.values, encoder)[-1]
        sizes = self._sizes(Inputs(code[:, :0], arrays=(scaled.values,)))
        return self._decode(weights, code, decoder, sizes)

    @property
    def _n_modulators(self) -> int:
        """Scales and shifts of encoder and decoder."""
        return 2 * (sum(self.channels) + sum(self.channels[:-1]) + 1)

    def _head(
        self, weights: Weights, inputs: Inputs, code: Array, seen: Array
    ) -> Array:
        """Output from the code without random effects and that with them."""
        activation = activation_named(self.activation).function
        h = jnp.concatenate([code, inputs.x.astype(code.dtype)], axis=1)
        mixed = (seen - code) @ weights["mix"]
        for i, (W, c) in enumerate(weights["head"]):
            h = activation(h @ W + c + (mixed if i == 0 else 0.0))
        out = h @ weights["out"]
        return out if weights["head"] else out + mixed[:, 0]

    def _tangents(self, weights: Weights, inputs: Inputs) -> Array:
        """Derivative of the output in scale and shift of all channels, (n, k)."""
        h = self._scaled(weights, inputs).values
        code = self._encode(weights, h, None)[-1]

        def total(m: Array) -> Array:
            seen = self._encode(weights, h, m)[-1]
            return self._head(weights, inputs, code, seen).sum()

        own = 2 * sum(self.channels)
        found = jax.grad(total)(jnp.zeros((len(h), own), h.dtype))
        # The response does not see the decoder.
        return jnp.pad(found, ((0, 0), (0, self._n_modulators - own)))


def _depth(inputs: Inputs) -> int:
    image = image_of(inputs)
    return image.shape[3] if image.ndim == 4 else 1


def _some(m: Array | None, start: int, width: int) -> tuple[Array | None, int]:
    """The scales and shifts of a layer, and where the next ones begin."""
    stop = start + 2 * width
    return (None if m is None else m[:, start:stop]), stop
