"""Names of columns as the user spelled them."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Spelling"]


class Spelling:
    """Turns formulaic's spelling of names back into the user's.

    formulaic writes ``I(age ** 2)`` and ``log(`total.fruits`)`` where the user wrote
    ``I(age^2)`` and ``log(total.fruits)``.

    Parameters
    ----------
    expr
        The formula as the user wrote it.
    evaluated
        The parts of it that are evaluated, as formulaic writes them.

    Examples
    --------
    >>> spelling = Spelling("1 + I(age^2)", ["I(age ** 2)"])
    >>> spelling("I(age ** 2):x")
    'I(age^2):x'
    """

    def __init__(self, expr: str, evaluated: Iterable[str]) -> None:
        power = " ** " if "**" in expr else "^"
        self._spelling = {
            theirs: re.sub(r"`([^`]*)`", r"\1", theirs.replace(" ** ", power))
            for theirs in evaluated
        }

    def __call__(self, name: str) -> str:
        """Return the name of a column or term as the user would write it."""
        for theirs, ours in self._spelling.items():
            name = name.replace(theirs, ours)
        return name
