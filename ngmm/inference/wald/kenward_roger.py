r"""Kenward and Roger's covariance and degrees of freedom for tests of fixed effects.

With V = sum_r gamma_r G_r linear in the variances and covariances gamma, the REML
estimate of beta has, to second order, the covariance

.. math::
   \Phi_A &= \Phi + 2 \Phi \Bigl\{ \sum_{rs} W_{rs} (Q_{rs} - P_r \Phi P_s)
     \Bigr\} \Phi, \\
   P_r &= -X' V^{-1} G_r V^{-1} X, \qquad
   Q_{rs} = X' V^{-1} G_r V^{-1} G_s V^{-1} X,

with W the inverse of the expected information of gamma,

.. math::
   2 W^{-1}_{rs} = \mathrm{tr}\, V^{-1} G_r V^{-1} G_s
     - 2\,\mathrm{tr}\, \Phi Q_{rs} + \mathrm{tr}\, \Phi P_r \Phi P_s .

All of it is the same in any basis of the space of the G_r, so V itself takes the place
of the residual's G: then nothing of size n by n is needed, only Z' V^-1 Z and
Z' V^-1 X, block by block of rows that share random effects.

References
----------
Kenward & Roger (1997), Biometrics 53, 983-997; Halekoh & Hojsgaard (2014), J. Stat.
Softw. 59(9), section 2 and appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import factor_numpy, pattern
from ngmm.errors import OptionError
from ngmm.inference.wald.kenward_roger_blocks import Blocks, independent_blocks
from ngmm.inference.wald.tests import WaldTest, combinations, f_tail
from ngmm.likelihood.information import covariance_from_information
from ngmm.model import GaussianEstimate, Model

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """What Kenward and Roger's tests need, at a REML estimate.

    Attributes
    ----------
    beta
        (p,) estimates.
    vcov
        (p, p) their covariance for known variances, Phi.
    slopes
        (m, p, p) matrices P_r.
    mixed
        (m, m, p, p) matrices Q_rs.
    weights
        (m, m) covariance of the estimates of gamma, W.
    """

    beta: Vector
    vcov: Matrix
    slopes: Matrix
    mixed: Matrix
    weights: Matrix

    @cached_property
    def vcov_adjusted(self) -> Matrix:
        """(p, p) covariance of beta that allows for the estimation of variances."""
        phi = self.vcov
        between = np.einsum("rij,jk,skl->rsil", self.slopes, phi, self.slopes)
        u = np.einsum("rs,rsij->ij", self.weights, self.mixed - between)
        found = phi + 2.0 * phi @ u @ phi
        return np.asarray(0.5 * (found + found.T))

    def degrees_of_freedom(self, L: Matrix) -> Vector:
        """Of the t test of each row of L, with `vcov_adjusted`."""
        return np.array([self._moments(row[None, :])[0] for row in L])

    def test(self, L: Matrix, rhs: Vector) -> WaldTest:
        """The scaled F test of L beta = rhs.

        Parameters
        ----------
        L
            (c, p) contrasts of any rank.
        rhs
            (c,) values.
        """
        found = combinations(L, self.vcov_adjusted, self.beta, rhs)
        nu, scale = self._moments(found.rows)
        F = scale * float(np.mean(found.differences**2 / found.variances))
        q = len(found.rows)
        return WaldTest(q, nu, F, f_tail(F, q, nu))

    def _moments(self, L: Matrix) -> tuple[float, float]:
        """Denominator degrees of freedom and scale, for L of full rank."""
        theta = L.T @ np.linalg.solve(L @ self.vcov @ L.T, L)
        # u_r = Theta Phi P_r Phi
        u = np.einsum("ij,rjk->rik", theta @ self.vcov, self.slopes @ self.vcov)
        trace = np.einsum("rii->r", u)
        a1 = float(trace @ self.weights @ trace)
        a2 = float(np.einsum("rs,rij,sji->", self.weights, u, u))
        return matched_moments(len(L), a1, a2)


def matched_moments(q: int, a1: float, a2: float) -> tuple[float, float]:
    """Denominator degrees of freedom and scale of an F statistic of rank q.

    They match the mean and the variance of the statistic, and are those of Hotelling's
    T^2 and of balanced analyses of variance where these are exact (Kenward & Roger
    1997, section 3.2).

    Parameters
    ----------
    q
        Rank of the hypothesis.
    a1, a2
        The sums A1 and A2.
    """
    if a2 <= 0.0:
        return np.inf, 1.0
    b = (a1 + 6.0 * a2) / (2.0 * q)
    g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
    d = 3.0 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / d, (q - g) / d, (q + 2 - g) / d
    v0, v1, v2 = 1.0 + c1 * b, 1.0 - c2 * b, 1.0 - c3 * b
    v0 = 0.0 if abs(v0) < 1e-10 else v0
    top = 1.0 - a2 / q
    both_vanish = abs(top) < 1e-10 and abs(v1) < 1e-10
    ratio = 1.0 if both_vanish else top / v1
    rho = ratio**2 * v0 / v2 / q
    nu = 4.0 + (q + 2) / (q * rho - 1.0)
    scale = 1.0 if abs(nu - 2.0) < 1e-2 else nu * top / (nu - 2.0)
    return float(nu), float(scale)


class AdjustedCoefficients(NamedTuple):
    """What a table of coefficients has by Kenward and Roger's method.

    Attributes
    ----------
    vcov
        (p, p) adjusted covariance.
    df
        (p,) degrees of freedom.
    """

    vcov: Matrix
    df: Vector


def kenward_roger_table(
    model: Model, estimate: GaussianEstimate
) -> AdjustedCoefficients:
    """Adjusted covariance, and degrees of freedom of each coefficient.

    Parameters
    ----------
    model, estimate
        As for `kenward_roger`.

    Raises
    ------
    OptionError
        If the model was not fitted by REML.
    NotSupportedError
        If the random effects are too many, see `kenward_roger`.
    """
    if not model.reml:
        raise OptionError(
            'df="kenward-roger" rests on the restricted likelihood: fit the model with '
            "reml=True"
        )
    found = kenward_roger(model, estimate)
    df = found.degrees_of_freedom(np.eye(len(found.beta)))
    return AdjustedCoefficients(found.vcov_adjusted, df)


def kenward_roger(model: Model, estimate: GaussianEstimate) -> KenwardRoger:
    """Kenward and Roger's quantities of a Gaussian model.

    Parameters
    ----------
    model
        Fitted by REML: the expansion is about that estimate.
    estimate
        Its maximum.

    Raises
    ------
    NotSupportedError
        If crossed random effects make a block of more than
        `ngmm.inference.wald.kenward_roger_blocks.MAX_BLOCK`.

    Notes
    -----
    Cost O(sum of q_b^3) for blocks of rows with q_b random effects each: levels of the
    outermost grouping factor; with crossed factors all random effects are one block.
    """
    design, problem = model.design, model.problem
    basis = np.linalg.inv(problem.data.triangle)
    root = np.sqrt(design.weights)
    terms = design.random
    blocks = independent_blocks(terms, root, (root[:, None] * design.X) @ basis)
    sums = _Sums.of(model, estimate, blocks)
    p = problem.layout.n_beta
    precision = estimate.profile.tail[:p, :p]
    information, slopes, mixed = sums.with_total(precision, problem.n_rows)
    phi = np.linalg.inv(precision)
    phi_p = np.einsum("ij,rjk->rik", phi, slopes)
    information = (
        information
        - 2.0 * np.einsum("ij,rsji->rs", phi, mixed)
        + np.einsum("rij,sji->rs", phi_p, phi_p)
    )
    weights = covariance_from_information(0.5 * (information + information.T) / 2.0)
    half = problem.data.triangle
    sigma2 = estimate.sigma**2
    return KenwardRoger(
        beta=estimate.beta,
        vcov=sigma2 * basis @ phi @ basis.T,
        slopes=np.einsum("ki,rkl,lj->rij", half, slopes, half) / sigma2,
        mixed=np.einsum("ki,rskl,lj->rsij", half, mixed, half) / sigma2,
        weights=weights,
    )


@dataclass(frozen=True, eq=False)
class _Sums:
    """Traces, P and Q of the variances and covariances, over sigma^2 = 1."""

    traces: Vector  # (m,) tr V^-1 G_r
    information: Matrix  # (m, m) tr V^-1 G_r V^-1 G_s
    slopes: Matrix  # (m, p, p) P_r
    mixed: Matrix  # (m, m, p, p) Q_rs

    @classmethod
    def of(cls, model: Model, estimate: GaussianEstimate, blocks: Blocks) -> _Sums:
        factors = _term_covariances(model, estimate.theta)
        directions = _directions(model)
        m, p = len(directions), model.problem.layout.n_beta
        total = cls(
            np.zeros(m), np.zeros((m, m)), np.zeros((m, p, p)), np.zeros((m, m, p, p))
        )
        for stack in blocks.stacks:
            M, B = stack.solved(factors)
            cross = {
                (t, u): stack.pair_products(M, t, u)
                for t in range(len(factors))
                for u in range(len(factors))
            }
            parts = [stack.part(B, t) for t in range(len(factors))]
            for r, (t, pairs) in enumerate(directions):
                own = stack.diagonal(M, t)
                for a, b in pairs:
                    total.traces[r] += own[a, b]
                    total.slopes[r] -= _gram(parts[t][:, :, a], parts[t][:, :, b])
                for s, (u, others) in enumerate(directions):
                    total.information[r, s] += sum(
                        cross[t, u][a, d, b, c] for a, b in pairs for c, d in others
                    )
            for s, (u, others) in enumerate(directions):
                reach = sum(
                    stack.columns(M, u, c) @ parts[u][:, :, d] for c, d in others
                )
                for r, (t, pairs) in enumerate(directions):
                    there = stack.part(np.asarray(reach), t)
                    for a, b in pairs:
                        total.mixed[r, s] += _gram(parts[t][:, :, a], there[:, :, b])
        return total

    def with_total(
        self, precision: Matrix, n_rows: int
    ) -> tuple[Matrix, Matrix, Matrix]:
        """(information, P, Q) with V as the first direction."""
        m, p = len(self.traces), len(precision)
        information = np.empty((m + 1, m + 1))
        information[0, 0] = n_rows
        information[0, 1:] = information[1:, 0] = self.traces
        information[1:, 1:] = self.information
        slopes = np.concatenate([-precision[None], self.slopes])
        mixed = np.empty((m + 1, m + 1, p, p))
        mixed[0, 0] = precision
        mixed[0, 1:] = mixed[1:, 0] = -self.slopes
        mixed[1:, 1:] = self.mixed
        return information, slopes, mixed


def _gram(left: Matrix, right: Matrix) -> Matrix:
    """Sum over blocks and levels of left' right, each (blocks, levels, p)."""
    p = left.shape[-1]
    return np.asarray(left.reshape(-1, p).T @ right.reshape(-1, p))


def _term_covariances(model: Model, theta: Vector) -> list[Matrix]:
    """Lambda Lambda' of each term of the formula."""
    found: list[Matrix] = []
    start = 0
    for term in model.design.random:
        shape = pattern([(len(term.names), term.correlated)])
        lam = factor_numpy(theta[start : start + shape.n_theta], shape)
        found.append(lam @ lam.T)
        start += shape.n_theta
    return found


def _directions(model: Model) -> list[tuple[int, list[tuple[int, int]]]]:
    """For each variance and covariance its term, and its places in the matrix."""
    found: list[tuple[int, list[tuple[int, int]]]] = []
    for t, term in enumerate(model.design.random):
        shape = pattern([(len(term.names), term.correlated)])
        for r, c in zip(shape.rows, shape.cols, strict=True):
            places = [(r, c)] if r == c else [(r, c), (c, r)]
            found.append((t, places))
    return found
