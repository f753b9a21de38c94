r"""Networks that read a latent vector: what a neural random effect does to eta.

.. math:: h(x, v) = \ell(x)'v + g(x, v) - g(x, 0)

The loadings :math:`\ell_d(x) = a_d + B_d'x` make h bilinear, and g is an optional
multilayer perceptron on x and v together. h(x, 0) = 0: the fixed part of the model
keeps its meaning, the linear predictor of a level whose latent vector is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ngmm.errors import OptionError
from ngmm.networks.activations import activation_named
from ngmm.networks.inputs import Inputs, with_latent
from ngmm.networks.mlp import MLP
from ngmm.networks.protocol import Reconstructing
from ngmm.networks.resolve import NetworkInputs, network_for

__all__ = ["Centred", "LatentMLP", "LatentNetwork", "latent_network"]

Weights = Any

# Hidden units of the built-in network, unless asked otherwise.
HIDDEN = (8,)
# Dimensions of an embedding, unless asked otherwise: levels differ by the shape of a
# curve, which a few numbers describe.
EMBEDDING = 3
# Ridge group of weights that are not penalised.
FREE = -1


class LatentNetwork(Protocol):
    """What the integration over latent vectors asks of a network.

    Implementations are hashable: they are static arguments of compiled functions.
    """

    @property
    def n_latent(self) -> int:
        """Dimensions of the latent vector."""
        ...

    @property
    def is_bilinear(self) -> bool:
        """Whether h is linear in its weights for every v."""
        ...

    def init(self, key: Array, inputs: Inputs) -> Weights:
        """Weights to start from, a pytree of float arrays."""
        ...

    def at_nodes(self, weights: Weights, inputs: Inputs, nodes: Array) -> Array:
        """H (n, K) of rows at latent vectors (n or 1, K, d); zero where v is zero."""
        ...

    def penalty_groups(self, weights: Weights) -> Any:
        """Ridge group of every weight, -1 for one without a penalty."""
        ...

    def least_penalties(self, weights: Weights) -> Any:
        """The smallest penalty of every weight."""
        ...


@dataclass(frozen=True)
class LatentMLP:
    """The built-in network of a neural random effect.

    Parameters
    ----------
    n_latent
        Dimensions of v.
    hidden
        Units of the hidden layers of g; none for a bilinear h.
    activation
        Nonlinearity of the hidden layers.
    columns
        Columns of ``inputs.x`` that have loadings; None for all of them.
    levels
        Number of levels of each factor in ``inputs.codes``.
    constant
        Whether there is a constant loading a. Without one where the loadings of all
        levels of a factor span it, so that the loading of every level is its own.
    all_levels
        Whether the first factor in ``inputs.codes`` has a loading for every level; of
        other factors the first level has none.
    shared
        Whether one loading is shared by all rows: h(x, v) = a'v, as in Rasch's model.
    embeddings
        Dimensions in which g sees each factor of ``inputs.codes``.

    Raises
    ------
    OptionError
        If an option is out of range, or shared=True comes with hidden units.
    """

    n_latent: int = 1
    hidden: tuple[int, ...] = ()
    activation: str = "tanh"
    columns: tuple[int, ...] | None = None
    levels: tuple[int, ...] = ()
    constant: bool = True
    all_levels: bool = False
    shared: bool = False
    embeddings: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check the options."""
        if self.n_latent < 1:
            raise OptionError(
                f"latent={self.n_latent!r}: a neural random effect has a latent "
                "dimension at least; write latent=1"
            )
        activation_named(self.activation)
        if self.shared and self.hidden:
            raise OptionError(
                "shared=True leaves one loading and no hidden units; leave hidden out"
            )

    @property
    def is_bilinear(self) -> bool:
        """Whether h is linear in its weights for every v."""
        return not self.hidden

    def init(self, key: Array, inputs: Inputs) -> Weights:
        """Random hidden layers; zero loadings, an even point of the likelihood."""
        d = self.n_latent
        width = inputs.x.shape[1] if self.columns is None else len(self.columns)
        loadings: dict[str, Any] = {}
        if self.constant or self.shared:
            loadings["constant"] = jnp.zeros(d)
        if not self.shared:
            loadings["x"] = jnp.zeros((width, d))
            loadings["levels"] = tuple(
                jnp.zeros((n - self._dropped(i), d)) for i, n in enumerate(self.levels)
            )
        weights: dict[str, Any] = {"loadings": loadings}
        if not self.hidden:
            return weights
        keys = iter(jax.random.split(key, 3 + len(self.hidden) + len(self.levels)))
        weights["embeddings"] = tuple(
            0.3 * jax.random.normal(next(keys), (n, e))
            for n, e in zip(self.levels, self.embeddings, strict=True)
        )
        fan_x = inputs.x.shape[1] + sum(self.embeddings)
        first = self.hidden[0]
        root = np.sqrt(fan_x + d)
        weights["from_x"] = jax.random.normal(next(keys), (fan_x, first)) / root
        weights["from_v"] = jax.random.normal(next(keys), (d, first))
        weights["bias"] = jnp.zeros(first)
        weights["layers"] = tuple(
            (jax.random.normal(next(keys), (m, n)) / np.sqrt(m), jnp.zeros(n))
            for m, n in zip(self.hidden, self.hidden[1:], strict=False)
        )
        last = self.hidden[-1]
        weights["out"] = 0.1 * jax.random.normal(next(keys), (last,)) / np.sqrt(last)
        return weights

    def loadings(self, weights: Weights, inputs: Inputs) -> Array:
        """Slope (n, d) of the bilinear part in v."""
        found = weights["loadings"]
        n = inputs.x.shape[0]
        total = jnp.zeros((n, self.n_latent))
        if "constant" in found:
            total = total + found["constant"]
        if self.shared:
            return total
        x = inputs.x if self.columns is None else inputs.x[:, list(self.columns)]
        total = total + x @ found["x"]
        for i, slope in enumerate(found["levels"]):
            rows = jnp.zeros((self._dropped(i), self.n_latent))
            total = total + jnp.concatenate([rows, slope])[inputs.codes[i]]
        return total

    def at_nodes(self, weights: Weights, inputs: Inputs, nodes: Array) -> Array:
        """H (n, K) of rows at latent vectors (n or 1, K, d)."""
        loadings = self.loadings(weights, inputs)
        value = (loadings[:, None, :] * nodes).sum(2)
        if not self.hidden:
            return value
        act = activation_named(self.activation).function
        seen = [w[c] for w, c in zip(weights["embeddings"], inputs.codes, strict=True)]
        x = jnp.concatenate([inputs.x, *seen], 1)
        base = (x @ weights["from_x"] + weights["bias"])[:, None, :]
        # The value at v = 0 comes along as one more node.
        hidden = act(base + nodes @ weights["from_v"])
        centre = act(base)
        for matrix, bias in weights["layers"]:
            hidden = act(hidden @ matrix + bias)
            centre = act(centre @ matrix + bias)
        return value + (hidden - centre) @ weights["out"]

    def apply(self, weights: Weights, inputs: Inputs) -> Array:
        """H (n,) with v in the last columns of ``inputs.x``."""
        d = self.n_latent
        v = inputs.x[:, None, -d:]
        return self.at_nodes(weights, inputs._replace(x=inputs.x[:, :-d]), v)[:, 0]

    def penalty_groups(self, weights: Weights) -> Any:
        """Ridge groups: none for loadings, then inputs, embeddings, v and layers.

        Loadings are the random effect itself: shrinking them would shrink variances.
        """
        groups: dict[str, Any] = {
            "loadings": jax.tree.map(
                lambda a: jnp.full(a.shape, FREE), weights["loadings"]
            )
        }
        if not self.hidden:
            return groups
        groups["embeddings"] = tuple(
            jnp.full(e.shape, i) for i, e in enumerate(weights["embeddings"])
        )
        count = len(weights["embeddings"])
        shape = weights["from_x"].shape
        inputs = shape[0] - sum(self.embeddings)
        block = np.concatenate(
            [np.arange(inputs)]
            + [np.full(e, inputs + i) for i, e in enumerate(self.embeddings)]
        ).astype(int)
        groups["from_x"] = jnp.broadcast_to(count + block[:, None], shape)
        count += inputs + len(self.embeddings)
        groups["from_v"] = jnp.full(weights["from_v"].shape, count)
        groups["bias"] = jnp.full(weights["bias"].shape, count + 1)
        count += 2
        layers = []
        for matrix, bias in weights["layers"]:
            layers.append(
                (jnp.full(matrix.shape, count), jnp.full(bias.shape, count + 1))
            )
            count += 2
        groups["layers"] = tuple(layers)
        groups["out"] = jnp.full(weights["out"].shape, count)
        return groups

    def least_penalties(self, weights: Weights) -> Any:
        """One for what leads into hidden units, next to nothing for what leads out.

        v and the inputs are of order one, so that such weights make curves that are
        smooth on the scale of v. Steeper ones could set levels apart by answers that
        have nothing in common, and outrun any grid of nodes.
        """
        floor = jax.tree.map(jnp.ones_like, weights)
        if self.hidden:
            floor["out"] = jnp.full_like(weights["out"], 1e-10)
        return floor

    def rotated(self, weights: Weights, rotation: Any) -> Weights:
        """Weights w* with h(x, R'v; w*) = h(x, v; w), R (d, d) orthogonal."""
        out = dict(weights)
        out["loadings"] = {
            name: jax.tree.map(lambda a: a @ rotation, value)
            for name, value in weights["loadings"].items()
        }
        if self.hidden:
            out["from_v"] = rotation.T @ weights["from_v"]
        return out

    def layout(self, inputs: Inputs) -> str:
        """The architecture, latent dimensions after the plus: ``5+1-8-1``."""
        width = inputs.x.shape[1] + sum(self.embeddings or self.levels)
        middle = "".join(f"-{m}" for m in self.hidden)
        return f"{width}+{self.n_latent}{middle}-1"

    def _dropped(self, factor: int) -> int:
        """Levels of a factor without a loading of their own."""
        return 0 if self.all_levels and factor == 0 else 1


