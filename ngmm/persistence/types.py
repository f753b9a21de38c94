"""Whether a value is what the annotation of a field says."""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import jax
import numpy as np

from ngmm.persistence.withheld import Withheld

__all__ = ["conforms", "field_types"]

_NUMBERS: dict[Any, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (float, int, np.floating, np.integer),
}


@cache
def field_types(cls: type) -> Mapping[str, Any]:
    """Return the annotation of each field of a record."""
    return get_type_hints(cls)


def conforms(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, as far as a file could get it wrong.

    Arrays are checked for being arrays, not for their shapes. Protocols, and what was
    left out of a file, pass.
    """
    if hint is Any or hint is object or isinstance(value, Withheld):
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(conforms(value, part) for part in arguments)
    if hint is None or hint is type(None):
        return value is None
    if hint in _NUMBERS:
        wrong = isinstance(value, bool) and hint is not bool
        return isinstance(value, _NUMBERS[hint]) and not wrong
    if origin is np.ndarray or hint in (np.ndarray, jax.Array):
        return isinstance(value, (np.ndarray, np.generic, jax.Array))
    if origin is tuple:
        return _tuple_conforms(value, arguments)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, Mapping) and all(
            conforms(k, arguments[0]) and conforms(v, arguments[1])
            for k, v in value.items()
        )
    if isinstance(hint, type) and not getattr(hint, "_is_protocol", False):
        return isinstance(value, hint)
    return True


def _tuple_conforms(value: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(conforms(part, arguments[0]) for part in value)
    return len(value) == len(arguments) and all(
        conforms(part, hint) for part, hint in zip(value, arguments, strict=True)
    )
