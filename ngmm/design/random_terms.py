"""Random-effects terms as arrays: columns left of the bar, codes right of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

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
from ngmm.formula.terms import features_text

__all__ = ["Groups", "RandomSpec", "build_random", "level_codes"]

# Columns right of a bar -> codes of the rows, and how to get them for new data.
Groups: TypeAlias = Mapping[tuple[str, ...], tuple[NDArray[np.int32], Grouping]]


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
    network
        Position of the network on whose units the term has slopes, or None.
    feature
        The units as the formula has them.
    """

    matrix: MatrixSpec
    grouping: Grouping
    correlated: bool
    network: int | None = None
    feature: str = "nn"

    def build(
        self, columns: Mapping[str, Column], frame: Frame, codes: NDArray[np.int32]
    ) -> RandomDesign:
        """Return the term for new data, with the levels of the training data."""
        Z = self.matrix.build(columns, frame.n_rows)
        check_finite(Z, self.matrix.names, frame.index, NewDataError)
        return _random_design(self, Z, codes)


def level_codes(terms: tuple[RandomTerm, ...], frame: Frame) -> Groups:
    """Return the codes of each grouping factor; terms on one factor share them."""
    return {
        group: group_codes(group, frame.columns)
        for group in dict.fromkeys(term.group for term in terms)
    }


def build_random(
    terms: tuple[RandomTerm, ...],
    columns: Mapping[str, Column],
    groups: Groups,
    frame: Frame,
    contrasts: Mapping[str, Contrast],
    slopes: Mapping[str, int],
) -> tuple[tuple[RandomDesign, ...], tuple[RandomSpec, ...]]:
    """Return the random-effects terms of a formula and how to build them again.

    Parameters
    ----------
    terms
        The terms as parsed.
    columns
        The columns that stand left of a bar.
    groups
        The codes of each grouping factor.
    frame
        The complete rows.
    contrasts
        Column name -> coding chosen by the user.
    slopes
        Name of a network, as in `RandomTerm.features` -> its position.

    Raises
    ------
    DesignError
        If a grouping factor has one level, or a column of a term is zero or a copy of
        another.
    """
    designs: list[RandomDesign] = []
    specs: list[RandomSpec] = []
    for term in terms:
        # A term of networks only has no columns of its own.
        if term.networks and term.expr == "0":
            continue
        codes, grouping = groups[term.group]
        Z, matrix = build_matrix(term.expr, columns, contrasts, frame.n_rows)
        check_finite(Z, matrix.names, frame.index)
        spec = RandomSpec(matrix, grouping, term.correlated)
        if term.features:
            (name,) = term.features
            spec = replace(spec, network=slopes[name], feature=features_text(name))
        design = _random_design(spec, Z, codes)
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
        network=spec.network,
        feature=spec.feature,
    )
