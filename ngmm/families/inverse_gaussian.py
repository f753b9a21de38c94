"""The inverse Gaussian distribution: positive, with a heavy right tail."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.families import _response
from ngmm.families._special import HALF_LOG_2PI
from ngmm.families.family import Family, choose_link, inside

__all__ = ["inverse_gaussian"]

LINKS = ("log", "inverse", "identity")


def inverse_gaussian(link: str = "log") -> Family:
    r"""The inverse Gaussian family, for positive responses with a heavy right tail.

    .. math:: \log p(y \mid \mu, \phi) = -\tfrac12 \log(2 \pi \phi y^3 / w)
              - \frac{w (y - \mu)^2}{2 \phi \mu^2 y}

    for a row of weight w, with the variance :math:`\phi \mu^3 / w`.

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
    Tweedie (1957), Ann. Math. Statist. 28, 362-377.

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.families import inverse_gaussian
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = inverse_gaussian().log_prob(1.0, np.float64(0.0), 0.0, 1.0, None)
    ...     round(float(value), 12)
    -0.918938533205
    """
    choose_link("inverse_gaussian", link, LINKS)
    return _inverse_gaussian(link)


@cache
def _inverse_gaussian(link: str) -> Family:
    transform = choose_link("inverse_gaussian", link, LINKS, positive=True)

    def reciprocal(eta: Any) -> Any:
        if link == "inverse":
            return eta
        if link == "identity":
            return 1.0 / eta
        # Its square would overflow beyond; the log-probability is below -1e300 there.
        return jnp.exp(-jnp.where(eta < -350.0, -350.0, eta))

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del trials
        log_scale = jnp.log(weights) - log_phi
        relative = y * reciprocal(eta) - 1.0
        half_precision = 0.5 * jnp.exp(log_scale) / y
        constant = 0.5 * (log_scale - 3.0 * jnp.log(y)) - HALF_LOG_2PI
        return constant - half_precision * (relative * relative)

    return Family(
        name="inverse_gaussian",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion="phi",
        takes_trials=False,
        discrete=False,
        concave=link == "inverse",
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
    return phi * mu**3


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    del phi, trials
    return weights * np.square(y / mu - 1.0) / y


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del trials
    return generator.wald(mu, np.broadcast_to(weights / phi, np.shape(mu)))


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.stats import invgauss

    del trials
    scale = weights / phi
    return invgauss.cdf(y, mu / scale, scale=scale)


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    del trials
    _response.check_positive("inverse_gaussian", y, response_name, index)


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return y


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    """The mean unit deviance, within sane bounds."""
    del trials
    return float(np.clip(np.mean(np.square(y / mu - 1.0) / y), 1e-6, 1e6))
