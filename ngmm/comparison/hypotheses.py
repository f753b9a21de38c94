"""Linear hypotheses about named coefficients, from what a user writes.

``"recipe[T.B] - recipe[T.C] = 0"`` is read with a grammar of sums of products of
numbers and names. A name is whatever the coefficients are called, brackets, colons and
all: at each place the longest name that fits is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.errors import OptionError, did_you_mean

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# What cannot follow a whole name: it would be part of a longer one.
_ENDS = r"(?![\w.:\[(])"


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """L beta = rhs.

    Attributes
    ----------
    L
        (q, p) weights.
    rhs
        (q,) values.
    labels
        What the rows say.
    """

    L: Matrix
    rhs: Vector
    labels: tuple[str, ...]


def as_hypothesis(L: Any, rhs: Any, names: Sequence[str]) -> Hypothesis:
    """The hypothesis that was written.

    Parameters
    ----------
    L
        A string or a mapping from names to weights, or a list of these; or numbers of
        shape (p,) or (q, p).
    rhs
        One value, or one for each row of L.
    names
        The p coefficients.

    Raises
    ------
    OptionError
        If a name is not among them, a length is wrong, or a weight is no number.

    Examples
    --------
    >>> found = as_hypothesis("(x[T.b] - x[T.c]) / 2 = 1", 0.0, ["x[T.b]", "x[T.c]"])
    >>> found.L.tolist(), found.rhs.tolist()
    ([[0.5, -0.5]], [1.0])
    """
    rows = _rows(L, names)
    weights = np.stack([row for row, _, _ in rows])
    constants = np.array([constant for _, constant, _ in rows])
    values = _values(rhs, len(rows))
    if constants.any() and values.any():
        raise OptionError(
            "the value tested is given twice: after '=' in L, and as rhs=; leave one "
            "of them out"
        )
    values = values + constants
    labels = tuple(
        text or _spelled(row, value, names)
        for (row, _, text), value in zip(rows, values, strict=True)
    )
    for row, label in zip(weights, labels, strict=True):
        if not row.any():
            raise OptionError(f"{label}: all weights are zero, so nothing is tested")
    return Hypothesis(weights, values, labels)


def _rows(L: Any, names: Sequence[str]) -> list[tuple[Vector, float, str]]:
    """Weights, value and text of each row."""
    if isinstance(L, pd.DataFrame):
        return [_from_mapping(row.to_dict(), names) for _, row in L.iterrows()]
    if isinstance(L, pd.Series):
        L = L.to_dict()
    if isinstance(L, str):
        return [_from_text(L, names)]
    if isinstance(L, Mapping):
        return [_from_mapping(L, names)]
    if isinstance(L, Iterable) and not isinstance(L, np.ndarray):
        L = list(L)
        if any(isinstance(row, str | Mapping) for row in L):
            return [row for one in L for row in _rows(one, names)]
    return [(row, 0.0, "") for row in _from_numbers(L, names)]


def _from_numbers(L: Any, names: Sequence[str]) -> Matrix:
    listed = ", ".join(names)
    try:
        found = np.asarray(L, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise OptionError(
            "L must be numbers, a mapping from coefficients to weights, or text such "
            f'as "{names[0]} = 0"; got {L!r}. Coefficients: {listed}'
        ) from cause
    if found.ndim not in (1, 2) or found.shape[-1] != len(names) or not found.size:
        raise OptionError(
            f"L has shape {found.shape}; {len(names)} weights a row are needed, in "
            f"this order: {listed}"
        )
    if not np.isfinite(found).all():
        raise OptionError("L has weights that are not finite")
    return np.atleast_2d(found)


def _from_mapping(
    L: Mapping[Any, Any], names: Sequence[str]
) -> tuple[Vector, float, str]:
    row = np.zeros(len(names))
    for name, weight in L.items():
        if name not in names:
            _refuse_name(str(name), names)
        if isinstance(weight, bool) or not isinstance(weight, Real):
            raise OptionError(f"the weight of {name} is {weight!r}; give a number")
        if not np.isfinite(float(weight)):
            raise OptionError(f"the weight of {name} is {weight!r}; give a finite one")
        row[list(names).index(name)] = float(weight)
    return row, 0.0, ""


def _from_text(text: str, names: Sequence[str]) -> tuple[Vector, float, str]:
    sides = _Reader(text, names).sides()
    row = sides[0].weights - sides[1].weights
    return row, sides[1].constant - sides[0].constant, _one_equation(text)


def _one_equation(text: str) -> str:
    shown = " ".join(text.split())
    return shown if "=" in shown else f"{shown} = 0"


def _values(rhs: Any, n: int) -> Vector:
    try:
        values = np.asarray(rhs, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise OptionError(f"rhs must be numbers, got {rhs!r}") from cause
    if values.shape not in ((), (1,), (n,)) or not np.isfinite(values).all():
        raise OptionError(
            f"rhs must be one finite number, or {n} of them, one for each row of L; "
            f"got {rhs!r}"
        )
    return np.broadcast_to(values, (n,)).copy()


def _spelled(row: Vector, value: float, names: Sequence[str]) -> str:
    """The hypothesis of one row as text."""
    text = ""
    for weight, name in zip(row, names, strict=True):
        if weight == 0.0:
            continue
        size = "" if abs(weight) == 1.0 else f"{abs(weight):g} "
        plus, minus = (" + ", " - ") if text else ("", "-")
        sign = minus if weight < 0 else plus
        text += f"{sign}{size}{name}"
    return f"{text or '0'} = {value:g}"


def _refuse_name(name: str, names: Sequence[str]) -> NoReturn:
    same = [n for n in names if sorted(n.split(":")) == sorted(name.split(":"))]
    hint = f'; did you mean "{same[0]}"?' if same else did_you_mean(name, names)
    raise OptionError(
        f'"{name}" is not a coefficient of the model{hint or "."} '
        f"Coefficients: {', '.join(names)}"
    )


@dataclass(frozen=True, eq=False)
class _Linear:
    """A constant and weights of the coefficients."""

    weights: Vector
    constant: float

    @property
    def is_constant(self) -> bool:
        return not self.weights.any()

    def plus(self, other: _Linear, sign: float) -> _Linear:
        return _Linear(
            self.weights + sign * other.weights, self.constant + sign * other.constant
        )

    def times(self, factor: float) -> _Linear:
        return _Linear(self.weights * factor, self.constant * factor)


class _Reader:
    """Reads a linear equation by recursive descent."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text, self.names, self.at = text, names, 0
        longest = sorted(names, key=len, reverse=True)
        self.patterns = [(re.compile(_pattern(name)), name) for name in longest]

    def sides(self) -> tuple[_Linear, _Linear]:
        """Left and right side; the right one is 0 if there is none."""
        left = self.sum()
        right = _Linear(np.zeros(len(self.names)), 0.0)
        if self.take("==") or self.take("="):
            right = self.sum()
        if self.at < len(self.text):
            self.fail("expected + - * / or the end")
        return left, right

    def sum(self) -> _Linear:
        """Products that are added and subtracted."""
        sign = -1.0 if self.take("-") else 1.0
        if sign > 0:
            self.take("+")
        total = self.product().times(sign)
        while True:
            if self.take("+"):
                total = total.plus(self.product(), 1.0)
            elif self.take("-"):
                total = total.plus(self.product(), -1.0)
            else:
                return total

    def product(self) -> _Linear:
        """Factors, of which one at most has coefficients."""
        total = self.factor()
        while True:
            if self.take("*"):
                other = self.factor()
                if not other.is_constant:
                    total, other = other, total
                if not other.is_constant:
                    self.fail("a product of two coefficients is not linear")
                total = total.times(other.constant)
            elif self.take("/"):
                other = self.factor()
                if not other.is_constant or other.constant == 0.0:
                    self.fail("a coefficient can be divided by a number only")
                total = total.times(1.0 / other.constant)
            else:
                return total

    def factor(self) -> _Linear:
        """A name, a number, or a sum in parentheses."""
        self.skip()
        for pattern, name in self.patterns:
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                weights = np.zeros(len(self.names))
                weights[list(self.names).index(name)] = 1.0
                self.skip()
                return _Linear(weights, 0.0)
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            self.skip()
            return _Linear(np.zeros(len(self.names)), float(number[0]))
        if self.take("-"):
            return self.factor().times(-1.0)
        if self.take("("):
            inner = self.sum()
            if not self.take(")"):
                self.fail("expected )")
            return inner
        return self.unknown()

    def unknown(self) -> NoReturn:
        """Refuse what stands here."""
        word = self.word()
        if word:
            _refuse_name(word, self.names)
        self.fail("expected a coefficient or a number")

    def take(self, sign: str) -> bool:
        """Whether the sign stands here; it is passed over if so."""
        self.skip()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        self.skip()
        return True

    def skip(self) -> None:
        """Pass over white space."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def word(self) -> str:
        """What stands here up to an operator outside of brackets."""
        depth, end = 0, self.at
        while end < len(self.text):
            sign = self.text[end]
            if depth == 0 and sign in "+-*/=)":
                break
            depth += (sign in "([") - (sign in ")]")
            end += 1
        return self.text[self.at : end].strip()

    def fail(self, expected: str) -> NoReturn:
        """Refuse, with a caret under the place."""
        raise OptionError(
            f"cannot read this hypothesis: {expected}\n    {self.text}\n"
            f"    {' ' * self.at}^\nCoefficients: {', '.join(self.names)}"
        )


def _pattern(name: str) -> str:
    """Regular expression of a name; white space in it is free."""
    parts = [re.escape(part) for part in re.split(r"\s+", name)]
    return r"\s*".join(parts) + _ENDS
