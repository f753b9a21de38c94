"""Static shape of a Gaussian model: what jax compiles for, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from ngmm.covariance import Pattern


@dataclass(frozen=True)
class DenseFactor:
    """One grouping factor of the dense part: its slots within a component.

    Attributes
    ----------
    pattern
        Its covariance parameters.
    n_slots
        Levels a component has room for; components with fewer leave slots empty.
    start
        First column of the factor within a component.
    """

    pattern: Pattern
    n_slots: int
    start: int

    @property
    def stop(self) -> int:
        """One past the last column of the factor."""
        return self.start + self.n_slots * self.pattern.k


@dataclass(frozen=True)
class Layout:
    """Which factor is eliminated level by level, and how the others are arranged.

    The factor with the most effects, the *first* one, is block-diagonal and is
    eliminated level by level. The others, the *dense part*, fall into `n_components`
    sets of levels that no row connects: one for crossed factors, one per outermost
    level for nested ones.

    Attributes
    ----------
    first
        Covariance parameters of the first factor; they lead in theta.
    dense
        The other factors, in the order of their parameters in theta.
    n_components
        Number of independent components of the dense part.
    n_beta
        Number of fixed-effect columns p.
    reml
        Whether the objective is the restricted one.
    """

    first: Pattern
    dense: tuple[DenseFactor, ...]
    n_components: int
    n_beta: int
    reml: bool

    @property
    def width(self) -> int:
        """Columns m of the dense part in one component."""
        return self.dense[-1].stop if self.dense else 0

    @property
    def all_scalar(self) -> bool:
        """Whether every dense factor has one effect a level."""
        return all(d.pattern.k == 1 for d in self.dense)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Patterns of all factors in the order of theta."""
        return (self.first, *(d.pattern for d in self.dense))

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters."""
        return sum(p.n_theta for p in self.patterns)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Part of theta that belongs to each factor."""
        out: list[slice] = []
        start = 0
        for p in self.patterns:
            out.append(slice(start, start + p.n_theta))
            start += p.n_theta
        return tuple(out)
