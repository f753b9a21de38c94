"""The data of a fit cut into rows to train on and rows to predict."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.design.frame import read_frame
from ngmm.errors import NgmmError, NgmmWarning, OptionError
from ngmm.model import Model
from ngmm.results import MixedModelFit

Ints = NDArray[np.intp]

ROLES = ("weights", "trials", "offset")


@dataclass(frozen=True, eq=False)
class Source:
    """What a fit is fitted again from.

    Attributes
    ----------
    fit
        The fit to all rows.
    data
        Its data, rows used only, with a column for each argument given as an array.
    arguments
        Names of those columns.
    """

    fit: MixedModelFit
    data: Any
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, fit: MixedModelFit) -> Source:
        """The source of a fit."""
        data, added = fit.call.data, {}
        arrays: dict[str, Any] = {}
        for role in ROLES:
            value = fit.call.arguments.get(role)
            if value is None or isinstance(value, str) or np.ndim(value) == 0:
                continue
            name = f"{role} of the rows"
            added[role], arrays[name] = name, np.asarray(value)
        rows = fit.design.rows
        columns = {name: values[rows] for name, values in arrays.items()}
        return cls(fit, _with(_take(data, rows), columns), added)

    def train(self, rows: Ints, fold: str) -> tuple[MixedModelFit, bool]:
        """The model fitted to some of the rows, and whether all is well with it.

        Raises
        ------
        OptionError
            If it cannot be fitted.
        """
        data = _take(self.data, rows)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NgmmWarning)
                fit = self.fit.update(data=data, progress=False, **self.arguments)
        except NgmmError as error:
            raise OptionError(
                f"`{self.fit.formula}` cannot be fitted without {fold}: {error}"
            ) from error
        if not np.array_equal(fit.design.y, self.fit.design.y[rows]):
            raise OptionError(
                f"the response {self.fit.response_name} has other values when rows are "
                "held out: its transformation depends on the data. Transform the "
                "column before fitting"
            )
        return fit, fit.check().ok

    def unknown(self, trained: MixedModelFit) -> NDArray[np.bool_]:
        """Rows with a level of a fixed factor that the training rows do not have."""
        out = np.zeros(self.fit.nobs, dtype=bool)
        for spec in trained.spec.columns:
            if spec.levels is None:
                continue
            values = read_frame(self.data, [spec.name]).columns[spec.name]
            out |= spec.levels.get_indexer(pd.Index(values)) < 0
        return out

    def model(self, trained: MixedModelFit, rows: Ints) -> Model:
        """The trained model's likelihood of any rows of the data.

        Columns come from the trained fit: its bases, contrasts and networks.

        Raises
        ------
        OptionError
            If they cannot be formed.
        """
        full = self.fit.design
        try:
            new = trained.spec.apply(_take(self.data, rows), levels=False)
        except NgmmError as error:
            raise OptionError(
                f"`{self.fit.formula}` cannot be evaluated for rows that were held "
                f"out: {error}"
            ) from error
        offset = new.offset
        if trained.networks is not None:
            offset = offset + trained.networks.outputs(new.networks, new.X).sum(1)
        random = []
        for own, built in zip(full.random, new.random, strict=True):
            codes = np.unique(own.codes[rows], return_inverse=True)[1]
            levels = pd.RangeIndex(int(codes.max()) + 1)
            random.append(replace(built, codes=codes.astype(np.int32), levels=levels))
        if trained.networks is not None:
            random = trained.networks.random(random, new.networks)
        trials = None if full.trials is None else full.trials[rows]
        design: Design = replace(
            full,
            y=full.y[rows],
            X=new.X,
            names=trained.design.names,
            column_terms=trained.design.column_terms,
            offset=offset,
            weights=full.weights[rows],
            trials=trials,
            random=tuple(random),
            rows=full.rows[rows],
            index=full.index[rows],
            networks=(),
        )
        return Model(design, trained.model.family, quad=trained.model.quad)


def _take(data: Any, rows: Ints) -> Any:
    """Some rows of data of any kind, by position."""
    if isinstance(data, pd.DataFrame):
        return data.iloc[rows]
    if isinstance(data, Mapping):
        return {name: _pick(values, rows) for name, values in data.items()}
    import narwhals as nw  # most data are pandas frames and never need it

    return nw.from_native(data, eager_only=True)[rows.tolist()].to_native()


def _pick(values: Any, rows: Ints) -> Any:
    if isinstance(values, pd.Series):
        return values.iloc[rows]
    if isinstance(values, (pd.Categorical, pd.Index, pd.api.extensions.ExtensionArray)):
        return values[rows]
    if isinstance(values, (list, tuple)):
        return [values[i] for i in rows]
    return np.asarray(values)[rows]


def _with(data: Any, columns: Mapping[str, NDArray[Any]]) -> Any:
    """Data with further columns."""
    if not columns:
        return data
    if isinstance(data, pd.DataFrame):
        return data.assign(**columns)
    if isinstance(data, Mapping):
        return {**data, **columns}
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True)
    space = nw.get_native_namespace(frame)
    new = [
        nw.new_series(name, values, backend=space) for name, values in columns.items()
    ]
    return frame.with_columns(*new).to_native()
