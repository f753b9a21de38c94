"""Every error and warning that ngmm raises on purpose.

Each message says what came, what was expected and what to do. All errors share the base
`NgmmError`, so ``except ngmm.errors.NgmmError`` catches what a user can put right, and
each one is also the builtin exception that a caller would expect (`ValueError`,
`NotImplementedError`, `ImportError`).
"""

from __future__ import annotations

import difflib
import inspect
import os
import unicodedata
import warnings
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
_HERE = os.path.dirname(__file__) + os.sep  # noqa: PTH120  as code objects have it


class NgmmError(Exception):
    """Base class of all errors that ngmm raises on purpose.

    Examples
    --------
    >>> import ngmm
    >>> try:
    ...     ngmm.parse("y x")
    ... except ngmm.errors.NgmmError as error:
    ...     print(type(error).__name__)
    FormulaError
    """


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
    >>> from ngmm.errors import FormulaError
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
    """The data cannot be used: columns, response, weights, missing values.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2.0, 4.0], "g": list("aab")})
    >>> try:
    ...     ngmm.build_design(ngmm.parse("y ~ z + (1 | g)"), data)
    ... except ngmm.errors.DataError as error:
    ...     print(error)
    "z" is not a column of data. Columns: y, g.
    """


class NewDataError(DataError):
    """The data given to a prediction do not fit the fitted model.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0, 1, 3], "g": list("aab")})
    >>> design, spec = ngmm.build_design(ngmm.parse("y ~ x + (1 | g)"), data)
    >>> try:
    ...     spec.apply({"x": [1.0]})
    ... except ngmm.errors.NewDataError as error:
    ...     print(error)
    "g" is not a column of newdata. Columns: x.
    """


class DesignError(NgmmError, ValueError):
    """The model is not identifiable from these data.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2.0, 4.0], "g": list("abc")})
    >>> try:
    ...     ngmm.fit("y ~ 1 + (1 | g)", data)
    ... except ngmm.errors.DesignError as error:
    ...     print(str(error).partition(":")[0])
    grouping factor 'g' has 3 levels for 3 rows
    """


class OptionError(NgmmError, ValueError):
    """An argument of a public function has a value that is not allowed.

    Examples
    --------
    >>> import ngmm
    >>> try:
    ...     ngmm.families.get("poison")
    ... except ngmm.errors.OptionError as error:
    ...     print(str(error).partition("?")[0])
    there is no family 'poison'; did you mean "poisson"
    """


class NotSupportedError(NgmmError, NotImplementedError):
    """A documented feature of a later version; the message says what to use today.

    Examples
    --------
    >>> import ngmm
    >>> issubclass(ngmm.errors.NotSupportedError, NotImplementedError)
    True
    """


class MissingPackageError(NgmmError, ImportError):
    """What was asked for needs a package that is not installed.

    Examples
    --------
    >>> import ngmm
    >>> issubclass(ngmm.errors.MissingPackageError, ImportError)
    True
    """


class SavedFitError(NgmmError, ValueError):
    """A file with a fit cannot be written or read, or lacks what is asked for.

    Examples
    --------
    >>> import ngmm
    >>> from ngmm.persistence import from_bytes
    >>> try:
    ...     from_bytes(b"text")
    ... except ngmm.errors.SavedFitError as error:
    ...     print(str(error).partition(";")[0])
    the file is not a saved fit
    """


class NgmmWarning(UserWarning):
    """Base class of all warnings that ngmm gives.

    Examples
    --------
    To turn all of them into errors in a script:

    >>> import warnings, ngmm
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ngmm.errors.NgmmWarning)
    ...     try:
    ...         warnings.warn("stopped early", ngmm.errors.ConvergenceWarning)
    ...     except ngmm.errors.NgmmWarning as warning:
    ...         print(type(warning).__name__)
    ConvergenceWarning
    """


class ConvergenceWarning(NgmmWarning):
    """The optimiser stopped early, so the numbers are not estimates yet.

    Examples
    --------
    >>> import warnings, ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> few = ngmm.Newton(max_steps=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data, estimator=few)
    >>> caught[0].category.__name__, fit.converged
    ('ConvergenceWarning', False)
    """


class NetworkWarning(NgmmWarning):
    """The inputs of a network may not mean what they seem to.

    Examples
    --------
    To turn it into an error in a script:

    >>> import warnings, ngmm
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ngmm.errors.NetworkWarning)
    ...     try:
    ...         warnings.warn("input x of nn(x)", ngmm.errors.NetworkWarning)
    ...     except ngmm.errors.NetworkWarning as warning:
    ...         print(warning)
    input x of nn(x)
    """


class RankDeficiencyWarning(NgmmWarning):
    """Columns of the fixed effects were dropped as copies of other columns.

    Examples
    --------
    >>> import warnings, ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> data["late"] = data["Batch"].isin(["E", "F"]) * 1.0
    >>> data["twice"] = 2.0 * data["late"]
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     fit = ngmm.fit("Yield ~ late + twice + (1 | Batch)", data)
    >>> caught[0].category.__name__, fit.aliased
    ('RankDeficiencyWarning', ('twice',))
    """


def warn(message: str, category: type[NgmmWarning]) -> None:
    """Warn of what a call of ngmm met, as if from the line that made the call.

    Parameters
    ----------
    message
        What happened, what it means for the numbers, and what to try.
    category
        Class of the warning, by which users filter.

    Examples
    --------
    >>> import warnings
    >>> from ngmm.errors import ConvergenceWarning, warn
    >>> with warnings.catch_warnings(record=True) as met:
    ...     warnings.simplefilter("always")
    ...     warn("stopped early", ConvergenceWarning)
    >>> met[0].category.__name__, str(met[0].message)
    ('ConvergenceWarning', 'stopped early')
    """
    # However deep inside of the package: a fixed number of frames would be wrong as
    # soon as a function is called by another one of ours.
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


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
    >>> from ngmm.errors import did_you_mean
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
