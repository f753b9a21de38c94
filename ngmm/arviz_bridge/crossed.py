"""The random effects of several factors, which share rows: one sparse matrix a draw.

References
----------
Papandreou & Yuille (2010), NIPS 23, 1858-1866, for draws that need no root of A.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ngmm.arviz_bridge.factors import Array, Factor
from ngmm.inference.joint_modes import spherical_columns


@dataclass(frozen=True, eq=False)
class Sparse:
    """A for several factors: factorised, one for each draw."""

    factors: Sequence[Any]
    columns: Sequence[Any]
    weight: Array

    def solve(self, g: Array) -> Array:
        """A^-1 g."""
        each = zip(self.factors, g, strict=True)
        return np.stack([f.solve(one[0])[None] for f, one in each])

    def draw(self, generator: np.random.Generator) -> Array:
        """Normal draws: what is drawn for u and for the rows has the covariance A."""
        out = []
        each = zip(self.factors, self.columns, self.weight, strict=True)
        for f, columns, weight in each:
            n, q = columns.shape
            noise = columns.T @ (np.sqrt(weight) * generator.standard_normal(n))
            out.append(f.solve(noise + generator.standard_normal(q))[None])
        return np.stack(out)


@dataclass(frozen=True, eq=False)
class AllFactors:
    """The effects of several grouping factors together: one unit.

    Attributes
    ----------
    factors
        They.
    lams
        For each (draws, k, k) its Lambda.
    """

    factors: tuple[Factor, ...]
    lams: tuple[Array, ...]

    @property
    def zero(self) -> Array:
        """Effects of zero."""
        q = sum(f.n_levels * f.k for f in self.factors)
        return np.zeros((len(self.lams[0]), 1, q))

    @cached_property
    def _columns(self) -> list[Any]:
        """Z Lambda of each draw, sparse."""
        terms = [(f.Z, f.codes, f.n_levels) for f in self.factors]
        draws = zip(*self.lams, strict=True)
        return [spherical_columns(terms, list(lam)) for lam in draws]

    def split(self, u: Array) -> list[Array]:
        """B of each factor, (draws, levels, k)."""
        out, start = [], 0
        for f, lam in zip(self.factors, self.lams, strict=True):
            own = u[:, 0, start : start + f.n_levels * f.k]
            out.append(own.reshape(-1, f.n_levels, f.k) @ np.swapaxes(lam, 1, 2))
            start += f.n_levels * f.k
        return out

    def effect(self, u: Array) -> Array:
        """(draws, n) Z Lambda u."""
        each = zip(self.factors, self.split(u), strict=True)
        return np.sum([f.effect(b) for f, b in each], axis=0)

    def total(self, by_row: Array) -> Array:
        """Sums over all rows."""
        return by_row.sum(axis=1, keepdims=True)

    def project(self, score: Array) -> Array:
        """Lambda' Z' score."""
        each = zip(self._columns, score, strict=True)
        return np.stack([(c.T @ s)[None] for c, s in each])

    def precision(self, weight: Array) -> Sparse:
        """A of each draw."""
        from scipy import sparse  # loads slowly
        from scipy.sparse.linalg import splu

        found = []
        for c, w in zip(self._columns, weight, strict=True):
            a = c.T @ (sparse.diags_array(w) @ c)
            found.append(splu((a + sparse.eye_array(c.shape[1])).tocsc()))
        return Sparse(found, self._columns, weight)
