"""Levels of factors found again in files that spell them otherwise.

A CSV file has no types: the subject ``308`` is a number where all subjects are, and
text where one is called ``new``. To a model these are different levels. What counts
here is the spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ngmm.command_line.tables import read_table
from ngmm.results import MixedModelFit


def read_new_rows(
    path: Path, fit: MixedModelFit
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Read new rows for a fit.

    Returns
    -------
    frame, columns
        The rows as the file has them, and the columns that a prediction reads: those
        of factors hold the levels of the fit wherever the spelling is theirs.
    """
    factors = factor_levels(fit)
    frame = read_table(path, text=factors)
    columns = {str(name): pd.Series(frame[name]) for name in frame.columns}
    for name, levels in factors.items():
        if name not in columns:
            continue
        found = with_levels(columns[name], levels)
        columns[name] = found
        # A column of numbers is one again, unless it has other words in it as well.
        if types.is_numeric_dtype(found.dtype):
            frame[name] = found
    return frame, columns


def factor_levels(fit: MixedModelFit) -> Mapping[str, pd.Index]:
    """Column -> its levels, for all columns of which the fit knows no numbers."""
    numbers = {spec.name for spec in fit.spec.columns if spec.levels is None}
    out = {s.name: s.levels for s in fit.spec.columns if s.levels is not None}
    for spec in (*fit.spec.random, *fit.spec.latent):
        grouping = spec.grouping
        for name, levels in zip(grouping.columns, grouping.components, strict=True):
            if name not in numbers:
                out.setdefault(name, levels)
    return out


def with_levels(values: pd.Series, levels: pd.Index) -> pd.Series:
    """Put levels in the place of values that are spelled as they are.

    Examples
    --------
    >>> values = pd.Series(["308", "309", "new"])
    >>> with_levels(values, pd.Index([308, 309])).tolist()
    [308, 309, 'new']
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if (levels.get_indexer(pd.Index(values)) >= 0).all():
        return values
    at = _positions(values, levels)
    known = levels.tolist()
    found = [v if i < 0 else known[i] for v, i in zip(values, at, strict=True)]
    return pd.Series(found, values.index, dtype=object).infer_objects()


def _positions(values: pd.Series, levels: pd.Index) -> NDArray[np.intp]:
    """Which level each value spells; -1 for none."""
    if types.is_numeric_dtype(levels.dtype) and not types.is_bool_dtype(levels.dtype):
        # "0.50" is a spelling of 0.5.
        return levels.get_indexer(pd.Index(pd.to_numeric(values, errors="coerce")))
    spelled = {_spelling(level, levels): i for i, level in enumerate(levels)}
    given = [None if pd.isna(v) else _spelling(v, levels) for v in values]
    return np.array([-1 if v is None else spelled.get(v, -1) for v in given], np.intp)


def _spelling(value: Any, levels: pd.Index) -> str:
    """The text of a value as a file has it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return text.casefold() if types.is_bool_dtype(levels.dtype) else text
