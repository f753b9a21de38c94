"""The two traces of the Hessian that run over all pairs of levels.

tr Q dSigma_a Q dSigma_b and tr P dSigma_a Q dSigma_b, without forming Q for the first
factor; see `ngmm.likelihood.gaussian` for the notation.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from ngmm import linalg
from ngmm.likelihood.blocks import apply_left, apply_right, embed, transpose
from ngmm.likelihood.elimination import Elimination
from ngmm.likelihood.layout import Layout

# Largest element of Lambda^-1 (columns at unit mean square) for which products may be
# replaced by scalings: its square times 1e-16 is the relative error, 1e-10.
MODERATE = 1e3


def log_det_curvature(
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
    precision = [transpose(x) @ x for x in inverse]

    def by_scaling() -> tuple[Array, Array, Array]:
        shrink = apply_right(e.u, precision, layout)
        q = apply_left(precision, jnp.eye(layout.width) - shrink, layout)
        return q, shrink, apply_right(wu, precision, layout)

    def by_product() -> tuple[Array, Array, Array]:
        ub = e.u @ e.b
        return e.b - e.b @ ub, jnp.eye(layout.width) - ub, wa - wu @ e.b

    return jax.lax.cond(largest < MODERATE, by_scaling, by_product)


def _contract(gram: Array, left: Array, right: Array) -> Array:
    """Sum of A_ij a_jm B_mn b_ni with gram[i, j, m, n] = sum of A_ij B_mn."""
    return jnp.einsum("ijmn,ajm,bni->ab", gram, left, right)


def low_rank_curvature(
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
    h_dense = embed(d_sigma[1:], e.w_dense @ root, layout)
    from_dense = e.b @ h_dense
    side = jnp.einsum("acmr,bcmr->ab", from_first, h_dense)
    corner = jnp.einsum("acmr,bcmr->ab", h_dense, from_dense)
    direct = jnp.block([[0.5 * (top + top.T), side], [side.T, corner]])
    reach = jnp.concatenate([from_first, from_dense])
    return direct - jnp.einsum("acmr,bcmr->ab", reach, e.u @ reach)
