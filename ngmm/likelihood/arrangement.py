"""Random-effects terms by grouping factor, in the order of their elimination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern, pattern
from ngmm.likelihood.standardise import GroupedColumns, Matrix, Vector


class TermArrays(Protocol):
    """One random-effects term, as the design holds it."""

    @property
    def group(self) -> str:
        """Name of the grouping factor."""
        ...

    @property
    def Z(self) -> Matrix:  # noqa: N802, the field's letter
        """(n, k) columns."""
        ...

    @property
    def codes(self) -> NDArray[np.int32]:
        """(n,) level of each row."""
        ...

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        ...

    @property
    def correlated(self) -> bool:
        """Whether the columns may be correlated."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a term of the formula stands in the engine.

    Attributes
    ----------
    factor
        Index of its grouping factor, in elimination order.
    columns
        Its columns among those of the factor.
    theta
        Its part of the engine's theta.
    """

    factor: int
    columns: slice
    theta: slice


@dataclass(frozen=True)
class Arrangement:
    """The terms of a formula as the engine orders them.

    Attributes
    ----------
    groups
        All columns of each factor in elimination order, user's units.
    patterns
        Covariance parameters of each factor.
    places
        Where each term of the formula stands.
    """

    groups: tuple[GroupedColumns, ...]
    patterns: tuple[Pattern, ...]
    places: tuple[Place, ...]

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions in the engine's theta of the user's theta."""
        return np.concatenate([np.r_[place.theta] for place in self.places])

    def theta_scale(self, column_scales: Sequence[Vector]) -> Vector:
        """Engine's theta over user's theta, in the engine's order."""
        return np.concatenate(
            [
                scale[list(p.rows)]
                for scale, p in zip(column_scales, self.patterns, strict=True)
            ]
        )


def arrange(terms: Sequence[TermArrays], *, inner_first: bool = False) -> Arrangement:
    """Merge terms that share a grouping factor; the factor with most effects first.

    With `inner_first`, the inner one of two nested factors comes first in any case.
    """
    names = list(dict.fromkeys(t.group for t in terms))
    members = [[i for i, t in enumerate(terms) if t.group == name] for name in names]
    order = elimination_order(
        [(terms[m[0]].n_levels, sum(terms[i].Z.shape[1] for i in m)) for m in members]
    )
    members = [members[j] for j in order]
    if inner_first and len(members) == 2:
        one, other = (terms[m[0]].codes for m in members)
        if is_nested(other, one) and not is_nested(one, other):
            members.reverse()
    return Arrangement(
        groups=tuple(_merge([terms[i] for i in m]) for m in members),
        patterns=tuple(
            pattern([(terms[i].Z.shape[1], terms[i].correlated) for i in m])
            for m in members
        ),
        places=_places(terms, members),
    )


def is_nested(inner: NDArray[Any], outer: NDArray[Any]) -> bool:
    """Whether every level of `inner` occurs within one level of `outer`."""
    parent = np.empty(inner.max() + 1, dtype=outer.dtype)
    parent[inner] = outer
    return bool(np.array_equal(parent[inner], outer))


def elimination_order(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Factors by number of effects, largest first, from (levels, k) of each."""
    return sorted(range(len(sizes)), key=lambda j: -sizes[j][0] * sizes[j][1])


def _merge(terms: Sequence[TermArrays]) -> GroupedColumns:
    """All columns that share a grouping factor."""
    columns = terms[0].Z if len(terms) == 1 else np.hstack([t.Z for t in terms])
    return GroupedColumns(terms[0].codes, columns, int(terms[0].n_levels))


def _places(
    terms: Sequence[TermArrays], members: Sequence[Sequence[int]]
) -> tuple[Place, ...]:
    """Place of each term, in the order of the formula."""
    places: dict[int, Place] = {}
    theta = 0
    for factor, ids in enumerate(members):
        column = 0
        for i in ids:
            k = terms[i].Z.shape[1]
            size = pattern([(k, terms[i].correlated)]).n_theta
            places[i] = Place(
                factor, slice(column, column + k), slice(theta, theta + size)
            )
            column += k
            theta += size
    return tuple(places[i] for i in range(len(terms)))
