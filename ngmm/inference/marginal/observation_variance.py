r"""Variance of one observation about its mean on the scale of the linear predictor.

A Gaussian response has sigma^2. For the others it is one of

======================  ==========================================================
latent                  of the distribution whose threshold the response is: pi^2/3
                        (logit), 1 (probit), pi^2/6 (cloglog)
lognormal               log(1 + c), c the squared coefficient of variation of y
trigamma                trigamma(1 / c), of a gamma variable with this c
delta                   Var(y) g'(mu)^2, to first order
======================  ==========================================================

The second and third are those of log y under a log link.

References
----------
Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, 133-142, table 2; Nakagawa, Johnson
& Schielzeth (2017), J. R. Soc. Interface 14, 20170213, eqs. 2.7-2.11 and table 1.
"""

from __future__ import annotations

import numpy as np

from ngmm.families import Family
from ngmm.inference.marginal.mean import link_slope

LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}
BINARY = ("bernoulli", "binomial", "betabinomial")
METHODS = ("latent", "lognormal", "trigamma", "delta")


def offered(family: Family) -> tuple[str, ...]:
    """The methods that suit a family and its link; the preferred one first."""
    if family.name in BINARY:
        return ("latent", "delta")
    if family.link != "log":
        return ("delta",)
    if family.name == "gamma":
        return ("trigamma", "lognormal", "delta")
    if family.name in ("poisson", "negative_binomial"):
        return ("lognormal", "trigamma", "delta")
    return ("lognormal", "delta")


def observation_variance(family: Family, mean: float, phi: float, method: str) -> float:
    """The variance at a mean.

    Parameters
    ----------
    family
        Response distribution, not Gaussian.
    mean
        Mean response; a probability where successes are counted, of one trial each.
    phi
        Dispersion parameter; anything where the family has none.
    method
        One of those `offered`.

    Examples
    --------
    >>> from ngmm import families
    >>> round(observation_variance(families.poisson(), 4.0, 1.0, "lognormal"), 4)
    0.2231
    """
    if method == "latent":
        return LATENT[family.link]
    if family.name in BINARY:
        variance = mean * (1.0 - mean)
    else:
        variance = float(np.asarray(family.variance(mean, phi, 1.0)))
    if method == "delta":
        eta = np.asarray(family.transform.link(np.array([mean])))
        return variance / float(link_slope(family.transform, eta)[0]) ** 2
    square = variance / mean**2
    if method == "lognormal":
        return float(np.log1p(square))
    from scipy.special import polygamma  # loads slowly

    return float(polygamma(1, 1.0 / square))