@dataclass(frozen=True)
class Centred:
    """A network of the protocol as a neural random effect: g(x, v) - g(x, 0).

    Parameters
    ----------
    network
        Reads v in the last columns of ``inputs.x``.
    n_latent
        Dimensions of v.
    """

    network: Any
    n_latent: int = 1

    @property
    def is_bilinear(self) -> bool:
        """Not known, so no."""
        return False

    def init(self, key: Array, inputs: Inputs) -> Weights:
        """Weights of the network."""
        return self.network.init(
            key, self._joined(inputs, jnp.zeros((1, self.n_latent)))
        )

    def at_nodes(self, weights: Weights, inputs: Inputs, nodes: Array) -> Array:
        """H (n, K) of rows at latent vectors (n or 1, K, d)."""
        n = inputs.x.shape[0]
        by_node = jnp.broadcast_to(nodes, (n, *nodes.shape[1:]))
        at_zero = self._apply(weights, inputs, jnp.zeros((1, self.n_latent)))

        def one(v: Array) -> Array:
            return self._apply(weights, inputs, v)

        return jax.vmap(one, 1, 1)(by_node) - at_zero[:, None]

    def penalty_groups(self, weights: Weights) -> Any:
        """Those of the network."""
        return self.network.penalty_groups(weights)

    def least_penalties(self, weights: Weights) -> Any:
        """A thousandth: nothing is known of what the weights mean."""
        return jax.tree.map(lambda a: jnp.full(a.shape, 1e-3), weights)

    def layout(self, inputs: Inputs) -> str:
        """The architecture for a table."""
        return self.network.layout(inputs)

    def _apply(self, weights: Weights, inputs: Inputs, v: Array) -> Array:
        return self.network.apply(weights, self._joined(inputs, v))

    def _joined(self, inputs: Inputs, v: Array) -> Inputs:
        shape = (inputs.x.shape[0], self.n_latent)
        return with_latent(inputs, jnp.broadcast_to(v, shape))


