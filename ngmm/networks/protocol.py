"""What ngmm asks of a network: two functions, and what its weights mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from jax import Array
from jax.flatten_util import ravel_pytree

from ngmm.networks.inputs import Inputs

__all__ = [
    "Adaptable",
    "Layered",
    "Network",
    "Reconstructing",
    "Varying",
    "Weights",
    "flatten",
    "units_of",
]

# A pytree of float arrays.
Weights: TypeAlias = Any


@runtime_checkable
class Network(Protocol):
    """A function of inputs and weights.

    A network is an argument of compiled functions that must be known when they are
    compiled, so it is hashable: a frozen dataclass without arrays. Its weights are
    kept apart, as a pytree.
    """

    def init(self, key: Array, inputs: Inputs) -> Weights:
        """Return initial weights for inputs of this kind."""
        ...

    def apply(self, weights: Weights, inputs: Inputs) -> Array:
        """Return the output for each row, shape (n,)."""
        ...

    def penalty_groups(self, weights: Weights) -> Any:
        """Return the ridge group of each weight, counted from zero, as a like pytree.

        Weights of one group share a penalty.
        """
        ...

    def layout(self, inputs: Inputs) -> str:
        """Return the architecture as tables show it: ``"5-8-8-1"``."""
        ...

    def symmetries(self, weights: Weights | None = None) -> float:
        """Return the log of the number of weight vectors with the same output."""
        ...


@runtime_checkable
class Layered(Protocol):
    """A network whose hidden layers can be seen.

    Random slopes on its last hidden units, and an adversary that reads all of them,
    need more of a network than its output.
    """

    def activations(self, weights: Weights, inputs: Inputs) -> tuple[Array, ...]:
        """Return the hidden layers, the last one last, each of shape (n, width)."""
        ...


@runtime_checkable
class Varying(Protocol):
    """A network that says what random slopes multiply: ``(1 + nn | g)``.

    For another network these are its last hidden units.
    """

    def units(self, weights: Weights, inputs: Inputs) -> Array:
        """Return the columns that have random slopes, (n, k)."""
        ...

    def unit_names(self) -> tuple[str, ...]:
        """Return the names of the k columns."""
        ...

    def natural(self) -> tuple[bool, ...]:
        """Return which columns are taken as they are, (k,).

        The others have mean zero and standard deviation one over the rows of the fit. A
        derivative of the output in some number is taken as it is: then the random
        effects are changes of that number.
        """
        ...


@runtime_checkable
class Reconstructing(Varying, Protocol):
    """A network that has to draw its inputs again, beside telling the response."""

    def own_loss(
        self, weights: Weights, inputs: Inputs, effects: Array | None = None
    ) -> Array:
        """Return what it loses in each row beside the response, (n,).

        With ``effects`` (n, k) random effects of the rows, in the order of
        `unit_names`; None for none.
        """
        ...

    def reconstruct(
        self, weights: Weights, inputs: Inputs, effects: Array | None = None
    ) -> Array:
        """Return its inputs as it draws them."""
        ...


@runtime_checkable
class Adaptable(Protocol):
    """A network that takes sizes or scales from the rows of the fit."""

    def for_inputs(self, inputs: Inputs) -> Network:
        """Return the network for these rows."""
        ...


def flatten(weights: Weights) -> tuple[Array, Callable[[Array], Weights]]:
    """Return the weights as one vector, and the function that brings their shape back.

    Examples
    --------
    >>> import numpy as np
    >>> vector, unravel = flatten({"a": np.zeros((2, 2)), "b": np.ones(3)})
    >>> vector.shape, unravel(vector)["a"].shape
    ((7,), (2, 2))
    """
    return ravel_pytree(weights)


def units_of(network: Network, weights: Weights, inputs: Inputs) -> Array:
    """Return what random slopes on the units of a network multiply, (n, k).

    Raises
    ------
    TypeError
        If the network shows no units.
    """
    if isinstance(network, Varying):
        return network.units(weights, inputs)
    if isinstance(network, Layered):
        return network.activations(weights, inputs)[-1]
    raise TypeError(f"{type(network).__name__} shows no hidden units")


def is_natural(network: Network, k: int) -> tuple[bool, ...]:
    """Return which of k columns that random slopes multiply are taken as they are."""
    return network.natural() if isinstance(network, Varying) else (False,) * k
