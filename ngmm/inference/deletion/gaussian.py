r"""Sums over sets of rows of a Gaussian model, and estimates without some of them.

In units where the residual variance is sigma^2, V = sigma^2 H with
H = W^-1 + Z Sigma Z'. Sets of rows whose random effects are independent of those of all
others (components) add up in

.. math:: \log|H| \quad\text{and}\quad C = [X\; r]' H^{-1} [X\; r],

and in their derivatives in theta, and these make the profiled likelihood: with s the
residual sum of squares of C it is log|H| + n log s, and log|C_XX| under REML. Leaving
rows out takes their cross-products from those of their component. theta moves by one
Newton step on what is left, the fixed effects and sigma are the best ones there.

References
----------
Cook (1977), Technometrics 19, 15-18; Pregibon (1981), Ann. Stat. 9, 705-724, for one
step; Demidenko & Stukel (2005), Stat. Med. 24, 893-909, for mixed models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import factor_numpy, pattern
from ngmm.design import RandomDesign

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Ints = NDArray[np.intp]


class Products(NamedTuple):
    """Weighted cross-products of a set of rows.

    Attributes
    ----------
    zz, zt, tt
        Z'WZ (m, m), Z'WT (m, p + 1), T'WT (p + 1, p + 1) with T = [X r].
    n
        Number of rows.
    """

    zz: Matrix
    zt: Matrix
    tt: Matrix
    n: int

    def without(self, other: Products) -> Products:
        """The products of the rows that are not among others."""
        return Products(
            self.zz - other.zz, self.zt - other.zt, self.tt - other.tt, self.n - other.n
        )


class Sums(NamedTuple):
    """What components add up to, with derivatives in theta.

    Attributes
    ----------
    log_det, log_det2
        (q,), (q, q) first and second derivatives of log|H|.
    tail, tail1, tail2
        C and its derivatives: (p + 1, p + 1), with leading axes (q,) and (q, q).
    n
        Number of rows.
    """

    log_det: Vector
    log_det2: Matrix
    tail: Matrix
    tail1: NDArray[np.float64]
    tail2: NDArray[np.float64]
    n: int

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """The sum, or the difference."""
        return Sums(
            self.log_det + sign * other.log_det,
            self.log_det2 + sign * other.log_det2,
            self.tail + sign * other.tail,
            self.tail1 + sign * other.tail1,
            self.tail2 + sign * other.tail2,
            self.n + sign * other.n,
        )


@dataclass(frozen=True, eq=False)
class Block:
    """One random-effects term among the columns of a component.

    Attributes
    ----------
    start, levels
        First column, and number of levels.
    lam
        (k, k) Lambda.
    basis
        (n_theta, k, k) its derivatives.
    """

    start: int
    levels: int
    lam: Matrix
    basis: NDArray[np.float64]

    @property
    def columns(self) -> slice:
        """Where the columns of the term stand."""
        return slice(self.start, self.start + self.levels * len(self.lam))

    def times(self, a: Matrix, x: Matrix) -> Matrix:
        """A block-diagonal matrix of copies of a (k, k), times x (columns, w)."""
        k = len(a)
        return (a @ x.reshape(self.levels, k, -1)).reshape(self.levels * k, -1)


@dataclass(frozen=True, eq=False)
class Component:
    """A set of rows that shares no random effect with the others.

    Attributes
    ----------
    rows
        Their positions.
    Z
        Sparse (rows, m) columns of the random effects that occur there.
    T
        (rows, p + 1) X and the residuals.
    weight
        (rows,) prior weights.
    blocks
        The terms.
    """

    rows: Ints
    Z: Any
    T: Matrix
    weight: Vector
    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls,
        rows: Ints,
        terms: Sequence[RandomDesign],
        T: Matrix,
        weight: Vector,
        theta: Vector,
    ) -> Self:
        """The component of given rows, at variance parameters theta."""
        from scipy import sparse  # loads slowly

        parts, blocks, start, used = [], [], 0, 0
        for term in terms:
            p = pattern([(len(term.names), term.correlated)])
            lam = factor_numpy(theta[used : used + p.n_theta], p)
            used += p.n_theta
            levels, local = np.unique(term.codes[rows], return_inverse=True)
            n, k = len(rows), len(lam)
            column = local[:, None] * k + np.arange(k)
            at = np.repeat(np.arange(n), k)
            values = term.Z[rows].ravel()
            shape = (n, len(levels) * k)
            parts.append(sparse.csr_array((values, (at, column.ravel())), shape=shape))
            blocks.append(Block(start, len(levels), lam, p.basis()))
            start += len(levels) * k
        Z = sparse.csr_array(sparse.hstack(parts, format="csr"))
        return cls(rows, Z, T[rows], weight[rows], tuple(blocks))

    def products(self, which: Ints | slice = slice(None)) -> Products:
        """Cross-products of the rows at some positions of the component."""
        z, t, w = self.Z[which], self.T[which], self.weight[which]
        wz = z.multiply(w[:, None]).tocsr()
        return Products((z.T @ wz).toarray(), wz.T @ t, t.T @ (w[:, None] * t), len(t))

    def sums(self, s: Products) -> Sums:
        """The sums of rows with these products."""
        h = _projected(s, self.blocks)
        thetas = [(b, e) for b in self.blocks for e in b.basis]
        q, w = len(thetas), len(h.tt)
        out = Sums(
            np.zeros(q),
            np.zeros((q, q)),
            h.tt,
            np.zeros((q, w, w)),
            np.zeros((q, q, w, w)),
            s.n,
        )
        sq = [_first(b, e, h.zz) for b, e in thetas]
        st = [_first(b, e, h.zt) for b, e in thetas]
        for a, (block, e) in enumerate(thetas):
            own = block.columns
            out.log_det[a] = np.trace(sq[a][:, own])
            out.tail1[a] = -h.zt[own].T @ st[a]
            for c, (other, f) in enumerate(thetas[: a + 1]):
                at = other.columns
                bend = -np.sum(sq[a][:, at] * sq[c][:, own].T)
                cross = st[a].T @ h.zz[own, at] @ st[c]
                curve = cross + cross.T
                if other is block:
                    twice = e @ f.T + f @ e.T
                    bend += np.trace(block.times(twice, h.zz[own])[:, own])
                    curve -= h.zt[own].T @ block.times(twice, h.zt[own])
                out.log_det2[a, c] = out.log_det2[c, a] = bend
                out.tail2[a, c] = out.tail2[c, a] = curve
        return out


def _first(block: Block, e: Matrix, x: Matrix) -> Matrix:
    """The derivative of Sigma along e, times x: the rows of its block alone."""
    d = e @ block.lam.T
    return block.times(d + d.T, x[block.columns])


def _projected(s: Products, blocks: Sequence[Block]) -> Products:
    """The products with H^-1 in place of W, by Woodbury's identity."""
    lz = np.concatenate([b.times(b.lam.T, s.zz[b.columns]) for b in blocks])
    lt = np.concatenate([b.times(b.lam.T, s.zt[b.columns]) for b in blocks])
    inner = np.concatenate(
        [b.times(b.lam.T, lz.T[b.columns]) for b in blocks]
    )  # Lambda' Z'WZ Lambda
    m = np.eye(len(inner)) + 0.5 * (inner + inner.T)
    root = np.linalg.cholesky(m)
    hz, ht = np.linalg.solve(root, lz), np.linalg.solve(root, lt)
    return Products(s.zz - hz.T @ hz, s.zt - hz.T @ ht, s.tt - ht.T @ ht, s.n)


