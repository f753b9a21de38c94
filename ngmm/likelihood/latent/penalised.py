r"""Maximum of the likelihood minus ridge penalties that the evidence chooses.

Between runs of Newton's method every group of weights g gets the penalty

.. math:: \alpha_g = \gamma_g / |w_g|^2, \quad
   \gamma_g = n_g - \alpha_g \, \mathrm{tr} (H + D)^{-1}_{gg},

at which Laplace's approximation to the evidence is stationary (MacKay 1992, Neural
Computation 4, 448-472). Weights of no group are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.newton import NewtonResult
from ngmm.estimation.status import Status
from ngmm.likelihood.latent.engine import LatentEngine

Vector = NDArray[np.float64]

MOST = 1e7
# Stronger ones at the start would hold hidden layers at zero, a stationary point.
START = 1.0
ROUNDS = 40
STEPS = 5
# Changes of the log-evidence, and gains of Newton's method, that count as none.
TOLERANCE = 1e-1


@dataclass(frozen=True, eq=False)
class Penalised:
    """Where the search ended.

    Attributes
    ----------
    found
        The last run of Newton's method.
    penalty
        (P,) ridge penalty of each element of psi.
    edf
        Effective number of penalised weights.
    evidence
        Log-evidence; None without penalised weights.
    n_steps
        Evaluations in all runs.
    """

    found: NewtonResult
    penalty: Vector
    edf: float
    evidence: float | None
    n_steps: int


def maximum(engine: LatentEngine, x: Vector, max_steps: int) -> Penalised:
    """Maximum likelihood."""
    zero = np.zeros(len(x))
    found = engine.maximise(x, zero, max_steps)
    return Penalised(found, zero, 0.0, None, int(found.n_steps))


def by_evidence(
    engine: LatentEngine,
    x: Vector,
    groups: NDArray[np.int64],
    least: Vector,
    max_steps: int,
    penalty: Vector | None = None,
) -> Penalised:
    """Alternate Newton's method and the fixed point of the penalties.

    Parameters
    ----------
    engine
        The likelihood.
    x
        Starting point.
    groups
        (P,) ridge group of each element of psi, -1 for none.
    least
        (P,) smallest penalty of each.
    max_steps
        Evaluations before giving up.
    penalty
        Penalties to begin with.
    """
    held = groups >= 0
    index = groups[held]
    n_groups = int(groups.max()) + 1
    if penalty is None:
        penalty = np.where(held, START, 0.0)
    evidence, steps, rounds = -np.inf, 0, 0
    while True:
        rounds += 1
        found = engine.maximise(x, penalty, min(STEPS, max_steps - steps))
        steps += int(found.n_steps)
        x = np.asarray(found.x)
        determined, new_evidence = _assess(found, penalty, held)
        edf = np.bincount(index, determined, n_groups)
        size = np.bincount(index, x[held] ** 2, n_groups)
        wanted = np.minimum(np.maximum(edf, 1e-12) / (size + 1e-12), MOST)
        settled = abs(new_evidence - evidence) < TOLERANCE
        evidence = new_evidence
        # The objective is twice a log-likelihood.
        done = settled and 0.5 * float(found.gain) < TOLERANCE
        over = steps >= max_steps or rounds == ROUNDS
        if done or over or int(found.status) == Status.NOT_FINITE:
            if done:
                found = found._replace(status=np.asarray(int(Status.CONVERGED)))
            return Penalised(found, penalty, float(edf.sum()), evidence, steps)
        penalty = penalty.copy()
        # Half the way on the scale of logarithms: whole steps may swing.
        mean = np.sqrt(penalty[held] * wanted[index])
        penalty[held] = np.maximum(mean, least[held])


def _assess(
    found: NewtonResult, penalty: Vector, held: NDArray[np.bool_]
) -> tuple[Vector, float]:
    """How well each penalised weight is determined, and the log-evidence."""
    values, vectors = np.linalg.eigh(0.5 * np.asarray(found.hessian))
    # Short of the maximum a curvature may be negative, or lost in rounding.
    values = np.maximum(np.abs(values), 1e-10 * np.abs(values).max())
    inverse = np.einsum("ij,j,ij->i", vectors, 1.0 / values, vectors)
    determined = np.clip(1.0 - penalty[held] * inverse[held], 0.0, 1.0)
    logs = np.log(penalty[held]).sum() - np.log(values).sum()
    return determined, float(-0.5 * float(found.value) + 0.5 * logs)
