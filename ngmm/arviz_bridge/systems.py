r"""The random effects of many parameter draws at once: what a Newton step needs.

Given a parameter draw, b = Lambda u with u standard normal, and the log-density of u
and the responses is quadratic about its peak with the precision

.. math:: A = I + \Lambda' Z' W Z \Lambda .

With one grouping factor A is a small block for each level, and all levels of all draws
are solved together. Effects are (draws, units, k): a unit is a level, or all effects of
a model with several factors (`ngmm.arviz_bridge.crossed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.factors import Array, Factor


class Precision(Protocol):
    """A, factorised."""

    def solve(self, g: Array) -> Array:
        """A^-1 g, both (draws, units, k)."""
        ...

    def draw(self, generator: np.random.Generator) -> Array:
        """(draws, units, k) normal draws with covariance A^-1."""
        ...


class System(Protocol):
    """Random effects of some draws of Lambda."""

    @property
    def zero(self) -> Array:
        """Effects of zero."""
        ...

    def effect(self, u: Array) -> Array:
        """(draws, n) what u adds to the linear predictor."""
        ...

    def total(self, by_row: Array) -> Array:
        """(draws, units) sums over rows of (draws, n)."""
        ...

    def project(self, score: Array) -> Array:
        """Lambda' Z' score, (draws, units, k)."""
        ...

    def precision(self, weight: Array) -> Precision:
        """A at the weights (draws, n) of the rows."""
        ...


@dataclass(frozen=True, eq=False)
class Blocks:
    """A for one factor: (draws, levels, k, k)."""

    a: Array

    @cached_property
    def _lower(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.a), dtype=np.float64)

    def solve(self, g: Array) -> Array:
        """A^-1 g."""
        if self.a.shape[-1] == 1:
            return g / self.a[..., 0]
        found = np.linalg.solve(self.a, g[..., None])[..., 0]
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def root(self) -> Array:
        """R with R R' = A^-1, (draws, levels, k, k)."""
        if self.a.shape[-1] == 1:
            return 1.0 / np.sqrt(self.a)
        inverse = np.asarray(np.linalg.inv(self._lower), dtype=np.float64)
        return np.swapaxes(inverse, -1, -2)

    @property
    def log_det(self) -> Array:
        """(draws, levels) log|A|."""
        return 2.0 * np.log(np.einsum("dlii->dli", self._lower)).sum(-1)

    def draw(self, generator: np.random.Generator) -> Array:
        """Normal draws."""
        z = generator.standard_normal(self.a.shape[:-1])
        return np.einsum("dlij,dlj->dli", self.root, z)


@dataclass(frozen=True, eq=False)
class OneFactor:
    """The effects of one grouping factor, level by level.

    Attributes
    ----------
    factor
        It.
    lam
        (draws, k, k) its Lambda.
    """

    factor: Factor
    lam: Array

    @property
    def zero(self) -> Array:
        """Effects of zero."""
        return np.zeros((len(self.lam), self.factor.n_levels, self.factor.k))

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.factor.codes, kind="stable")

    @cached_property
    def _start(self) -> NDArray[np.intp]:
        size = np.bincount(self.factor.codes, minlength=self.factor.n_levels)
        return np.cumsum(size) - size

    def effects(self, u: Array) -> Array:
        """B = Lambda u, (draws, levels, k)."""
        return u @ np.swapaxes(self.lam, 1, 2)

    def effect(self, u: Array) -> Array:
        """(draws, n) Z Lambda u."""
        return self.factor.effect(self.effects(u))

    def total(self, by_row: Array) -> Array:
        """Sums over the rows of a level, whatever further axes there are."""
        return np.add.reduceat(by_row[:, self._order], self._start, axis=1)

    def project(self, score: Array) -> Array:
        """Lambda' Z' score."""
        z = [self.total(self.factor.Z[:, j] * score) for j in range(self.factor.k)]
        return np.stack(z, axis=-1) @ self.lam

    def precision(self, weight: Array) -> Blocks:
        """A of every level."""
        Z, k = self.factor.Z, self.factor.k
        m = np.empty((*weight.shape[:1], self.factor.n_levels, k, k))
        for i in range(k):
            for j in range(i + 1):
                m[..., i, j] = m[..., j, i] = self.total(Z[:, i] * Z[:, j] * weight)
        lam = self.lam[:, None]
        return Blocks(np.eye(k) + np.swapaxes(lam, -1, -2) @ m @ lam)
