"""What is needed to build the matrices of a fitted model again for new data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import row_listing
from ngmm.design.columns import Column, ColumnSpec, read_new_columns
from ngmm.design.expressions import evaluate
from ngmm.design.frame import Frame, read_frame
from ngmm.design.functions import ELEMENTWISE
from ngmm.design.grouping import Grouping
from ngmm.design.matrix import MatrixSpec, check_finite
from ngmm.design.missing import refuse_missing
from ngmm.design.network_terms import LatentSpec, NetworkSpec
from ngmm.design.random_terms import RandomSpec
from ngmm.design.rank import select_columns
from ngmm.design.records import NewDesign, NewLatent
from ngmm.errors import DataError, NewDataError, OptionError, did_you_mean
from ngmm.formula import ModelFormula, columns_of

__all__ = ["DesignSpec", "offset_values"]


@dataclass(frozen=True, eq=False)
class DesignSpec:
    """How a design was made: levels, contrasts, state of transforms, columns kept.

    Attributes
    ----------
    formula
        The parsed formula.
    fixed
        How to build the fixed-effects matrix.
    kept
        Positions of its columns that are not aliased, shape (p,).
    random
        How to build each random-effects term.
    columns
        What new data must have in each column that stands in a term or an offset.
    networks
        How to build each network of the fixed part.
    latent
        How to build each network with a latent input.
    offset_column
        The column named by the argument ``offset``, if any.
    offset_is_array
        Whether the argument ``offset`` was an array, which new data cannot have.

    Examples
    --------
    >>> import ngmm, pandas as pd
    >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
    >>> design, spec = ngmm.build_design(ngmm.parse("y ~ x + (1 | g)"), data)
    >>> spec.groups, spec.apply({"x": [5.0], "g": ["b"]}).X.tolist()
    (('g',), [[1.0, 5.0]])
    """

    formula: ModelFormula
    fixed: MatrixSpec
    kept: NDArray[np.intp]
    random: tuple[RandomSpec, ...]
    columns: tuple[ColumnSpec, ...]
    networks: tuple[NetworkSpec, ...] = ()
    latent: tuple[LatentSpec, ...] = ()
    offset_column: str | None = None
    offset_is_array: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the grouping factors, each once."""
        specs = (*self.random, *self.latent)
        return tuple(dict.fromkeys(spec.grouping.name for spec in specs))

    def apply(
        self,
        newdata: Any,
        *,
        random: bool | Collection[str] = True,
        levels: bool = True,
        argument: str = "newdata",
    ) -> NewDesign:
        """Return the matrices for new data, with the columns of the training design.

        Parameters
        ----------
        newdata
            A frame or mapping with the columns that are needed: those of the fixed
            part and of offsets, those of its networks, and those of the random terms
            asked for. The response and weights are not needed.
        random
            Whether to build the random terms, networks with a latent input among them,
            or the names of the grouping factors whose terms to build.
        levels
            Whether to look up the level of each row. Without it the columns of the
            grouping factors are not needed and every code is -1.
        argument
            What messages call the data.

        Returns
        -------
        NewDesign
            A grouping level that was not in the training data has the code -1 and is
            listed in ``unseen``.

        Raises
        ------
        NewDataError
            If a column is absent, has missing or infinite values or is of another
            kind, or if a factor has a level that was not seen in training.
        OptionError
            If ``random`` names something that is not a grouping factor.

        Examples
        --------
        >>> import pandas as pd
        >>> from ngmm.design import build_design
        >>> from ngmm.formula import parse
        >>> data = pd.DataFrame({"y": [1.0, 2, 4], "x": [0, 1, 3], "g": list("aab")})
        >>> design, spec = build_design(parse("y ~ x + (1 | g)"), data)
        >>> new = spec.apply({"x": [5.0], "g": ["c"]})
        >>> new.X.tolist(), new.random[0].codes.tolist(), new.unseen["g"].to_dict()
        ([[1.0, 5.0]], [-1], {'c': 1})
        """
        names = self._chosen(random)
        chosen = tuple(s for s in self.random if s.grouping.name in names)
        latent = tuple(s for s in self.latent if s.grouping.name in names)
        if self.offset_is_array:
            raise NewDataError(
                "the model was fitted with offset= given as an array, so its values "
                "for new data are not known; fit it with offset= a column name"
            )
        networks = (*self.networks, *(spec.network for spec in latent))
        groupings = tuple(spec.grouping for spec in (*chosen, *latent))
        needed = self._needed(chosen, networks)
        groups = [n for grouping in groupings if levels for n in grouping.columns]
        extra = [] if self.offset_column is None else [self.offset_column]
        frame = read_frame(
            newdata,
            [*needed, *extra, *groups],
            arrays=[name for spec in networks for name in spec.array_names],
            argument=argument,
            error=NewDataError,
        )
        values = {**frame.columns, **frame.arrays}
        refuse_missing(values, frame.index, argument, NewDataError)
        specs = [spec for spec in self.columns if spec.name in needed]
        columns = read_new_columns(frame, specs, argument)
        X = self.fixed.build(columns, frame.n_rows)
        check_finite(X, self.fixed.names, frame.index, NewDataError)
        codes = _new_codes(groupings, frame, levels)
        unseen = {
            grouping.name: grouping.unseen(frame, codes[grouping.name])
            for grouping in groupings
            if levels and (codes[grouping.name] < 0).any()
        }
        return NewDesign(
            X=select_columns(X, self.kept),
            offset=self._offset(columns, frame),
            random=tuple(
                spec.build(columns, frame, codes[spec.grouping.name]) for spec in chosen
            ),
            unseen={name: counts for name, (counts, _) in unseen.items()},
            unseen_codes={name: at for name, (_, at) in unseen.items()},
            index=frame.index,
            networks=tuple(spec.build(columns, frame) for spec in self.networks),
            latent=tuple(
                NewLatent(
                    group=spec.grouping.name,
                    codes=codes[spec.grouping.name],
                    inputs=spec.network.build(columns, frame),
                )
                for spec in latent
            ),
        )

    def _chosen(self, random: bool | Collection[str]) -> tuple[str, ...]:
        """Return the grouping factors whose terms to build."""
        if isinstance(random, bool):
            return self.groups if random else ()
        names = [random] if isinstance(random, str) else list(random)
        for name in names:
            if name not in self.groups:
                raise OptionError(
                    f"'{name}' is not a grouping factor of the model"
                    f"{did_you_mean(name, self.groups) or ';'} "
                    f"Grouping factors: {', '.join(self.groups) or 'none'}"
                )
        return tuple(names)

    def _needed(
        self, chosen: tuple[RandomSpec, ...], networks: tuple[NetworkSpec, ...]
    ) -> list[str]:
        """Return the columns that the matrices and the formula's offsets use."""
        known = {spec.name for spec in self.columns}
        needed = [*self.fixed.variables]
        for offset in self.formula.offsets:
            needed += [name for name in columns_of(offset) if name in known]
        for spec in chosen:
            needed += spec.matrix.variables
        for network in networks:
            needed += network.variables
        return list(dict.fromkeys(needed))

    def _offset(
        self, columns: Mapping[str, Column], frame: Frame
    ) -> NDArray[np.float64]:
        total = offset_values(self.formula.offsets, columns, frame.index, NewDataError)
        if self.offset_column is not None:
            values = frame.columns[self.offset_column].to_numpy(dtype=np.float64)
            if not np.isfinite(values).all():
                raise NewDataError(
                    f'offset column "{self.offset_column}" is infinite '
                    f"{row_listing(~np.isfinite(values), frame.index)}"
                )
            total = total + values
        return total


def offset_values(
    offsets: tuple[str, ...],
    columns: Mapping[str, Column],
    index: pd.Index,
    error: type[DataError] = DataError,
) -> NDArray[np.float64]:
    """Return the sum of a formula's offsets for each row.

    Raises
    ------
    DataError
        If an offset is not a number in some row.
    """
    total = np.zeros(len(index))
    for expr in offsets:
        values = evaluate(expr, columns, ELEMENTWISE, len(index), error)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise error(f"offset({expr}) is not numeric")
        wrong = ~np.isfinite(values.astype(np.float64))
        if wrong.any():
            raise error(
                f"offset({expr}) is infinite or undefined {row_listing(wrong, index)}"
            )
        total += values
    return total


def _new_codes(
    groupings: tuple[Grouping, ...], frame: Frame, levels: bool
) -> dict[str, NDArray[np.int32]]:
    """Return the level of each row for each grouping factor, -1 where not known."""
    codes: dict[str, NDArray[np.int32]] = {}
    for grouping in groupings:
        name = grouping.name
        if not levels:
            codes[name] = np.full(frame.n_rows, -1, dtype=np.int32)
        elif name not in codes:
            codes[name] = grouping.codes(frame)
    return codes
