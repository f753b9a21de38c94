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

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ngmm import covariance, linalg
from ngmm.likelihood.coupling import Coupling
from ngmm.likelihood.layout import Layout
from ngmm.linalg import Values

# Largest element of Lambda^-1 (columns at unit mean square) for which products may be
# replaced by scalings: its square times 1e-16 is the relative error, 1e-10.
MODERATE = 1e3


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
    chol_first
        (l, k, k) lower factors of M_l = I + G' Sigma G.
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
    chol_first: Values


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


def factors(theta: Array, layout: Layout) -> list[Array]:
    """Lambda of every factor, the first one leading."""
    return [
        covariance.factor(theta[s], p)
        for s, p in zip(layout.slices, layout.patterns, strict=True)
    ]


def _apply(blocks: Sequence[Array], x: Array, layout: Layout) -> Array:
    """Block-diagonal (one block per dense factor, repeated over slots) times x."""
    if layout.all_scalar:
        return _diagonal(blocks, layout)[:, None] * x
    parts = []
    for d, block in zip(layout.dense, blocks, strict=True):
        rows = x[:, d.start : d.stop].reshape(x.shape[0], d.n_slots, d.pattern.k, -1)
        parts.append(
            jnp.einsum("ij,csjw->csiw", block, rows).reshape(x.shape[0], -1, x.shape[2])
        )
    return jnp.concatenate(parts, 1)


def _apply_right(x: Array, blocks: Sequence[Array], layout: Layout) -> Array:
    """Product of x and the block-diagonal matrix; x has any leading dimensions."""
    if layout.all_scalar:
        return x * _diagonal(blocks, layout)
    parts = []
    for d, block in zip(layout.dense, blocks, strict=True):
        columns = x[..., d.start : d.stop]
        split = columns.reshape(*x.shape[:-1], d.n_slots, d.pattern.k)
        parts.append((split @ block).reshape(columns.shape))
    return jnp.concatenate(parts, -1)


def _diagonal(blocks: Sequence[Array], layout: Layout) -> Array:
    """The diagonal of a block-diagonal matrix whose blocks are all 1 x 1."""
    return jnp.concatenate(
        [
            jnp.broadcast_to(block[0, 0], (d.n_slots,))
            for d, block in zip(layout.dense, blocks, strict=True)
        ]
    )


def _transpose(x: Array) -> Array:
    return jnp.swapaxes(x, -1, -2)


def eliminate(theta: Array, system: System, layout: Layout) -> Elimination:
    """Integrate the random effects out at one theta."""
    lam = factors(theta, layout)
    half = _transpose(system.g) @ lam[0]
    k = layout.first.k
    chol = linalg.cholesky(jnp.eye(k) + half @ _transpose(half))
    g = linalg.solve_lower(chol, _transpose(system.g))
    rho = linalg.solve_lower(chol, system.rho)
    log_det = linalg.log_det_from_cholesky(chol)
    h = _transpose(g) @ g
    w = _transpose(g) @ rho
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
            chol_first=chol,
        )
    assert system.coupling is not None
    shape = (layout.n_components, layout.width)
    whitened = system.coupling.whiten(chol)
    b = system.dense + whitened.gram(None, shape)
    f = system.dense_tail + whitened.gather(rho, shape)
    lam_t = [_transpose(x) for x in lam[1:]]
    inner = _apply(lam_t, _apply_right(b, lam[1:], layout), layout)
    chol_s = linalg.cholesky(jnp.eye(layout.width) + inner)
    s_inv = linalg.inverse_from_cholesky(chol_s)
    u = _apply(lam[1:], _apply_right(s_inv, lam_t, layout), layout)
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
        chol_first=chol,
    )


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


def _per_slot(x: Array, start: int, stop: int, k: int) -> Array:
    """Rows of one dense factor of (c, m, w) as (levels, k, w)."""
    return x[:, start:stop].reshape(-1, k, x.shape[-1])


