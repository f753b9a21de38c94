"""Values as JSON and arrays, and back: data, and the records of the registry.

A node of the JSON is null, a truth value, a whole number, a finite number or a text as
itself; anything else is an object with one key, the kind of the value. Arrays are
members of the file, referred to by their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from ngmm import families
from ngmm.families import Family
from ngmm.linalg import precise
from ngmm.persistence.arrays import (
    array_bytes,
    array_from,
    scalar_from,
    scalar_text,
)
from ngmm.persistence.registry import CLASSES, ENUMS, field_names
from ngmm.persistence.types import conforms, field_types

__all__ = ["Decoder", "Encoder", "NotStorableError"]

_NAMES = {cls: name for name, cls in CLASSES.items()}
_ENUM_NAMES = {cls: name for name, cls in ENUMS.items()}

# What makes a node of a value: special kinds by their own modules.
Special = Callable[["Encoder", Any, str], Any]
Read = Callable[["Decoder", Any], Any]


class NotStorableError(Exception):
    """A value that is neither data nor a record: it holds code, or is foreign.

    Attributes
    ----------
    place
        Where it stands, ``fit.estimator.options``.
    value
        What it is.
    """

    def __init__(self, place: str, value: Any) -> None:
        super().__init__(f"{place}: {type(value).__name__}")
        self.place = place
        self.value = value


class Encoder:
    """Turns values into nodes, and collects their arrays.

    Parameters
    ----------
    specials
        Class -> kind of node and what makes its contents, for subclasses too.
    named
        Networks whose code is the user's: id -> name.
    """

    def __init__(
        self, specials: Mapping[type, tuple[str, Special]], named: Mapping[int, str]
    ) -> None:
        self.specials = specials
        self.named = named
        self.members: list[bytes] = []
        # An array that stands in several records is stored once; it is kept here so
        # that its id is not given to another one.
        self._numbers: dict[int, tuple[int, Any]] = {}

    def __call__(self, value: Any, place: str) -> Any:
        """Return the node of a value.

        Raises
        ------
        NotStorableError
            If it has none.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if id(value) in self.named:
            return {"network": self.named[id(value)]}
        for cls, (name, make) in self.specials.items():
            if isinstance(value, cls):
                return {name: make(self, value, place)}
        if kind in _NAMES:
            return self.record(value, place)
        return self._collection(value, place)

    def record(self, value: Any, place: str, **replaced: Any) -> Any:
        """Return the node of a record, some of whose fields have nodes already."""
        kind = type(value)
        fields = {
            name: replaced[name]
            if name in replaced
            else self(getattr(value, name), f"{place}.{name}")
            for name in field_names(kind)
        }
        return {"record": [_NAMES[kind], fields]}

    def _collection(self, value: Any, place: str) -> Any:
        kind = type(value)
        if kind in _ENUM_NAMES:
            return {"enum": [_ENUM_NAMES[kind], value.name]}
        if isinstance(value, np.ndarray) and value.dtype.kind == "O":
            parts = [self(v, f"{place}[{i}]") for i, v in enumerate(value.flat)]
            return {"objects": [list(value.shape), parts]}
        if isinstance(value, (np.ndarray, jax.Array)):
            kind_of = "jax" if isinstance(value, jax.Array) else "array"
            return {kind_of: self.array(value, place)}
        if isinstance(value, np.generic):
            try:
                return {"scalar": scalar_text(value)}
            except TypeError:
                raise NotStorableError(place, value) from None
        if kind in (tuple, list):
            parts = [self(v, f"{place}[{i}]") for i, v in enumerate(value)]
            return {kind.__name__: parts}
        if isinstance(value, slice):
            return {"slice": [value.start, value.stop, value.step]}
        if isinstance(value, Mapping):
            items = ((k, v, f"{place}[{k!r}]") for k, v in value.items())
            return {"dict": [[self(k, at), self(v, at)] for k, v, at in items]}
        raise NotStorableError(place, value)

    def array(self, value: Any, place: str) -> int:
        """Return the number of an array among the members."""
        if id(value) not in self._numbers:
            try:
                contents = array_bytes(np.asarray(value))
            except TypeError:
                raise NotStorableError(place, value) from None
            self._numbers[id(value)] = (len(self.members), value)
            self.members.append(contents)
        return self._numbers[id(value)][0]

    def forget(self, count: int) -> None:
        """Drop all arrays but the first ones."""
        del self.members[count:]
        known = self._numbers.items()
        self._numbers = {k: v for k, v in known if v[0] < count}


