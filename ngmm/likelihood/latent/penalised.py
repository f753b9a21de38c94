r"""Maximum of the likelihood minus ridge penalties that the evidence chooses.

Where the search for the maximum at given penalties has come near, each group of weights
g gets, half the way on the scale of logarithms, the penalty

.. math:: \alpha_g = \gamma_g / |w_g|^2, \quad
   \gamma_g = n_g - \alpha_g \, \mathrm{tr} (H + D)^{-1}_{gg},

at which Laplace's approximation to the evidence is stationary (MacKay 1992, Neural
Computation 4, 448-472). Weights of no group are free. Steps are Levenberg-Marquardt's
with the exact Hessian, negative curvatures taken by their size. The last steps, from
the point of highest evidence, keep the penalties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.status import Status
from ngmm.likelihood.latent.engine import Derivatives, LatentEngine

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Tick = Callable[[int], None]

MOST = 1e7
# Stronger ones at the start would hold hidden layers at zero, a stationary point.
START = 1.0
# Curvatures, in units in which the diagonal is one, that are as good as none: those of
# a hidden unit about to be switched on, where Laplace's approximation would be without
# bounds.
FLAT = 1e-3
# Gain that a step at fixed penalties promises where a maximum is near.
NEAR = 0.5
# Rises of the log-evidence that count as none, and how many in a row end a search.
SETTLED, QUIET = 1e-2, 4
# Gain that a further step at fixed penalties promises when the last steps end: weights
# are then within a twentieth of their posterior standard deviation.
FINE = 1e-3
# Gains that rounding hides are taken without a look.
NEGLIGIBLE = 1e-7
DAMPING_START, DAMPING_LEAST = 1e-1, 1e-9
# Damped steps tried from one point, each six times more damped than the one before.
TRIES = 15
# Evaluations of Newton's method between two reports.
STEPS = 10


@dataclass(frozen=True, eq=False)
class Ridge:
    """Which elements of psi are penalised.

    Attributes
    ----------
    groups
        (P,) ridge group of each element, -1 for none.
    least
        (P,) smallest penalty of each.
    rotations
        Directions along which a rotation of v changes nothing.
    """

    groups: NDArray[np.int64]
    least: Vector
    rotations: int

    @property
    def held(self) -> NDArray[np.bool_]:
        """Whether an element is penalised."""
        return self.groups >= 0

    @property
    def start(self) -> Vector:
        """Penalties to begin with."""
        return np.where(self.held, np.maximum(START, self.least), 0.0)


@dataclass(frozen=True, eq=False)
class Penalised:
    """Where the search ended.

    Attributes
    ----------
    x
        psi.
    penalty
        (P,) ridge penalty of each element of psi.
    status
        How it ended.
    gain
        Penalised log-likelihood that a further step promises.
    edf
        Effective number of penalised weights.
    evidence
        Log-evidence; None without penalised weights.
    n_steps
        Evaluations with derivatives.
    """

    x: Vector
    penalty: Vector
    status: Status
    gain: float
    edf: float
    evidence: float | None
    n_steps: int


@dataclass(frozen=True, eq=False)
class _Point:
    """The penalised problem at a point, in units of unit curvature."""

    x: Vector
    penalty: Vector
    at: Derivatives
    scale: Vector
    values: Vector
    vectors: Matrix
    determined: Vector
    evidence: float

    @property
    def is_convex(self) -> bool:
        """Whether the penalised likelihood curves upwards in no direction."""
        return bool((self.values > -FLAT).all())

    @property
    def merit(self) -> float:
        """Penalised log-likelihood."""
        return self.at.value - 0.5 * float(self.penalty @ self.x**2)

    def step(self, damping: float) -> tuple[Vector, float]:
        """A damped step uphill, and what it promises."""
        g = self.vectors.T @ (self.scale * (self.at.gradient - self.penalty * self.x))
        size = np.maximum(np.abs(self.values), 1e-10) + damping
        return self.scale * (self.vectors @ (g / size)), 0.5 * float(g @ (g / size))


def maximum(
    engine: LatentEngine, x: Vector, max_steps: int, tick: Tick | None = None
) -> Penalised:
    """Maximum likelihood, by Newton's method."""
    zero, steps = np.zeros(len(x)), 0
    while True:
        found = engine.maximise(x, zero, min(STEPS, max_steps - steps))
        steps += int(found.n_steps)
        x, status = np.asarray(found.x), Status(int(found.status))
        if tick is not None:
            tick(steps)
        if status is not Status.MAX_STEPS or steps >= max_steps:
            gain = 0.5 * float(found.gain)
            return Penalised(x, zero, status, gain, 0.0, None, steps)


def by_evidence(
    engine: LatentEngine,
    x: Vector,
    ridge: Ridge,
    max_steps: int,
    penalty: Vector | None = None,
    tick: Tick | None = None,
) -> Penalised:
    """Search until the evidence settles; the point of the highest one.

    Parameters
    ----------
    engine
        The likelihood.
    x
        Starting point.
    ridge
        What is penalised.
    max_steps
        Evaluations before giving up.
    penalty
        Penalties to begin with.
    tick
        Told the number of evaluations after each.
    """
    penalty = ridge.start if penalty is None else penalty
    return _search(engine, x, penalty, ridge, max_steps, False, tick)