def latent_network(
    design: NetworkInputs,
    networks: Mapping[str, Any] | None = None,
    *,
    n_latent: int = 1,
) -> LatentMLP | Centred:
    """The network of a term ``(nn(x1, x2) | g)``.

    Parameters
    ----------
    design
        The term, with its options: ``hidden``, ``activation``, ``embedding`` and
        ``shared`` are those of `LatentMLP`; ``net`` is a name of ``networks``.
    networks
        Name -> network, as in `ngmm.networks.resolve.network_for`.
    n_latent
        Dimensions of v.

    Raises
    ------
    OptionError
        If an option or a name is not known, or a user's network cannot be used.
    """
    options = dict(design.options)
    shared = bool(options.pop("shared", False))
    if "net" not in options and "hidden" not in options:
        options["hidden"] = () if shared else HIDDEN
    plain = _WithOptions(design, options)
    network = network_for(plain, networks, n_latent=n_latent)
    if not isinstance(network, MLP):
        if shared:
            raise OptionError(
                f"{design.label}: shared=True is an option of the built-in network; "
                f"net={options['net']} has its own. Leave it out"
            )
        if isinstance(network, Reconstructing):
            raise OptionError(
                f"{design.label}: {type(network).__name__} draws its inputs again, "
                "which a network with a latent input does not; use it in the fixed "
                "part, nn(..., net=...), or a CNN here"
            )
        return Centred(network, n_latent)
    columns, spanned = _loading_columns(design)
    return LatentMLP(
        n_latent=n_latent,
        hidden=network.hidden,
        activation=network.activation,
        columns=columns,
        levels=network.levels,
        constant=not (spanned or network.levels),
        all_levels=not spanned,
        shared=shared,
        embeddings=_embeddings(network, options) if network.hidden else (),
    )


