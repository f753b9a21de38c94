"""A user's object as a part of a hashable record."""

from __future__ import annotations

from typing import Any

__all__ = ["Held"]


class Held:
    """An object that equals itself only, whatever it holds.

    Modules with arrays in them cannot be hashed, and comparing their weights would be
    wrong: they are the starting point of a fit, not a part of what is compiled.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: Any = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)
