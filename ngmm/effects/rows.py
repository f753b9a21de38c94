"""Rows of the fit in the units of the data, and what networks read if they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import DesignSpec
from ngmm.design.frame import read_frame
from ngmm.networks import Inputs
from ngmm.results import MixedModelFit

Matrix = NDArray[np.float64]
Positions = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of the data of a fit.

    Attributes
    ----------
    spec
        How matrices and inputs are built, without offsets.
    columns
        Column -> its values in these rows.
    positions
        Their places among the rows of the fit.
    """

    spec: DesignSpec
    columns: Mapping[str, Any]
    positions: Positions

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.positions)

    def read(
        self,
        changed: Mapping[str, NDArray[Any]] | None = None,
        taken: Positions | None = None,
    ) -> tuple[tuple[Inputs, ...], Matrix]:
        """What each network reads, and the fixed-effect columns.

        Parameters
        ----------
        changed
            Column -> its values, for those that are not what they were.
        taken
            The rows to take, repeated at will; None for all in order.
        """
        rows = np.arange(self.n_rows) if taken is None else taken
        changed = changed or {}
        data = {
            name: pd.Series(changed[name]) if name in changed else _take(values, rows)
            for name, values in self.columns.items()
        }
        new = self.spec.apply(data, random=False)
        return new.networks, new.X

    def levels(self, name: str) -> pd.Index | None:
        """Levels of a column; None if it is numeric."""
        return next((s.levels for s in self.spec.columns if s.name == name), None)


def rows_of(fit: MixedModelFit, most: int, seed: int) -> Rows:
    """The rows of a fit, or so many of them drawn at random.

    Parameters
    ----------
    fit
        A fit with network terms.
    most
        Number of rows at most.
    seed
        Seed of the draw.
    """
    spec = replace(
        fit.spec,
        formula=replace(fit.spec.formula, offsets=()),
        offset_column=None,
        offset_is_array=False,
    )
    networks = [name for part in spec.networks for name in part.variables]
    arrays = [name for part in spec.networks for name in part.array_names]
    names = dict.fromkeys([*spec.fixed.variables, *networks])
    frame = read_frame(fit.call.data, list(names), arrays=arrays)
    positions = np.arange(fit.nobs)
    if fit.nobs > most:
        generator = np.random.default_rng(seed)
        positions = np.sort(generator.choice(fit.nobs, most, replace=False))
    used = fit.design.rows[positions]
    columns = {
        name: _take(values, used)
        for name, values in {**frame.columns, **frame.arrays}.items()
    }
    return Rows(spec, columns, positions)


def _take(values: Any, rows: NDArray[Any]) -> Any:
    if isinstance(values, pd.Series):
        return values.iloc[rows].reset_index(drop=True)
    return values[rows]
