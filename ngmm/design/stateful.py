"""Factors made inside a formula by ``C(x)``: levels found once, reused for new data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ngmm.design.columns import Factor, as_factor, match_levels
from ngmm.errors import DataError

__all__ = ["stateful_factor"]


def stateful_factor(
    values: pd.Series, name: str, levels: Any, state: dict[str, Any]
) -> Factor:
    """Return a factor with the levels of the training data, remembered in ``state``.

    Parameters
    ----------
    values
        The values of the factor, for the training data or for new ones.
    name
        The column they come from, for messages.
    levels
        Levels in the order that the user wants, or None for those that occur.
    state
        Empty for the training data; filled here, and given again for new data.

    Raises
    ------
    DataError
        If a value is not among ``levels``.
    NewDataError
        If a value of new data was not seen in training.
    """
    if "levels" in state:
        codes = match_levels(values, state["levels"], name)
        return Factor(name, codes, state["levels"], state["ordered"])
    factor = as_factor(name, values)
    if levels is not None:
        given = pd.Index(list(levels))
        codes = given.get_indexer(factor.levels)
        if (codes < 0).any():
            absent = ", ".join(
                f"'{label}'"
                for label, code in zip(factor.labels, codes, strict=True)
                if code < 0
            )
            raise DataError(f"levels= of C({name}) lacks {absent}")
        factor = Factor(name, codes.astype(np.int32)[factor.codes], given)
    state["levels"], state["ordered"] = factor.levels, factor.ordered
    return factor
