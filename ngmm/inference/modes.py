r"""Conditional modes of the random effects and their covariance.

Given the variance parameters and beta, b has mean Sigma Z' V^-1 (y - X beta) and
covariance sigma^2 (Sigma - Sigma Q Sigma), Q = Z' V^-1 Z; both come here from sums of
positive terms. For one row with random-effect columns z,

.. math:: z' T z + d' U d, \quad d = z_d - \eta' \Sigma z_1,

is its conditional variance over sigma^2, and estimating beta adds
a' C_XX^-1 a with a = x - W_X' Sigma z.

References
----------
Henderson (1975), Biometrics 31, 423-447; Bates et al. (2015), J. Stat. Softw. 67(1),
eqs. 56-58.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import factor_numpy
from ngmm.likelihood.coupling import FullCoupling, SparseCoupling
from ngmm.likelihood.elimination import Elimination
from ngmm.likelihood.information import residual_direction
from ngmm.likelihood.problem import GaussianProblem

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Rows whose dense-part vectors are formed at once: bounds memory at real sizes.
CHUNK = 4096


@dataclass(frozen=True)
class RowEffects:
    """Random-effect columns of rows for one factor, engine's units.

    Attributes
    ----------
    z
        (n, k) columns; zero for terms that are left out.
    codes
        (n,) levels, -1 where unseen.
    """

    z: Matrix
    codes: NDArray[np.int32]


class TermRows(Protocol):
    """Columns and levels of rows for one term of the formula, user's units."""

    @property
    def Z(self) -> Matrix:  # noqa: N802, the field's letter
        """(n, k) columns."""
        ...

    @property
    def codes(self) -> NDArray[np.int32]:
        """(n,) levels, -1 where unseen."""
        ...


def row_effects(
    problem: GaussianProblem, terms: Sequence[TermRows | None], n: int
) -> list[RowEffects]:
    """Engine's columns of n rows for each factor, from the terms of the formula.

    A term that is None, and an unseen level, has columns of zero.
    """
    out: list[RowEffects] = []
    for factor, scale in enumerate(problem.data.column_scales):
        z = np.zeros((n, len(scale)))
        codes = np.zeros(n, dtype=np.int32)
        for term, place in zip(terms, problem.places, strict=True):
            if place.factor != factor or term is None:
                continue
            known = term.codes >= 0
            z[:, place.columns] = np.where(known[:, None], term.Z, 0.0)
            codes = np.where(known, term.codes, 0).astype(np.int32)
        out.append(RowEffects(z / scale, codes))
    return out