def _embeddings(network: MLP, options: Mapping[str, object]) -> tuple[int, ...]:
    """Dimensions in which curves see the levels of factors."""
    if "embedding" in options:
        return network.embedding_sizes
    return tuple(min(e, EMBEDDING) for e in network.embedding_sizes)


@dataclass(frozen=True)
class _WithOptions:
    """A term with other options."""

    term: NetworkInputs
    options: Mapping[str, object]

    @property
    def label(self) -> str:
        return self.term.label

    @property
    def inputs(self) -> Inputs:
        return self.term.inputs

    @property
    def variables(self) -> tuple[str, ...]:
        return self.term.variables

    @property
    def column_inputs(self) -> tuple[int, ...]:
        return self.term.column_inputs

    @property
    def array_inputs(self) -> tuple[int, ...]:
        return self.term.array_inputs

    @property
    def levels(self) -> tuple[int, ...]:
        return self.term.levels


def _loading_columns(design: NetworkInputs) -> tuple[tuple[int, ...], bool]:
    """Columns of x with loadings, and whether they span the constant.

    The indicators of a factor sum to one: of the first such factor all have loadings,
    of later ones all but the first.
    """
    x = np.asarray(design.inputs.x)
    of_input = np.asarray(design.column_inputs, dtype=int)
    columns: list[int] = []
    spanned = False
    for variable in dict.fromkeys(of_input.tolist()):
        block = np.flatnonzero(of_input == variable).tolist()
        part = x[:, block]
        if ((part == 0) | (part == 1)).all() and (part.sum(1) == 1).all():
            block = block[1:] if spanned else block
            spanned = True
        columns += block
    return tuple(columns), spanned