class Decoder:
    """Turns nodes back into values.

    Every kind of failure is a `ValueError`, `TypeError` or `LookupError`, or an error
    of ngmm, that the caller reports as damage.

    Parameters
    ----------
    members
        The arrays, ``.npy`` each.
    specials
        Kind of node -> what reads its contents.
    networks
        Name -> network whose code is the user's.
    """

    def __init__(
        self,
        members: list[bytes],
        specials: Mapping[str, Read],
        networks: Mapping[str, Any],
    ) -> None:
        self.specials = specials
        self.networks = networks
        self._members = members
        self._arrays: dict[int, Any] = {}
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "float": float,
            "record": lambda body: self.record(*body),
            "enum": lambda body: ENUMS[body[0]][body[1]],
            "objects": self._objects,
            "array": self.array,
            "jax": self._jax,
            "scalar": scalar_from,
            "tuple": lambda body: tuple(map(self, body)),
            "list": lambda body: list(map(self, body)),
            "dict": lambda body: {self(k): self(v) for k, v in body},
            "slice": lambda body: slice(*body),
            "network": lambda body: self.networks[body],
        }

    def __call__(self, node: Any) -> Any:
        """Return the value of a node."""
        if not isinstance(node, dict):
            return node if not isinstance(node, list) else self._refuse(node)
        ((kind, body),) = node.items()
        if kind in self.specials:
            return self.specials[kind](self, body)
        return self._kinds[kind](body)

    def record(self, name: str, nodes: Mapping[str, Any], **known: Any) -> Any:
        """Return a record from the nodes of its fields; some may be known already."""
        cls = CLASSES[name]
        hints = field_types(cls)
        fields = {k: known[k] if k in known else self(v) for k, v in nodes.items()}
        for field, value in fields.items():
            if not conforms(value, hints[field]):
                raise ValueError(
                    f"{name}.{field} is {type(value).__name__}, not {hints[field]}"
                )
        return cls(**fields)

    def array(self, number: int) -> Any:
        """Return an array, the same one whenever its number comes."""
        if type(number) is not int or number < 0:
            raise ValueError(f"{number!r} is not the number of an array")
        if number not in self._arrays:
            self._arrays[number] = array_from(self._members[number])
        return self._arrays[number]

    def with_networks(self, networks: Mapping[str, Any]) -> Decoder:
        """Return a decoder of the same arrays with other networks."""
        other = Decoder(self._members, self.specials, networks)
        other._arrays = self._arrays
        return other

    def _objects(self, body: Any) -> Any:
        shape, nodes = body
        flat = np.empty(len(nodes), dtype=object)
        for i, node in enumerate(nodes):
            flat[i] = self(node)
        return flat.reshape(shape)

    @staticmethod
    def _refuse(node: Any) -> NoReturn:
        raise ValueError(f"{type(node).__name__} is no node")

    def _jax(self, number: int) -> Any:
        with precise():
            return jnp.asarray(self.array(number))


def encode_family(_: Encoder, family: Family, place: str) -> list[str]:
    """Return name and link: a family's functions are not data."""
    known = families.REGISTRY.get(family.name)
    if known is None or known(family.link) is not family:
        raise NotStorableError(place, family)
    return [family.name, family.link]


def decode_family(_: Decoder, body: list[str]) -> Family:
    """Return the family of a name and a link."""
    name, link = body
    return families.get(str(name), str(link))
