"""What fitting a model with a latent vector per level gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.status import Status
from ngmm.likelihood.integral import Integral
from ngmm.likelihood.latent.engine import LatentEngine

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class LatentEstimate:
    """A maximum of the (penalised) likelihood, and what it says of the levels.

    Attributes
    ----------
    beta
        (p,) fixed effects.
    weights
        Weights of the network, a pytree of arrays. The signs of v are chosen so that h
        rises with v, on average over the rows; with several dimensions and a bilinear
        h, the axes are those along which it varies most, in order.
    sigma
        Residual standard deviation of a Gaussian family, otherwise 1.
    phi
        Dispersion parameter of the family, None if it has none.
    loglik
        Log-likelihood, without the penalty.
    means, covs
        (levels, d) and (levels, d, d) posterior moments of v, given the parameters.
    status
        How the search ended.
    gain
        Log-likelihood that a further Newton step would add.
    n_steps
        Evaluations with derivatives.
    integral
        The rule, and the error it is estimated to have.
    information
        (P, P) minus the Hessian of the log-likelihood in (beta, w, log phi), the
        weights in the order of `jax.tree.leaves`; log phi is log sigma^2 if Gaussian.
    penalty
        (m,) ridge penalty of each weight; zeros for maximum likelihood.
    edf
        Effective number of weights: all of them without a penalty, less the rotations
        of v that leave a bilinear h as it is.
    evidence
        Laplace approximation to the log-evidence, by which restarts are ranked; None
        without a penalty.
    spread
        Log-evidence of every restart, best first.
    engine, x
        The likelihood, and its psi at the maximum.
    """

    beta: Vector
    weights: Any
    sigma: float
    phi: float | None
    loglik: float
    means: Matrix
    covs: NDArray[np.float64]
    status: Status
    gain: float
    n_steps: int
    integral: Integral
    information: Matrix
    penalty: Vector
    edf: float
    evidence: float | None
    spread: tuple[float, ...]
    engine: LatentEngine
    x: Vector

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
