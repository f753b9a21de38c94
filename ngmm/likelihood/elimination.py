"""Integrating the random effects out at one theta: from cross-products to V^-1.

See `ngmm.likelihood.gaussian` for the notation and the mathematics.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from ngmm import covariance, linalg
from ngmm.likelihood.blocks import apply_left, apply_right, transpose
from ngmm.likelihood.coupling import Coupling
from ngmm.likelihood.layout import Layout
from ngmm.linalg import Values


class System(NamedTuple):
    """Cross-products of the data: all the likelihood needs to know of the rows.

    The tail T = [X y] has an orthonormal X and the least-squares residual of y, scaled
    to unit mean square. Random-effect columns have unit mean square.

    Attributes
    ----------
    n_rows
        Number of rows n, as a float.
    g
        (l, k, k) with Z_l' Z_l = G G' for each level of the first factor.
    rho
        (l, k, p + 1) cross-products of an orthonormal basis of Z_l with the tail.
    within
        (p + 1, p + 1) cross-products of the tail, the first factor projected out.
    coupling
        Cross-products of that basis with the dense part; None without a dense part.
    dense, dense_tail
        (c, m, m) and (c, m, p + 1) cross-products of the dense part with itself and
        with the tail, the first factor projected out.
    """

    n_rows: Values
    g: Values
    rho: Values
    within: Values
    coupling: Coupling | None
    dense: Values
    dense_tail: Values


class Elimination(NamedTuple):
    """Everything that V^-1 sandwiched between Z and [X y] gives at one theta.

    Attributes
    ----------
    log_det
        log|V|.
    tail
        (p + 1, p + 1) C = T' V^-1 T.
    h
        (l, k, k) Z_l' V_1^-1 Z_l of the first factor alone.
    w_first, w_dense
        Z' V^-1 T, for the first factor (l, k, p + 1) and the dense part (c, m, p + 1).
    eta
        Coupling that holds Z_1' V_1^-1 Z_d.
    reach
        (l, k, k) eta U eta': what the dense part takes from h.
    b, u
        (c, m, m) Z_d' V_1^-1 Z_d, and Lambda S^-1 Lambda'.
    """

    log_det: Values
    tail: Values
    h: Values
    w_first: Values
    w_dense: Values
    eta: Coupling | None
    reach: Values
    b: Values
    u: Values


def factors(theta: Array, layout: Layout) -> list[Array]:
    """Lambda of every factor, the first one leading."""
    return [
        covariance.factor(theta[s], p)
        for s, p in zip(layout.slices, layout.patterns, strict=True)
    ]


def eliminate(theta: Array, system: System, layout: Layout) -> Elimination:
    """Integrate the random effects out at one theta."""
    lam = factors(theta, layout)
    half = transpose(system.g) @ lam[0]
    k = layout.first.k
    chol = linalg.cholesky(jnp.eye(k) + half @ transpose(half))
    g = linalg.solve_lower(chol, transpose(system.g))
    rho = linalg.solve_lower(chol, system.rho)
    log_det = linalg.log_det_from_cholesky(chol)
    h = transpose(g) @ g
    w = transpose(g) @ rho
    flat = rho.reshape(-1, rho.shape[-1])
    tail = system.within + flat.T @ flat
    if not layout.dense:
        empty = jnp.zeros((0, 0, 0), tail.dtype)
        no_tail = jnp.zeros((0, 0, tail.shape[0]), tail.dtype)
        return Elimination(
            log_det=log_det,
            tail=tail,
            h=h,
            w_first=w,
            w_dense=no_tail,
            eta=None,
            reach=empty,
            b=empty,
            u=empty,
        )
    assert system.coupling is not None
    shape = (layout.n_components, layout.width)
    whitened = system.coupling.whiten(chol)
    b = system.dense + whitened.gram(None, shape)
    f = system.dense_tail + whitened.gather(rho, shape)
    lam_t = [transpose(x) for x in lam[1:]]
    inner = apply_left(lam_t, apply_right(b, lam[1:], layout), layout)
    chol_s = linalg.cholesky(jnp.eye(layout.width) + inner)
    s_inv = linalg.inverse_from_cholesky(chol_s)
    u = apply_left(lam[1:], apply_right(s_inv, lam_t, layout), layout)
    uf = u @ f
    eta = whitened.lift(g)
    return Elimination(
        log_det=log_det + linalg.log_det_from_cholesky(chol_s),
        tail=tail - jnp.einsum("cmw,cmv->wv", f, uf),
        h=h,
        w_first=w - eta.spread(uf, w.shape[0]),
        w_dense=f - b @ uf,
        eta=eta,
        reach=eta.quadratic(u, h.shape[0]),
        b=b,
        u=u,
    )
