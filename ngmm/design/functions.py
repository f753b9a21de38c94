"""The functions that an expression in a formula may call.

Nothing is ever looked up in the caller's frame: an expression sees the columns of the
data, these functions, and numpy's elementwise functions as ``np.<name>``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ngmm.errors import FormulaError, did_you_mean

__all__ = [
    "ELEMENTWISE",
    "MATRIX_FUNCTIONS",
    "RESPONSE_FUNCTIONS",
    "numpy_function",
    "unknown_function",
]


def _log(x: Any, base: float | None = None) -> Any:
    """Return the logarithm, natural or as R's ``log(x, base)``."""
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _center(x: Any) -> Any:
    return x - np.mean(x)


def _scale(x: Any) -> Any:
    """Return x standardised with the n - 1 standard deviation, as R does."""
    return (x - np.mean(x)) / np.std(x, ddof=1)


# Each value of the result depends on the same row only, so the function gives the same
# for new data as for the training data.
ELEMENTWISE: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "I": lambda x: x,
        "abs": np.abs,
        "ceil": np.ceil,
        "cos": np.cos,
        "exp": np.exp,
        "exp10": lambda x: np.power(10.0, x),
        "exp2": np.exp2,
        "expm1": np.expm1,
        "floor": np.floor,
        "log": _log,
        "log10": np.log10,
        "log1p": np.log1p,
        "log2": np.log2,
        "round": np.round,
        "sin": np.sin,
        "sqrt": np.sqrt,
        "tan": np.tan,
    }
)

# The response is never rebuilt for new data, so here the whole column may enter.
RESPONSE_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {**ELEMENTWISE, "center": _center, "scale": _scale}
)

# What formulaic adds for predictors; those that depend on the whole column keep the
# state of the training data.
MATRIX_FUNCTIONS = frozenset(
    {*ELEMENTWISE, "C", "Q", "bs", "cc", "center", "cr", "cs", "lag", "poly", "scale"}
    | {"standardize", "Treatment", "Sum", "Helmert", "Poly", "Diff"}
    | {"contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS"}
)

_NUMPY_EXTRAS = frozenset({"clip", "round", "where"})

_ELSEWHERE = MappingProxyType(
    {
        "factor": "C(...)",
        "as.factor": "C(...)",
        "as_factor": "C(...)",
        "ordered": "an ordered pandas.Categorical column",
        "ln": "log(...)",
        "ns": "cr(...), a natural cubic spline",
        "s": "cr(...), a natural cubic spline",
        "min": "np.minimum(a, b), or a column of data",
        "max": "np.maximum(a, b), or a column of data",
        "ifelse": "np.where(condition, a, b)",
    }
)


def numpy_function(name: str) -> Callable[..., Any] | None:
    """Return numpy's elementwise function of that name, or None."""
    function = getattr(np, name, None)
    if isinstance(function, np.ufunc) or (function and name in _NUMPY_EXTRAS):
        return function
    return None


def unknown_function(name: str, known: frozenset[str], formula: str) -> FormulaError:
    """Return the error for a function that is not in the table."""
    if name in _ELSEWHERE:
        hint = f"; use {_ELSEWHERE[name]}"
    else:
        hint = did_you_mean(name, known) or (
            "; compute it as a column of data first, or use one of "
            f"{', '.join(sorted(known))} or np.<function>"
        )
    start = formula.find(f"{name}(")
    if start < 0:
        return FormulaError(f'unknown function "{name}"{hint}', formula)
    return FormulaError(
        f'unknown function "{name}"{hint}', formula, start, start + len(name)
    )
