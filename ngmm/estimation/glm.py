r"""Maximum likelihood of the model without random effects, for starting values.

The log-likelihood is a sum over rows of functions of eta and log phi, so its exact
gradient and Hessian follow from elementwise derivatives and products with X.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.estimation.status import Status
from ngmm.families import Family
from ngmm.linalg import Values, precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MAX_STEPS = 30
# How far eta (root mean square) and log phi may go from the first guess: under
# separation, or where the response varies no more than phi can express, they would go
# on for ever.
LARGEST_MOVE = 30.0
LARGEST_CHANGE = 10.0


@dataclass(frozen=True, eq=False)
class GlmStart:
    """The model without random effects.

    Attributes
    ----------
    beta
        (p,) coefficients in the units of X.
    log_phi
        Logarithm of the dispersion parameter, None if the family has none.
    loglik
        Log-likelihood there, with all constants.
    status
        How the search ended. `Status.STALLED` is common when the estimates are infinite
        and the search was kept within bounds. beta is a place to start from whatever
        the status, unless it is `Status.NOT_FINITE`.
    """

    beta: Vector
    log_phi: float | None
    loglik: float
    status: Status


def fit_glm(
    X: Matrix,
    y: Vector,
    family: Family,
    offset: Vector,
    weights: Vector,
    trials: Vector | None,
    *,
    max_steps: int = MAX_STEPS,
) -> GlmStart:
    """Fit a generalized linear model by trust-region Newton with the exact Hessian.

    Parameters
    ----------
    X
        (n, p) columns of full rank.
    y
        (n,) response, in the family's range.
    family
        Response distribution, other than the Gaussian.
    offset, weights
        (n,) offset of eta and prior weights.
    trials
        (n,) numbers of trials, None for families without.
    max_steps
        Evaluations of the likelihood before giving up.

    Notes
    -----
    Cost O(n p^2) a step. One program is compiled for a family and the shapes.

    Examples
    --------
    >>> from ngmm import families
    >>> y, one = np.array([0.0, 3.0, 1.0, 4.0]), np.ones(4)
    >>> found = fit_glm(one[:, None], y, families.poisson(), 0.0 * one, one, None)
    >>> round(float(np.exp(found.beta[0])), 9)
    2.0
    """
    n, p = X.shape
    q, triangle = np.linalg.qr(X) if p else (X, np.zeros((0, 0)))
    # Mean square one, so that a coefficient moves eta by about its own size.
    scale = np.sqrt(n) * _eta_scale(family, y, trials)
    rows = _Rows(
        q=q * scale,
        y=y,
        offset=offset,
        weights=weights,
        trials=np.ones(n) if trials is None else np.asarray(trials, dtype=np.float64),
    )
    start = _start(family, rows, trials)
    with precise():
        if len(start):
            found = _maximise(start, rows, np.int64(max_steps), layout=family)
            x, value = np.asarray(found.x), float(found.value)
            status = Status(int(found.status))
        else:
            x, value = start, float(_deviance(rows, layout=family))
            status = Status.CONVERGED if np.isfinite(value) else Status.NOT_FINITE
    return GlmStart(
        beta=np.asarray(np.linalg.solve(triangle, scale * x[:p])),
        log_phi=None if family.dispersion is None else float(x[p]),
        loglik=-0.5 * value,
        status=status,
    )


class _Rows(NamedTuple):
    """The data, with orthogonal columns of equal size for X."""

    q: Values
    y: Values
    offset: Values
    weights: Values
    trials: Values


def _eta_scale(family: Family, y: Vector, trials: Vector | None) -> float:
    """Size of eta where that depends on the units of the response, otherwise one."""
    link = family.transform
    if not np.isfinite(link.lower):
        return 1.0
    eta = np.asarray(link.link(np.asarray(family.start(y, trials))))
    return float(np.sqrt((eta * eta).mean()))


def _start(family: Family, rows: _Rows, trials: Vector | None) -> Vector:
    """Coefficients, and log phi, from one weighted least-squares fit to eta.

    The weights are those of Fisher scoring at a crude mean of each row.
    """
    link = family.transform
    crude = np.asarray(family.start(rows.y, trials))
    eta = np.asarray(link.link(crude))
    # Where eta has bounds its size is that of the response, and may be anything.
    step = 1e-4 * np.maximum(0.0 if np.isfinite(link.lower) else 1.0, np.abs(eta))
    rise = link.mean(eta + step) - link.mean(eta - step)
    slope = rows.trials * rise / (2.0 * step)
    phi = float(family.start_phi(rows.y, crude, trials))
    information = rows.weights * slope**2 / family.variance(crude, phi, trials)
    root = np.sqrt(np.where(np.isfinite(information), information, 0.0))
    gamma = _least_squares(rows.q, eta - rows.offset, root)
    fitted = rows.offset + rows.q @ gamma
    if not ((fitted > link.lower) & (fitted < link.upper)).all():
        # A constant eta is valid wherever the columns can produce one.
        middle = np.full(len(eta), np.average(eta, weights=rows.weights))
        gamma = _least_squares(rows.q, middle - rows.offset, np.ones(len(eta)))
        fitted = rows.offset + rows.q @ gamma
    if family.dispersion is None:
        return gamma
    with np.errstate(all="ignore"):
        phi = float(family.start_phi(rows.y, link.mean(fitted), trials))
    return np.append(gamma, np.log(phi) if 0.0 < phi < np.inf else 0.0)


def _least_squares(q: Matrix, target: Vector, root: Vector) -> Vector:
    """Coefficients of the weighted fit of q to target."""
    found = np.linalg.lstsq(q * root[:, None], target * root)[0]
    return np.asarray(found, dtype=np.float64)


def _derivatives(
    family: Family, rows: _Rows, eta: Array, log_phi: Array
) -> tuple[Array, Array, Array]:
    """Value, gradient and Hessian of each row in (eta, log phi).

    Shapes (n,), (k, n), (k, k, n), where k = 1 without dispersion parameter and 2 with.
    """
    k = 1 if family.dispersion is None else 2
    point = (eta, log_phi)
    # One pair of tangents for all second derivatives: a single copy of the program.
    units = (jnp.zeros((2, len(eta))).at[0].set(1.0)[:k], jnp.eye(2)[1][:k])

    def value(e: Array, s: Array) -> Array:
        return family.log_prob(rows.y, e, s, rows.weights, rows.trials)

    def second(one: tuple[Array, ...], other: tuple[Array, ...]) -> tuple[Array, ...]:
        def first(e: Array, s: Array) -> Array:
            return jax.jvp(value, (e, s), one)[1]

        return jax.jvp(first, point, other)

    pairs = jax.vmap(jax.vmap(second, in_axes=(None, 0)), in_axes=(0, None))
    d, dd = pairs(units, units)
    return value(*point), d[:, 0], dd


def _evaluate(x: Array, rows: _Rows, family: Family) -> Evaluation:
    """-2 log-likelihood and its derivatives at (gamma, log phi)."""
    p = rows.q.shape[1]
    log_phi = x[p] if family.dispersion is not None else jnp.zeros(())
    eta = rows.offset + rows.q @ x[:p]
    value, d, dd = _derivatives(family, rows, eta, log_phi)
    gradient, hessian = rows.q.T @ d[0], (rows.q.T * dd[0, 0]) @ rows.q
    if family.dispersion is not None:
        gradient = jnp.append(gradient, d[1].sum())
        cross = rows.q.T @ dd[0, 1]
        hessian = jnp.block(
            [[hessian, cross[:, None]], [cross[None], dd[1, 1].sum()[None, None]]]
        )
    return Evaluation(-2.0 * value.sum(), -2.0 * gradient, -2.0 * hessian)


def _search(
    start: Array, rows: _Rows, max_steps: Array, *, layout: Family
) -> NewtonResult:
    p = rows.q.shape[1]

    def bounded(x: Array, step: Array) -> Array:
        move = x + step - start
        length = jnp.linalg.norm(move[:p])
        share = LARGEST_MOVE / jnp.maximum(length, LARGEST_MOVE)
        rest = jnp.clip(move[p:], -LARGEST_CHANGE, LARGEST_CHANGE)
        return start + jnp.append(share * move[:p], rest)

    return minimise(
        lambda x: (_evaluate(x, rows, layout), ()),
        start,
        retract=bounded,
        max_steps=max_steps,
    )


def _value(rows: _Rows, *, layout: Family) -> Array:
    phi = jnp.zeros(())
    return (
        -2.0
        * layout.log_prob(rows.y, rows.offset, phi, rows.weights, rows.trials).sum()
    )


_maximise = Compiled(_search)
_deviance = Compiled(_value)
