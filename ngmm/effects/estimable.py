"""Which rows a rank-deficient model has means for.

Columns that were left out of X as copies of others have coefficients of zero by
convention. The mean of a row depends on that convention unless the row is a linear
combination of rows of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.effects.population import Population
from ngmm.effects.variables import Variables

# Share of a row outside the span of the data that is no rounding error.
OUTSIDE = 1e-8


def estimable(
    population: Population, variables: Variables, data: Mapping[str, Any], n_rows: int
) -> NDArray[np.bool_]:
    """(n,) whether the data determine the linear predictor of each row.

    Parameters
    ----------
    population, variables
        The means, and the columns of the fit.
    data
        Column -> values of the rows.
    n_rows
        Number of rows.
    """
    fit = population.fit
    if not fit.aliased:
        return np.ones(n_rows, dtype=bool)
    whole = replace(fit.spec, kept=np.arange(len(fit.spec.fixed.names)))
    X = whole.apply(variables.columns, random=False).X
    scale = np.abs(X).max(axis=0)
    # The column of a cell without rows is zero.
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh((X / scale).T @ (X / scale))
    free = vectors[:, values <= 1e-10 * values[-1]]
    rows = whole.apply(data, random=False).X / scale
    outside = np.linalg.norm(rows @ free, axis=1)
    return outside <= OUTSIDE * np.linalg.norm(rows, axis=1).clip(1e-300)
