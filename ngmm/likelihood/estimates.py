"""What maximising a likelihood gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.estimation.separation import Separation
from ngmm.estimation.status import Status
from ngmm.likelihood.gaussian import Profile
from ngmm.likelihood.integral import Integral

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimate:
    """A maximum of the likelihood, and how it was reached.

    Attributes
    ----------
    beta
        (p,) fixed effects.
    theta
        Covariance parameters: terms in the order of the formula, each the lower
        triangle of its Lambda by columns (its diagonal after ``||``). Relative to sigma
        for a Gaussian model.
    sigma
        Residual standard deviation; 1 for families without one.
    phi
        Dispersion parameter of the family, None if it has none.
    loglik
        Log-likelihood, the restricted one under REML.
    status
        How the search ended.
    gain
        Log-likelihood that a further Newton step would add, g' H^-1 g / 2.
    n_steps
        Evaluations of the objective.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> model = ngmm.Model(design)

    >>> estimate = model.maximise()
    >>> isinstance(estimate, ngmm.model.Estimate), estimate.status.name
    (True, 'CONVERGED')
    >>> estimate.theta.round(3).tolist(), round(estimate.sigma, 2), estimate.phi
    ([0.929, 0.018, 0.223], 25.59, None)
    """

    beta: Vector
    theta: Vector
    sigma: float
    phi: float | None
    loglik: float
    status: Status
    gain: float
    n_steps: int


@dataclass(frozen=True, eq=False, kw_only=True)
class GaussianEstimate(Estimate):
    """A maximum of a Gaussian likelihood.

    Attributes
    ----------
    engine_theta, profile
        The same point in the engine's order and scale, with exact derivatives.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> terms = ngmm.parse("Reaction ~ Days + (Days | Subject)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> model = ngmm.Model(design)

    >>> estimate = model.maximise()
    >>> type(estimate).__name__, estimate.engine_theta.shape
    ('GaussianEstimate', (3,))
    """

    engine_theta: Vector
    profile: Profile


@dataclass(frozen=True, eq=False, kw_only=True)
class GeneralizedEstimate(Estimate):
    """A maximum of a likelihood whose random effects are integrated out numerically.

    Attributes
    ----------
    information
        (P, P) minus the Hessian of the log-likelihood in (beta, theta, log phi).
    modes
        For each term of the formula, (levels, k) conditional modes of its effects.
    integral
        The rule, and the error it is estimated to have.
    n_unsettled
        Levels whose mode was not found.
    separation
        What makes estimates of fixed effects infinite, if anything does.

    Examples
    --------
    >>> import dataclasses, ngmm
    >>> fields = dataclasses.fields(ngmm.model.GeneralizedEstimate)
    >>> [field.name for field in fields][-5:]
    ['information', 'modes', 'integral', 'n_unsettled', 'separation']
    """

    information: Vector
    modes: tuple[Vector, ...]
    integral: Integral
    n_unsettled: int
    separation: tuple[Separation, ...] = ()
