"""The built-in network: a multilayer perceptron beside a linear path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.networks.activations import activation_named
from ngmm.networks.groups import Groups
from ngmm.networks.inputs import Inputs

__all__ = ["MLP", "check_widths"]

# The first guess of an embedding, the weights of a factor's levels, is close to zero.
_EMBEDDING_SD = 0.1
# A unit whose weights are this much smaller than those of the largest one is switched
# off: exchanging it for another one leaves the same weights.
_INACTIVE = 1e-3


@dataclass(frozen=True)
class MLP:
    """A multilayer perceptron with a linear path from its inputs to its output.

    With z the columns of ``x`` and the embeddings of the factors in ``codes``, the
    output is

        a'z + v' h_L,    h_l = s(W_l' h_{l-1} + c_l),    h_0 = z

    so it is linear where v is zero. It has no constant: a network in the fixed part is
    centred over the training rows, and the intercept of the model gives the level.

    Parameters
    ----------
    hidden
        Widths of the hidden layers; ``()`` for a linear function.
    activation
        Name of s: tanh, relu, silu, gelu, softplus, sigmoid or identity.
    embedding
        Dimension of the embedding of each factor in ``codes``; None chooses it from the
        number of levels, min(8, round(1.6 levels^0.56)).
    levels
        Number of levels of each factor in ``codes``.
    column_inputs
        For each column of ``x``, the number of the input it belongs to: the indicators
        of a factor share one. Columns beyond these, and all of them with None, are each
        an input of their own.

    Raises
    ------
    OptionError
        If a width or the embedding is not a positive whole number, or there is no such
        activation.

    Notes
    -----
    The weights are a dict: ``layers``, a pair (W, c) for each hidden layer; ``out``, v;
    ``skip``, the linear path; ``embeddings``, a matrix for each factor.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> from ngmm.networks import Inputs, MLP
    >>> inputs = Inputs(np.ones((4, 3)))
    >>> network = MLP(hidden=(8, 8))
    >>> network.layout(inputs)
    '3-8-8-1'
    >>> weights = network.init(jax.random.key(0), inputs)
    >>> network.apply(weights, inputs).shape
    (4,)
    """

    hidden: tuple[int, ...] = (8, 8)
    activation: str = "tanh"
    embedding: int | None = None
    levels: tuple[int, ...] = ()
    column_inputs: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        activation_named(self.activation)
        check_widths("hidden", self.hidden, "for a linear function")
        if self.embedding is not None and not _is_count(self.embedding):
            raise OptionError(
                f"embedding={self.embedding!r} is not a dimension; write a positive "
                "whole number, or leave it out"
            )

    @property
    def embedding_sizes(self) -> tuple[int, ...]:
        """Dimension of the embedding of each factor in ``codes``.

        Examples
        --------
        >>> import ngmm
        >>> ngmm.networks.MLP(levels=(100, 5)).embedding_sizes
        (8, 4)
        >>> ngmm.networks.MLP(levels=(100, 5), embedding=2).embedding_sizes
        (2, 2)
        """
        if self.embedding is not None:
            return (self.embedding,) * len(self.levels)
        return tuple(min(8, round(1.6 * levels**0.56)) for levels in self.levels)

    def init(self, key: Array, inputs: Inputs) -> dict[str, Any]:
        """Return weights drawn as normal / sqrt(fan in), with a linear path of zero."""
        sizes = self._sizes(inputs)
        keys = iter(jax.random.split(key, len(sizes) + len(self.levels) + 1))
        layers = tuple(
            (
                _normal(next(keys), (fan_in, width)) / math.sqrt(max(fan_in, 1)),
                jnp.zeros(width, dtype=float),
            )
            for fan_in, width in pairwise(sizes)
        )
        width = self.hidden[-1] if self.hidden else 0
        return {
            "layers": layers,
            "out": _normal(next(keys), (width,)) / math.sqrt(max(width, 1)),
            "skip": jnp.zeros(sizes[0], dtype=float),
            "embeddings": tuple(
                _EMBEDDING_SD * _normal(next(keys), (levels, size))
                for levels, size in zip(self.levels, self.embedding_sizes, strict=True)
            ),
        }

    def apply(self, weights: Mapping[str, Any], inputs: Inputs) -> Array:
        """Return the output for each row, shape (n,)."""
        linear = self._embedded(weights, inputs) @ weights["skip"]
        if not self.hidden:
            return linear
        return linear + self.activations(weights, inputs)[-1] @ weights["out"]

    def activations(
        self, weights: Mapping[str, Any], inputs: Inputs
    ) -> tuple[Array, ...]:
        """Return the hidden layers h_1, ..., h_L, each of shape (n, width)."""
        activation = activation_named(self.activation).function
        h, layers = self._embedded(weights, inputs), []
        for W, c in weights["layers"]:
            h = activation(h @ W + c)
            layers.append(h)
        return tuple(layers)

    def penalty_groups(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ridge group of each weight.

        The first layer has a group for each input, so that an input without influence
        can be switched off, and so has the linear path; each vector of biases, each
        later layer, the output and each embedding is one group.
        """
        groups = Groups()
        rows = self._input_of_row(weights)
        layers: list[tuple[Any, Any]] = []
        for position, (W, c) in enumerate(weights["layers"]):
            labels = rows if position == 0 else np.zeros(W.shape[0], dtype=int)
            layers.append((groups.by_row(W.shape, labels), groups.one(c.shape)))
        return {
            "layers": tuple(layers),
            "out": groups.one(weights["out"].shape),
            "skip": groups.by_row(weights["skip"].shape, rows),
            "embeddings": tuple(groups.one(E.shape) for E in weights["embeddings"]),
        }

    def layout(self, inputs: Inputs) -> str:
        """Return the widths of all layers, ``"5-8-8-1"``."""
        return "-".join(map(str, (*self._sizes(inputs), 1)))

    def symmetries(self, weights: Mapping[str, Any] | None = None) -> float:
        """Return the log of the number of weight vectors with the same output.

        The m units of a hidden layer can be permuted, and for an odd activation each
        can change its sign: log(m!) + m log 2 a layer. With ``weights`` only the units
        that are in use count.

        Examples
        --------
        >>> import math
        >>> from ngmm.networks import MLP
        >>> round(math.exp(MLP(hidden=(2, 3)).symmetries())), 2 * 2**2 * 6 * 2**3
        (384, 384)
        """
        widths = self.hidden if weights is None else _active_widths(weights)
        flip = math.log(2.0) if activation_named(self.activation).odd else 0.0
        return sum(math.lgamma(m + 1.0) + m * flip for m in widths)

    def _embedded(self, weights: Mapping[str, Any], inputs: Inputs) -> Array:
        """Return the columns and the embeddings of the factors."""
        embedded = (
            E[codes]
            for E, codes in zip(weights["embeddings"], inputs.codes, strict=True)
        )
        return jnp.concatenate([inputs.x, *embedded], axis=1)

    def _sizes(self, inputs: Inputs) -> tuple[int, ...]:
        """Return the number of inputs, embeddings among them, and the widths."""
        return (inputs.x.shape[1] + sum(self.embedding_sizes), *self.hidden)

    def _input_of_row(self, weights: Mapping[str, Any]) -> NDArray[np.int_]:
        """Return the input of each row of the first layer."""
        n_columns = weights["skip"].shape[0] - sum(self.embedding_sizes)
        columns = np.arange(n_columns)
        if self.column_inputs is not None:
            n_more = n_columns - len(self.column_inputs)
            first = max([-1, *self.column_inputs]) + 1
            columns = np.array([*self.column_inputs, *range(first, first + n_more)])
        first = max([-1, *columns]) + 1
        factors = np.repeat(np.arange(len(self.levels)), self.embedding_sizes)
        return np.concatenate([columns, first + factors]).astype(int)


def check_widths(name: str, widths: object, empty: str | None = None) -> None:
    """Raise unless these are the widths of layers.

    Parameters
    ----------
    name, widths
        The option.
    empty
        What ``()`` is for; None where there has to be a layer.

    Raises
    ------
    OptionError
        If so.
    """
    fine = isinstance(widths, tuple) and all(map(_is_count, widths))
    if not fine or (empty is None and not widths):
        none = f", or {name}=() {empty}" if empty else ""
        raise OptionError(
            f"{name}={widths!r} is not a tuple of widths; write positive whole numbers "
            f"such as {name}=(8, 8){none}"
        )


def _active_widths(weights: Mapping[str, Any]) -> list[int]:
    """Return the number of units of each hidden layer with weights on both sides."""
    incoming = [np.asarray(W) for W, _ in weights["layers"]]
    outgoing = [*incoming[1:], np.asarray(weights["out"])[:, None]]
    widths: list[int] = []
    for before, after in zip(incoming, outgoing, strict=False):
        size = np.linalg.norm(before, axis=0) * np.linalg.norm(after, axis=1)
        widths.append(int((size > _INACTIVE * size.max(initial=0.0)).sum()))
    return widths


def _normal(key: Array, shape: tuple[int, ...]) -> Array:
    # Float is float64 in the scope in which ngmm computes.
    return jax.random.normal(key, shape, dtype=float)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
