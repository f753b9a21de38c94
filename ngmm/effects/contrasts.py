"""Comparisons of means: coefficients, and their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.effects.estimates import value_text
from ngmm.errors import OptionError, did_you_mean

Matrix = NDArray[np.float64]

CONTRASTS = ("pairwise", "reference", "sequential")


def contrast_matrix(contrasts: Any, names: Sequence[str]) -> tuple[list[str], Matrix]:
    """Names of contrasts, and their coefficients (contrasts, means).

    Parameters
    ----------
    contrasts
        ``"pairwise"`` (each mean less each later one), ``"reference"`` (each less the
        first), ``"sequential"`` (each less the one before), a mapping from names to
        coefficients, or a matrix with a row a contrast.
    names
        Names of the means.

    Raises
    ------
    OptionError
        If there are no such contrasts, or they have not as many coefficients as there
        are means.

    Examples
    --------
    >>> contrast_matrix("pairwise", ["a", "b", "c"])[0]
    ['a - b', 'a - c', 'b - c']
    """
    k = len(names)
    if isinstance(contrasts, str):
        pairs = _pairs(contrasts, k)
        if not pairs:
            raise OptionError(f"there is one mean, {names[0]}: nothing to compare")
        L = np.zeros((len(pairs), k))
        for row, (plus, minus) in enumerate(pairs):
            L[row, plus], L[row, minus] = 1.0, -1.0
        return [f"{names[a]} - {names[b]}" for a, b in pairs], L
    if isinstance(contrasts, Mapping):
        rows = [_row(v, names, str(key)) for key, v in contrasts.items()]
        labels = [str(key) for key in contrasts]
    else:
        given = _matrix(contrasts, names)
        rows = [_row(v, names, f"row {i + 1}") for i, v in enumerate(given)]
        labels = [_text(row, names) for row in rows]
    if not rows:
        raise OptionError("contrasts= is empty; give a row of coefficients a contrast")
    return labels, np.stack(rows)


def _pairs(kind: str, k: int) -> list[tuple[int, int]]:
    if kind == "pairwise":
        return list(combinations(range(k), 2))
    if kind == "reference":
        return [(i, 0) for i in range(1, k)]
    if kind == "sequential":
        return [(i, i - 1) for i in range(1, k)]
    raise OptionError(
        f"there are no contrasts {kind!r}{did_you_mean(kind, CONTRASTS) or '.'} Give "
        f"{', '.join(CONTRASTS)}, or a mapping from names to coefficients"
    )


def _matrix(contrasts: Any, names: Sequence[str]) -> list[Any]:
    try:
        given = np.asarray(contrasts, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise OptionError(
            f"contrasts= must be one of {', '.join(CONTRASTS)}, a mapping from names "
            f"to {len(names)} coefficients or a matrix; got {contrasts!r}"
        ) from cause
    if given.ndim not in (1, 2):
        raise OptionError(f"contrasts= has {given.ndim} dimensions; a matrix has 2")
    return list(np.atleast_2d(given))


def _row(values: Any, names: Sequence[str], label: str) -> NDArray[np.float64]:
    try:
        row = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise OptionError(f"contrast {label}: {values!r} are not numbers") from cause
    if row.ndim != 1 or len(row) != len(names):
        shown = ", ".join(names)
        raise OptionError(
            f"contrast {label} has {row.size} coefficients for {len(names)} means, "
            f"which are in this order: {shown}"
        )
    if not np.isfinite(row).all():
        raise OptionError(f"contrast {label} has coefficients that are not finite")
    return row


def _text(row: NDArray[np.float64], names: Sequence[str]) -> str:
    """The contrast as a sum: ``a - 0.5 b - 0.5 c``."""
    parts: list[str] = []
    for c, name in zip(row, names, strict=True):
        if c == 0:
            continue
        size = "" if abs(c) == 1 else f"{value_text(abs(float(c)))} "
        sign = "-" if c < 0 else "+"
        parts.append(f"{sign} {size}{name}")
    text = " ".join(parts) or "0"
    return text.removeprefix("+ ")
