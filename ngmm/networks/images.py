"""What convolutional networks do with images: scaling, filters, halving, doubling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.errors import OptionError
from ngmm.networks.inputs import Inputs

__all__ = [
    "KERNEL",
    "Pixels",
    "Scaled",
    "convolve",
    "doubled",
    "halved",
    "image_of",
    "modulated",
    "normal",
    "zeros",
]

# Rows and columns of a filter.
KERNEL = 3
STANDARDS = ("rows", "image")
# An image whose pixels differ by less is taken as blank.
BLANK = 1e-6


class Scaled(NamedTuple):
    """Images as a network reads them, (n, rows, columns, channels), and the way back.

    Attributes
    ----------
    values
        The images, standardised.
    centre, spread
        What was subtracted, and what it was divided by.
    """

    values: Array
    centre: Array | float
    spread: Array | float


@dataclass(frozen=True)
class Pixels:
    """How pixels are standardised.

    Attributes
    ----------
    by
        ``"rows"``: all images alike, by `centre` and `spread`. ``"image"``: each
        channel of each image by its own mean and standard deviation, so that
        brightness and contrast of an image say nothing.
    centre, spread
        Of all pixels; None where they are to be taken from the rows of the fit.

    Raises
    ------
    OptionError
        If `by` is neither.
    """

    by: str = "rows"
    centre: float | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        if self.by not in STANDARDS:
            raise OptionError(
                f"standardised={self.by!r} is not known; pixels are standardised by "
                'mean and standard deviation of all "rows", or of each "image"'
            )

    def for_inputs(self, inputs: Inputs) -> Pixels:
        """Return the same with mean and spread of these rows, to two digits."""
        image = np.asarray(image_of(inputs), dtype=np.float64)
        centre, spread = self.centre, self.spread
        if centre is None:
            centre = float(f"{image.mean():.1e}")
        if spread is None:
            spread = float(f"{image.std():.1e}") or 1.0
        return replace(self, centre=centre, spread=spread)

    def scaled(self, inputs: Inputs, dtype: Any) -> Scaled:
        """Return the images of the rows, standardised."""
        h = image_of(inputs).astype(dtype)
        h = h if h.ndim == 4 else h[..., None]
        if self.by == "rows":
            centre, spread = self.centre or 0.0, self.spread or 1.0
            return Scaled((h - centre) / spread, centre, spread)
        mean = h.mean((1, 2), keepdims=True)
        variance = ((h - mean) ** 2).mean((1, 2), keepdims=True)
        sd = jnp.sqrt(jnp.maximum(variance, (BLANK * (self.spread or 1.0)) ** 2))
        return Scaled((h - mean) / sd, mean, sd)


def image_of(inputs: Inputs) -> Any:
    """The one image of a row.

    Raises
    ------
    OptionError
        If there is not exactly one, or a factor beside it.
    """
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


def convolve(h: Array, K: Array) -> Array:
    """Return each channel's 3 x 3 filter over the image, zeros beyond its edge."""
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


def halved(h: Array) -> Array:
    """Return means over 2 x 2 pixels; an odd edge is doubled."""
    rows, columns = h.shape[1:3]
    h = jnp.pad(h, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")
    n, rows, columns, depth = h.shape
    return h.reshape(n, rows // 2, 2, columns // 2, 2, depth).mean((2, 4))


def doubled(h: Array, rows: int, columns: int) -> Array:
    """Return each pixel as 2 x 2, cut to so many rows and columns."""
    return h.repeat(2, axis=1).repeat(2, axis=2)[:, :rows, :columns]


def modulated(a: Array, m: Array | None) -> Array:
    """Return channels times one plus their scale, plus their shift.

    Parameters
    ----------
    a
        (n, rows, columns, c) channels.
    m
        (n, 2 c) scales, then shifts; (n, 2) for the same in all channels; None for
        zeros.
    """
    if m is None:
        return a
    c = m.shape[1] // 2
    wide = m[:, None, None].astype(a.dtype)
    return (1.0 + wide[..., :c]) * a + wide[..., c:]


def normal(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    """Return weights drawn as normal / sqrt(fan in)."""
    return jax.random.normal(key, shape, dtype=float) / math.sqrt(fan_in)


def zeros(n: int) -> Array:
    """Return so many zeros."""
    return jnp.zeros(n, dtype=float)
