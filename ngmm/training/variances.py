"""Coefficients and variances given the networks' outputs, again and again.

Between epochs a few Newton steps from the last values will do, on a random part of the
groups if there are very many rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern
from ngmm.design import Design
from ngmm.families import Family
from ngmm.likelihood.arrangement import arrange
from ngmm.likelihood.choose import centred, structure
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.likelihood.eta import NODES
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.generalized_start import starting_psi
from ngmm.likelihood.nodes import hermite
from ngmm.likelihood.quadrature import Placing
from ngmm.model import Model

Vector = NDArray[np.float64]

# Evaluations of the likelihood between two epochs.
STEPS = 4
# Rows that are looked at between epochs; variances are known to a percent from fewer.
MOST_ROWS = 200_000


class Settled(NamedTuple):
    """Parameters given the networks.

    Attributes
    ----------
    beta
        Coefficients of X.
    theta
        Covariance parameters in the order of the engine, columns in the user's units.
    xi
        Log sigma, or log-dispersion; zero if there is neither.
    """

    beta: Vector
    theta: Vector
    xi: float


class VarianceSteps:
    """A callable from f to `Settled` that starts where it ended last.

    Parameters
    ----------
    design
        With one grouping factor.
    family
        Response distribution.
    """

    def __init__(self, design: Design, family: Family) -> None:
        self.rows: NDArray[np.intp] | None = _some_rows(design)
        self.design: Design = design if self.rows is None else _part(design, self.rows)
        self.family = family
        self.theta: Vector | None = None
        self._order = arrange(design.random).order
        self._x: Vector | None = None
        self._problem: GeneralizedProblem | None = None

    @property
    def pattern(self) -> Pattern:
        """Covariance parameters of the factor."""
        return arrange(self.design.random).patterns[0]

    def __call__(self, f: Vector) -> Settled:
        """A few Newton steps given f (n,)."""
        design = known_part(self.design, f if self.rows is None else f[self.rows])
        if self.family.has_residual:
            found = Model(design, self.family).maximise(self.theta)
            self.theta = found.theta
            return Settled(
                found.beta, self._arranged(found.theta), float(np.log(found.sigma))
            )
        return self._generalized(design)

    def _generalized(self, design: Design) -> Settled:
        if self._problem is None or self._x is None:
            self._problem = Model(design, self.family).marginal.problem
            self._x = starting_psi(self._problem)
        problem = replace(
            self._problem, rows=self._problem.rows._replace(offset=design.offset)
        )
        placing = Placing(hermite(1), exact=True)
        if structure(problem) == "single":
            placing = centred(problem, NODES[problem.arranged.patterns[0].k])
        found = QuadratureEngine(problem, placing).maximise(self._x, STEPS)
        self._x = np.asarray(found.x)
        beta, self.theta, log_phi = problem.to_user(self._x)
        return Settled(beta, self._arranged(self.theta), log_phi or 0.0)

    def _arranged(self, theta: Vector) -> Vector:
        out = np.empty_like(theta)
        out[self._order] = theta
        return out


def known_part(design: Design, f: Vector) -> Design:
    """The design of the model in which the networks' outputs are known."""
    return replace(design, offset=design.offset + f, networks=())


def _some_rows(design: Design) -> NDArray[np.intp] | None:
    """Rows of a random part of the groups if there are very many; else None."""
    n = design.n_rows
    if n <= MOST_ROWS:
        return None
    codes, levels = design.random[0].codes, design.random[0].n_levels
    shuffled = np.random.default_rng(0).permutation(levels)
    size = np.bincount(codes, minlength=levels)[shuffled]
    within = np.cumsum(size) <= MOST_ROWS
    within[0] = True
    chosen = np.zeros(levels, bool)
    chosen[shuffled[within]] = True
    return np.flatnonzero(chosen[codes])


def _part(design: Design, rows: NDArray[np.intp]) -> Design:
    """The design of some of its rows, levels without any left out."""
    levels, codes = np.unique(design.random[0].codes[rows], return_inverse=True)
    codes = codes.astype(np.int32)
    return replace(
        design,
        y=design.y[rows],
        X=design.X[rows],
        offset=design.offset[rows],
        weights=design.weights[rows],
        trials=None if design.trials is None else design.trials[rows],
        networks=(),
        random=tuple(
            replace(t, Z=t.Z[rows], codes=codes, levels=t.levels[levels])
            for t in design.random
        ),
        rows=design.rows[rows],
        index=design.index[rows],
    )
