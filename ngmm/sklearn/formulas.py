"""The formula of an estimator made whole: a response, and columns for the dot."""

from __future__ import annotations

from collections.abc import Collection

from ngmm.errors import OptionError
from ngmm.formula import ModelFormula, columns_of, parse, update
from ngmm.formula.tokens import leaves, quote, read

GROUPS = "groups"
"""The column that the argument ``groups`` of ``fit`` and ``predict`` makes."""


def whole_formula(
    formula: str, columns: Collection[str], beside: Collection[str] = ()
) -> ModelFormula:
    """The formula with a response, and with the columns that its dot stands for.

    Parameters
    ----------
    formula
        With or without a left side; ``.`` among the terms stands for all columns that
        are neither response nor grouping factor.
    columns
        Names of the columns of X.
    beside
        Columns that the dot leaves out, too: offset and weights.

    Raises
    ------
    FormulaError
        If it cannot be read.
    OptionError
        If its response is more than a name, or the dot stands for nothing.

    Examples
    --------
    >>> print(whole_formula("~ . + (1 | g)", ["x", "z", "g"]))
    y ~ 1 + x + z + (1 | g)
    """
    if not isinstance(formula, str):
        raise OptionError(
            'formula must be a text such as "~ x + (x | g)"; got '
            f"{type(formula).__name__}"
        )
    left, tilde, right = formula.rpartition("~")
    response = _response(left, columns) if tilde else _free("y", columns)
    if not any(token.text == "." for token in leaves(read(right))):
        return parse(f"{quote(response)} ~ {right}")
    out = {response, *_group_columns(right, columns), *beside}
    known = [quote(name) for name in columns if name not in out]
    if not known:
        raise OptionError(
            f'the "." of the formula {formula!r} stands for nothing: X has no columns '
            'but those of groups; write 1 instead, as in "~ 1 + (1 | g)"'
        )
    return update(parse(f"{quote(response)} ~ {' + '.join(known)}"), f"~ {right}")


def _response(left: str, columns: Collection[str]) -> str:
    """Name of the response: a name, or a new one where there is none."""
    if not left.strip():
        return _free("y", columns)
    found = parse(f"{left} ~ 1").response
    name = found.expr.strip("`")
    if columns_of(found.expr) != (name,):
        raise OptionError(
            f"the response {left.strip()} must be one column, whose values are y; for "
            "a transformed one wrap the estimator in "
            "sklearn.compose.TransformedTargetRegressor"
        )
    return name


def _group_columns(right: str, columns: Collection[str]) -> set[str]:
    """Columns of the grouping factors of a right side with a dot."""
    # With all columns, since the right side may take any of them away.
    changed = update(parse(f"y ~ 1 + {' + '.join(map(quote, columns))}"), f"~ {right}")
    return {name for term in changed.random for name in term.group}


def _free(name: str, columns: Collection[str]) -> str:
    while name in columns:
        name += "_"
    return name
