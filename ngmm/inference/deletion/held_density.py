r"""Log-density of sets of rows at given parameters, apart or by independent component.

That of rows h given rows t is the difference of the densities of both together and of t
alone, with the random effects integrated out in either:

.. math:: \log p(y_h \mid y_t) = \log p(y_h, y_t) - \log p(y_t),

which is the marginal density of rows whose levels are all new, and allows for what t
says of the random effects otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import factor_numpy, pattern
from ngmm.design import RandomDesign
from ngmm.inference.deletion.gaussian import components_of
from ngmm.inference.joint_modes import spherical_columns
from ngmm.likelihood import laplace, single
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine
from ngmm.linalg import precise
from ngmm.model import Model

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Parameters(NamedTuple):
    """Where the density is evaluated; as in `ngmm.model.Estimate`."""

    beta: Vector
    theta: Vector
    sigma: float
    phi: float | None


@dataclass(frozen=True, eq=False)
class GaussianDensity:
    """That of a Gaussian model, exact."""

    model: Model
    at: Parameters

    @cached_property
    def component(self) -> NDArray[np.intp]:
        """Component of each row."""
        return components_of(self.model.design.random)

    @cached_property
    def _columns(self) -> Any:
        """Z Lambda, sparse."""
        terms = self.model.design.random
        factors = _factors(terms, self.at.theta)
        return spherical_columns([(t.Z, t.codes, t.n_levels) for t in terms], factors)

    def by_component(self, kept: Mask) -> Vector:
        """Log-density of the rows kept, by component."""
        from scipy import sparse  # loads slowly
        from scipy.sparse.linalg import splu

        d, at = self.model.design, self.at
        rows = np.flatnonzero(kept)
        n = int(self.component.max()) + 1
        if not len(rows):
            return np.zeros(n)
        r = (d.y - d.offset - d.X @ at.beta)[rows]
        w, label = d.weights[rows], self.component[rows]
        columns = self._columns[rows]
        used = np.unique(columns.indices)
        columns = columns[:, used]
        weighted = columns.multiply(w[:, None]).tocsr()
        inner = (columns.T @ weighted + sparse.eye_array(len(used))).tocsc()
        out = np.bincount(label, np.log(w) - np.log(2.0 * np.pi * at.sigma**2), n)
        left = r
        if len(used):
            # Symmetric pivoting keeps the pivots of a component among its columns.
            found = splu(
                inner,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            left = r - columns @ found.solve(weighted.T @ r)
            owner = np.zeros(len(used), dtype=np.intp)
            owner[columns.indices] = np.repeat(label, np.diff(columns.indptr))
            pivots = np.abs(found.U.diagonal())
            place = np.argsort(found.perm_c)
            out -= np.bincount(owner[place], np.log(pivots), n)
        out -= np.bincount(label, w * r * left, n) / at.sigma**2
        return 0.5 * out

    def total(self, kept: Mask) -> float:
        """Log-density of all rows kept."""
        return float(self.by_component(kept).sum())


@dataclass(frozen=True, eq=False)
class GeneralizedDensity:
    """That of another model, by its rule of integration."""

    model: Model
    at: Parameters

    @cached_property
    def component(self) -> NDArray[np.intp]:
        """Component of each row."""
        return components_of(self.model.design.random)

    @cached_property
    def _x(self) -> Vector:
        log_phi = None if self.at.phi is None else float(np.log(self.at.phi))
        problem = self.model.marginal.problem
        return problem.to_engine(self.at.beta, self.at.theta, log_phi)

    @cached_property
    def _engine(self) -> QuadratureEngine | LaplaceEngine:
        marginal = self.model.marginal
        engine = accurate_engine(marginal.problem, marginal.rule, self._x)
        assert isinstance(engine, (QuadratureEngine, LaplaceEngine))
        return engine

    def by_component(self, kept: Mask) -> Vector:
        """Log-density of the rows kept, by component; crossed factors have but one."""
        engine, n = self._engine, int(self.component.max()) + 1
        if not isinstance(engine, QuadratureEngine):
            out = np.zeros(n)
            out[0] = self.total(kept)
            return out
        chunks, codes = engine.chunks, engine.problem.rows.codes[-1]
        mask = chunks.rows.mask * kept[chunks.pick]
        rows = chunks.rows._replace(mask=mask)
        with precise():
            found = single.assess(self._x, rows, engine.zero, layout=engine.layout)
        value = chunks.collect(np.asarray(found.value), len(engine.sizes) - 1)
        # The integral of nothing is one but for the error of the rule.
        value = np.where(np.bincount(codes, kept, len(value)) > 0, value, 0.0)
        owner = np.zeros(len(value), dtype=np.intp)
        owner[codes] = self.component
        return np.bincount(owner, value, n).astype(np.float64)

    def total(self, kept: Mask) -> float:
        """Log-density of all rows kept."""
        engine = self._engine
        if isinstance(engine, QuadratureEngine):
            return float(self.by_component(kept).sum())
        rows = engine.problem.rows._replace(mask=kept.astype(np.float64))
        with precise():
            found = laplace.value(
                self._x, rows, engine.meeting, engine.zero, layout=engine.layout
            )
        return float(found)


Density: TypeAlias = GaussianDensity | GeneralizedDensity
"""The log-density of any of the rows of a model."""


def density(model: Model, at: Parameters) -> Density:
    """The log-density of the rows of a model at given parameters."""
    if model.is_gaussian:
        return GaussianDensity(model, at)
    return GeneralizedDensity(model, at)


def _factors(terms: Sequence[RandomDesign], theta: Vector) -> list[Matrix]:
    """Lambda of each term of the formula."""
    patterns = [pattern([(len(t.names), t.correlated)]) for t in terms]
    parts = np.split(theta, np.cumsum([p.n_theta for p in patterns])[:-1])
    return [factor_numpy(x, p) for x, p in zip(parts, patterns, strict=True)]
