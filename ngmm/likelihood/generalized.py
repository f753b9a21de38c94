"""From a design to the standardised rows of a generalized model, and back.

Fixed-effect columns are made orthogonal, all columns get unit mean square. None of this
changes the model; optimisers and trust regions see parameters of comparable size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ngmm.families import Family
from ngmm.likelihood.arrangement import Arrangement, TermArrays, arrange
from ngmm.likelihood.observations import Rows
from ngmm.likelihood.standardise import Matrix, Vector


@dataclass(frozen=True, eq=False)
class GeneralizedProblem:
    """A generalized model as the engine sees it.

    Attributes
    ----------
    rows
        Standardised rows, in the order of the data.
    arranged
        The terms of the formula in the engine's order, user's units.
    family
        Response distribution.
    triangle
        (p, p) upper triangular: engine's beta = triangle @ user's beta.
    column_scales
        Root mean square of each random-effect column, by factor.
    """

    rows: Rows
    arranged: Arrangement
    family: Family
    triangle: Matrix
    column_scales: tuple[Vector, ...]

    @property
    def n_beta(self) -> int:
        """Number of fixed-effect columns."""
        return int(self.triangle.shape[0])

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters."""
        return sum(p.n_theta for p in self.arranged.patterns)

    @property
    def n_parameters(self) -> int:
        """Length of psi = (beta, theta, log phi)."""
        return self.n_beta + self.n_theta + (self.family.dispersion is not None)

    @cached_property
    def jacobian(self) -> Matrix:
        """(P, P) matrix J with engine's psi = J @ user's psi."""
        p, q = self.n_beta, self.n_theta
        out = np.zeros((self.n_parameters, self.n_parameters))
        out[:p, :p] = self.triangle
        scale = self.arranged.theta_scale(self.column_scales)
        at = p + self.arranged.order
        out[at, p + np.arange(q)] = scale[self.arranged.order]
        if self.family.dispersion is not None:
            out[-1, -1] = 1.0
        return out

    def to_engine(self, beta: Vector, theta: Vector, log_phi: float | None) -> Vector:
        """Engine's psi from the user's parameters."""
        tail = [] if self.family.dispersion is None else [log_phi]
        user = np.concatenate([beta, theta, np.array(tail, dtype=np.float64)])
        return np.asarray(self.jacobian @ user, dtype=np.float64)

    def to_user(self, x: Vector) -> tuple[Vector, Vector, float | None]:
        """(beta, theta, log phi) of the user from the engine's psi."""
        p, q = self.n_beta, self.n_theta
        beta = np.asarray(np.linalg.solve(self.triangle, x[:p]), dtype=np.float64)
        scale = self.arranged.theta_scale(self.column_scales)
        theta = (x[p : p + q] / scale)[self.arranged.order]
        return beta, theta, float(x[-1]) if self.family.dispersion is not None else None


def prepare_generalized(
    y: Vector,
    X: Matrix,
    terms: Sequence[TermArrays],
    family: Family,
    *,
    offset: Vector,
    weights: Vector,
    trials: Vector | None,
) -> GeneralizedProblem:
    """Arrange and standardise the rows.

    Parameters
    ----------
    y
        (n,) response; successes if there are trials.
    X
        (n, p) fixed-effect columns of full rank.
    terms
        Random-effects terms in the order of the formula, at least one.
    family
        Response distribution.
    offset, weights
        (n,) known part of the linear predictor, and prior weights.
    trials
        (n,) trials of a binomial response, or None.
    """
    n = len(y)
    arranged = arrange(terms, inner_first=True)
    q, r = np.linalg.qr(X) if X.shape[1] else (X, np.zeros((0, 0)))
    scales = tuple(
        np.sqrt(np.einsum("ij,ij->j", g.columns, g.columns) / n)
        for g in arranged.groups
    )
    rows = Rows(
        y=y,
        offset=offset,
        weights=weights,
        trials=np.ones(n) if trials is None else trials,
        mask=np.ones(n),
        X=q * np.sqrt(n),
        Z=tuple(g.columns / s for g, s in zip(arranged.groups, scales, strict=True)),
        codes=tuple(g.codes for g in arranged.groups),
    )
    return GeneralizedProblem(rows, arranged, family, r / np.sqrt(n), scales)
