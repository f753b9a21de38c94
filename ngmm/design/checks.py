"""Whether random effects can be told from each other and from the residual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ngmm.design._text import counted
from ngmm.design.columns import Column, Factor, Numeric
from ngmm.design.frame import Frame
from ngmm.design.records import Design, LatentDesign, RandomDesign
from ngmm.errors import DataError, DesignError
from ngmm.formula import RandomTerm, columns_of

__all__ = [
    "check_bar_direction",
    "check_events",
    "check_identifiable",
    "check_term",
]

# Fewer distinct values than this can be honest labels such as 0.5, 1, 1.5.
_MANY_VALUES = 20


def check_term(term: RandomDesign) -> None:
    """Raise if a random-effects term cannot be estimated for any family.

    Raises
    ------
    DesignError
        If the grouping factor has one level, or if a column of the term is zero in all
        rows or equal to another one.
    """
    if term.n_levels == 1:
        raise DesignError(
            f"grouping factor '{term.group}' has one level, '{term.levels[0]}': a "
            f"variance between levels needs at least two. Remove {term.label}"
        )
    if not term.names and term.network is None:
        raise DesignError(f"{term.label} has no column; write (1 | {term.group})")
    for column, name in enumerate(term.names):
        values = term.Z[:, column]
        if not values.any():
            raise DesignError(
                f"'{name}' in {term.label} is zero in all rows, so its variance cannot "
                "be estimated; remove it from the term"
            )
        for earlier in range(column):
            if np.array_equal(values, term.Z[:, earlier]):
                raise DesignError(
                    f"'{name}' in {term.label} is equal to '{term.names[earlier]}' in "
                    "all rows; remove one of them from the term"
                )


def check_identifiable(
    design: Design,
    *,
    family: str = "gaussian",
    residual: bool = True,
    binary: bool = False,
) -> None:
    """Raise if the variances of the random effects are not identified.

    Parameters
    ----------
    design
        The design.
    family
        Name of the response distribution, for messages.
    residual
        Whether the model has a residual variance, from which an effect of each row
        could not be told. Without one, ``(1 | row)`` is overdispersion.
    binary
        Whether each row is a single trial, which says nothing of overdispersion.

    Raises
    ------
    DesignError
        If a grouping factor has as many levels as there are rows where the family
        leaves no room for that, if a term has too many random effects for the rows, or
        if two terms have the same effect.
    """
    n = design.n_rows
    _check_repeated(design)
    for term in design.latent:
        if term.n_levels >= n and (residual or binary):
            raise _one_row_a_level(term, n, family, residual=residual)
    for term in design.random:
        if term.n_levels >= n and (residual or binary):
            raise _one_row_a_level(term, n, family, residual=residual)
        # Independent columns each have one random effect a level.
        k = len(term.names) if term.correlated else 1
        total = k * term.n_levels
        if total > n or (residual and total == n):
            beside = " and the residual variance" if residual else ""
            relation = "not above" if residual else "below"
            raise DesignError(
                f"term {term.label}: {counted(n, 'observation')}, "
                f"{counted(total, 'random effect')} in "
                f"{counted(term.n_levels, 'level')}. The number of observations (={n}) "
                f"is {relation} the number of random effects (={total}), so the "
                f"variances of the random effects{beside} are probably "
                f"unidentifiable. Remove columns, e.g. (1 | {term.group})"
            )


def check_events(design: Design, family: str) -> None:
    """Raise if counts are zero in all rows, or a binary response the same in all.

    Raises
    ------
    DataError
        If so: the likelihood grows without end as the mean runs to its bound.
    """
    if design.trials is None and (design.y == design.y[0]).all():
        value = int(design.y[0])
        if value == 0 or family in ("bernoulli", "binomial"):
            raise DataError(
                f"response {design.response_name} is {value} in all rows: with family "
                f"{family} the likelihood has no maximum"
            )


def _one_row_a_level(
    term: RandomDesign | LatentDesign, n: int, family: str, *, residual: bool
) -> DesignError:
    levels = f"{counted(term.n_levels, 'level')} for {counted(n, 'row')}"
    if residual:
        return DesignError(
            f"grouping factor '{term.group}' has {levels}: with family {family} its "
            "variance cannot be told from the residual. Use a coarser group, or a "
            "count family if you meant an observation-level effect"
        )
    return DesignError(
        f"grouping factor '{term.group}' has {levels}: one trial a level says nothing "
        f"of a variance between levels with family {family}. Use a coarser group"
    )


def _check_repeated(design: Design) -> None:
    seen: dict[tuple[str, str], RandomDesign] = {}
    for term in design.random:
        for name in term.names:
            earlier = seen.setdefault((term.group, name), term)
            if earlier is not term:
                remedy = (
                    "write 0 + in one of them"
                    if name == "Intercept"
                    else "remove it from one"
                )
                raise DesignError(
                    f"'{name}' varies between the levels of '{term.group}' in both "
                    f"{earlier.label} and {term.label}: their variances cannot be told "
                    f"apart; {remedy}"
                )


def check_bar_direction(
    terms: Iterable[RandomTerm], columns: Mapping[str, Column], frame: Frame
) -> None:
    """Raise if a bar seems reversed: a measurement right of it, a factor left of it.

    Raises
    ------
    DesignError
        For ``(school | ses)`` where ``ses`` has many fractional values and ``school``
        looks like labels.
    """
    for term in terms:
        if len(term.group) != 1 or not _is_measurement(frame.columns[term.group[0]]):
            continue
        group = term.group[0]
        for name in columns_of(term.expr):
            if name in columns and _looks_like_labels(columns[name]):
                shown = term.expr.removeprefix("1 + ")
                distinct = frame.columns[group].nunique()
                raise DesignError(
                    f"`({shown} | {group})`: '{group}' is numeric with {distinct:,} "
                    f"distinct values; did you mean `({group} | {name})`?"
                )


def _is_measurement(values: pd.Series) -> bool:
    """Return whether a column holds many different fractional numbers."""
    dtype = values.dtype
    if not pd.api.types.is_float_dtype(dtype):
        return False
    numbers = values.to_numpy(dtype=np.float64)
    if (numbers == np.floor(numbers)).all():
        return False
    return len(pd.unique(numbers)) > _MANY_VALUES


def _looks_like_labels(column: Column) -> bool:
    """Return whether a column is a factor, or whole numbers that mostly repeat."""
    if isinstance(column, Factor):
        return True
    if not isinstance(column, Numeric):
        return False
    numbers = column.values
    whole = bool((numbers == np.floor(numbers)).all())
    return whole and 2 * len(pd.unique(numbers)) <= len(numbers)
