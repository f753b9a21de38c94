"""Wald intervals of all parameters as one frame."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd


def wald_frame(coefficients: pd.DataFrame, variances: pd.DataFrame) -> pd.DataFrame:
    """Columns estimate, conf_low, conf_high: fixed effects, then variance parameters.

    Rows of the latter are named ``sd(Days | Subject)``,
    ``cor(Intercept, Days | Subject)``, and ``sigma`` or what the family calls its
    dispersion parameter.
    """
    columns = ["estimate", "conf_low", "conf_high"]
    fixed = coefficients.loc[:, columns]
    estimated = [r for r in variances.to_dict("records") if r.get("fixed") is not True]
    if not estimated:
        return fixed.copy()
    records = [_parameter(r) for r in estimated]
    random = pd.DataFrame(
        [values for _, values in records],
        index=pd.Index([label for label, _ in records], dtype=object),
        columns=pd.Index(columns),
    )
    return pd.concat([fixed, random])


def _parameter(row: Mapping[Hashable, Any]) -> tuple[str, list[float]]:
    """Name, estimate and limits of a variance parameter.

    Missing names may be None or NaN.
    """
    group, name, name2 = row["group"], row["name"], row["name2"]
    if not pd.isna(row.get("dispersion", np.nan)):
        label, estimate = name, row["dispersion"]
    elif not isinstance(name, str):
        label, estimate = "sigma", row["sd"]
    elif not isinstance(name2, str):
        label, estimate = f"sd({name} | {group})", row["sd"]
    else:
        label, estimate = f"cor({name2}, {name} | {group})", row["corr"]
    return label, [estimate, row["conf_low"], row["conf_high"]]
