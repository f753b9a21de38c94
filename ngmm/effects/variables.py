"""The columns that predictions are made from: which there are, and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design.frame import read_frame
from ngmm.effects.population import Population
from ngmm.errors import OptionError, did_you_mean
from ngmm.formula import columns_of
from ngmm.results import MixedModelFit

Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Variables:
    """Columns of the rows of a fit.

    Attributes
    ----------
    columns
        Column -> values in the rows used.
    levels
        Factor -> its levels; numbers that the formula takes as such, by ``C(x)``, too.
    arrays
        Columns with an array a row.
    carried
        Columns that rows need beside those that can be varied: grouping factors.
    groups
        Grouping factors.
    fit
        The fit.
    """

    columns: Mapping[str, Any]
    levels: Mapping[str, Values]
    arrays: frozenset[str]
    carried: frozenset[str]
    groups: frozenset[str]
    fit: MixedModelFit

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.fit.nobs

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that can be varied."""
        out = self.arrays | self.carried
        return tuple(name for name in self.columns if name not in out)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Those of them that are numbers."""
        return tuple(name for name in self.names if name not in self.levels)

    def number(self, name: str) -> NDArray[np.float64]:
        """The values of a numeric column."""
        return np.asarray(self.columns[name], dtype=np.float64)

    def check(self, name: Any, *, argument: str = "variables") -> str:
        """The name of a column that can be varied.

        Raises
        ------
        OptionError
            Saying why it cannot, or which are meant.
        """
        if name in self.names:
            return str(name)
        if name in self.arrays:
            raise OptionError(
                f'"{name}" is an array a row, of which no other values are known; '
                "numbers and factors can be varied"
            )
        if name in self.groups:
            raise OptionError(
                f'"{name}" is a grouping factor only: the model has no coefficients '
                "for its levels. fit.ranef() has their effects; add it to the fixed "
                "part of the formula for means"
            )
        known = ", ".join(self.names) or "none"
        raise OptionError(
            f"{argument}: {name!r} is not a variable of the model"
            f"{did_you_mean(name, self.names) or '.'} Variables: {known}"
        )

    def values(self, name: str, given: Any) -> Values:
        """Values that a column can take, as an array.

        Raises
        ------
        OptionError
            If they are not levels of a factor, or not finite numbers.
        """
        found = np.atleast_1d(np.asarray(given))
        if found.ndim > 1 or not found.size:
            raise OptionError(f"give {name} one value, or a list of values")
        levels = self.levels.get(name)
        if levels is None:
            if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
                raise OptionError(
                    f"{name} is a number; at={{'{name}': ...}} has {given!r}"
                )
            return found.astype(np.float64)
        known = list(levels)
        for value in found:
            if value not in known:
                shown = ", ".join(map(str, known[:10]))
                raise OptionError(
                    f"'{value}' is not a level of {name}"
                    f"{did_you_mean(value, known) or '.'} Levels: {shown}"
                )
        return np.array([known[known.index(v)] for v in found], dtype=levels.dtype)

    def chosen_values(self, at: Mapping[str, Any] | None) -> dict[str, Values]:
        """The argument at=, checked."""
        if at is None:
            return {}
        if not isinstance(at, Mapping):
            raise OptionError(f"at= maps variables to values; got {at!r}")
        return {
            self.check(k, argument="at"): self.values(str(k), v) for k, v in at.items()
        }


def variables_of(population: Population, by: Sequence[str] = ()) -> Variables:
    """The columns that the means of a fit depend on.

    Parameters
    ----------
    population
        The means.
    by
        Further columns, to make subsets of rows with.
    """
    fit = population.fit
    spec = fit.spec
    known = {s.name: s for s in spec.columns}
    names = [*spec.fixed.variables]
    for text in spec.formula.offsets:
        names += [name for name in columns_of(text) if name in known]
    arrays = [name for part in spec.networks for name in part.array_names]
    names += [name for part in spec.networks for name in part.variables]
    if population.random:
        names += [name for term in spec.random for name in term.matrix.variables]
    if spec.offset_column is not None:
        names.append(spec.offset_column)
    groups = {c for term in spec.random for c in term.grouping.columns}
    carried = [c for c in groups if population.conditions and c not in names]
    names = list(dict.fromkeys(names))
    wanted = [*names, *carried, *by]
    frame = read_frame(fit.call.data, wanted, arrays=arrays)
    used = fit.design.rows
    columns: dict[str, Any] = {
        name: values.iloc[used].reset_index(drop=True)
        for name, values in frame.columns.items()
    }
    columns |= {name: values[used] for name, values in frame.arrays.items()}
    levels = {
        name: np.asarray(known[name].levels)
        for name in names
        if name in known and known[name].levels is not None
    }
    for name in names:
        if name not in levels and name in columns and _is_coded(fit, name):
            levels[name] = np.unique(np.asarray(columns[name]))
    extra = frozenset([*carried, *(b for b in by if b not in names)])
    return Variables(
        columns, levels, frozenset(frame.arrays), extra, frozenset(groups), fit
    )


def as_names(given: Any, argument: str) -> list[str]:
    """A name, or several, as a list without repetitions.

    Raises
    ------
    OptionError
        If it is neither.
    """
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if isinstance(given, Sequence) and all(isinstance(name, str) for name in given):
        return list(dict.fromkeys(given))
    raise OptionError(
        f"{argument}= takes the name of a column, or a list of names; got {given!r}"
    )


def repeated(values: Any, rows: NDArray[np.intp]) -> Any:
    """Rows of a column."""
    if isinstance(values, pd.Series):
        return values.iloc[rows].reset_index(drop=True)
    return values[rows]


def as_column(values: Any) -> Any:
    """Values of a grid as a column that is read like one of the data."""
    return pd.Series(values)


def _is_coded(fit: MixedModelFit, name: str) -> bool:
    """Whether the formula takes a number as a factor, by ``C(x)``."""
    texts = [str(fit.terms), fit.terms.text]
    pattern = rf"\bC\(\s*[`{{\"]?{re.escape(name)}[`}}\"]?\s*[,)]"
    return any(re.search(pattern, text) for text in texts)