def at_penalties(
    engine: LatentEngine,
    found: Penalised,
    ridge: Ridge,
    max_steps: int,
    tick: Tick | None = None,
) -> Penalised:
    """The maximum at the penalties of an earlier search, from where it ended."""
    last = _search(engine, found.x, found.penalty, ridge, max_steps, True, tick)
    return replace(last, n_steps=found.n_steps + last.n_steps)


def _search(
    engine: LatentEngine,
    x: Vector,
    penalty: Vector,
    ridge: Ridge,
    max_steps: int,
    frozen: bool,
    tick: Tick | None,
) -> Penalised:
    """Damped steps; the penalties follow wherever a maximum is near, or are frozen."""
    point, best = _look(engine.evaluate(x), x, penalty, ridge), None
    damping, stale, steps = DAMPING_START, 0, 1
    while True:
        if tick is not None:
            tick(steps)
        if not np.isfinite(point.evidence):
            return _ended(best or point, ridge, Status.NOT_FINITE, steps)
        promised = point.step(0.0)[1]
        if frozen and promised < FINE:
            return _ended(point, ridge, Status.CONVERGED, steps)
        if not frozen and promised < NEAR and point.is_convex:
            # The evidence is Laplace's approximation, which holds at maxima only.
            stale += 1
            if best is None or point.evidence > best.evidence + SETTLED:
                stale = 0
            if best is None or point.evidence > best.evidence:
                best = point
            if stale >= QUIET:
                return _ended(best, ridge, Status.CONVERGED, steps)
            penalty = _followed(point, ridge)
            point = _look(point.at, point.x, penalty, ridge)
        if steps >= max_steps:
            return _ended(best or point, ridge, Status.MAX_STEPS, steps)
        found = _uphill(engine, point, damping)
        if found is None:
            return _ended(best or point, ridge, Status.STALLED, steps)
        x, damping = found
        point = _look(engine.evaluate(x), x, penalty, ridge)
        steps += 1


def _uphill(
    engine: LatentEngine, point: _Point, damping: float
) -> tuple[Vector, float] | None:
    """The first damped step that raises the penalised likelihood, and what to try next.

    A value costs next to nothing beside the derivatives.
    """
    first = damping
    for _ in range(TRIES):
        step, hoped = point.step(damping)
        x = point.x + step
        if hoped < NEGLIGIBLE:
            return x, damping
        merit = engine.value(x) - 0.5 * float(point.penalty @ x**2)
        gain = merit - point.merit
        # Written so that a value that is not a number is refused.
        if gain > 0.0:
            eased = 0.25 * damping if gain > 0.5 * hoped else damping
            return x, max(eased if damping == first else damping, DAMPING_LEAST)
        damping *= 6.0
    return None


def _look(at: Derivatives, x: Vector, penalty: Vector, ridge: Ridge) -> _Point:
    """Curvature, how well each weight is determined, and the log-evidence."""
    A = -np.asarray(at.hessian) + np.diag(penalty)
    n = len(x)
    if not np.isfinite(A).all():
        nothing = np.zeros(n)
        return _Point(x, penalty, at, nothing, nothing, np.eye(n), nothing, -np.inf)
    diagonal = np.abs(np.diag(A))
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-10 * diagonal.max()))
    values, vectors = np.linalg.eigh(0.5 * (A + A.T) * np.outer(scale, scale))
    # Short of the maximum a curvature may be negative, or lost in rounding.
    size = np.maximum(np.abs(values), FLAT)
    kept = np.argsort(size)[ridge.rotations :]
    half = scale[:, None] * vectors[:, kept] / np.sqrt(size[kept])
    determined = np.clip(1.0 - penalty * (half * half).sum(1), 0.0, 1.0)
    held = ridge.held
    logs = np.log(penalty[held]).sum() - np.log(size[kept]).sum()
    logs += 2.0 * np.log(scale).sum()
    merit = at.value - 0.5 * float(penalty @ x**2)
    evidence = merit + 0.5 * float(logs)
    return _Point(x, penalty, at, scale, values, vectors, determined, evidence)


def _followed(point: _Point, ridge: Ridge) -> Vector:
    """Penalties half the way to their fixed point: whole steps may swing."""
    held = ridge.held
    index = ridge.groups[held]
    edf = np.bincount(index, point.determined[held])
    size = np.bincount(index, point.x[held] ** 2)
    wanted = np.minimum(np.maximum(edf, 1e-12) / (size + 1e-12), MOST)
    out = point.penalty.copy()
    out[held] = np.maximum(np.sqrt(out[held] * wanted[index]), ridge.least[held])
    return out


def _ended(point: _Point, ridge: Ridge, status: Status, steps: int) -> Penalised:
    # The rotations are no parameters, wherever their directions lie.
    edf = float(point.determined[ridge.held].sum())
    gain = point.step(0.0)[1]
    return Penalised(point.x, point.penalty, status, gain, edf, point.evidence, steps)