@dataclass(frozen=True, eq=False)
class Posterior:
    """The random effects given the data, at one estimate.

    Parameters
    ----------
    problem, elimination
        The model, and what its likelihood says at the estimate.
    theta
        Engine's theta.
    """

    problem: GaussianProblem
    elimination: Elimination
    theta: Vector

    @cached_property
    def factors(self) -> list[Matrix]:
        """Lambda of each factor, engine's units."""
        layout = self.problem.layout
        return [
            factor_numpy(self.theta[s], p)
            for s, p in zip(layout.slices, layout.patterns, strict=True)
        ]

    def weights(self, factor: int) -> NDArray[np.float64]:
        """Z' V^-1 [X y] of one factor: (levels, k, p + 1)."""
        if factor == 0:
            return self.elimination.w_first
        k = self.problem.layout.patterns[factor].k
        w = self.elimination.w_dense
        flat = w.reshape(-1, w.shape[-1])
        return flat[self.problem.column[factor - 1][:, None] + np.arange(k)]

    def modes(self, factor: int) -> Matrix:
        """Conditional modes of one factor in the user's units: (levels, k)."""
        lam = self.factors[factor]
        b = self.weights(factor) @ self._residual @ (lam @ lam.T)
        data = self.problem.data
        return b * data.y_scale / data.column_scales[factor]

    @cached_property
    def _residual(self) -> Vector:
        return residual_direction(self.elimination.tail)

    def term_modes(self) -> tuple[Matrix, ...]:
        """Conditional modes of each term of the formula: (levels, k)."""
        by_factor = [self.modes(f) for f in range(len(self.factors))]
        return tuple(by_factor[p.factor][:, p.columns] for p in self.problem.places)

    def term_variances(self) -> tuple[Matrix, ...]:
        """Conditional variances over sigma^2 of each term: (levels, k)."""
        by_factor = [
            np.einsum("lii->li", self.covariance(f)) for f in range(len(self.factors))
        ]
        return tuple(by_factor[p.factor][:, p.columns] for p in self.problem.places)

    def covariance(self, factor: int) -> NDArray[np.float64]:
        """Conditional covariance over sigma^2 in the user's units: (levels, k, k)."""
        unit = self._first_covariance if factor == 0 else self._dense_block(factor)
        scale = self.problem.data.column_scales[factor]
        return unit / np.outer(scale, scale)

    @cached_property
    def _given_first(self) -> NDArray[np.float64]:
        """T_l = Lambda (I + Lambda' K Lambda)^-1 Lambda' of the first factor."""
        lam = self.factors[0]
        half = np.swapaxes(np.asarray(self.problem.system.g), 1, 2) @ lam
        values, vectors = np.linalg.eigh(
            np.eye(lam.shape[0]) + np.swapaxes(half, 1, 2) @ half
        )
        # No eigenvalue is below one except by rounding.
        root = lam @ vectors / np.sqrt(np.maximum(values, 1.0))[:, None, :]
        return root @ np.swapaxes(root, 1, 2)

    @cached_property
    def _first_covariance(self) -> NDArray[np.float64]:
        if not self.problem.layout.dense:
            return self._given_first
        sigma = self.factors[0] @ self.factors[0].T
        return self._given_first + sigma @ self.elimination.reach @ sigma

    def _dense_block(self, factor: int) -> NDArray[np.float64]:
        layout = self.problem.layout
        k, m = layout.patterns[factor].k, layout.width
        column = self.problem.column[factor - 1]
        component, row = column // m, column % m
        i = row[:, None, None] + np.arange(k)[:, None]
        j = row[:, None, None] + np.arange(k)[None, :]
        return self.elimination.u[component[:, None, None], i, j]

    def row_variance(
        self,
        x: Matrix,
        effects: Sequence[RowEffects],
        fixed: Matrix | None = None,
    ) -> Vector:
        """Variance over sigma^2 of x' beta + z' b about its estimate, for each row.

        Parameters
        ----------
        x
            (n, p) fixed-effect rows, multiplied by R^-1.
        effects
            Random-effect columns of the rows, a record for every factor. Unseen levels
            must have z = 0: what a new level adds is for the caller.
        fixed
            (p, p) covariance over sigma^2 of the estimate of R beta; None for C_XX^-1,
            that of a Gaussian model.
        """
        variance = np.zeros(len(x))
        a = x.copy()
        p = x.shape[1]
        for factor, e in enumerate(effects):
            lam = self.factors[factor]
            shrunk = e.z @ (lam @ lam.T)
            a -= np.einsum("nk,nkp->np", shrunk, self.weights(factor)[e.codes][..., :p])
        if p:
            c = self.elimination.tail[:p, :p]
            half = np.linalg.solve(c, a.T) if fixed is None else fixed @ a.T
            variance += np.einsum("np,pn->n", a, half)
        first = effects[0]
        t = self._given_first[first.codes]
        variance += np.einsum("ni,nij,nj->n", first.z, t, first.z)
        if self.problem.layout.dense:
            for start in range(0, len(x), CHUNK):
                rows = slice(start, start + CHUNK)
                part = [RowEffects(e.z[rows], e.codes[rows]) for e in effects]
                variance[rows] += self._through_dense(part)
        return variance

    def _through_dense(self, effects: Sequence[RowEffects]) -> Vector:
        """Quadratic form d' U d for each row."""
        from scipy.sparse import csr_array  # loads slowly; crossed models only

        n = len(effects[0].z)
        lam = self.factors[0]
        k = lam.shape[0]
        parts = [-(self._rows(effects[0].z @ (lam @ lam.T), effects[0].codes, k))]
        d = parts[0] @ self._eta
        total = self._eta.shape[1]
        for factor, e in enumerate(effects[1:], 1):
            kj = e.z.shape[1]
            columns = self.problem.column[factor - 1][e.codes][:, None] + np.arange(kj)
            at = np.repeat(np.arange(n), kj)
            d = d + csr_array((e.z.ravel(), (at, columns.ravel())), shape=(n, total))
        if self.problem.layout.n_components == 1:
            dense = d.toarray()
            return np.einsum("nm,nm->n", dense @ self.elimination.u[0], dense)
        return np.asarray((d @ self._u).multiply(d).sum(axis=1)).ravel()

    def _rows(self, z: Matrix, codes: NDArray[np.int32], k: int) -> Any:
        from scipy.sparse import csr_array

        n = len(z)
        columns = codes.astype(np.int64)[:, None] * k + np.arange(k)
        at = np.repeat(np.arange(n), k)
        width = len(self.elimination.h) * k
        return csr_array((z.ravel(), (at, columns.ravel())), shape=(n, width))

    @cached_property
    def _eta(self) -> Any:
        """Z_1' V_1^-1 Z_d as a sparse (l k, c m) array."""
        from scipy.sparse import csr_array

        eta = self.elimination.eta
        layout = self.problem.layout
        if isinstance(eta, FullCoupling):
            values = np.asarray(eta.values)
            return csr_array(values.reshape(-1, values.shape[-1]))
        assert isinstance(eta, SparseCoupling)
        values = np.asarray(eta.values)
        k = values.shape[1]
        row = np.asarray(eta.level).astype(np.int64)[:, None] * k + np.arange(k)
        column = np.repeat(np.asarray(eta.slot), k)
        shape = (len(self.elimination.h) * k, layout.n_components * layout.width)
        return csr_array((values.ravel(), (row.ravel(), column)), shape=shape)

    @cached_property
    def _u(self) -> Any:
        """Block-diagonal U as a sparse (c m, c m) array."""
        from scipy.sparse import csr_array

        u = self.elimination.u
        c, m = u.shape[0], u.shape[1]
        indices = (
            np.arange(c)[:, None, None] * m
            + np.zeros((1, m, 1), dtype=np.int64)
            + np.arange(m)
        )
        pointer = np.arange(c * m + 1) * m
        return csr_array((u.ravel(), indices.ravel(), pointer), shape=(c * m, c * m))
