"""The grouping factors of a model, each with the columns of all its terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factor:
    """All random-effects terms of one grouping factor.

    Attributes
    ----------
    name
        The grouping factor.
    Z
        (n, k) columns of its terms side by side.
    codes, n_levels
        (n,) level of each row, and how many there are; every level has a row.
    terms
        Positions of the terms in the formula.
    columns
        For each of these its columns in Z.
    """

    name: str
    Z: Array
    codes: NDArray[np.int32]
    n_levels: int
    terms: tuple[int, ...]
    columns: tuple[slice, ...]

    @property
    def k(self) -> int:
        """Random effects of a level."""
        return self.Z.shape[1]

    def root(self, roots: Sequence[Array]) -> Array:
        """Lambda (draws, k, k) of the factor from those of all terms."""
        out = np.zeros((len(roots[0]), self.k, self.k))
        for term, own in zip(self.terms, self.columns, strict=True):
            out[:, own, own] = roots[term]
        return out

    def effect(self, b: Array) -> Array:
        """(draws, n) sum of Z b, from (draws, levels, k) effects."""
        out = np.zeros((len(b), len(self.codes)))
        for j in range(self.k):
            out += self.Z[:, j] * b[:, self.codes, j]
        return out


def factors_of(terms: Sequence[RandomDesign]) -> tuple[Factor, ...]:
    """The grouping factors of a design, in the order of the formula."""
    out = []
    for name in dict.fromkeys(t.group for t in terms):
        own = [i for i, t in enumerate(terms) if t.group == name]
        stop = np.cumsum([len(terms[i].names) for i in own])
        start = np.append(0, stop[:-1])
        first = terms[own[0]]
        Z = np.hstack([terms[i].Z for i in own])
        columns = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        out.append(Factor(name, Z, first.codes, first.n_levels, tuple(own), columns))
    return tuple(out)
