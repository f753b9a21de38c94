"""The negative binomial distribution, whose variance is quadratic in the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.families import _response
from ngmm.families._special import (
    log1p_ratio,
    log_gamma1p,
    log_rising,
    softplus,
)
from ngmm.families.family import Family, choose_link, inside

__all__ = ["negative_binomial"]

LINKS = ("log", "identity", "sqrt")

# Below this log(mu / size) the series of log(1 + x) / x serves.
_NEAR_POISSON = -math.log(16.0)


def negative_binomial(link: str = "log") -> Family:
    r"""The negative binomial family (nb2), for counts that vary more than Poisson's.

    .. math:: \log p(y \mid \mu, s) = \log\frac{\Gamma(y + s)}{\Gamma(s)\, y!}
              + s \log\frac{s}{s + \mu} + y \log\frac{\mu}{s + \mu}

    with the variance :math:`\mu + \mu^2 / s`. The dispersion parameter is the size s;
    as it grows the distribution becomes the Poisson.

    Parameters
    ----------
    link
        ``"log"``, ``"identity"`` or ``"sqrt"``; the last two need eta > 0.

    Returns
    -------
    Family
        The same object for each call with the same link.

    Raises
    ------
    OptionError
        If the family has no such link.

    References
    ----------
    Hilbe (2011), Negative Binomial Regression, 2nd ed., chapter 8 (NB2).

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.families import negative_binomial
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = negative_binomial().log_prob(0.0, np.float64(0.0), 0.0, 1.0, None)
    ...     round(float(np.exp(value)), 12)
    0.5
    """
    choose_link("negative_binomial", link, LINKS)
    return _negative_binomial(link)


@cache
def _negative_binomial(link: str) -> Family:
    transform = choose_link("negative_binomial", link, LINKS, positive=True)

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del trials
        log_mu = transform.log_mean(eta)
        excess = log_mu - log_phi
        rest = softplus(excess)
        # size * log(size / (size + mu)), which is -mu in the Poisson limit.
        near = excess < _NEAR_POISSON
        series = log1p_ratio(0, jnp.where(near, excess, _NEAR_POISSON))
        empty = jnp.where(near, transform.mean(eta) * series, jnp.exp(log_phi) * rest)
        constant = log_rising(y, log_phi) - log_gamma1p(y)
        return weights * constant + weights * (y * (log_mu - rest) - empty)

    return Family(
        name="negative_binomial",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion="size",
        takes_trials=False,
        discrete=True,
        concave=link == "log",
        log_prob=inside(transform, log_prob),
        variance=_variance,
        unit_deviance=_unit_deviance,
        sample=_sample,
        cdf=_cdf,
        check=_check,
        start=_start,
        start_phi=_start_phi,
    )


def _variance(mu: Any, phi: Any, trials: Any = None) -> Any:
    del trials
    return mu + mu * mu / phi


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.special import xlogy

    del trials
    # (y + size) log((y + size) / (mu + size)), by log1p for large sizes.
    shared = (y + phi) * np.log1p((y - mu) / (mu + phi))
    return np.maximum(2.0 * weights * (xlogy(y, y / mu) - shared), 0.0)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del weights, trials
    return generator.poisson(generator.gamma(phi, mu / phi)).astype(np.float64)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.stats import nbinom

    del weights, trials
    return nbinom.cdf(y, phi, phi / (phi + mu))


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    del trials
    _response.check_counts("negative_binomial", y, response_name, index)


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return np.where(np.asarray(y) > 0, y, 1.0 / 6.0)


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    """The size that gives the mean square of the residuals, within sane bounds."""
    del trials
    excess = float(np.mean((y - mu) ** 2 - mu))
    square = float(np.mean(np.square(mu)))
    return float(np.clip(square / excess, 0.1, 100.0)) if excess > 0 else 100.0
