"""All parameters that a mean depends on, and their covariance.

In the order beta, weights of the networks, theta, sigma; for an average of networks
once for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import NotSupportedError
from ngmm.inference.analysis import Analysis
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.neural import NeuralAnalysis
from ngmm.neural.record import FittedNetworks, Member
from ngmm.neural.units import to_user

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parameters:
    """Estimates and their covariance; of one member where networks are averaged.

    Attributes
    ----------
    beta, theta, sigma
        In the units of the data; sigma is 1 where there is none.
    covariance
        Of (beta, weights, theta, sigma).
    share
        Weight in the average.
    networks, member
        The networks whose weights have a covariance; None without.
    """

    beta: Vector
    theta: Vector
    sigma: float
    covariance: Matrix
    share: float = 1.0
    networks: FittedNetworks | None = None
    member: Member | None = None

    @property
    def n_weights(self) -> int:
        """Number of weights among the parameters."""
        return 0 if self.networks is None else self.networks.stack.n_weights


def parameters_of(analysis: Analysis) -> tuple[Parameters, ...]:
    """The parameters of a fit, once for each member of an average of networks.

    Raises
    ------
    NotSupportedError
        If the model has a neural random effect.
    """
    if isinstance(analysis, LatentAnalysis):
        raise NotSupportedError(
            f"effects are not available with {analysis.design.latent[0].label} in this "
            "version; compare fit.predict() of rows of your own, and see fit.loadings()"
        )
    if isinstance(analysis, NeuralAnalysis):
        if analysis.networks.has_covariance:
            return tuple(_member(analysis, m) for m in analysis.networks.members)
        return (_plain(analysis.given),)
    return (_plain(analysis),)


def _plain(analysis: GaussianAnalysis | GeneralizedAnalysis) -> Parameters:
    e = analysis.estimate
    p, q = len(e.beta), len(e.theta)
    covariance = np.zeros((p + q + 1, p + q + 1))
    if isinstance(analysis, GeneralizedAnalysis):
        covariance[: p + q, : p + q] = analysis.covariance[: p + q, : p + q]
    else:
        # Estimates of means and of variances are independent in large samples.
        covariance[:p, :p] = analysis.vcov
        covariance[p:, p:] = analysis.parameter_covariance
    return Parameters(e.beta, e.theta, e.sigma, covariance)


def _member(analysis: NeuralAnalysis, member: Member) -> Parameters:
    networks = analysis.networks
    p, n_w = networks.n_beta, networks.stack.n_weights
    found = to_user(analysis.base, member.x[:p], member.x[p + n_w :])
    q = len(found.theta)
    turn = np.zeros((p + n_w + q + 1, len(member.x)))
    at = np.concatenate([np.arange(p), np.arange(p + n_w, len(member.x))])
    turn[p : p + n_w, p : p + n_w] = np.eye(n_w)
    turn[:p, at] = found.slope[:p]
    turn[p + n_w : -1, at] = found.slope[p : p + q]
    sigma = 1.0
    if analysis.base.is_gaussian:
        assert found.scale is not None
        sigma = found.scale
        turn[-1, at] = sigma * found.slope[-1]
    assert member.covariance is not None
    return Parameters(
        beta=found.beta,
        theta=found.theta,
        sigma=sigma,
        covariance=turn @ member.covariance @ turn.T,
        share=member.share,
        networks=networks,
        member=member,
    )