class Profiled(NamedTuple):
    """The profiled deviance without its constants, as a function of theta.

    Attributes
    ----------
    gradient, hessian
        Its derivatives in theta.
    gamma
        (p,) change of the fixed effects from those that r is made with.
    rss
        s, the residual sum of squares.
    """

    gradient: Vector
    hessian: Matrix
    gamma: Vector
    rss: float


def profiled(s: Sums, *, reml: bool) -> Profiled:
    """The profiled deviance of the rows that the sums are over."""
    p = len(s.tail) - 1
    n = s.n - p if reml else s.n
    inverse = np.linalg.inv(s.tail[:p, :p])
    gamma = inverse @ s.tail[:p, p]
    v = np.append(-gamma, 1.0)
    rss = float(v @ s.tail @ v)
    cv = s.tail1 @ v
    first = cv @ v
    second = s.tail2 @ v @ v - 2.0 * cv[:, :p] @ inverse @ cv[:, :p].T
    gradient = s.log_det + n * first / rss
    hessian = s.log_det2 + n * (second / rss - np.outer(first, first) / rss**2)
    if reml:
        along = inverse @ s.tail1[:, :p, :p]
        gradient = gradient + np.einsum("aii->a", along)
        hessian = hessian + np.einsum("ij,abji->ab", inverse, s.tail2[..., :p, :p])
        hessian -= np.einsum("aij,bji->ab", along, along)
    return Profiled(gradient, hessian, gamma, rss)


def components_of(terms: Sequence[RandomDesign]) -> Ints:
    """Component of each row: rows are connected that share a level of some factor."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    groups = {t.group: t for t in terms}
    offsets = np.cumsum([0, *(t.n_levels for t in groups.values())])
    nodes = [t.codes + o for t, o in zip(groups.values(), offsets, strict=False)]
    total = int(offsets[-1])
    first = nodes[0]
    edges = [
        sparse.coo_array((np.ones(len(first)), (first, other)), shape=(total, total))
        for other in nodes
    ]
    _, label = connected_components(sum(edges[1:], edges[0]).tocsr(), directed=False)
    return np.unique(label[first], return_inverse=True)[1]
