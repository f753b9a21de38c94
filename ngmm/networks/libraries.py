"""How modules of each library, and plain functions, are initialised and called.

No library is imported here: whoever has a module of one has imported it already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import jax
from jax import Array

from ngmm.errors import OptionError

__all__ = ["Library", "library_of"]

Arguments: TypeAlias = tuple[Any, ...]


class Library(NamedTuple):
    """What makes the modules of one library networks.

    Attributes
    ----------
    initial
        Returns the weights of a module: (module, key, arguments) -> pytree.
    output
        Returns what a module gives for these weights: (module, weights, arguments).
    is_random
        Whether ``initial`` draws new weights, or returns those that the module has.
    """

    initial: Callable[[Any, Array, Arguments], Any]
    output: Callable[[Any, Any, Arguments], Any]
    is_random: bool


def library_of(value: Any) -> Library | None:
    """Return how to use a user's network, or None if it is nothing that is known."""
    if isinstance(value, _class("equinox")):
        return Library(_equinox_initial, _equinox_output, is_random=False)
    if isinstance(value, _class("flax.linen")):
        return Library(_linen_initial, _linen_output, is_random=True)
    if isinstance(value, _class("flax.nnx")):
        return Library(_nnx_initial, _nnx_output, is_random=False)
    if isinstance(value, tuple) and len(value) == 2 and callable(value[1]):
        if callable(value[0]):
            return Library(_pair_initial, _pair_output, is_random=True)
        return Library(_given_initial, _pair_output, is_random=False)
    return None


def _class(module: str) -> Any:
    """Return the class ``Module`` of a library; nothing is one before its import."""
    return getattr(sys.modules.get(module), "Module", ())


def _imported(module: str) -> ModuleType:
    return sys.modules[module]


def _equinox_initial(module: Any, key: Array, arguments: Arguments) -> Any:  # noqa: ARG001
    eqx: Any = _imported("equinox")
    return eqx.filter(module, eqx.is_inexact_array)


def _equinox_output(module: Any, weights: Any, arguments: Arguments) -> Any:
    """Call the module row by row, as modules of equinox are written."""
    eqx: Any = _imported("equinox")
    _, static = eqx.partition(module, eqx.is_inexact_array)
    # Dropout is off: the penalties do its work, and a likelihood is no random number.
    whole = eqx.nn.inference_mode(eqx.combine(weights, static))
    return jax.vmap(whole)(*arguments)


def _linen_initial(module: Any, key: Array, arguments: Arguments) -> Any:
    variables = dict(module.init(key, *arguments))
    weights = variables.pop("params", {})
    if variables:
        raise _with_state(module, ", ".join(variables))
    return weights


def _linen_output(module: Any, weights: Any, arguments: Arguments) -> Any:
    return module.apply({"params": weights}, *arguments)


def _nnx_initial(module: Any, key: Array, arguments: Arguments) -> Any:  # noqa: ARG001
    nnx: Any = _imported("flax.nnx")
    _, params, statistics, _ = nnx.split(module, nnx.Param, nnx.BatchStat, ...)
    if jax.tree.leaves(statistics):
        raise _with_state(module, "batch statistics")
    return nnx.to_pure_dict(params)


def _nnx_output(module: Any, weights: Any, arguments: Arguments) -> Any:
    nnx: Any = _imported("flax.nnx")
    definition, params, rest = nnx.split(module, nnx.Param, ...)
    nnx.replace_by_pure_dict(params, weights)
    whole = nnx.merge(definition, params, rest)
    whole.eval()
    return whole(*arguments)


def _pair_initial(pair: Any, key: Array, arguments: Arguments) -> Any:
    return pair[0](key, *arguments)


def _given_initial(pair: Any, key: Array, arguments: Arguments) -> Any:  # noqa: ARG001
    return pair[0]


def _pair_output(pair: Any, weights: Any, arguments: Arguments) -> Any:
    return pair[1](weights, *arguments)


def _with_state(module: Any, state: str) -> OptionError:
    return OptionError(
        f"the network {type(module).__name__} keeps a state beside its weights "
        f"({state}), which a likelihood cannot have; use layers without one, such as "
        "LayerNorm instead of BatchNorm"
    )
