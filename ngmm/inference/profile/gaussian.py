r"""Constrained maxima of a Gaussian likelihood, beta always at its best.

With b of covariance lambda lambda' and log residual sd tau, in standardised units,

.. math:: -2\ell(\lambda, \tau) = \log|V(\theta)| + 2 n \tau + e^{-2\tau} s(\theta),
   \qquad \theta = \lambda e^{-\tau},

where s is the generalised residual sum of squares. A coefficient held at a value is a
linear map of the columns [X y] of the cross-products: the held direction of X joins y,
the others stay free; what is left empty by it is filled by a column that has nothing
to do with anything.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation
from ngmm.inference.profile.chart import MAX_STEPS, Chart, Held, minimise_held
from ngmm.likelihood.elimination import System, eliminate
from ngmm.likelihood.gaussian import profile
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.problem import GaussianProblem
from ngmm.linalg import Values, precise

Vector = NDArray[np.float64]


class Pin(NamedTuple):
    """Which coefficient is held, as a map of [X y].

    Attributes
    ----------
    columns
        (p + 1, p + 1) [X y] @ columns are the columns of the constrained model.
    filler
        (p + 1, p + 1) what is added to their cross-products.
    """

    columns: Values
    filler: Values


def no_pin(problem: GaussianProblem) -> Pin:
    """Every coefficient is free."""
    size = problem.layout.n_beta + 1
    return Pin(np.eye(size), np.zeros((size, size)))


def pin_coefficient(problem: GaussianProblem, j: int, value: float) -> Pin:
    """The coefficient j of the user's columns held at a value."""
    data, p = problem.data, problem.layout.n_beta
    # beta_j = beta_ols_j + y_scale * a' gamma
    unit = np.zeros(p)
    unit[j] = 1.0
    a = np.linalg.solve(data.triangle.T, unit)
    step = (value - data.beta_ols[j]) / data.y_scale
    _, _, vh = np.linalg.svd(a[None, :])
    columns = np.zeros((p + 1, p + 1))
    columns[:p, : p - 1] = vh[1:].T
    columns[:p, p] = -a * step / (a @ a)
    columns[p, p] = 1.0
    filler = np.zeros((p + 1, p + 1))
    filler[p - 1, p - 1] = 1.0
    return Pin(columns, filler)


def objective(
    x: Array, system: System, layout: Layout, n_rows: Array
) -> tuple[Evaluation, None]:
    """-2 log-likelihood in x = (lambda, tau), up to a constant, and derivatives."""
    tau = x[-1]
    shrink = jnp.exp(-tau)
    theta = x[:-1] * shrink
    tail = eliminate(theta, system, layout).tail
    p = layout.n_beta
    gamma = jnp.linalg.solve(tail[:p, :p], tail[:p, p]) if p else tail[:0, 0]
    v = jnp.append(-gamma, 1.0)
    rest = (v @ tail @ v) * shrink**2
    # log|V| + m log s has at m = s e^-2tau the gradient of log|V| + s e^-2tau.
    at = profile(theta, system._replace(n_rows=rest), layout)
    log_det = at.value - rest * jnp.log(at.rss)
    slope = jnp.einsum("w,awv,v->a", v, at.tail_gradient, v) / at.rss
    g, h = at.gradient, at.hessian + rest * jnp.outer(slope, slope)
    # f(theta, tau) to F(lambda, tau) with theta = lambda e^-tau
    mixed = -2.0 * rest * slope
    d_tau = 2.0 * n_rows - 2.0 * rest - theta @ g
    d_lambda_tau = shrink * (mixed - g - h @ theta)
    d_tau_tau = 4.0 * rest + theta @ g + theta @ h @ theta - 2.0 * theta @ mixed
    hessian = jnp.block(
        [
            [shrink**2 * h, d_lambda_tau[:, None]],
            [d_lambda_tau[None, :], d_tau_tau[None, None]],
        ]
    )
    value = log_det + 2.0 * n_rows * tau + rest
    return Evaluation(value, jnp.append(shrink * g, d_tau), hessian), None


def _hold(
    z: Array,
    chart: Chart,
    pin: Pin,
    system: System,
    max_steps: Array,
    *,
    layout: Layout,
) -> Held:
    turned = system._replace(
        rho=system.rho @ pin.columns,
        within=pin.columns.T @ system.within @ pin.columns + pin.filler,
        dense_tail=system.dense_tail @ pin.columns,
    )
    n_rows = jnp.asarray(system.n_rows, z.dtype)
    zero = jnp.zeros((), z.dtype)
    return minimise_held(
        lambda x, kept: (objective(x, turned, layout, n_rows)[0], kept),
        z,
        chart,
        zero,
        0,
        layout.patterns,
        max_steps,
    )


_hold_at = Compiled(_hold)


def hold(
    z: Vector,
    chart: Chart,
    pin: Pin,
    problem: GaussianProblem,
    max_steps: int = MAX_STEPS,
) -> Held:
    """The maximum of the ML likelihood under a chart and a pin.

    Parameters
    ----------
    z
        Free coordinates to start from.
    chart, pin
        What is held.
    problem
        The model; not a restricted likelihood.
    max_steps
        Evaluations before giving up; 1 for the value where the search starts.
    """
    assert not problem.layout.reml
    with precise():
        found = _hold_at(
            z, chart, pin, problem.system, np.int64(max_steps), layout=problem.layout
        )
    return to_numpy(found)
