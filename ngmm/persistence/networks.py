"""Networks whose code is the user's: their names and the shapes of their weights.

A file cannot hold code, so such a network is given again when the file is read. Its
weights come from the file; that they are of the same architecture is seen from the
names and shapes of their arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from ngmm.design import NetworkDesign
from ngmm.errors import SavedFitError, did_you_mean
from ngmm.linalg import precise
from ngmm.networks import Inputs, Network
from ngmm.networks.adapters import adapt
from ngmm.networks.latent import Centred
from ngmm.networks.protocol import Adaptable
from ngmm.persistence.registry import CLASSES
from ngmm.results import MixedModelFit

__all__ = [
    "Given",
    "check_described",
    "describe",
    "given_networks",
    "is_adaptable",
    "user_networks",
    "weight_tree",
]

# Name -> (what the user gave, what the fit has made of it).
Given = Mapping[str, tuple[Any, Any]]


def user_networks(fit: MixedModelFit) -> dict[str, tuple[NetworkDesign, Any]]:
    """Return the terms of a fit with networks of the user's, by the networks' names."""
    return {
        str(design.options["net"]): (design, network)
        for design, network in _terms(fit)
        if "net" in design.options and not _is_own(network)
    }


def describe(network: Any, inputs: Inputs) -> dict[str, Any]:
    """Return what a network's successor is compared with, as JSON."""
    flat = [inputs.x, *inputs.codes, *inputs.arrays]
    return {
        "layout": network.layout(inputs),
        "n_latent": network.n_latent if isinstance(network, Centred) else 0,
        "inputs": [[list(a.shape[1:]), np.dtype(a.dtype).str] for a in flat],
        "n_codes": len(inputs.codes),
        "weights": _signature(network, inputs),
    }


def check_described(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what `describe` gave for each network, if it is that.

    Raises
    ------
    ValueError, TypeError, LookupError, AttributeError
        If it is not.
    """
    for name, of in described.items():
        _specimen(of)
        shapes = [tuple(shape) for _, shape in of["weights"]]
        if not isinstance(of["layout"], str) or int(of["n_latent"]) < 0:
            raise ValueError(f"network {name} with weights of shapes {shapes}")
    return described


def given_networks(
    described: Mapping[str, Any], networks: Mapping[str, Any] | None, file: str
) -> Given:
    """Return the user's networks for a fit, checked against what its file says.

    Parameters
    ----------
    described
        Name -> what `describe` gave.
    networks
        What the user gave to `ngmm.load`.
    file
        What messages call the file.

    Raises
    ------
    SavedFitError
        If one is missing, not needed, no network, or of another architecture.
    """
    networks = {} if networks is None else networks
    if not isinstance(networks, Mapping):
        raise SavedFitError(
            'networks= is a mapping from names to networks, such as {"cnn": network}; '
            f"got {type(networks).__name__}"
        )
    for name in networks:
        if name not in described:
            known = ", ".join(described) or "none"
            raise SavedFitError(
                f'networks= has "{name}", which {file} does not need'
                f"{did_you_mean(name, described) or ';'} It needs: {known}"
            )
    missing = [name for name in described if name not in networks]
    if missing:
        raise SavedFitError(_missing(missing[0], described[missing[0]], file))
    return {
        name: (networks[name], _checked(name, networks[name], of, file))
        for name, of in described.items()
    }


def weight_tree(network: Any, inputs: Inputs) -> Any:
    """Return the structure of a network's weights, shapes in the place of arrays.

    Parameters
    ----------
    network
        Has ``init(key, inputs)``.
    inputs
        Arrays, or anything with a shape and a type; they are not computed with.
    """

    def specimen(a: Any) -> Any:
        return jax.ShapeDtypeStruct((1, *a.shape[1:]), np.dtype(a.dtype))

    one = Inputs(
        specimen(inputs.x),
        tuple(map(specimen, inputs.codes)),
        tuple(map(specimen, inputs.arrays)),
    )
    with precise():
        return jax.eval_shape(network.init, jax.random.key(0), one)


def _terms(fit: MixedModelFit) -> Iterator[tuple[NetworkDesign, Any]]:
    if fit.networks is not None:
        yield from zip(fit.networks.designs, fit.networks.stack.networks, strict=True)
    for term in fit.model.design.latent:
        yield term.network, fit.estimate.engine.problem.network  # type: ignore[attr-defined]


def _is_own(network: Any) -> bool:
    """Whether a network is options and weights, without code of the user's."""
    return type(_inner(network)) in CLASSES.values()


def _inner(network: Any) -> Any:
    """The network of a neural random effect without its centring."""
    return network.network if isinstance(network, Centred) else network


def _signature(network: Any, inputs: Inputs) -> list[list[Any]]:
    """Name and shape of each array of weights."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(weight_tree(network, inputs))
    return [[jax.tree_util.keystr(path), list(leaf.shape)] for path, leaf in leaves]


def _checked(name: str, value: Any, described: Mapping[str, Any], file: str) -> Any:
    """The user's network, if its weights have the shapes of those in the file."""
    is_class = isinstance(value, type)
    ready = isinstance(value, Network) and not is_class
    network: Any = value if ready else adapt(value)
    if network is None:
        got = f"the class {value.__name__}: call it" if is_class else repr(value)
        raise SavedFitError(f'networks["{name}"] must be a network; got {got}')
    inputs = _specimen(described)
    n_latent = int(described["n_latent"])
    whole = Centred(network, n_latent) if n_latent else network
    try:
        found = _signature(whole, inputs)
    except Exception as cause:
        raise SavedFitError(
            f'networks["{name}"] cannot read the inputs of the network in {file}, '
            f"{described['layout']}: {cause}"
        ) from cause
    if found != described["weights"]:
        raise SavedFitError(
            f'networks["{name}"] is of another architecture than the network in '
            f"{file}: {_difference(found, described['weights'])}"
        )
    return network


def _specimen(described: Mapping[str, Any]) -> Inputs:
    shapes = [
        jax.ShapeDtypeStruct((1, *shape), np.dtype(dtype))
        for shape, dtype in described["inputs"]
    ]
    n = 1 + int(described["n_codes"])
    return Inputs(shapes[0], tuple(shapes[1:n]), tuple(shapes[n:]))


def _difference(found: list[list[Any]], wanted: list[list[Any]]) -> str:
    """Say what is first different."""
    have, want = ({k: tuple(s) for k, s in part} for part in (found, wanted))
    for key, shape in want.items():
        if key not in have:
            return f"its weights lack {key} of shape {shape}"
        if have[key] != shape:
            return f"its weights {key} have shape {have[key]}, those saved {shape}"
    extra = next((key for key in have if key not in want), None)
    if extra is None:
        return "its weights are in another order"
    return f"the saved weights have no {extra}, of shape {have[extra]}"


def _missing(name: str, described: Mapping[str, Any], file: str) -> str:
    return (
        f"the fit in {file} has a network of yours, net={name} ({described['layout']}, "
        f"{len(described['weights'])} arrays of weights). A file holds the weights but "
        "no code: give a network of the same architecture, "
        f'ngmm.load("{file}", networks={{"{name}": network}})'
    )


def is_adaptable(network: Any) -> bool:
    """Whether a network takes scales from the rows, so that it needs the data."""
    return isinstance(network, Adaptable)
