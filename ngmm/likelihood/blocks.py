"""Products with matrices that are block-diagonal over the dense part.

Every dense factor has one k x k block, repeated over its slots; arrays have components
first: (c, m, w).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from ngmm.likelihood.layout import Layout


def apply_left(blocks: Sequence[Array], x: Array, layout: Layout) -> Array:
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


def apply_right(x: Array, blocks: Sequence[Array], layout: Layout) -> Array:
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


def transpose(x: Array) -> Array:
    """Swap the last two axes."""
    return jnp.swapaxes(x, -1, -2)


def embed(blocks: Sequence[Array], x: Array, layout: Layout) -> Array:
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
