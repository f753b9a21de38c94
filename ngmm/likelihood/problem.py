"""From a design to the arrays of the Gaussian likelihood, and from theta to theta.

Terms on the same grouping factor share one block; factors are put in the order in
which they are eliminated; columns are standardised. `GaussianProblem` holds the result
and translates between the user's theta (terms in the order of the formula, relative
to sigma, in the units of the data) and the engine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import pattern
from ngmm.likelihood.condense import condense, elimination_order
from ngmm.likelihood.elimination import System
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.standardise import (
    GroupedColumns,
    Matrix,
    Standardised,
    Vector,
    standardise,
)


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
class GaussianProblem:
    """A Gaussian model as the engine sees it.

    Attributes
    ----------
    system, layout
        Cross-products, and their static shape.
    column
        For each dense factor, the first column of each of its levels.
    data
        The standardised rows, for what goes back to the user's units.
    groups
        Columns of each factor in elimination order, user's units.
    places
        Where each term of the formula stands.
    """

    system: System
    layout: Layout
    column: tuple[NDArray[np.int64], ...]
    data: Standardised
    groups: tuple[GroupedColumns, ...]
    places: tuple[Place, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.data.tail)

    @property
    def n_residual(self) -> int:
        """Divisor of the residual sum of squares: n, or n - p for REML."""
        return self.n_rows - (self.layout.n_beta if self.layout.reml else 0)

    @property
    def theta_scale(self) -> Vector:
        """Engine's theta over user's theta, in the engine's order."""
        return np.concatenate(
            [
                scale[list(p.rows)]
                for scale, p in zip(
                    self.data.column_scales, self.layout.patterns, strict=True
                )
            ]
        )

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions in the engine's theta of the user's theta."""
        return np.concatenate([np.r_[place.theta] for place in self.places])

    def to_user(self, theta: Vector) -> Vector:
        """User's theta from the engine's."""
        return (theta / self.theta_scale)[self.order]

    def to_engine(self, theta: Vector) -> Vector:
        """Engine's theta from the user's."""
        out = np.empty(self.layout.n_theta)
        out[self.order] = theta
        return out * self.theta_scale


def prepare(
    y: Vector,
    X: Matrix,
    terms: Sequence[TermArrays],
    *,
    weights: Vector | None = None,
    reml: bool = False,
) -> GaussianProblem:
    """Standardise and condense the rows.

    Parameters
    ----------
    y
        (n,) response, offset subtracted.
    X
        (n, p) fixed-effect columns of full rank.
    terms
        Random-effects terms in the order of the formula, at least one.
    weights
        (n,) prior weights: the residual variance is sigma^2 / weight.
    reml
        Whether the objective is the restricted one.
    """
    names = list(dict.fromkeys(t.group for t in terms))
    members = [[i for i, t in enumerate(terms) if t.group == name] for name in names]
    order = elimination_order(
        [(terms[m[0]].n_levels, sum(terms[i].Z.shape[1] for i in m)) for m in members]
    )
    members = [members[j] for j in order]
    groups = tuple(_merge([terms[i] for i in m]) for m in members)
    patterns = [
        pattern([(terms[i].Z.shape[1], terms[i].correlated) for i in m])
        for m in members
    ]
    data = standardise(y, X, weights, groups)
    done = condense(data, groups, patterns, reml=reml)
    return GaussianProblem(
        system=done.system,
        layout=done.layout,
        column=done.column,
        data=data,
        groups=groups,
        places=_places(terms, members),
    )


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
