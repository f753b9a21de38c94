"""Every error and warning that ngmm raises on purpose.

Each message says what came, what was expected and what to do. All errors share the base
`NgmmError`, so ``except ngmm.errors.NgmmError`` catches what a user can put right, and
each one is also the builtin exception that a caller would expect (`ValueError`,
`NotImplementedError`, `ImportError`).
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

__all__ = [
    "ConvergenceWarning",
    "DataError",
    "DesignError",
    "FormulaError",
    "MissingPackageError",
    "NetworkWarning",
    "NewDataError",
    "NgmmError",
    "NgmmWarning",
    "NotSupportedError",
    "OptionError",
    "RankDeficiencyWarning",
    "SavedFitError",
    "did_you_mean",
]

_INDENT = "    "


class NgmmError(Exception):
    """Base class of all errors that ngmm raises on purpose."""


class FormulaError(NgmmError, ValueError):
    """A formula cannot be read; the text shows the formula and the offending part.

    Parameters
    ----------
    message
        What is wrong and what to write instead.
    formula
        The formula as the user wrote it, if known.
    start, end
        Half-open span of characters of ``formula`` to underline. Without ``end``, one
        character is underlined; without ``start``, none is.

    Attributes
    ----------
    message, formula, start, end
        As given.

    Examples
    --------
    >>> print(FormulaError("no '~'", "y + x", 2, 3))
    no '~'
        y + x
          ^
    """

    def __init__(
        self,
        message: str,
        formula: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> None:
        # All four go to the base class so that the exception can be pickled.
        super().__init__(message, formula, start, end)
        self.message = message
        self.formula = formula
        self.start = start
        self.end = end

    def __str__(self) -> str:
        """Return the message, then the formula with carets under the span."""
        if self.formula is None:
            return self.message
        lines = [self.message, *_underline(self.formula, self.start, self.end)]
        return "\n".join(lines)


class DataError(NgmmError, ValueError):
    """The data cannot be used: columns, response, weights, missing values."""


class NewDataError(DataError):
    """The data given to a prediction do not fit the fitted model."""


class DesignError(NgmmError, ValueError):
    """The model is not identifiable from these data."""


class OptionError(NgmmError, ValueError):
    """An argument of a public function has a value that is not allowed."""


class NotSupportedError(NgmmError, NotImplementedError):
    """A documented feature of a later version; the message says what to use today."""


class MissingPackageError(NgmmError, ImportError):
    """What was asked for needs a package that is not installed."""


class SavedFitError(NgmmError, ValueError):
    """A file with a fit cannot be written or read, or lacks what is asked for."""


class NgmmWarning(UserWarning):
    """Base class of all warnings that ngmm gives."""


class ConvergenceWarning(NgmmWarning):
    """The optimiser stopped early, so the numbers are not estimates yet."""


class NetworkWarning(NgmmWarning):
    """The inputs of a network may not mean what they seem to."""


class RankDeficiencyWarning(NgmmWarning):
    """Columns of the fixed effects were dropped as copies of other columns."""


def did_you_mean(name: object, candidates: Iterable[object]) -> str:
    """Return a hint that names the closest candidate, or an empty string.

    Parameters
    ----------
    name
        What the user wrote.
    candidates
        What could have been written.

    Returns
    -------
    str
        Text to append to a message, for example ``'; did you mean "days"?'``; empty if
        nothing is close. A name that differs in case only is always the closest.

    Examples
    --------
    >>> did_you_mean("Dyas", ["Days", "Subject"])
    '; did you mean "Days"?'
    >>> did_you_mean("zzz", ["Days", "Subject"])
    ''
    """
    # Later names must not replace earlier ones that fold to the same text.
    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(str(candidate).casefold(), str(candidate))
    close = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return f'; did you mean "{by_folded[close[0]]}"?' if close else ""


def _underline(formula: str, start: int | None, end: int | None) -> list[str]:
    """Return the lines of the formula, with carets below the line where the span is."""
    shown = "".join(_blank(character) for character in formula)
    rows = shown.split("\n")
    if start is None:
        return [_INDENT + row for row in rows]
    lines: list[str] = []
    offset = 0
    for row in rows:
        lines.append(_INDENT + row)
        if offset <= start <= offset + len(row):
            first = start - offset
            last = len(row) if end is None else min(end - offset, len(row))
            marked = row[first : first + 1] if end is None else row[first:last]
            carets = "^" * max(1, _width(marked))
            lines.append(_INDENT + " " * _width(row[:first]) + carets)
        offset += len(row) + 1
    return lines


def _blank(character: str) -> str:
    """Return the character, or a space if it would break the line or the alignment."""
    return character if character == "\n" or character.isprintable() else " "


def _width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )
