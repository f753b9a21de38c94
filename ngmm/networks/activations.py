"""The activations of the built-in network, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ngmm.errors import OptionError, did_you_mean

__all__ = ["ACTIVATIONS", "Activation", "activation_named"]


class Activation(NamedTuple):
    """A function applied to each unit; ``odd`` if s(-a) = -s(a)."""

    function: Callable[[Array], Array]
    odd: bool


def _identity(a: Array) -> Array:
    return a


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "tanh": Activation(jnp.tanh, odd=True),
        "relu": Activation(jax.nn.relu, odd=False),
        "silu": Activation(jax.nn.silu, odd=False),
        "gelu": Activation(jax.nn.gelu, odd=False),
        "softplus": Activation(jax.nn.softplus, odd=False),
        "sigmoid": Activation(jax.nn.sigmoid, odd=False),
        "identity": Activation(_identity, odd=True),
    }
)


def activation_named(name: object) -> Activation:
    """Return the activation of that name.

    Raises
    ------
    OptionError
        If there is none.
    """
    if isinstance(name, str) and name in ACTIVATIONS:
        return ACTIVATIONS[name]
    raise OptionError(
        f"activation={name!r} is not known{did_you_mean(name, ACTIVATIONS) or '.'} "
        f"Activations: {', '.join(ACTIVATIONS)}"
    )
