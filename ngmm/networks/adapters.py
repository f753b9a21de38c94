"""A user's network as a `Network`: modules of equinox and flax, plain functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.errors import OptionError
from ngmm.networks.groups import Groups
from ngmm.networks.held import Held
from ngmm.networks.inputs import Inputs
from ngmm.networks.libraries import Library, library_of

__all__ = ["UserNetwork", "adapt"]


@dataclass(frozen=True)
class UserNetwork:
    """A user's network; `adapt` makes it.

    The network is called with the arrays that are not empty, in this order: ``x`` with
    all tabular inputs, the codes of each factor with many levels, each array-valued
    input. Arrays of floats have the precision of the weights, since a convolution asks
    for that; whole numbers, such as the pixels of an image, stay as they are. Each
    array of weights has a ridge penalty of its own.

    Attributes
    ----------
    library
        How to initialise and to call it.
    given
        The module, or the pair of functions.
    maker
        The function of a random key that makes such a module, if one was given.
    """

    library: Library
    given: Held
    maker: Held | None = None

    def init(self, key: Array, inputs: Inputs) -> Any:
        """Return the weights of the network, as floats."""
        module = self.given.value if self.maker is None else self.maker.value(key)
        # The shapes of one row are all that a network needs to know.
        one = jax.tree.map(lambda a: jnp.asarray(a[:1]), inputs)
        return _as_floats(self.library.initial(module, key, one.arguments))

    def apply(self, weights: Any, inputs: Inputs) -> Array:
        """Return the output for each row, shape (n,); (n, 1) is squeezed."""
        arguments = _like_weights(inputs.arguments, weights)
        output = self.library.output(self.given.value, weights, arguments)
        if getattr(output, "shape", None) == (inputs.n_rows, 1):
            return output[:, 0]
        return output

    def penalty_groups(self, weights: Any) -> Any:
        """Return the ridge group of each weight: one for each array."""
        groups = Groups()
        return jax.tree.map(lambda a: groups.one(np.shape(a)), weights)

    def layout(self, inputs: Inputs) -> str:  # noqa: ARG002  part of the protocol
        """Return the name of the network."""
        value = self.given.value
        named = value[1] if isinstance(value, tuple) else type(value)
        name = getattr(named, "__name__", type(named).__name__)
        return "network" if name == "<lambda>" else name

    def symmetries(self, weights: Any = None) -> float:  # noqa: ARG002
        """Return 0: nothing is known of the network's symmetries."""
        return 0.0


def adapt(value: Any) -> UserNetwork | None:
    """Return a user's network as a `Network`, or None if it is nothing that is known.

    Parameters
    ----------
    value
        One of

        - a module of equinox, which is called row by row as its layers are;
        - a module of flax, linen or nnx, which is called with all rows;
        - ``(init, apply)``: ``init(key, x, ...)`` returns the weights and
          ``apply(weights, x, ...)`` the output for all rows;
        - ``(weights, apply)``, with the initial weights instead of a function;
        - a function of a random key that returns a module.

        Restarts of a fit begin with new weights where a function of a key makes them,
        and with the same ones otherwise.

    Examples
    --------
    >>> network = adapt(({"a": 2.0}, lambda weights, x: weights["a"] * x[:, 0]))
    >>> inputs = Inputs(np.array([[1.0], [3.0]]))
    >>> network.apply(network.init(jax.random.key(0), inputs), inputs).tolist()
    [2.0, 6.0]
    """
    library = library_of(value)
    if library is not None:
        return UserNetwork(library, Held(value))
    if not callable(value) or isinstance(value, type):
        return None
    module = _made_by(Held(value))
    library = library_of(module)
    if library is None:
        raise OptionError(
            f"the function {getattr(value, '__name__', value)} given as a network "
            f"returns {type(module).__name__} for a random key; it must return a "
            "module of equinox or flax. A network of plain functions is a pair: "
            "(init, apply) or (weights, apply)"
        )
    return UserNetwork(library, Held(module), Held(value))


@lru_cache(maxsize=32)
def _made_by(maker: Held) -> Any:
    """Return the module of a maker, one and the same whenever it is asked for."""
    return maker.value(jax.random.key(0))


def _like_weights(arguments: tuple[Any, ...], weights: Any) -> tuple[Any, ...]:
    """Return the arguments, those of floats in the precision of the weights."""
    leaves = jax.tree.leaves(weights)
    if not leaves:
        return arguments
    dtype = jnp.result_type(*leaves)

    def cast(a: Any) -> Any:
        is_other = jnp.issubdtype(a.dtype, jnp.floating) and a.dtype != dtype
        return jnp.asarray(a, dtype) if is_other else a

    return tuple(map(cast, arguments))


def _as_floats(weights: Any) -> Any:
    """Return the weights in jax's float, which is float64 where ngmm computes."""
    for leaf in jax.tree.leaves(weights):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise OptionError(
                f"the weights of a network hold {jnp.result_type(leaf)}; they must be "
                "arrays of floats. Keep anything else outside of them"
            )
    return jax.tree.map(lambda a: jnp.asarray(a, dtype=float), weights)
