"""Which network a term means: the built-in one with its options, or the user's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ngmm.errors import OptionError, did_you_mean
from ngmm.linalg import precise
from ngmm.networks.adapters import adapt
from ngmm.networks.inputs import Inputs, with_latent
from ngmm.networks.mlp import MLP
from ngmm.networks.protocol import Adaptable, Network

__all__ = ["NetworkInputs", "check_used", "network_for"]

_OPTIONS = ("hidden", "activation", "embedding", "net")

# Rows on which a user's network is tried before the fit.
_TRIED = 256


class NetworkInputs(Protocol):
    """What is read of a network term of the design."""

    @property
    def label(self) -> str:
        """The term as tables call it."""
        ...

    @property
    def inputs(self) -> Inputs:
        """What the network reads."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """The inputs as written."""
        ...

    @property
    def column_inputs(self) -> tuple[int, ...]:
        """For each column of ``inputs.x``, the input it belongs to."""
        ...

    @property
    def array_inputs(self) -> tuple[int, ...]:
        """For each array of the inputs, the input it is."""
        ...

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of levels of each factor in ``inputs.codes``."""
        ...

    @property
    def options(self) -> Mapping[str, object]:
        """The options in the call."""
        ...


def network_for(
    design: NetworkInputs,
    networks: Mapping[str, Any] | None = None,
    *,
    n_latent: int = 0,
) -> Network:
    """Return the network of a term.

    Parameters
    ----------
    design
        The term, with its options: ``hidden``, ``activation`` and ``embedding`` are
        those of `MLP`, and ``net`` is a name of ``networks``.
    networks
        Name -> network: an `MLP`, what `ngmm.networks.adapters.adapt` takes, or any
        object with the methods of `Network`.
    n_latent
        Number of latent values that are appended to ``x``.

    Raises
    ------
    OptionError
        If an option or a name is not known, or a user's network cannot be used: it is
        none, or its output is not one finite number a row.

    Examples
    --------
    >>> import pandas as pd
    >>> from ngmm.design import build_design
    >>> from ngmm.formula import parse
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "z": [2, 1, 4]})
    >>> design, _ = build_design(parse("y ~ nn(x, log(z), hidden=(4,))"), data)
    >>> network = network_for(design.networks[0])
    >>> network.layout(design.networks[0].inputs)
    '2-4-1'
    """
    networks = _as_mapping(networks)
    options = dict(design.options)
    for name in options:
        if name not in _OPTIONS:
            raise OptionError(
                f"{design.label}: {name}= is not an option of nn()"
                f"{did_you_mean(name, _OPTIONS) or '.'} Options: {', '.join(_OPTIONS)}"
            )
    net = options.pop("net", None)
    if net is None:
        return _built_in(_mlp(options, design), design)
    network = _named(str(net), networks, design)
    if options:
        raise OptionError(
            f"{design.label}: {next(iter(options))}= is an option of the built-in "
            f"network; net={net} has its own. Leave it out"
        )
    return _from_user(network, str(net), design, n_latent)


def check_used(
    designs: Iterable[NetworkInputs], networks: Mapping[str, Any] | None
) -> None:
    """Raise if a network was given that no term names.

    Raises
    ------
    OptionError
        If so.
    """
    designs = tuple(designs)
    used = {design.options.get("net") for design in designs}
    for name in _as_mapping(networks):
        if name not in used:
            inputs = ", ".join(designs[0].variables) if designs else "x"
            raise OptionError(
                f'networks= has "{name}", which no term of the formula uses; write '
                f"nn({inputs}, net={name}), or leave it out"
            )


def _as_mapping(networks: object) -> Mapping[str, Any]:
    if networks is None:
        return {}
    if not isinstance(networks, Mapping):
        raise OptionError(
            "networks= is a mapping from names to networks, such as "
            f'{{"cnn": network}}; got {type(networks).__name__}'
        )
    return networks


