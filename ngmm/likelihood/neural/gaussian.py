r"""The Gaussian likelihood with network terms, to second order at one point.

Parameters are x = (beta, w, theta, log sigma): coefficients of orthonormal columns, the
weights, the relative covariance parameters, the residual standard deviation, all in
standardised units. With M = [X J] and the residual r at the point, and
C = [M r]' V^-1 [M r],

.. math::
   \ell = -\tfrac12 (\log|V| + n \log 2\pi\sigma^2 + C_{rr} / \sigma^2),

whose gradient in the coefficients of M is C_Mr / sigma^2 and whose Hessian is
-C_MM / sigma^2. Derivatives in theta follow from those of V as in
`ngmm.likelihood.gaussian`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.ops import segment_sum

from ngmm import covariance
from ngmm.compilation import Compiled
from ngmm.likelihood.curvature import log_det_curvature, low_rank_curvature
from ngmm.likelihood.elimination import Elimination, System, eliminate, factors
from ngmm.likelihood.gaussian import block_diagonal_sum, per_slot
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.neural.local import Local
from ngmm.likelihood.neural.terms import Stack, Term, jacobian, outputs
from ngmm.linalg import Values

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class NeuralGaussianLayout:
    """Static shape: that of the model without networks, and the networks."""

    random: Layout
    stack: Stack

    @property
    def n_beta(self) -> int:
        """Number of fixed-effect columns."""
        return self.random.n_beta

    @property
    def n_tau(self) -> int:
        """Number of variance parameters: theta and log sigma."""
        return self.random.n_theta + 1


class RandomRows(NamedTuple):
    """What the rows say of the random effects, for tails of any columns.

    Attributes
    ----------
    basis, codes
        (n, k) orthonormal basis of the first factor's columns within each level, and
        (n,) its levels.
    dense_columns, dense_codes
        For each dense factor, (n, k) columns and (n,) the first column of the row's
        level, counted through all components.
    system
        Cross-products of the random-effect columns; its tail is not used.
    """

    basis: Values
    codes: Values
    dense_columns: tuple[Values, ...]
    dense_codes: tuple[Values, ...]
    system: System


class NeuralGaussianData(NamedTuple):
    """Rows in standard units, square roots of the prior weights multiplied in.

    Attributes
    ----------
    X
        (n, p) orthonormal fixed-effect columns times the square root of n.
    y
        (n,) least-squares residual of the response at unit mean square.
    root_weights
        (n,) what a network's output is multiplied by.
    terms
        The network terms, in the order of the rows.
    random
        The random effects.
    """

    X: Values
    y: Values
    root_weights: Values
    terms: tuple[Term, ...]
    random: RandomRows


def with_tail(tail: Array, data: RandomRows, layout: Layout) -> System:
    """The system of the model with other columns in its tail."""
    s, k = data.system, layout.first.k
    levels = s.g.shape[0]
    rho = jnp.stack(
        [
            segment_sum(data.basis[:, i, None] * tail, data.codes, levels)
            for i in range(k)
        ],
        1,
    )
    rest = tail
    for i in range(k):
        rest = rest - data.basis[:, i, None] * rho[data.codes, i]
    dense_tail = jnp.zeros((0, 0, tail.shape[1]), tail.dtype)
    if layout.dense:
        assert s.coupling is not None
        shape = (layout.n_components, layout.width)
        flat = jnp.zeros((layout.n_components * layout.width, tail.shape[1]))
        for z, at in zip(data.dense_columns, data.dense_codes, strict=True):
            for i in range(z.shape[1]):
                flat = flat.at[at + i].add(z[:, i, None] * tail)
        dense_tail = flat.reshape(*shape, -1) - s.coupling.gather(rho, shape)
    return s._replace(rho=rho, within=rest.T @ rest, dense_tail=dense_tail)


def residual(x: Array, data: NeuralGaussianData, layout: NeuralGaussianLayout) -> Array:
    """(n,) response less the fixed part at x."""
    p = layout.n_beta
    w = x[p : p + layout.stack.n_weights]
    f = outputs(w, data.terms, layout.stack).sum(1)
    return data.y - data.X @ x[:p] - data.root_weights * f


def value(x: Array, data: NeuralGaussianData, layout: NeuralGaussianLayout) -> Array:
    """Log-likelihood in standard units."""
    theta, log_sigma = x[-layout.n_tau : -1], x[-1]
    tail = residual(x, data, layout)[:, None]
    e = eliminate(theta, with_tail(tail, data.random, layout.random), layout.random)
    return _loglik(e, log_sigma, data.random.system.n_rows)


def _loglik(e: Elimination, log_sigma: Array, n: Array) -> Array:
    fit = e.tail[-1, -1] * jnp.exp(-2.0 * log_sigma)
    return -0.5 * (e.log_det + n * (LOG_2PI + 2.0 * log_sigma) + fit)


def local(
    x: Array, data: NeuralGaussianData, layout: NeuralGaussianLayout
) -> tuple[Local, _Pieces]:
    """Log-likelihood at x with its gradient and Gauss-Newton Hessian."""
    p, n_w, random = layout.n_beta, layout.stack.n_weights, layout.random
    theta, log_sigma = x[-layout.n_tau : -1], x[-1]
    s2 = jnp.exp(2.0 * log_sigma)
    w = x[p : p + n_w]
    J = data.root_weights[:, None] * jacobian(w, data.terms, layout.stack)
    r = residual(x, data, layout)
    tail = jnp.concatenate([data.X, J, r[:, None]], 1)
    e = eliminate(theta, with_tail(tail, data.random, random), random)
    c = p + n_w
    lam = factors(theta, random)
    d_sigma = [
        covariance.covariance_derivative(a, jnp.asarray(q.basis()))
        for a, q in zip(lam, random.patterns, strict=True)
    ]
    root = jnp.zeros((c + 1, 1)).at[c, 0].set(jnp.exp(-log_sigma))
    log_det, q_dense = log_det_curvature(e, lam, d_sigma, random)
    bend = 2.0 * low_rank_curvature(e, root, d_sigma, random) - log_det
    ws = [e.w_first] + [
        per_slot(e.w_dense, d.start, d.stop, d.pattern.k) for d in random.dense
    ]
    qs = [(e.h - e.reach).sum(0) if random.dense else e.h.sum(0)] + [
        block_diagonal_sum(q_dense, d.start, d.stop, d.pattern.k) for d in random.dense
    ]
    slope, own, cross, rr = [], [], [], []
    for v, q, d1, pattern in zip(ws, qs, d_sigma, random.patterns, strict=True):
        vr = v[:, :, c]
        q_minus_p = q - vr.T @ vr / s2
        slope.append(jnp.einsum("ij,aij->a", q_minus_p, d1))
        own.append(covariance.contract_second_derivative(q_minus_p, pattern))
        turned = jnp.einsum("aij,lj->ali", d1, vr)
        cross.append(-jnp.einsum("ali,lic->ac", turned, v[:, :, :c]) / s2)
        rr.append(-jnp.einsum("ali,li->a", turned, vr) / s2)
    n = data.random.system.n_rows
    tt = -0.5 * (bend + jax.scipy.linalg.block_diag(*own))
    fit = e.tail[c, c] / s2
    to_sigma = jnp.concatenate([-2.0 * e.tail[:c, c] / s2, jnp.concatenate(rr)])
    upper = jnp.block(
        [[-e.tail[:c, :c] / s2, jnp.concatenate(cross).T], [jnp.concatenate(cross), tt]]
    )
    hessian = jnp.block(
        [[upper, to_sigma[:, None]], [to_sigma[None], jnp.array([[-2.0 * fit]])]]
    )
    gradient = jnp.concatenate(
        [
            e.tail[:c, c] / s2,
            -0.5 * jnp.concatenate(slope),
            (fit - n)[None],
        ]
    )
    found = Local(_loglik(e, log_sigma, n), gradient, 0.5 * (hessian + hessian.T))
    return found, _Pieces(
        [v[:, :, p:c] for v in ws], d_sigma, e.tail[p:c, p:c] / s2, s2
    )


class _Pieces(NamedTuple):
    """What the slope of log|H| in the variance parameters is made of."""

    w: list[Array]
    d_sigma: list[Array]
    curvature: Array
    s2: Array


def log_det_slope(inverse: Array, pieces: _Pieces) -> Array:
    """Derivative in (theta, log sigma) of log|H + D|, (H + D)^-1 given."""
    parts = []
    for v, d1 in zip(pieces.w, pieces.d_sigma, strict=True):
        flat = v.reshape(-1, v.shape[-1])
        half = (flat @ inverse).reshape(v.shape)
        moved = jnp.einsum("lic,ljc->ij", half, v)
        parts.append(-jnp.einsum("aij,ij->a", d1, moved) / pieces.s2)
    last = -2.0 * jnp.sum(inverse * pieces.curvature)
    return jnp.concatenate([*parts, last[None]])


def _eliminate_tail(
    tail: Array, theta: Array, rows: RandomRows, *, layout: Layout
) -> Elimination:
    return eliminate(theta, with_tail(tail, rows, layout), layout)


eliminate_tail: Compiled = Compiled(_eliminate_tail)
"""(tail, theta, rows, layout=) -> Elimination of a model with these columns."""
