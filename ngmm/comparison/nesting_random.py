"""Random effects of two models: which covariances and variances one of them lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.inference.components import Components

Matrix = NDArray[np.float64]

# Share of a column's length that rounding may leave outside a space it lies in.
INSIDE = 1e-8


@dataclass(frozen=True, eq=False)
class Block:
    """Random effects with a full covariance matrix of their own.

    A term written with ``||`` is a block for each of its columns.

    Attributes
    ----------
    group
        Name of the grouping factor.
    label
        As a reader would write it.
    codes, n_levels
        The level of each row, and their number.
    Z
        (n, k) columns.
    covariance
        (k, k) estimate.
    is_singular
        Whether the estimate is at a bound.
    """

    group: str
    label: str
    codes: NDArray[np.int32]
    n_levels: int
    Z: Matrix
    covariance: Matrix
    is_singular: bool


@dataclass(frozen=True, eq=False)
class Match:
    """A block of the larger model, and those of the smaller one inside it."""

    large: Block
    small: tuple[Block, ...]

    @property
    def n_old(self) -> int:
        """Columns that the smaller model has."""
        return sum(b.Z.shape[1] for b in self.small)

    @property
    def n_new(self) -> int:
        """Columns that it lacks."""
        return self.large.Z.shape[1] - self.n_old

    @property
    def n_free(self) -> int:
        """Covariances of columns that the smaller model has with any other."""
        k = self.large.Z.shape[1]
        old = sum(b.Z.shape[1] * (b.Z.shape[1] + 1) // 2 for b in self.small)
        return k * (k + 1) // 2 - old - self.n_new * (self.n_new + 1) // 2

    def basis(self) -> Matrix:
        """Columns of the larger block: those of the smaller model, then new ones."""
        old = [b.Z for b in self.small]
        if not old:
            return self.large.Z
        space = np.hstack(old)
        size = np.linalg.norm(self.large.Z, axis=0)
        for _ in range(self.n_new):
            # The column that is farthest from what is there, for its length.
            far = np.linalg.norm(outside(self.large.Z, space), axis=0) / size
            space = np.column_stack([space, self.large.Z[:, far.argmax()]])
        return space


@dataclass(frozen=True, eq=False)
class RandomDifference:
    """What the random effects of the larger model have and the smaller lacks.

    Attributes
    ----------
    matches
        Every block of the larger model with those inside it.
    obstacles
        Why the smaller model is no special case; empty if it is one.
    """

    matches: tuple[Match, ...]
    obstacles: tuple[str, ...] = ()

    @property
    def n_free(self) -> int:
        """Number of covariances of columns that stay."""
        return sum(m.n_free for m in self.matches)

    @property
    def cones(self) -> tuple[int, ...]:
        """Sizes of the covariance matrices that are zero in the smaller model."""
        return tuple(m.n_new for m in self.matches if m.n_new)

    @property
    def singular(self) -> tuple[str, ...]:
        """Random effects of the smaller model that are at a bound themselves."""
        small = [b for m in self.matches for b in m.small]
        return tuple(b.label for b in small if b.is_singular)


def outside(columns: Matrix, space: Matrix) -> Matrix:
    """What is left of columns when their projection on a space is taken away."""
    if not space.shape[1]:
        return columns
    q = np.linalg.qr(space / np.linalg.norm(space, axis=0))[0]
    left = columns - q @ (q.T @ columns)
    return left - q @ (q.T @ left)


def blocks_of(
    terms: Sequence[RandomDesign], components: Sequence[Components]
) -> list[Block]:
    """The random-effects terms of a fit as blocks with full covariance matrices."""
    out: list[Block] = []
    for term, c in zip(terms, components, strict=True):
        k = len(term.names)
        parts = (
            [slice(0, k)] if term.correlated else [slice(i, i + 1) for i in range(k)]
        )
        for part in parts:
            names = ["1" if n == "Intercept" else n for n in term.names[part]]
            inside = names if "1" in names else ["0", *names]
            whole = part.stop - part.start == k
            out.append(
                Block(
                    group=term.group,
                    label=f"({' + '.join(inside)} | {term.group})",
                    codes=term.codes,
                    n_levels=term.n_levels,
                    Z=term.Z[:, part],
                    covariance=c.covariance[part, part],
                    is_singular=not c.is_full_rank
                    if whole
                    else bool(c.sd[part][0] == 0.0),
                )
            )
    return out


def random_difference(
    small: Sequence[Block], large: Sequence[Block]
) -> RandomDifference:
    """Put every block of the smaller model into one of the larger model."""
    inside: list[list[Block]] = [[] for _ in large]
    obstacles: list[str] = []
    # The largest blocks have the least choice.
    for block in sorted(small, key=lambda b: -b.Z.shape[1]):
        fitting = [
            i
            for i, other in enumerate(large)
            if _is_inside(block, other) and _has_room(block, inside[i], other)
        ]
        if fitting:
            best = min(fitting, key=lambda i: large[i].Z.shape[1])
            inside[best].append(block)
        else:
            obstacles.append(_obstacle(block, large))
    matches = [Match(b, tuple(s)) for b, s in zip(large, inside, strict=True)]
    return RandomDifference(tuple(matches), tuple(obstacles))


def _is_inside(block: Block, other: Block) -> bool:
    """Whether the covariances of a block are among those of another."""
    if not _same_levels(block, other):
        return False
    left = np.linalg.norm(outside(block.Z, other.Z), axis=0)
    return bool((left <= INSIDE * np.linalg.norm(block.Z, axis=0)).all())


def _has_room(block: Block, others: list[Block], large: Block) -> bool:
    """Whether the columns of a block are independent of those placed before."""
    if not others:
        return True
    columns = np.hstack([block.Z, *(b.Z for b in others)])
    if columns.shape[1] > large.Z.shape[1]:
        return False
    scaled = columns / np.linalg.norm(columns, axis=0)
    return int(np.linalg.matrix_rank(scaled, tol=1e-6)) == columns.shape[1]


def _same_levels(one: Block, two: Block) -> bool:
    """Whether two grouping factors divide the rows alike, whatever their labels."""
    if one.n_levels != two.n_levels:
        return False
    pairs = one.codes.astype(np.int64) * two.n_levels + two.codes
    return len(np.unique(pairs)) == one.n_levels


def _obstacle(block: Block, large: Sequence[Block]) -> str:
    """Why a block of the smaller model has no place in the larger one."""
    there = [b for b in large if _same_levels(block, b)]
    if not there:
        return f"{block.label} has a grouping factor that the larger model lacks"
    labels = ", ".join(b.label for b in there)
    if block.Z.shape[1] > 1 and all(b.Z.shape[1] == 1 for b in there):
        return (
            f"{block.label} has correlations that the larger model lacks, which has "
            f"{labels}"
        )
    return f"{block.label} is no special case of {labels}"
