"""From a design to the arrays of the Gaussian likelihood, and from theta to theta.

Terms on the same grouping factor share one block; factors are put in the order in
which they are eliminated; columns are standardised. `GaussianProblem` holds the result
and translates between the user's theta (terms in the order of the formula, relative
to sigma, in the units of the data) and the engine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.likelihood.arrangement import Arrangement, Place, TermArrays, arrange
from ngmm.likelihood.condense import condense
from ngmm.likelihood.elimination import System
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.standardise import (
    GroupedColumns,
    Matrix,
    Standardised,
    Vector,
    standardise,
)


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
    arranged
        The terms of the formula in the engine's order, user's units.
    """

    system: System
    layout: Layout
    column: tuple[NDArray[np.int64], ...]
    data: Standardised
    arranged: Arrangement

    @property
    def groups(self) -> tuple[GroupedColumns, ...]:
        """Columns of each factor in elimination order, user's units."""
        return self.arranged.groups

    @property
    def places(self) -> tuple[Place, ...]:
        """Where each term of the formula stands."""
        return self.arranged.places

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
        return self.arranged.theta_scale(self.data.column_scales)

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions in the engine's theta of the user's theta."""
        return self.arranged.order

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
    arranged = arrange(terms)
    groups, patterns = arranged.groups, arranged.patterns
    data = standardise(y, X, weights, groups)
    done = condense(data, groups, patterns, reml=reml)
    return GaussianProblem(
        system=done.system,
        layout=done.layout,
        column=done.column,
        data=data,
        arranged=arranged,
    )
