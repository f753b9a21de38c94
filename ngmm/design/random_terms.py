"""Random-effects terms as arrays: columns left of the bar, codes right of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design.checks import check_term
from ngmm.design.coding import Contrast
from ngmm.design.columns import Column
from ngmm.design.frame import Frame
from ngmm.design.grouping import Grouping, group_codes
from ngmm.design.matrix import MatrixSpec, build_matrix, check_finite
from ngmm.design.records import RandomDesign
from ngmm.errors import NewDataError
from ngmm.formula import RandomTerm

__all__ = ["RandomSpec", "build_random"]


@dataclass(frozen=True, eq=False)
class RandomSpec:
    """How to build a random-effects term for new data.

    Attributes
    ----------
    matrix
        The columns left of the bar.
    grouping
        The grouping factor and its levels.
    correlated
        False for a term written with ``||``.
    """

    matrix: MatrixSpec
    grouping: Grouping
    correlated: bool

    def build(
        self, columns: Mapping[str, Column], frame: Frame, codes: NDArray[np.int32]
    ) -> RandomDesign:
        """Return the term for new data, with the levels of the training data."""
        Z = self.matrix.build(columns, frame.n_rows)
        check_finite(Z, self.matrix.names, frame.index, NewDataError)
        return _random_design(self, Z, codes)


def build_random(
    terms: tuple[RandomTerm, ...],
    columns: Mapping[str, Column],
    frame: Frame,
    contrasts: Mapping[str, Contrast],
) -> tuple[tuple[RandomDesign, ...], tuple[RandomSpec, ...]]:
    """Return the random-effects terms of a formula and how to build them again.

    Parameters
    ----------
    terms
        The terms as parsed.
    columns
        The columns that stand left of a bar.
    frame
        The complete rows, with the grouping columns.
    contrasts
        Column name -> coding chosen by the user.

    Raises
    ------
    DesignError
        If a grouping factor has one level, or a column of a term is zero or a copy of
        another.
    """
    # Terms on one factor share its codes.
    groups: dict[tuple[str, ...], tuple[NDArray[np.int32], Grouping]] = {}
    designs: list[RandomDesign] = []
    specs: list[RandomSpec] = []
    for term in terms:
        if term.group not in groups:
            groups[term.group] = group_codes(term.group, frame.columns)
        codes, grouping = groups[term.group]
        Z, matrix = build_matrix(term.expr, columns, contrasts, frame.n_rows)
        check_finite(Z, matrix.names, frame.index)
        spec = RandomSpec(matrix, grouping, term.correlated)
        design = _random_design(spec, Z, codes)
        # A term of networks only has no columns of its own.
        if design.names or not term.networks:
            check_term(design)
        designs.append(design)
        specs.append(spec)
    return tuple(designs), tuple(specs)


def _random_design(
    spec: RandomSpec, Z: NDArray[np.float64], codes: NDArray[np.int32]
) -> RandomDesign:
    return RandomDesign(
        group=spec.grouping.name,
        names=spec.matrix.names,
        Z=Z,
        codes=codes,
        levels=spec.grouping.levels,
        correlated=spec.correlated,
    )
