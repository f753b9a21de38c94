"""Variance parameters with their names here and in R, in R's order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit


class VarianceParameter(NamedTuple):
    """A standard deviation, a correlation or a dispersion.

    Attributes
    ----------
    label
        Its name in `MixedModelFit.conf_int`.
    group, term
        Its names in broom.mixed.
    value
        Estimate.
    """

    label: str
    group: str
    term: str
    value: float

    @property
    def is_residual(self) -> bool:
        """Whether it belongs to the response and not to random effects."""
        return self.group in ("Residual", "Dispersion")


def variance_parameters(fit: MixedModelFit) -> list[VarianceParameter]:
    """The rows of `MixedModelFit.varcorr`, each sd followed by its correlations."""
    rows = fit.varcorr().frame.to_dict("records")
    ordered = sorted(range(len(rows)), key=lambda at: _place(at, rows))
    return [_parameter(rows[at]) for at in ordered]


def _place(at: int, rows: list[dict[Hashable, Any]]) -> tuple[float, int]:
    """Where R has a row: a correlation follows the sd of the first of its effects."""
    row = rows[at]
    if not isinstance(row["name2"], str):
        return at, at
    own = [
        i
        for i, other in enumerate(rows[:at])
        if (other["group"], other["name"]) == (row["group"], row["name2"])
        and not isinstance(other["name2"], str)
    ]
    return own[-1] + 0.5, at


def _parameter(row: Mapping[Hashable, Any]) -> VarianceParameter:
    group, name, name2 = str(row["group"]), row["name"], row["name2"]
    if not pd.isna(row.get("dispersion", np.nan)):
        return VarianceParameter(name, group, name, float(row["dispersion"]))
    if not isinstance(name, str):
        return VarianceParameter("sigma", group, "sd__Observation", float(row["sd"]))
    if not isinstance(name2, str):
        label = f"sd({name} | {group})"
        return VarianceParameter(label, group, f"sd__{name}", float(row["sd"]))
    label = f"cor({name2}, {name} | {group})"
    return VarianceParameter(label, group, f"cor__{name2}.{name}", float(row["corr"]))
