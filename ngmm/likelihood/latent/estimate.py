"""What fitting a model with a latent vector per level gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.likelihood.estimates import Estimate
from ngmm.likelihood.integral import Integral
from ngmm.likelihood.latent.engine import LatentEngine

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Directions of less information than this share of the largest are not identified.
FLAT = 1e-10


@dataclass(frozen=True, eq=False)
class LevelNodes:
    """The distribution of v in each level, given the data, on nodes.

    Attributes
    ----------
    v
        (levels or 1, K, d) nodes.
    weight
        (levels, K) posterior weights, which sum to one.
    """

    v: NDArray[np.float64]
    weight: Matrix


@dataclass(frozen=True, eq=False, kw_only=True)
class LatentEstimate(Estimate):
    """A maximum of the (penalised) likelihood, and what it says of the levels.

    theta is empty: the variance of v is one. The log-likelihood is without the penalty.

    Attributes
    ----------
    weights
        Weights of the network, a pytree of arrays. The signs of v are chosen so that h
        rises with v, on average over the rows; with several dimensions and a bilinear
        h, the axes are those along which it varies most, in order.
    means, covs
        (levels, d) and (levels, d, d) posterior moments of v, given the parameters.
    integral
        The rule, and the error it is estimated to have.
    information
        (P, P) minus the Hessian of the log-likelihood in (beta, w, log phi), the
        weights in the order of `jax.tree.leaves`; log phi is log sigma^2 if Gaussian.
    penalty
        (m,) ridge penalty of each weight; zeros for maximum likelihood.
    edf
        Effective number of weights: all of them without a penalty, less the rotations.
    rotations
        Dimension of the rotations of v that the weights can undo.
    evidence
        Laplace approximation to the log-evidence, by which restarts are ranked; None
        without a penalty.
    spread
        Log-evidence of every restart, best first.
    engine, x
        The likelihood, and its psi at the maximum.
    nodes
        The posterior distributions of the levels, where the rows that they follow from
        are not at hand; None where they are.
    """

    weights: Any
    means: Matrix
    covs: NDArray[np.float64]
    integral: Integral
    information: Matrix
    penalty: Vector
    edf: float
    rotations: int
    evidence: float | None
    spread: tuple[float, ...]
    engine: LatentEngine
    x: Vector
    nodes: LevelNodes | None = None

    @cached_property
    def covariance(self) -> Matrix:
        """(P, P) covariance of (beta, w, log phi), given the rotation of v.

        Inverse of the information, penalties added, but for directions along which v
        is only rotated.
        """
        p, m = len(self.beta), len(self.penalty)
        information = self.information.copy()
        at = np.arange(p, p + m)
        information[at, at] += self.penalty
        if not np.isfinite(information).all():
            return np.full_like(information, np.nan)
        diagonal = np.abs(np.diag(information))
        floor = 1e-12 * diagonal.max(initial=0.0)
        scale = 1.0 / np.sqrt(np.maximum(diagonal, max(floor, 1e-300)))
        values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
        kept = np.argsort(values)[self.rotations :]
        kept = kept[values[kept] > FLAT * values.max(initial=0.0)]
        half = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
        return half @ half.T

    @property
    def sds(self) -> Matrix:
        """(levels, d) posterior standard deviations of v."""
        return np.sqrt(np.diagonal(self.covs, axis1=1, axis2=2))

    @property
    def df(self) -> float:
        """Number of parameters, weights counted as they are effective."""
        scale = self.engine.problem.has_scale
        return len(self.beta) + self.edf + scale

    @property
    def reliability(self) -> Vector:
        """(d,) share of the variance of v that the data tell, on average."""
        return 1.0 - np.diagonal(self.covs, axis1=1, axis2=2).mean(0)
