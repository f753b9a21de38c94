r"""Exact Gaussian marginal likelihood, profiled over beta and sigma, with derivatives.

In units where the residual variance is sigma^2 and b = sigma Lambda u,

.. math:: V = I + Z \Sigma Z', \qquad \Sigma = \Lambda(\theta) \Lambda(\theta)',

and with C = [X y]' V^-1 [X y], the generalised residual sum of squares
s = min over beta of (1, -beta) C (1, -beta)', the objective is

.. math:: \log|V| + n \log s \quad (+ \log|C_{XX}|,\ n \to n - p, \text{ for REML}).

The first factor is eliminated level by level: with Z_l' Z_l = G G', the k x k matrix
M_l = I + G' Sigma G carries all that Sigma changes, and everything that involves
V_1^-1 is a sum of positive terms, so that large groups and large variances cost no
digits. The dense part follows by one Cholesky factor of S = I + Lambda' B Lambda with
B = Z_d' V_1^-1 Z_d.

First and second derivatives are exact and closed: with Q = Z' V^-1 Z,
W = Z' V^-1 [X y], Phi the derivative of the objective in C and P = W Phi W',

.. math::
   \partial_a    &= \mathrm{tr}\,(Q - P) \partial_a \Sigma \\
   \partial_{ab} &= \mathrm{tr}\,(Q - P) \partial_{ab} \Sigma
     - \mathrm{tr}\, Q\,\partial_a\Sigma\,Q\,\partial_b\Sigma
     + 2\,\mathrm{tr}\, P\,\partial_a\Sigma\,Q\,\partial_b\Sigma
     + \mathrm{curvature in } C.

References
----------
Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), eqs. 13-42, for the
profiled criterion; Lindstrom & Bates (1988), JASA 83, 1014-1022, for derivatives.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ngmm import covariance, linalg
from ngmm.likelihood.curvature import log_det_curvature, low_rank_curvature
from ngmm.likelihood.elimination import System, eliminate, factors
from ngmm.likelihood.layout import Layout
from ngmm.linalg import Values


class Profile(NamedTuple):
    """The objective and its exact derivatives at one theta.

    Attributes
    ----------
    value, gradient, hessian
        Profiled objective, up to a constant that the data fix, and its derivatives.
    rss
        s, the generalised residual sum of squares (in standardised units).
    tail, tail_gradient
        C and its derivatives (n_theta, p + 1, p + 1).
    """

    value: Values
    gradient: Values
    hessian: Values
    rss: Values
    tail: Values
    tail_gradient: Values


class _Tail(NamedTuple):
    """The part of the objective that depends on C: value, slope, and its pieces."""

    value: Array
    rss: Array
    v: Array  # (p + 1,) the residual direction (-gamma, 1)
    inverse: Array  # (p, p) C_XX^-1
    root: Array  # (p + 1, r) with Phi = root root'


def _tail_objective(tail: Array, n_rows: Array, layout: Layout) -> _Tail:
    p = layout.n_beta
    one = jnp.ones(1, tail.dtype)
    n = n_rows - p if layout.reml else n_rows
    if p == 0:
        s = tail[0, 0]
        none = jnp.zeros((0, 0), tail.dtype)
        return _Tail(n * jnp.log(s), s, one, none, jnp.sqrt(n / s) * one[:, None])
    chol = linalg.cholesky(tail[:p, :p])
    inverse = linalg.inverse_from_cholesky(chol)
    gamma = inverse @ tail[:p, p]
    v = jnp.concatenate([-gamma, one])
    s = v @ tail @ v
    value = n * jnp.log(s)
    root = jnp.sqrt(n / s) * v[:, None]
    if layout.reml:
        value = value + linalg.log_det_from_cholesky(chol)
        half = linalg.solve_lower(chol, jnp.eye(p)).T
        root = jnp.concatenate([root, jnp.pad(half, ((0, 1), (0, 0)))], 1)
    return _Tail(value, s, v, inverse, root)


def _tail_curvature(t: _Tail, slopes: Array, n_rows: Array, layout: Layout) -> Array:
    """Second derivative of the tail objective along dC_a and dC_b (d2C excluded)."""
    p = layout.n_beta
    n = n_rows - p if layout.reml else n_rows
    cv = jnp.einsum("awv,v->aw", slopes, t.v)
    s_a = cv @ t.v
    out = -n * jnp.outer(s_a, s_a) / t.rss**2
    if p:
        x = cv[:, :p]
        out = out - 2.0 * (n / t.rss) * x @ t.inverse @ x.T
        if layout.reml:
            scaled = jnp.einsum("ij,ajk->aik", t.inverse, slopes[:, :p, :p])
            out = out - jnp.einsum("aij,bji->ab", scaled, scaled)
    return out


def per_slot(x: Array, start: int, stop: int, k: int) -> Array:
    """Rows of one dense factor of (c, m, w) as (levels, k, w)."""
    return x[:, start:stop].reshape(-1, k, x.shape[-1])


def block_diagonal_sum(x: Array, start: int, stop: int, k: int) -> Array:
    """Sum of the k x k diagonal blocks of (c, m, m) within one dense factor."""
    n = (stop - start) // k
    block = x[:, start:stop, start:stop].reshape(x.shape[0], n, k, n, k)
    return jnp.einsum("csisj->ij", block)


def profile(theta: Array, system: System, layout: Layout) -> Profile:
    """Objective, gradient and Hessian in theta."""
    e = eliminate(theta, system, layout)
    t = _tail_objective(e.tail, system.n_rows, layout)
    lam = factors(theta, layout)
    bases = [p.basis() for p in layout.patterns]
    d_sigma = [
        covariance.covariance_derivative(a, jnp.asarray(b))
        for a, b in zip(lam, bases, strict=True)
    ]

    cross, q_dense = log_det_curvature(e, lam, d_sigma, layout)
    low_rank = low_rank_curvature(e, t.root, d_sigma, layout)

    ws = [e.w_first] + [
        per_slot(e.w_dense, d.start, d.stop, d.pattern.k) for d in layout.dense
    ]
    qs = [(e.h - e.reach).sum(0) if layout.dense else e.h.sum(0)] + [
        block_diagonal_sum(q_dense, d.start, d.stop, d.pattern.k) for d in layout.dense
    ]
    gradient, own, slopes = [], [], []
    for w, q, d1, pattern in zip(ws, qs, d_sigma, layout.patterns, strict=True):
        wr = w @ t.root
        q_minus_p = q - jnp.einsum("lir,ljr->ij", wr, wr)
        gradient.append(jnp.einsum("ij,aij->a", q_minus_p, d1))
        own.append(covariance.contract_second_derivative(q_minus_p, pattern))
        flat = w.reshape(w.shape[0], -1)
        gram = (flat.T @ flat).reshape(w.shape[1:] + w.shape[1:])
        slopes.append(-jnp.einsum("aij,iwjv->awv", d1, gram))
    slope = jnp.concatenate(slopes)
    hessian = 2.0 * low_rank - cross + jax.scipy.linalg.block_diag(*own)
    hessian = hessian + _tail_curvature(t, slope, system.n_rows, layout)
    return Profile(
        value=e.log_det + t.value,
        gradient=jnp.concatenate(gradient),
        hessian=0.5 * (hessian + hessian.T),
        rss=t.rss,
        tail=e.tail,
        tail_gradient=slope,
    )
