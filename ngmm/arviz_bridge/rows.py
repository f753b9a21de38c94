"""Random effects, rows and levels at draws of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.conditional import draw_effects, level_loglik, peak
from ngmm.arviz_bridge.crossed import AllFactors
from ngmm.arviz_bridge.factors import Factor
from ngmm.arviz_bridge.kernel import Kernel
from ngmm.arviz_bridge.nested import Units
from ngmm.arviz_bridge.parameters import ParameterDraws
from ngmm.arviz_bridge.systems import OneFactor

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Array = NDArray[np.float64]

# Numbers of the largest array that is formed at once: draws by rows by columns.
CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class RowDraws:
    """What some draws of the parameters give for effects, rows and levels.

    Attributes
    ----------
    effects
        For each factor (draws, levels, k) b.
    eta
        (draws, n) linear predictor.
    pointwise
        (draws, n) log-probability of each row given b.
    levels
        Grouping factor -> (draws, levels) log-likelihood.
    n_unsettled
        Units whose peak was not found.
    """

    effects: list[Array]
    eta: Array
    pointwise: Array
    levels: dict[str, Array]
    n_unsettled: int


def row_draws(
    fit: MixedModelFit,
    parameters: ParameterDraws,
    factors: Sequence[Factor],
    units: Units,
    generator: np.random.Generator,
) -> RowDraws:
    """All draws, as many at once as memory allows."""
    eta = parameters.fixed_part(fit.design)
    phi = parameters.dispersion(fit.model.is_gaussian)
    lams = [f.root(parameters.roots) for f in factors]
    width = max(f.k for f in factors)
    n = parameters.n
    n_chunks = -(-n * fit.nobs * max(width, 2) // CELLS)
    size = -(-n // n_chunks)
    parts = []
    for start in range(0, n, size):
        # The last draw fills the last chunk: equal shapes are compiled once.
        at = np.minimum(np.arange(start, start + size), n - 1)
        own = [lam[at] for lam in lams]
        parts.append(_one_chunk(fit, eta[at], phi[at], factors, own, units, generator))
    return _joined(parts, n)


def _one_chunk(
    fit: MixedModelFit,
    fixed: Array,
    phi: Array,
    factors: Sequence[Factor],
    lams: Sequence[Array],
    units: Units,
    generator: np.random.Generator,
) -> RowDraws:
    kernel = Kernel.of(fit.design, fit.model.family)
    levels: dict[str, Array] = {}
    if len(factors) == 1:
        system = OneFactor(factors[0], lams[0])
        found = peak(system, kernel, fixed, phi)
        u = draw_effects(system, kernel, fixed, phi, found, generator)
        b = [system.effects(u)]
        value = level_loglik(system, kernel, fixed, phi, found)
        levels[factors[0].name] = value
        unsettled = found.n_unsettled
    else:
        together = AllFactors(tuple(factors), tuple(lams))
        joint = peak(together, kernel, fixed, phi)
        u = draw_effects(together, kernel, fixed, phi, joint, generator)
        b = together.split(u)
        unsettled = joint.n_unsettled
    parts = [f.effect(one) for f, one in zip(factors, b, strict=True)]
    eta = fixed + np.sum(parts, axis=0)
    if len(factors) > 1:
        for i in units.alone:
            own = OneFactor(factors[i], lams[i])
            # The other factors' effects as they were drawn.
            others = eta - parts[i]
            at = peak(own, kernel, others, phi)
            levels[factors[i].name] = level_loglik(own, kernel, others, phi, at)
            unsettled += at.n_unsettled
    return RowDraws(b, eta, kernel.value(eta, phi), levels, unsettled)


def _joined(parts: Sequence[RowDraws], n: int) -> RowDraws:
    def whole(arrays: Sequence[Array]) -> Array:
        return np.concatenate(arrays)[:n]

    return RowDraws(
        effects=[whole(b) for b in zip(*(p.effects for p in parts), strict=True)],
        eta=whole([p.eta for p in parts]),
        pointwise=whole([p.pointwise for p in parts]),
        levels={g: whole([p.levels[g] for p in parts]) for g in parts[0].levels},
        n_unsettled=sum(p.n_unsettled for p in parts),
    )
