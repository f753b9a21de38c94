"""In what two fitted models differ, and whether one of them contains the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ngmm.comparison.lrt_base import LinearBase
from ngmm.comparison.nesting_random import (
    INSIDE,
    Block,
    RandomDifference,
    blocks_of,
    outside,
    random_difference,
)
from ngmm.design import Design
from ngmm.families import Family
from ngmm.results import MixedModelFit


@dataclass(frozen=True, eq=False)
class Difference:
    """What the larger of two models has and the smaller lacks.

    Attributes
    ----------
    n_fixed
        Number of fixed-effect columns.
    random
        Covariances and variances.
    networks
        Network terms of the larger model alone, in the fixed part or neural random
        effects.
    shared_networks
        Network terms that both have.
    obstacles
        Why the smaller model is no special case of the larger one; empty if it is one.
    """

    n_fixed: int
    random: RandomDifference
    networks: tuple[str, ...]
    shared_networks: tuple[str, ...]
    obstacles: tuple[str, ...]

    @property
    def is_nested(self) -> bool:
        """Whether the smaller model is a special case of the larger one."""
        return not self.obstacles

    @property
    def n_free(self) -> int:
        """Tested parameters whose null value is not at a bound."""
        return self.n_fixed + self.random.n_free

    @property
    def df(self) -> int:
        """Number of tested parameters, networks apart."""
        return self.n_free + sum(k * (k + 1) // 2 for k in self.random.cones)


def family_of(fit: MixedModelFit | LinearBase) -> Family:
    """The response distribution."""
    return fit.family if isinstance(fit, LinearBase) else fit.model.family


def difference(
    m0: MixedModelFit | LinearBase, m1: MixedModelFit | LinearBase
) -> Difference:
    """What m1 has and m0 lacks, for two fits to the same responses."""
    obstacles: list[str] = []
    outside = columns_outside(m0.design, m1.design)
    if outside:
        obstacles.append(
            f"the fixed effects {', '.join(outside)} are not in the larger model"
        )
    n_fixed = m1.design.X.shape[1] - m0.design.X.shape[1] + len(outside)
    random = random_difference(_blocks(m0), _blocks(m1))
    small, large = _networks(m0), _networks(m1)
    lost = [label for label in small if label not in large]
    if lost:
        obstacles.append(f"{', '.join(lost)} is not in the larger model")
    return Difference(
        n_fixed=n_fixed,
        random=random,
        networks=tuple(label for label in large if label not in small),
        shared_networks=tuple(label for label in large if label in small),
        obstacles=(*obstacles, *random.obstacles),
    )


def columns_outside(small: Design, large: Design) -> list[str]:
    """Names of fixed-effect columns that are no combination of those of `large`."""
    X = small.X
    if not X.shape[1]:
        return []
    left = outside(X, large.X)
    size = np.linalg.norm(X, axis=0)
    far = np.linalg.norm(left, axis=0) > INSIDE * size
    return [name for name, is_far in zip(small.names, far, strict=True) if is_far]


def same_fixed_effects(a: Design, b: Design) -> bool:
    """Whether the fixed effects of two designs span one space."""
    return not columns_outside(a, b) and not columns_outside(b, a)


def _blocks(fit: MixedModelFit | LinearBase) -> list[Block]:
    if isinstance(fit, LinearBase):
        return []
    return blocks_of(fit.design.random, fit._analysis.components)


def _networks(fit: MixedModelFit | LinearBase) -> list[str]:
    d = fit.design
    fixed = [_spelling(n.label, n.options) for n in d.networks]
    latent = [_spelling(t.label, t.network.options) for t in d.latent]
    return [*fixed, *latent]


def _spelling(label: str, options: Mapping[str, object]) -> str:
    """A network with its options: other layers are another network."""
    if not options:
        return label
    text = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
    return f"{label} [{text}]"