def _mlp(options: Mapping[str, Any], design: NetworkInputs) -> MLP:
    """Return the built-in network with these options."""
    given = dict(options)
    # In Python hidden=(8) is hidden=8.
    if isinstance(given.get("hidden"), int) and not isinstance(given["hidden"], bool):
        given["hidden"] = (given["hidden"],)
    try:
        return MLP(**given)
    except OptionError as error:
        raise OptionError(f"{design.label}: {error}") from None


def _built_in(network: MLP, design: NetworkInputs) -> MLP:
    """Return the built-in network for the inputs of a term."""
    if design.inputs.arrays:
        name = design.variables[design.array_inputs[0]]
        raise OptionError(
            f"{design.label}: {name} is an array, which the built-in network cannot "
            f"read; give one that can: nn({', '.join(design.variables)}, net=cnn) and "
            'networks={"cnn": network}'
        )
    return replace(network, levels=design.levels, column_inputs=design.column_inputs)


def _named(name: str, networks: Mapping[str, Any], design: NetworkInputs) -> Any:
    if name in networks:
        return networks[name]
    known = ", ".join(map(str, networks)) or "none"
    raise OptionError(
        f'{design.label}: net={name}, but networks= has no "{name}"'
        f"{did_you_mean(name, networks) or '.'} Networks: {known}"
    )


def _from_user(value: Any, name: str, design: NetworkInputs, n_latent: int) -> Network:
    """Return a network of the mapping, tried on the first rows."""
    if isinstance(value, MLP):
        return _built_in(value, design)
    # A class has the methods too, but none of their first argument.
    is_class = isinstance(value, type)
    ready = isinstance(value, Network) and not is_class
    network = value if ready else adapt(value)
    if network is None:
        got = f"the class {value.__name__}: call it" if is_class else repr(value)
        raise OptionError(
            f'networks["{name}"] must be a network: a module of equinox or flax, a '
            f"pair (init, apply) or (weights, apply), or an MLP; got {got}"
        )
    try:
        hash(network)
    except TypeError:
        raise OptionError(
            f'networks["{name}"] cannot be hashed; make {type(value).__name__} a '
            "frozen dataclass without arrays in it, since its weights are kept apart"
        ) from None
    with precise():
        if isinstance(network, Adaptable):
            network = _for_inputs(network, name, design)
        _try_out(network, name, design, n_latent)
    return network


def _for_inputs(network: Adaptable, name: str, design: NetworkInputs) -> Network:
    try:
        return network.for_inputs(design.inputs)
    except OptionError as error:
        raise OptionError(f'{design.label}: networks["{name}"]: {error}') from None


def _try_out(network: Network, name: str, design: NetworkInputs, n_latent: int) -> None:
    """Raise unless the network gives one finite number a row at its initial weights."""
    n = min(design.inputs.n_rows, _TRIED)
    inputs = jax.tree.map(lambda a: jnp.asarray(a[:n]), design.inputs)
    if n_latent:
        inputs = with_latent(inputs, jnp.zeros((n, n_latent)))
    try:
        output = network.apply(network.init(jax.random.key(0), inputs), inputs)
    except OptionError as error:
        raise OptionError(f'{design.label}: networks["{name}"]: {error}') from None
    except Exception as error:
        shapes = ", ".join(str(a.shape) for a in inputs.arguments)
        error.add_note(
            f'raised by networks["{name}"] of {design.label} when called with arrays '
            f"of shape {shapes}; the first axis is the rows"
        )
        raise
    shape = getattr(output, "shape", None)
    if shape != (n,):
        got = type(output).__name__ if shape is None else f"shape {shape}"
        raise OptionError(
            f'{design.label}: networks["{name}"] gives {got} for {n} rows; a network '
            f"gives one number a row: shape ({n},) or ({n}, 1)"
        )
    wrong = ~np.isfinite(np.asarray(output))
    if wrong.any():
        raise OptionError(
            f'{design.label}: networks["{name}"] is not finite in {int(wrong.sum())} '
            f"of {n} rows at its initial weights; make these smaller, or rescale its "
            "array-valued inputs"
        )
