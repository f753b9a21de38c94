"""Names and estimates of all parameters, in the order of `conf_int`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from ngmm.errors import OptionError, did_you_mean
from ngmm.results.variances import variance_frame
from ngmm.results.wald import wald_frame

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit


def wald(fit: MixedModelFit, level: float) -> pd.DataFrame:
    """Wald limits of every parameter: estimate, conf_low, conf_high."""
    coefficients = fit.coef_table(level).frame
    return wald_frame(coefficients, variance_frame(fit._analysis, level))


def chosen(names: pd.Index, parameters: str | Collection[str] | None) -> list[int]:
    """Positions of the parameters asked for; all when None.

    Raises
    ------
    OptionError
        If there is no parameter of such a name.
    """
    if parameters is None:
        return list(range(len(names)))
    asked = [parameters] if isinstance(parameters, str) else list(parameters)
    known = list(names)
    for name in asked:
        if name not in known:
            raise OptionError(
                f"{name!r} is not a parameter of the model"
                f"{did_you_mean(name, known)}; parameters: {', '.join(known)}"
            )
    if not asked:
        raise OptionError(
            "parameters= names none; leave it out for all, or name some of: "
            + ", ".join(known)
        )
    return sorted({known.index(name) for name in asked})
