"""How numbers become text: pure functions from floats to short strings.

Nothing here knows about tables. Whatever is not a finite number prints as a dash,
so that no printed page ever holds a "nan" or an "inf".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MISSING = "-"
"""What a value that is not there looks like."""

_MAX_DIGITS = 8  # digits of one fixed-point number; beyond that it is a wall of digits


def common_decimals(
    values: ArrayLike, scale: ArrayLike | None = None, *, digits: int = 3
) -> int:
    """Decimals that suit a whole column of estimates.

    The smallest entry of ``scale`` keeps ``digits`` significant digits, one more when
    its first digit is 1 (rounding hurts it most). The largest fixed-point number never
    gets more than eight digits in all; entries that this leaves without digits are
    printed in scientific notation by `numbers`.

    Parameters
    ----------
    values
        The numbers to print.
    scale
        How precisely they are known, as a rule their standard errors; the values
        themselves where there is nothing better.
    digits
        Significant digits that the smallest scale keeps.

    Examples
    --------
    >>> common_decimals([251.405, 10.467], [6.632, 1.502])
    3
    """
    sizes = _positive(values if scale is None else scale)
    if sizes.size == 0:
        return digits - 1
    smallest = float(sizes.min())
    exponent = math.floor(math.log10(smallest))
    significant = digits + (smallest < 2 * 10.0**exponent)
    return max(0, min(significant - 1 - exponent, _room(values, scale)))


def numbers(
    values: ArrayLike,
    decimals: int | None = None,
    *,
    scale: ArrayLike | None = None,
    missing: str = MISSING,
) -> list[str]:
    """Numbers with a common number of decimals, the odd ones in scientific notation.

    Parameters
    ----------
    values
        The numbers to print.
    decimals
        Decimals of every entry; chosen by `common_decimals` when None.
    scale
        Standard errors: an entry near zero is fixed-point 0.000 when its standard
        error is large, but scientific when its standard error is small, too.
    missing
        What stands for an entry that is not finite.

    Examples
    --------
    >>> numbers([251.4051, 10.4673, float("nan")], 2)
    ['251.41', '10.47', '-']
    >>> numbers([1234.5, 0.0000123], 3)
    ['1234.500', '1.230e-05']
    """
    column = np.atleast_1d(np.asarray(values, dtype=float))
    sizes = np.abs(column if scale is None else np.asarray(scale, dtype=float))
    if decimals is None:
        decimals = common_decimals(column, scale)
    return [
        _number(value, size, decimals) if math.isfinite(value) else missing
        for value, size in zip(column.tolist(), sizes.tolist(), strict=True)
    ]


def fixed(values: ArrayLike, decimals: int, *, missing: str = MISSING) -> list[str]:
    """Numbers with the same decimals however small they are: for t and correlations.

    Examples
    --------
    >>> fixed([0.0813, -0.0004], 2)
    ['0.08', '0.00']
    """
    column = np.atleast_1d(np.asarray(values, dtype=float))
    return numbers(column, decimals, scale=np.ones_like(column), missing=missing)


def number(value: float, decimals: int) -> str:
    """One number with a given number of decimals.

    Examples
    --------
    >>> number(-875.96967, 2), number(float("inf"), 2)
    ('-875.97', '-')
    """
    return fixed([value], decimals)[0]


def integer(value: float) -> str:
    """A count with commas between thousands.

    Examples
    --------
    >>> integer(73421)
    '73,421'
    """
    return f"{round(value):,}" if math.isfinite(value) else MISSING


def p_value(value: float) -> str:
    """A p-value to three decimals, never as zero.

    Examples
    --------
    >>> p_value(0.0078), p_value(1.2e-18)
    ('0.008', '<0.001')
    """
    if not math.isfinite(value):
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def interval(
    low: float, high: float, decimals: int, *, scale: float | None = None
) -> str:
    """A confidence interval; one that is open at an end prints as an inequality.

    Parameters
    ----------
    low, high
        The bounds; infinite where the interval is open.
    decimals
        Decimals of both bounds.
    scale
        Bounds below it that would lose their digits print in scientific notation;
        by default the larger bound. Use 1 for fixed decimals whatever the size.

    Examples
    --------
    >>> interval(0.3701, 0.7083, 2)
    '[0.37, 0.71]'
    >>> interval(0.3701, float("inf"), 2)
    '>= 0.37'
    """
    if math.isinf(low) and math.isfinite(high):
        return f"<= {number(high, decimals)}"
    if math.isinf(high) and math.isfinite(low):
        return f">= {number(low, decimals)}"
    if not (math.isfinite(low) or math.isfinite(high)):
        return MISSING
    if scale is None:
        # [0.00, 3.15] needs no 1.2e-05 at its lower end.
        scale = max(abs(bound) for bound in (low, high) if math.isfinite(bound))
    lower, upper = numbers([low, high], decimals, scale=[scale, scale])
    return f"[{lower}, {upper}]"


def percent(level: float) -> str:
    """A confidence level as a percentage.

    Examples
    --------
    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * level:g}%"


def significant(value: float) -> str:
    """A number with three significant digits, or all those before the point.

    Examples
    --------
    >>> significant(0.01234), significant(1234.5), significant(1.2e9)
    ('0.0123', '1,234', '1.2e+09')
    """
    if not math.isfinite(value):
        return MISSING
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def share(value: float) -> str:
    """A share as a whole percentage.

    Examples
    --------
    >>> share(0.613), share(float("nan"))
    ('61%', '-')
    """
    return f"{100 * value:.0f}%" if math.isfinite(value) else MISSING


def _positive(values: ArrayLike) -> NDArray[np.float64]:
    """Sizes of the entries that are finite and not zero."""
    sizes = np.abs(np.asarray(values, dtype=float)).ravel()
    return sizes[np.isfinite(sizes) & (sizes > 0)]


def _room(values: ArrayLike, scale: ArrayLike | None) -> int:
    """Decimals that the largest fixed-point number leaves."""
    sizes = np.concatenate(
        [_positive(values), _positive([] if scale is None else scale)]
    )
    sizes = sizes[sizes < 10.0**_MAX_DIGITS]
    largest = float(sizes.max()) if sizes.size else 1.0
    return _MAX_DIGITS - max(1, math.floor(math.log10(largest)) + 1)


def _number(value: float, size: float, decimals: int) -> str:
    """One finite entry of a column; ``size`` is its standard error or itself."""
    # Below this, fixed point would show fewer than two significant digits.
    floor = min(10.0 ** (1 - decimals), 1.0)
    too_small = value != 0 and abs(value) < floor and size < floor
    if too_small or abs(value) >= 10.0**_MAX_DIGITS:
        return f"{value:.3e}"
    text = f"{value:.{decimals}f}"
    # A rounded -0.0004 is no negative number.
    return text.removeprefix("-") if float(text) == 0 else text
