"""The same model for another response."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ngmm.design import check_magnitudes
from ngmm.errors import DataError
from ngmm.model import Model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def with_response(model: Model, y: ArrayLike) -> Model:
    """A model of the same design and family for other values of the response.

    Raises
    ------
    DataError
        If the length is wrong, or a value is not one the family can take.
    """
    design = model.design
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise DataError("refit: the response is not numeric") from cause
    if values.shape != (design.n_rows,):
        raise DataError(
            f"refit needs a value for each of the {design.n_rows} rows used; got "
            f"shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError("refit: the response has missing or infinite values")
    model.family.check(values, design.trials, design.response_name, design.index)
    design = replace(design, y=values)
    check_magnitudes(design)
    return replace(model, design=design)
