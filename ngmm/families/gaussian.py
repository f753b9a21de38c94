"""The normal distribution: y = eta + error, error ~ N(0, sigma^2 / weight)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.families._special import HALF_LOG_2PI
from ngmm.families.family import Family, choose_link

__all__ = ["gaussian"]

LINKS = ("identity",)


def gaussian(link: str = "identity") -> Family:
    r"""The Gaussian family, with the identity link.

    .. math:: \log p(y \mid \mu, \phi) = -\tfrac12 \log(2 \pi \phi / w)
              - \frac{w (y - \mu)^2}{2 \phi}

    for a row of weight w, with :math:`\phi = \sigma^2`.

    Parameters
    ----------
    link
        ``"identity"``, the only one.

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
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 3.

    Examples
    --------
    The standard normal density at zero:

    >>> import ngmm, numpy as np
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     family = ngmm.families.gaussian()
    ...     value = family.log_prob(0.0, np.float64(0.0), 0.0, 1.0, None)
    ...     round(float(np.exp(value)), 12)
    0.398942280401
    """
    choose_link("gaussian", link, LINKS)
    return _gaussian()


@cache
def _gaussian() -> Family:
    return Family(
        name="gaussian",
        link="identity",
        links=LINKS,
        has_residual=True,
        transform=choose_link("gaussian", "identity", LINKS),
        dispersion=None,
        takes_trials=False,
        discrete=False,
        concave=True,
        log_prob=_log_prob,
        variance=_variance,
        unit_deviance=_unit_deviance,
        sample=_sample,
        cdf=_cdf,
        check=_check,
        start=_start,
        start_phi=_start_phi,
    )


def _log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
    del trials
    log_precision = jnp.log(weights) - log_phi
    constant = 0.5 * log_precision - HALF_LOG_2PI
    return constant - 0.5 * jnp.exp(log_precision) * (y - eta) ** 2


def _variance(mu: Any, phi: Any, trials: Any = None) -> Any:
    del trials
    return phi + 0.0 * mu


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    del phi, trials
    return weights * np.square(y - mu)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del trials
    return generator.normal(mu, np.broadcast_to(np.sqrt(phi / weights), np.shape(mu)))


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.special import ndtr

    del trials
    return ndtr((y - mu) * np.sqrt(weights / phi))


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    """Every finite number will do."""
    del y, trials, response_name, index


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return y


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    del trials
    square = float(np.mean(np.square(y - mu)))
    return square if square > 0 else 1.0
