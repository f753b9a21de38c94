"""Score statistics of responses simulated without the columns, the null refitted.

What a statistic is compared with where its distribution in large samples is not good
enough: its distribution under the fitted null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.inference.score.statistic import (
    generalized_engine,
    generalized_score,
    padded,
    with_columns,
)
from ngmm.likelihood.elimination import System, eliminate
from ngmm.likelihood.engines import Engine
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.many import standardise_block
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.problem import GaussianProblem
from ngmm.likelihood.refits import Refits
from ngmm.linalg import precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Responses whose cross-products are formed together.
BLOCK = 64


@dataclass(frozen=True, eq=False)
class Simulated:
    """Deviations of simulated statistics from their mean, in standard deviations.

    Attributes
    ----------
    deviations
        Those of the responses to which the null could be refitted.
    n_failed
        Number of the others.
    """

    deviations: Vector
    n_failed: int

    def p_value(self, deviation: float) -> float:
        """Share of the statistics, the observed one among them, that are as large.

        References
        ----------
        Davison & Hinkley (1997), Bootstrap Methods and their Application, eq. 4.11.
        """
        beyond = int((self.deviations >= deviation).sum())
        return (1 + beyond) / (1 + len(self.deviations))


def gaussian_deviations(
    problem: GaussianProblem, refits: Refits, Y: Matrix, F: Matrix, root: Vector
) -> Simulated:
    """Statistics of Gaussian responses.

    Parameters
    ----------
    problem
        The null model, with the restricted likelihood.
    refits
        Its maxima for the responses.
    Y
        (B, n) responses, offset removed.
    F
        (n, r) columns.
    root
        (n,) square roots of the prior weights.
    """
    kept = np.flatnonzero(~refits.failed)
    n, out = problem.n_rows - problem.layout.n_beta, []
    for first in range(0, len(kept), BLOCK):
        at = kept[np.minimum(np.arange(first, first + BLOCK), len(kept) - 1)]
        y = standardise_block(Y[at], problem, root).tail
        theta = np.stack([problem.to_engine(t) for t in refits.theta[at]])
        system, layout = with_columns(problem, y, F, root)
        sizes = Sizes(layout, problem.layout.n_beta, padded(F.shape[1]))
        with precise():
            form, rss, trace, square = to_numpy(forms(theta, system, layout=sizes))
        sd = np.sqrt(2.0 * (square - trace**2 / n))
        out.append((form * n / rss - trace) / sd)
    found = np.concatenate(out)[: len(kept)] if out else np.zeros(0)
    return Simulated(found, len(Y) - len(kept))


def generalized_deviations(
    engine: Engine,
    refits: Refits,
    Y: Matrix,
    F: Matrix,
    advance: Callable[[int], object],
) -> Simulated:
    """Statistics of responses of a generalized model, one after the other.

    Parameters
    ----------
    engine
        Of the null model.
    refits
        Its maxima for the responses.
    Y
        (B, n) responses; successes if there are trials.
    F
        (n, r) columns.
    advance
        Told the number of responses done.
    """
    problem, out = engine.problem, []
    for b in np.flatnonzero(~refits.failed):
        rows = problem.rows._replace(y=Y[b])
        own = generalized_engine(
            replace(engine, problem=replace(problem, rows=rows)),  # type: ignore[type-var]
            F,
        )
        log_phi = None if np.isnan(refits.phi[b]) else float(np.log(refits.phi[b]))
        x = problem.to_engine(refits.beta[b], refits.theta[b], log_phi)
        score = generalized_score(own, x, problem.n_beta, F.shape[1])
        out.append(score.deviation)
        advance(int(b) + 1)
    found = np.array(out, dtype=np.float64)
    finite = np.isfinite(found)
    return Simulated(found[finite], len(Y) - int(finite.sum()))


@dataclass(frozen=True)
class Sizes:
    """Static shape of the cross-products of [X F Y].

    Attributes
    ----------
    layout
        Of all columns.
    p, r
        Columns of X and of F.
    """

    layout: Layout
    p: int
    r: int


def _forms(
    theta: Array, system: System, *, layout: Sizes
) -> tuple[Array, Array, Array, Array]:
    """U'U, y'Py, tr A and tr A^2 of each response at its own theta."""
    p, stop = layout.p, layout.p + layout.r

    def one(given: tuple[Array, Array]) -> tuple[Array, Array, Array, Array]:
        at, j = given
        C = eliminate(at, system, layout.layout).tail
        wide = jnp.concatenate([C[:, :stop], C[:, stop + j][:, None]], 1)
        wide = jnp.concatenate([wide[:stop], wide[stop + j][None]], 0)
        if p:
            wide = wide[p:, p:] - wide[p:, :p] @ jnp.linalg.solve(
                wide[:p, :p], wide[:p, p:]
            )
        A, U = wide[:-1, :-1], wide[:-1, -1]
        return U @ U, wide[-1, -1], jnp.trace(A), (A**2).sum()

    return lax.map(one, (theta, jnp.arange(len(theta))))


forms: Compiled = Compiled(_forms)
"""(theta (b, q), system, layout=) -> U'U, y'Py, tr A, tr A^2, each (b,)."""
