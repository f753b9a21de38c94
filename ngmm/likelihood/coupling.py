r"""How the first factor meets the dense part: nu, and the products it enters.

Row block l of nu (k x m) holds the cross-products of level l of the first factor, in
an orthonormal basis of its columns, with the columns of the dense part. It is stored
either as the nonzero entries with the list of pairs that share a level
(`SparseCoupling`), or as a full array (`FullCoupling`), whichever costs less.

Both offer the same five products; `e` stands for an entry of nu, a column of k numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.ops import segment_sum

from ngmm import linalg
from ngmm.linalg import Values


class SparseCoupling(NamedTuple):
    """Entries of nu, sorted by level, and the pairs of entries within a level.

    Attributes
    ----------
    values
        (E, k) entries.
    level
        (E,) level of the first factor.
    slot
        (E,) column, counted through all components: component * m + column.
    left, right
        (Q,) the two entries of each pair, slot[left] <= slot[right].
    target
        (Q,) index into `cell` of each pair, ascending.
    cell
        (C,) distinct positions component * m * m + row * m + column, ascending.
    """

    values: Values
    level: Values
    slot: Values
    left: Values
    right: Values
    target: Values
    cell: Values

    def whiten(self, chol: Array) -> SparseCoupling:
        """L^-1 nu, with L (l, k, k) lower triangular."""
        values = linalg.solve_lower(chol[self.level], self.values[..., None])[..., 0]
        return self._replace(values=values)

    def lift(self, g: Array) -> SparseCoupling:
        """G' nu for G (l, k, k)."""
        return self._replace(
            values=jnp.einsum("eij,ei->ej", g[self.level], self.values)
        )

    def gram(self, middle: Array | None, shape: tuple[int, int]) -> Array:
        """Sum over levels of nu' A nu for symmetric A (k, k): (components, m, m)."""
        n, m = shape
        right = self.values if middle is None else self.values @ middle
        products = (self.values[self.left] * right[self.right]).sum(1)
        cells = segment_sum(
            products, self.target, self.cell.shape[0], indices_are_sorted=True
        )
        upper = jnp.zeros(n * m * m, cells.dtype)
        upper = upper.at[self.cell].set(cells, unique_indices=True)
        upper = upper.reshape(n, m, m)
        # The diagonal is counted twice.
        halves = 1.0 - 0.5 * jnp.eye(m, dtype=upper.dtype)
        return (upper + jnp.swapaxes(upper, 1, 2)) * halves

    def gather(self, right: Array, shape: tuple[int, int]) -> Array:
        """Product nu' R for R (l, k, w): (components, m, w)."""
        n, m = shape
        terms = jnp.einsum("ei,eiw->ew", self.values, right[self.level])
        return segment_sum(terms, self.slot, n * m).reshape(n, m, -1)

    def spread(self, right: Array, n_levels: int) -> Array:
        """Product nu R for R (components, m, w): (l, k, w)."""
        flat = right.reshape(-1, right.shape[-1])
        terms = self.values[:, :, None] * flat[self.slot][:, None, :]
        return segment_sum(terms, self.level, n_levels, indices_are_sorted=True)

    def quadratic(self, middle: Array, n_levels: int) -> Array:
        """Products nu U nu' by level, U (components, m, m) symmetric: (l, k, k)."""
        m = middle.shape[-1]
        left, right = self.values[self.left], self.values[self.right]
        s, t = self.slot[self.left], self.slot[self.right]
        u = middle.reshape(-1)[s * m + t % m]
        outer = left[:, :, None] * right[:, None, :] * u[:, None, None]
        outer = jnp.where(
            (self.left == self.right)[:, None, None],
            outer,
            outer + jnp.swapaxes(outer, 1, 2),
        )
        return segment_sum(outer, self.level[self.left], n_levels)


class FullCoupling(NamedTuple):
    """Nu as an array (l, k, m): one component, most levels meeting most columns."""

    values: Values

    def whiten(self, chol: Array) -> FullCoupling:
        """L^-1 nu, with L (l, k, k) lower triangular."""
        return FullCoupling(linalg.solve_lower(chol, self.values))

    def lift(self, g: Array) -> FullCoupling:
        """G' nu for G (l, k, k)."""
        return FullCoupling(jnp.einsum("lij,lim->ljm", g, self.values))

    def gram(self, middle: Array | None, shape: tuple[int, int]) -> Array:
        """Sum over levels of nu' A nu for symmetric A (k, k): (1, m, m)."""
        flat = self.values.reshape(-1, shape[1])
        right = (
            flat
            if middle is None
            else jnp.einsum("ij,ljm->lim", middle, self.values).reshape(flat.shape)
        )
        return (flat.T @ right)[None]

    def gather(self, right: Array, shape: tuple[int, int]) -> Array:
        """Product nu' R for R (l, k, w): (1, m, w)."""
        flat = self.values.reshape(-1, shape[1])
        return (flat.T @ right.reshape(flat.shape[0], -1))[None]

    def spread(self, right: Array, n_levels: int) -> Array:  # noqa: ARG002
        """Product nu R for R (1, m, w): (l, k, w)."""
        return self.values @ right[0]

    def quadratic(self, middle: Array, n_levels: int) -> Array:  # noqa: ARG002
        """Products nu U nu' level by level for symmetric U (1, m, m): (l, k, k)."""
        return jnp.einsum("lim,ljm->lij", self.values @ middle[0], self.values)


Coupling = SparseCoupling | FullCoupling
