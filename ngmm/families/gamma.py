"""The gamma distribution: positive, with a constant coefficient of variation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.families import _response
from ngmm.families._special import HALF_LOG_2PI, softplus, stirling_rest
from ngmm.families.family import Family, choose_link, inside

__all__ = ["gamma"]

LINKS = ("log", "inverse", "identity")


def gamma(link: str = "log") -> Family:
    r"""The gamma family, for positive responses.

    .. math:: \log p(y \mid \mu, \phi) = k \log k - \log\Gamma(k) - \log y
              - k \left(\frac{y}{\mu} - \log\frac{y}{\mu}\right), \quad k = w / \phi

    for a row of weight w, with the variance :math:`\phi \mu^2 / w`.

    Parameters
    ----------
    link
        ``"log"``, ``"inverse"`` or ``"identity"``; the last two need eta > 0.

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
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 8.

    Examples
    --------
    With phi = 1 it is the exponential distribution.

    >>> import numpy as np
    >>> from ngmm.families import gamma
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = gamma().log_prob(2.0, np.float64(0.0), 0.0, 1.0, None)
    ...     round(float(value), 12)
    -2.0
    """
    choose_link("gamma", link, LINKS)
    return _gamma(link)


@cache
def _gamma(link: str) -> Family:
    transform = choose_link("gamma", link, LINKS, positive=True)

    def relative(y: Any, eta: Any) -> tuple[Any, Any]:
        """The ratio y / mu and its logarithm, each in the form that AD keeps exact."""
        log_ratio = jnp.log(y) - transform.log_mean(eta)
        if link == "log":
            # The limit keeps an overflow from turning into NaN in a derivative.
            log_ratio = jnp.where(log_ratio > 709.0, 709.0, log_ratio)
            return jnp.exp(log_ratio), log_ratio
        return (y * eta if link == "inverse" else y / eta), log_ratio

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del trials
        log_shape = jnp.log(weights) - log_phi
        ratio, log_ratio = relative(y, eta)
        unit = ratio - 1.0 - log_ratio
        return (_log_constant(log_shape) - jnp.log(y)) - jnp.exp(log_shape) * unit

    return Family(
        name="gamma",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion="phi",
        takes_trials=False,
        discrete=False,
        concave=link in {"log", "inverse"},
        log_prob=inside(transform, log_prob),
        variance=_variance,
        unit_deviance=_unit_deviance,
        sample=_sample,
        cdf=_cdf,
        check=_check,
        start=_start,
        start_phi=_start_phi,
    )


def _log_constant(log_k: Any) -> Any:
    """Value of k log k - k - log Gamma(k), without cancellation for large k."""
    k = jnp.exp(log_k)
    bounded = k * softplus(-log_k) + 0.5 * jnp.log1p(k) + stirling_rest(0, k)
    return log_k + (1.0 - HALF_LOG_2PI) - bounded


def _variance(mu: Any, phi: Any, trials: Any = None) -> Any:
    del trials
    return phi * mu * mu


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    del phi, trials
    ratio = y / mu
    return np.maximum(2.0 * weights * (ratio - 1.0 - np.log(ratio)), 0.0)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del trials
    shape = np.broadcast_to(weights / phi, np.shape(mu))
    # A draw too small for a float becomes the smallest positive one, not 0.
    return np.maximum(generator.gamma(shape, mu / shape), np.finfo(float).tiny)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.special import gammainc

    del trials
    shape = weights / phi
    return gammainc(shape, np.maximum(shape * y / mu, 0.0))


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    del trials
    _response.check_positive("gamma", y, response_name, index)


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return y


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    """The mean square of the relative residuals, within sane bounds."""
    del trials
    return float(np.clip(np.mean(np.square(y / mu - 1.0)), 0.01, 10.0))