def _block_diagonal_sum(x: Array, start: int, stop: int, k: int) -> Array:
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

    cross, q_dense = _curvature_of_log_det(e, lam, d_sigma, layout)
    low_rank = _low_rank_term(e, t.root, d_sigma, layout)

    ws = [e.w_first] + [
        _per_slot(e.w_dense, d.start, d.stop, d.pattern.k) for d in layout.dense
    ]
    qs = [(e.h - e.reach).sum(0) if layout.dense else e.h.sum(0)] + [
        _block_diagonal_sum(q_dense, d.start, d.stop, d.pattern.k) for d in layout.dense
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


def _embed(blocks: Sequence[Array], x: Array, layout: Layout) -> Array:
    """dSigma_a x for every theta a of the dense part: (n_theta_d, c, m, w)."""
    out = []
    for d, block in zip(layout.dense, blocks, strict=True):
        rows = x[:, d.start : d.stop].reshape(x.shape[0], d.n_slots, d.pattern.k, -1)
        part = jnp.einsum("aij,csjw->acsiw", block, rows)
        part = part.reshape(block.shape[0], x.shape[0], -1, x.shape[2])
        out.append(
            jnp.pad(part, ((0, 0), (0, 0), (d.start, x.shape[1] - d.stop), (0, 0)))
        )
    return jnp.concatenate(out)


def _curvature_of_log_det(
    e: Elimination,
    lam: Sequence[Array],
    d_sigma: Sequence[Array],
    layout: Layout,
) -> tuple[Array, Array]:
    """tr(Q dSigma_a Q dSigma_b), and Q of the dense part."""
    first = d_sigma[0]
    k = layout.first.k
    h = e.h.reshape(-1, k * k)
    if not layout.dense:
        hh = (h.T @ h).reshape(k, k, k, k)
        return _contract(hh, first, first), e.b
    assert e.eta is not None
    shape = (layout.n_components, layout.width)
    hh = (h.T @ (h - 2.0 * e.reach.reshape(-1, k * k))).reshape(k, k, k, k)
    wa = jnp.stack([e.eta.gram(d, shape) for d in first])
    wu = wa @ e.u
    top = _contract(hh, first, first) + jnp.einsum("acij,bcji->ab", wu, wu)
    q, shrink, j = _shrink_dense(e, wa, wu, lam, layout)
    side = jnp.stack([_side(shrink, x, d_sigma[1:], layout) for x in j])
    corner = _corner(q, d_sigma[1:], layout)
    return jnp.block([[top, side], [side.T, corner]]), q


def _side(shrink: Array, j: Array, d_sigma: Sequence[Array], layout: Layout) -> Array:
    """tr((I - B U) J dSigma_b) for every theta b of the dense part."""
    out = []
    for d, block in zip(layout.dense, d_sigma, strict=True):
        k = d.pattern.k
        left = shrink[:, :, d.start : d.stop].reshape(-1, k)
        right = j[:, :, d.start : d.stop].reshape(-1, k)
        gram = (left * right).sum(0)[None] if k == 1 else left.T @ right
        out.append(jnp.einsum("ij,aji->a", gram, block))
    return jnp.concatenate(out)


def _corner(q: Array, d_sigma: Sequence[Array], layout: Layout) -> Array:
    """tr(Q dSigma_a Q dSigma_b) for all theta a, b of the dense part."""
    rows = []
    for d, left in zip(layout.dense, d_sigma, strict=True):
        row = []
        for e, right in zip(layout.dense, d_sigma, strict=True):
            ki, kj = d.pattern.k, e.pattern.k
            block = q[:, d.start : d.stop, e.start : e.stop]
            if ki == kj == 1:
                gram = (block * block).sum().reshape(1, 1, 1, 1)
            else:
                parts = block.reshape(q.shape[0], d.n_slots, ki, e.n_slots, kj)
                flat = jnp.einsum("csitj->cstij", parts).reshape(-1, ki * kj)
                gram = (flat.T @ flat).reshape(ki, kj, ki, kj)
            row.append(jnp.einsum("imjn,aij,bmn->ab", gram, left, right))
        rows.append(row)
    return jnp.block(rows)


def _shrink_dense(
    e: Elimination, wa: Array, wu: Array, lam: Sequence[Array], layout: Layout
) -> tuple[Array, Array, Array]:
    """Q = B (I - U B), I - U B, and W_a (I - U B) for every a.

    With an invertible Sigma of the dense part, I - U B = U Sigma^-1 and Q = Sigma^-1 -
    Sigma^-1 U Sigma^-1: three products of m x m matrices less. The digits lost are
    those of Sigma^-1, so that way is taken only while its elements are moderate.
    """
    inverse = [
        linalg.solve_lower(x, jnp.eye(x.shape[0], dtype=x.dtype)) for x in lam[1:]
    ]
    largest = jnp.stack([jnp.abs(x).max() for x in inverse]).max()
    precision = [_transpose(x) @ x for x in inverse]

    def by_scaling() -> tuple[Array, Array, Array]:
        shrink = _apply_right(e.u, precision, layout)
        q = _apply(precision, jnp.eye(layout.width) - shrink, layout)
        return q, shrink, _apply_right(wu, precision, layout)

    def by_product() -> tuple[Array, Array, Array]:
        ub = e.u @ e.b
        return e.b - e.b @ ub, jnp.eye(layout.width) - ub, wa - wu @ e.b

    return jax.lax.cond(largest < MODERATE, by_scaling, by_product)


def _contract(gram: Array, left: Array, right: Array) -> Array:
    """Sum of A_ij a_jm B_mn b_ni with gram[i, j, m, n] = sum of A_ij B_mn."""
    return jnp.einsum("ijmn,ajm,bni->ab", gram, left, right)


def _low_rank_term(
    e: Elimination, root: Array, d_sigma: Sequence[Array], layout: Layout
) -> Array:
    """tr(P dSigma_a Q dSigma_b) with P = w w', w = W root: inner products of h_a."""
    first = d_sigma[0]
    k = layout.first.k
    w = e.w_first @ root
    ww = jnp.einsum("lir,ljr->lij", w, w).reshape(-1, k * k)
    gram = (e.h.reshape(-1, k * k).T @ ww).reshape(k, k, k, k)
    top = _contract(gram, first, first)
    if not layout.dense:
        return 0.5 * (top + top.T)
    assert e.eta is not None
    shape = (layout.n_components, layout.width)
    from_first = jnp.stack(
        [e.eta.gather(jnp.einsum("ij,ljr->lir", d, w), shape) for d in first]
    )
    h_dense = _embed(d_sigma[1:], e.w_dense @ root, layout)
    from_dense = e.b @ h_dense
    side = jnp.einsum("acmr,bcmr->ab", from_first, h_dense)
    corner = jnp.einsum("acmr,bcmr->ab", h_dense, from_dense)
    direct = jnp.block([[0.5 * (top + top.T), side], [side.T, corner]])
    reach = jnp.concatenate([from_first, from_dense])
    return direct - jnp.einsum("acmr,bcmr->ab", reach, e.u @ reach)
