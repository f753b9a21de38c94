"""One model fitted to many responses: estimates as arrays, a row for each response."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm import covariance
from ngmm.compilation import Compiled
from ngmm.covariance import Pattern
from ngmm.estimation.newton import NewtonResult
from ngmm.estimation.status import Status
from ngmm.likelihood import laplace, single
from ngmm.likelihood.engines import Engine, LaplaceEngine, QuadratureEngine
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.joint import JointLayout, Meeting
from ngmm.likelihood.laplace import JointKept
from ngmm.likelihood.many import cross_products, peaks, standardise_block
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.observations import Rows
from ngmm.likelihood.problem import GaussianProblem
from ngmm.likelihood.single import AnyLayout
from ngmm.linalg import Values, precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Responses of a block: more wait longer for the slowest of them.
MOST = 128
# Numbers of the largest array of a block: memory, and caches.
CELLS = 4_000_000
# Diagonal elements of Lambda that a search starts from at least, on columns of unit
# mean square: zero is a stationary point of every response.
LEAST_START = 0.1


@dataclass(frozen=True, eq=False)
class Refits:
    """Maxima of the likelihood of one model for B responses.

    Attributes
    ----------
    beta, theta
        (B, p) and (B, q), user's units and order.
    sigma, phi
        (B,) residual standard deviation (1 for families without one), and dispersion
        (NaN for families without one).
    loglik
        (B,) log-likelihood, restricted under REML.
    status
        (B,) how each search ended, a `Status`.
    """

    beta: Matrix
    theta: Matrix
    sigma: Vector
    phi: Vector
    loglik: Vector
    status: NDArray[np.int64]

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(B,) whether the maximum was not found."""
        return (self.status != Status.CONVERGED) | ~np.isfinite(self.loglik)


Advance = Callable[[int], object]


def refit_gaussian(
    problem: GaussianProblem,
    Y: Matrix,
    root: Vector,
    theta: Vector,
    max_steps: int,
    advance: Advance,
) -> Refits:
    """Maxima of a Gaussian likelihood.

    Parameters
    ----------
    problem
        The model.
    Y
        (B, n) responses, offset removed.
    root
        (n,) square roots of the prior weights.
    theta
        Engine's theta to start from.
    max_steps
        Evaluations before giving up.
    advance
        Told the number of responses done.
    """
    layout, p = problem.layout, problem.layout.n_beta
    start = away_from_zero(theta, 0, layout.patterns)
    cells = problem.n_rows + sum(np.size(a) for a in jax.tree.leaves(problem.system))
    out = []
    for block in blocks(Y, cells):
        y = standardise_block(block.responses, problem, root)
        found = peaks(cross_products(y, problem), problem, start, max_steps)
        gamma = np.linalg.solve(found.tail[:, :p, :p], found.tail[:, :p, p:])[..., 0]
        shift = np.linalg.solve(problem.data.triangle, (gamma * y.scale[:, None]).T).T
        rss = found.rss * y.scale**2
        user = [problem.to_user(rectified(t, 0, layout.patterns)) for t in found.theta]
        n = problem.n_residual
        constant = -problem.data.sum_log_weights
        if layout.reml:
            constant += 2.0 * np.log(np.abs(np.diag(problem.data.triangle))).sum()
        with np.errstate(divide="ignore"):
            log_dets = found.value - n * np.log(found.rss)
            fit = n * (np.log(2.0 * np.pi * rss / n) + 1.0)
        status = np.where(y.scale > 0, found.status, int(Status.NOT_FINITE))
        out.append(
            Refits(
                beta=y.beta_ols + shift,
                theta=np.stack(user),
                sigma=np.sqrt(rss / n),
                phi=np.full(len(rss), np.nan),
                loglik=-0.5 * (log_dets + constant + fit),
                status=status,
            )
        )
        advance(block.stop)
    return _joined(out, len(Y))


def refit_generalized(
    problem: GeneralizedProblem,
    engine: Engine,
    Y: Matrix,
    x: Vector,
    max_steps: int,
    advance: Advance,
) -> Refits:
    """Maxima of a likelihood whose random effects are integrated out by an engine.

    Parameters
    ----------
    problem, engine
        The model, and the rule with its nodes.
    Y
        (B, n) responses; successes if there are trials.
    x
        Engine's psi to start from.
    max_steps, advance
        As for `refit_gaussian`.
    """
    patterns = problem.arranged.patterns
    start = away_from_zero(x, problem.n_beta, patterns)
    out = []
    for block in blocks(Y, _cells(problem, engine)):
        found = _maximise_block(engine, block.responses, start, max_steps)
        x_found = [rectified(x, problem.n_beta, patterns) for x in found.x]
        user = [problem.to_user(x) for x in x_found]
        log_phi = [np.nan if u[2] is None else u[2] for u in user]
        out.append(
            Refits(
                beta=np.stack([u[0] for u in user]),
                theta=np.stack([u[1] for u in user]),
                sigma=np.ones(len(user)),
                phi=np.exp(log_phi),
                loglik=-0.5 * found.value,
                status=np.asarray(found.status),
            )
        )
        advance(block.stop)
    return _joined(out, len(Y))


