r"""Estimates without each level of a factor in turn, by one Newton step.

With s and I the score and the observed information of the rows that stay, at the
estimate of all rows,

.. math:: \psi_{(g)} \approx \hat\psi + I_{(g)}^{-1} s_{(g)} .

Diagonal elements of Lambda move on a logarithmic scale, on which the likelihood is
closer to a quadratic. In a Gaussian model psi is theta alone, in the likelihood
profiled over the fixed effects and sigma; in others it has the fixed effects and the
logarithm of the dispersion as well. The error of the step is of second order in the
influence of the level.

References
----------
Pregibon (1981), Ann. Stat. 9, 705-724; Cook & Weisberg (1982), Residuals and Influence
in Regression, section 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern, pattern
from ngmm.design import Design
from ngmm.errors import NotSupportedError
from ngmm.inference.deletion.gaussian import (
    Component,
    Profiled,
    Sums,
    components_of,
    profiled,
)
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.likelihood import laplace, single
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine
from ngmm.linalg import precise
from ngmm.model import GaussianEstimate

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Ints = NDArray[np.intp]

# Multiplications beyond which leaving out level after level takes minutes.
MOST_WORK = 3e12


class Dropped(NamedTuple):
    """Estimates without each of J levels.

    Attributes
    ----------
    beta, theta
        (J, p), (J, q), user's units and order.
    scale
        (J,) residual standard deviation, or dispersion; NaN where there is none.
    vcov
        (J, p, p) covariance of beta without the level.
    held
        (J,) whether the variance parameters had to be held, because the information of
        the rows that stay has no inverse.
    """

    beta: Matrix
    theta: Matrix
    scale: Vector
    vcov: NDArray[np.float64]
    held: NDArray[np.bool_]


class Step(NamedTuple):
    """Where one Newton step leads.

    Attributes
    ----------
    x
        The parameters after it.
    inverse
        Inverse of the information, in the parameters themselves.
    held
        Whether the variance parameters stay where they are.
    """

    x: Vector
    inverse: Matrix
    held: bool


def newton_step(
    x: Vector,
    gradient: Vector,
    information: Matrix,
    positive: NDArray[np.bool_],
    p: int,
) -> Step:
    """One Newton step to a maximum.

    Parameters
    ----------
    x
        Where it starts; the first p elements are fixed effects.
    gradient, information
        There.
    positive
        Elements that move on a logarithmic scale; those at zero move as they are.
    p
        Number of elements that move alone where the information has no inverse.
    """
    logs = positive & (x > 0)
    turn = np.where(logs, x, 1.0)
    # d2/dtau2 = x^2 d2/dx2 + x d/dx for x = exp(tau)
    bent = information * np.outer(turn, turn) - np.diag(logs * x * gradient)
    inverse = _inverse(bent)
    if inverse is not None:
        step = inverse @ (turn * gradient)
        moved = np.where(logs, turn * np.exp(np.where(logs, step, 0.0)), x + step)
        straight = _inverse(information)
        return Step(moved, inverse if straight is None else straight, False)
    inverse = np.zeros_like(information)
    if p:
        inverse[:p, :p] = np.linalg.inv(information[:p, :p])
    return Step(x + inverse @ gradient, inverse, True)


def _inverse(information: Matrix) -> Matrix | None:
    """The inverse, None where the matrix is not positive definite."""
    diagonal = np.diag(information)
    if not len(diagonal) or not (diagonal > 0).all():
        return None if len(diagonal) else information
    scale = np.sqrt(diagonal)
    unit = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(0.5 * (unit + unit.T))[0] < 1e-10:
        return None
    return np.linalg.inv(unit) / np.outer(scale, scale)


def _diagonals(patterns: Sequence[Pattern]) -> NDArray[np.bool_]:
    """Which elements of theta are diagonal elements of Lambda."""
    return np.concatenate([np.equal(p.rows, p.cols) for p in patterns])


def drop_levels(
    analysis: GaussianAnalysis | GeneralizedAnalysis, codes: NDArray[Any], n_levels: int
) -> Dropped:
    """Estimates without each level of a factor.

    Parameters
    ----------
    analysis
        The fitted model.
    codes, n_levels
        (n,) level of each row of the factor, and how many there are.

    Raises
    ------
    NotSupportedError
        If the random effects are too many to be taken apart.
    """
    if isinstance(analysis, GaussianAnalysis):
        return _drop_gaussian(analysis, codes, n_levels)
    return _drop_generalized(analysis, codes, n_levels)


def _drop_gaussian(
    analysis: GaussianAnalysis, codes: NDArray[Any], n_levels: int
) -> Dropped:
    d, e, reml = analysis.design, analysis.estimate, analysis.model.reml
    p, q = len(e.beta), len(e.theta)
    component = components_of(d.random)
    _check_work(d, component, codes, p)
    T = np.column_stack([d.X, d.y - d.offset - d.X @ e.beta])
    order = np.argsort(component, kind="stable")
    parts = [
        Component.of(rows, d.random, T, d.weights, e.theta)
        for rows in np.split(order, np.cumsum(np.bincount(component))[:-1])
    ]
    products = [c.products() for c in parts]
    own = [c.sums(s) for c, s in zip(parts, products, strict=True)]
    total = reduce(Sums.plus, own)
    patterns = [pattern([(len(t.names), t.correlated)]) for t in d.random]
    out = _empty(n_levels, p, q)
    for level in range(n_levels):
        left = total
        for at in np.unique(component[codes == level]):
            gone = np.flatnonzero(codes[parts[at].rows] == level)
            left = left.plus(own[at], -1)
            if len(gone) < len(parts[at].rows):
                rest = products[at].without(parts[at].products(gone))
                left = left.plus(parts[at].sums(rest))
        at_theta = profiled(left, reml=reml)
        step = newton_step(
            e.theta,
            -0.5 * at_theta.gradient,
            0.5 * at_theta.hessian,
            _diagonals(patterns),
            0,
        )
        _store(out, level, e, step, left, at_theta, reml=reml)
    return out


def _store(
    out: Dropped,
    level: int,
    e: GaussianEstimate,
    step: Step,
    left: Sums,
    at: Profiled,
    *,
    reml: bool,
) -> None:
    """Fixed effects and sigma that are best at the new theta, to second order."""
    p = len(e.beta)
    move = step.x - e.theta
    tail = left.tail + np.einsum("a,auv->uv", move, left.tail1)
    tail = tail + 0.5 * np.einsum("a,b,abuv->uv", move, move, left.tail2)
    gamma = np.linalg.solve(tail[:p, :p], tail[:p, p])
    rss = tail[p, p] - tail[:p, p] @ gamma
    # Far from the estimate the polynomial need not be positive.
    if not rss > 0 or np.linalg.eigvalsh(tail[:p, :p])[0] <= 0:
        tail, gamma, rss = left.tail, at.gamma, at.rss
    sigma2 = rss / (left.n - p if reml else left.n)
    out.beta[level] = e.beta + gamma
    out.theta[level] = step.x
    out.scale[level] = np.sqrt(sigma2)
    out.vcov[level] = sigma2 * np.linalg.inv(tail[:p, :p])
    out.held[level] = step.held


def _empty(n_levels: int, p: int, q: int) -> Dropped:
    return Dropped(
        np.empty((n_levels, p)),
        np.empty((n_levels, q)),
        np.full(n_levels, np.nan),
        np.empty((n_levels, p, p)),
        np.zeros(n_levels, dtype=bool),
    )


def _check_work(d: Design, component: Ints, codes: NDArray[Any], p: int) -> None:
    """Refuse crossed factors of thousands of effects."""
    size = np.zeros(int(component.max()) + 1)
    for t in d.random:
        pairs = np.unique(np.column_stack([component, t.codes]), axis=0)
        size += len(t.names) * np.bincount(pairs[:, 0], minlength=len(size))
    times = np.unique(np.column_stack([component, codes]), axis=0)[:, 0]
    work = float((np.bincount(times, minlength=len(size)) * size**2 * (size + p)).sum())
    if work > MOST_WORK:
        raise NotSupportedError(
            "one Newton step a level is not offered for this model: its grouping "
            f"factors are crossed and share {int(size.max()):,} random effects, which "
            "would be eliminated again for each level. Choose by= a factor with fewer "
            "levels, or fit again without the levels you doubt"
        )


def _drop_generalized(
    analysis: GeneralizedAnalysis, codes: NDArray[Any], n_levels: int
) -> Dropped:
    e, problem = analysis.estimate, analysis.model.marginal.problem
    log_phi = None if e.phi is None else float(np.log(e.phi))
    x = problem.to_engine(e.beta, e.theta, log_phi)
    engine = accurate_engine(problem, analysis.model.marginal.rule, x)
    p, q = len(e.beta), len(e.theta)
    out = _empty(n_levels, p, q)
    positive = np.zeros(len(x), dtype=bool)
    positive[p : p + q] = _diagonals(problem.arranged.patterns)
    if isinstance(engine, QuadratureEngine):
        parts = Parts(engine, x)
        each = [parts.without(codes == level) for level in range(n_levels)]
    else:
        assert isinstance(engine, LaplaceEngine)
        each = [_joint(engine, x, codes != level) for level in range(n_levels)]
    for level, (gradient, hessian) in enumerate(each):
        found = newton_step(x, gradient, -hessian, positive, p)
        beta, theta, log_phi = problem.to_user(found.x)
        back = np.linalg.inv(problem.triangle)
        out.beta[level], out.theta[level] = beta, theta
        out.scale[level] = np.nan if log_phi is None else np.exp(log_phi)
        out.vcov[level] = back @ found.inverse[:p, :p] @ back.T
        out.held[level] = found.held
    return out


class Parts:
    """Derivatives of a likelihood by quadrature, chunk by chunk.

    Chunks hold whole levels of the outermost factor, so that only those chunks need be
    evaluated again that lose rows.
    """

    def __init__(self, engine: QuadratureEngine, x: Vector) -> None:
        self._engine, self._x = engine, x
        chunks = engine.chunks
        kept = np.ones(len(engine.problem.rows.y))
        self._own = [self._chunk(i, kept) for i in range(len(chunks.pick))]
        self._total = tuple(map(sum, zip(*self._own, strict=True)))

    def without(self, gone: NDArray[np.bool_]) -> tuple[Vector, Matrix]:
        """Gradient and Hessian of the rows that stay."""
        chunks = self._engine.chunks
        real = np.asarray(chunks.rows.mask) > 0
        gradient, hessian = (np.array(a) for a in self._total)
        for i in np.flatnonzero((gone[chunks.pick] & real).any(1)):
            less, more = (
                self._own[int(i)],
                self._chunk(int(i), np.where(gone, 0.0, 1.0)),
            )
            gradient += more[0] - less[0]
            hessian += more[1] - less[1]
        return gradient, hessian

    def _chunk(self, i: int, kept: Vector) -> tuple[Vector, Matrix]:
        import jax

        engine, chunks = self._engine, self._engine.chunks
        one = jax.tree.map(lambda a: np.asarray(a)[i : i + 1], chunks.rows)
        one = one._replace(mask=one.mask * kept[chunks.pick[i : i + 1]])
        start = jax.tree.map(lambda a: a[i : i + 1], engine.zero)
        with precise():
            found = single.evaluate(self._x, one, start, layout=engine.layout)
        return np.asarray(found.gradient), np.asarray(found.hessian)


def _joint(
    engine: LaplaceEngine, x: Vector, kept: NDArray[np.bool_]
) -> tuple[Vector, Matrix]:
    """Gradient and Hessian by Laplace's approximation of the rows that stay."""
    rows = engine.problem.rows._replace(mask=kept.astype(np.float64))
    with precise():
        found = laplace.evaluate(
            x, rows, engine.meeting, engine.zero, layout=engine.layout
        )
    return np.asarray(found.gradient), np.asarray(found.hessian)
