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

    Examples
    --------
    A straight line through the origin, as a class of one's own:

    >>> import jax, numpy as np
    >>> import jax.numpy as jnp
    >>> from ngmm.networks import Inputs, Network
    >>> class Line:
    ...     def init(self, key, inputs):
    ...         return jax.random.normal(key, (inputs.x.shape[1],))
    ...
    ...     def apply(self, weights, inputs):
    ...         return inputs.x @ weights
    ...
    ...     def penalty_groups(self, weights):
    ...         return jnp.zeros(weights.shape, dtype=int)
    ...
    ...     def layout(self, inputs):
    ...         return f"{inputs.x.shape[1]}-1"
    ...
    ...     def symmetries(self, weights=None):
    ...         return 0.0
    >>> line, inputs = Line(), Inputs(np.ones((5, 2)))
    >>> weights = line.init(jax.random.key(0), inputs)
    >>> isinstance(line, Network), line.layout(inputs), line.symmetries()
    (True, '2-1', 0.0)
    >>> line.apply(weights, inputs).shape, line.penalty_groups(weights).tolist()
    ((5,), [0, 0])
    """

    def init(self, key: Array, inputs: Inputs) -> Weights:
        """Return initial weights for inputs of this kind.

        Parameters
        ----------
        key
            Key of ``jax.random``, a scalar of shape () or a raw key (2,).
        inputs
            Inputs, of which the sizes matter, and not the values.

        Returns
        -------
        pytree of Array
            Weights, arrays of any shape (...,).
        """
        ...

    def apply(self, weights: Weights, inputs: Inputs) -> Array:
        """Return the output for each row.

        Parameters
        ----------
        weights
            As `init` makes them.
        inputs
            Inputs of n rows.

        Returns
        -------
        Array
            (n,), on the scale of the linear predictor.
        """
        ...

    def penalty_groups(self, weights: Weights) -> Any:
        """Return the ridge group of each weight, counted from zero, as a like pytree.

        Weights of one group share a penalty.

        Parameters
        ----------
        weights
            As `init` makes them.

        Returns
        -------
        pytree of Array
            Whole numbers, shaped like the weights.
        """
        ...

    def layout(self, inputs: Inputs) -> str:
        """Return the architecture as tables show it: ``"5-8-8-1"``.

        Parameters
        ----------
        inputs
            Inputs of any number of rows.

        Returns
        -------
        str
            Sizes from the inputs to the output.
        """
        ...

    def symmetries(self, weights: Weights | None = None) -> float:
        """Return the log of the number of weight vectors with the same output.

        Parameters
        ----------
        weights
            Weights, where the number depends on them; None for the usual ones.

        Returns
        -------
        float
            0 where no other weights give the same output.
        """
        ...


@runtime_checkable
class Layered(Protocol):
    """A network whose hidden layers can be seen.

    Random slopes on its last hidden units, and an adversary that reads all of them,
    need more of a network than its output.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from ngmm.networks import MLP, Inputs, Layered
    >>> network, inputs = MLP(hidden=(3,)), Inputs(np.ones((5, 2)))
    >>> weights = network.init(jax.random.key(0), inputs)
    >>> isinstance(network, Layered)
    True
    >>> [layer.shape for layer in network.activations(weights, inputs)]
    [(5, 3)]
    """

    def activations(self, weights: Weights, inputs: Inputs) -> tuple[Array, ...]:
        """Return the hidden layers, the last one last.

        Parameters
        ----------
        weights
            As `init` makes them.
        inputs
            Inputs of n rows.

        Returns
        -------
        tuple of Array
            For each layer (n, width).
        """
        ...


@runtime_checkable
class Varying(Protocol):
    """A network that says what random slopes multiply: ``(1 + nn | g)``.

    For another network these are its last hidden units.

    Examples
    --------
    >>> from ngmm.networks import CNN, MLP, Varying
    >>> network = CNN(channels=(2,), hidden=(2,))
    >>> isinstance(network, Varying), isinstance(MLP(), Varying)
    (True, False)
    >>> network.unit_names(), network.natural()
    (('[1]', '[2]'), (False, False))
    """

    def units(self, weights: Weights, inputs: Inputs) -> Array:
        """Return the columns that have random slopes.

        Parameters
        ----------
        weights
            As `init` makes them.
        inputs
            Inputs of n rows.

        Returns
        -------
        Array
            (n, k).
        """
        ...

    def unit_names(self) -> tuple[str, ...]:
        """Return the names of the k columns.

        Returns
        -------
        tuple of str
            A name for each column.
        """
        ...

    def natural(self) -> tuple[bool, ...]:
        """Return which columns are taken as they are.

        The others have mean zero and standard deviation one over the rows of the fit. A
        derivative of the output in some number is taken as it is: then the random
        effects are changes of that number.

        Returns
        -------
        tuple of bool
            A value for each of the k columns.
        """
        ...


@runtime_checkable
class Reconstructing(Varying, Protocol):
    """A network that has to draw its inputs again, beside telling the response.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from ngmm.networks import MLP, Autoencoder, Inputs, Reconstructing
    >>> network = Autoencoder(channels=(2,), code=2, hidden=(2,))
    >>> isinstance(network, Reconstructing), isinstance(MLP(), Reconstructing)
    (True, False)
    >>> network.unit_names()[:2], network.natural()[:2]
    (('.scale[1,1]', '.scale[1,2]'), (True, True))
    >>> inputs = Inputs(np.zeros((2, 0)), arrays=(np.ones((2, 8, 8)),))
    >>> key = jax.random.key(0)
    >>> weights = jax.eval_shape(lambda key: network.init(key, inputs), key)
    >>> jax.eval_shape(network.own_loss, weights, inputs).shape
    (2,)
    >>> jax.eval_shape(network.reconstruct, weights, inputs).shape
    (2, 8, 8)
    >>> jax.eval_shape(network.units, weights, inputs).shape
    (2, 6)
    """

    def own_loss(
        self, weights: Weights, inputs: Inputs, effects: Array | None = None
    ) -> Array:
        """Return what it loses in each row beside the response.

        Parameters
        ----------
        weights
            As `init` makes them.
        inputs
            Inputs of n rows.
        effects
            (n, k) random effects of the rows, in the order of `unit_names`; None for
            none.

        Returns
        -------
        Array
            (n,), a part of minus the log-likelihood.
        """
        ...

    def reconstruct(
        self, weights: Weights, inputs: Inputs, effects: Array | None = None
    ) -> Array:
        """Return its inputs as it draws them.

        Parameters
        ----------
        weights
            As `init` makes them.
        inputs
            Inputs of n rows.
        effects
            (n, k) random effects of the rows, in the order of `unit_names`; None for
            none.

        Returns
        -------
        Array
            (n, ...), in the shape and the units of the inputs.
        """
        ...


@runtime_checkable
class Adaptable(Protocol):
    """A network that takes sizes or scales from the rows of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.networks import Adaptable, Autoencoder, Inputs
    >>> inputs = Inputs(np.zeros((2, 0)), arrays=(np.ones((2, 8, 8)),))
    >>> network = Autoencoder(channels=(2,), code=2, hidden=(2,))
    >>> isinstance(network, Adaptable), network.for_inputs(inputs) == network
    (True, False)
    """

    def for_inputs(self, inputs: Inputs) -> Network:
        """Return the network for these rows.

        Parameters
        ----------
        inputs
            Inputs of the rows of the fit.

        Returns
        -------
        Network
            One that is fixed for all other rows.
        """
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