@dataclass(frozen=True)
class _Block:
    """Responses that are fitted together; the last are repeats where too few are left.

    Attributes
    ----------
    responses
        (b, n).
    stop
        Number of responses done after this block.
    """

    responses: Matrix
    stop: int


def blocks(Y: Matrix, cells: int) -> Iterator[_Block]:
    """Blocks of one size, which memory and the caches decide."""
    size = int(np.clip(CELLS // max(cells, 1), 1, MOST))
    # Few sizes, so that few programs are compiled.
    size = min(1 << (size.bit_length() - 1), 1 << max(len(Y) - 1, 0).bit_length())
    for first in range(0, len(Y), size):
        at = np.arange(first, first + size)
        yield _Block(Y[np.where(at < len(Y), at, first)], min(first + size, len(Y)))


def away_from_zero(x: Vector, first: int, patterns: tuple[Pattern, ...]) -> Vector:
    """The point with diagonal elements of Lambda that are not near zero."""
    out = np.array(x, dtype=np.float64)
    for p in patterns:
        at = first + np.array(p.diagonal)
        out[at] = np.maximum(np.abs(out[at]), LEAST_START)
        first += p.n_theta
    return out


def rectified(x: Vector, first: int, patterns: tuple[Pattern, ...]) -> Vector:
    """The point with nonnegative diagonal elements of Lambda."""
    out = np.array(x, dtype=np.float64)
    for p in patterns:
        part = slice(first, first + p.n_theta)
        out[part] = covariance.rectify(out[part], p)
        first = part.stop
    return out


def _joined(parts: list[Refits], n: int) -> Refits:
    if len(parts) == 1:
        joined = vars(parts[0])
    else:
        joined = {
            name: np.concatenate([getattr(p, name) for p in parts])
            for name in vars(parts[0])
        }
    return Refits(**{name: value[:n] for name, value in joined.items()})


def _cells(problem: GeneralizedProblem, engine: Engine) -> int:
    """Numbers of the largest array of one response."""
    n = len(problem.rows.y)
    if isinstance(engine, QuadratureEngine):
        return engine.n_nodes * engine.chunks.rows.y.shape[1]
    assert isinstance(engine, LaplaceEngine)
    width = engine.layout.layout.width
    return (n + engine.layout.layout.n_components * width**2) * problem.n_parameters


def _maximise_block(
    engine: Engine, Y: Matrix, x: Vector, max_steps: int
) -> NewtonResult:
    start = np.broadcast_to(x, (len(Y), len(x)))
    steps = np.int64(max_steps)
    with precise():
        if isinstance(engine, QuadratureEngine):
            rows = engine.chunks.rows
            y = Y[:, engine.chunks.pick]
            found = by_quadrature(
                start, y, rows, engine.zero, steps, layout=engine.layout
            )
        else:
            assert isinstance(engine, LaplaceEngine)
            data = (engine.problem.rows, engine.meeting, engine.zero)
            found = by_laplace(start, Y, *data, steps, layout=engine.layout)
    return to_numpy(found)


def _by_quadrature(
    x: Array, y: Array, rows: Rows, u: Values, max_steps: Array, *, layout: AnyLayout
) -> NewtonResult:
    def one(at: Array, response: Array) -> NewtonResult:
        own = rows._replace(y=response)
        found = single.maximise.fun(at, own, u, max_steps, layout=layout)
        return found._replace(aux=None)

    return jax.vmap(one)(x, y)


def _by_laplace(
    x: Array,
    y: Array,
    rows: Rows,
    meeting: Meeting,
    kept: JointKept,
    max_steps: Array,
    *,
    layout: JointLayout,
) -> NewtonResult:
    def one(at: Array, response: Array) -> NewtonResult:
        own = rows._replace(y=response)
        found = laplace.maximise.fun(at, own, meeting, kept, max_steps, layout=layout)
        return found._replace(aux=None)

    return jax.vmap(one)(x, y)


by_quadrature: Compiled = Compiled(_by_quadrature, heavy=lambda _: True)
"""(x (b, P), y (b, chunks, rows), rows, modes, max_steps, layout=) -> NewtonResult."""

by_laplace: Compiled = Compiled(_by_laplace, heavy=lambda _: True)
"""(x (b, P), y (b, n), rows, meeting, kept, max_steps, layout=) -> NewtonResult."""
