"""R's names of coefficients, groups and levels in the spelling of ngmm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

CONTRASTS = {"contr.sum": "sum", "contr.poly": "poly"}

FAMILIES = {
    "Gamma": "gamma",
    "inverse.gaussian": "inverse_gaussian",
    "nbinom2": "negative_binomial",
}


def translate_family(family: str, *, counted: bool) -> str:
    """Name of a family; R's binomial with one trial a row is bernoulli."""
    if family == "binomial" and not counted:
        return "bernoulli"
    return FAMILIES.get(family, family)


def translate_names(
    names: Sequence[str],
    data: pd.DataFrame,
    contrasts: Mapping[str, str] | None = None,
) -> list[str]:
    """Coefficient names, such as ``recipeB:temp`` to ``recipe[T.B]:temp``.

    ``names`` must be all the columns of one model matrix: a factor whose first level is
    among them is coded without a reference level, ``recipe[A]``.
    """
    codings = {
        column: (contrasts or {}).get(column, "treatment")
        for column in sorted(data.columns, key=len, reverse=True)
        if isinstance(data[column].dtype, pd.CategoricalDtype)
    }
    full = {c for c in codings if f"{c}{data[c].cat.categories[0]}" in names}
    return [
        ":".join(_translate_part(part, data, codings, full) for part in name.split(":"))
        for name in names
    ]


def _translate_part(
    part: str, data: pd.DataFrame, codings: Mapping[str, str], full: set[str]
) -> str:
    if part == "(Intercept)":
        return "Intercept"
    if part in data.columns:
        return part
    for column, coding in codings.items():
        if part.startswith(column):
            label = part.removeprefix(column)
            levels = data[column].cat.categories
            return column + _suffix(label, coding, levels, column in full)
    # A transform: formulas of ngmm print their divisions with spaces.
    return part.replace("/", " / ")


def _suffix(label: str, coding: str, levels: pd.Index, full: bool) -> str:
    if full:
        return f"[{label}]"
    if coding == "poly":
        return label
    if coding == "sum":
        # R numbers the columns of sum contrasts from 1, in the order of the levels.
        label = levels[int(label) - 1]
        return f"[S.{label}]"
    return f"[T.{label}]"


def translate_group(group: str, formula: str) -> str:
    """Name of a grouping factor: lme4 turns ``batch/cask`` into ``cask:batch``."""
    outer_first = ":".join(reversed(group.split(":")))
    nested = outer_first.replace(":", "/")
    return outer_first if nested in formula.replace(" ", "") else group


def translate_level(level: str, group: str, formula: str) -> str:
    """Label of a level, in the order of the parts that `translate_group` gives."""
    if translate_group(group, formula) == group:
        return level
    return ":".join(reversed(level.split(":")))
