"""The binomial distribution: y successes among a known number of trials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.families import _response
from ngmm.families._special import log_binomial
from ngmm.families.family import Family, choose_link

__all__ = ["binomial"]

LINKS = ("logit", "probit", "cloglog")


def binomial(link: str = "logit") -> Family:
    r"""The binomial family, for counts of successes among a known number of trials n.

    .. math:: \log p(y \mid \mu) = \log\binom{n}{y} + y \log\mu + (n - y) \log(1 - \mu)

    The mean mu is the probability of a success. Without trials, n = 1.

    Parameters
    ----------
    link
        ``"logit"``, ``"probit"`` or ``"cloglog"``.

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
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 4.

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.families import binomial
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = binomial().log_prob(1.0, np.float64(0.0), None, 1.0, 2.0)
    ...     round(float(np.exp(value)), 12)
    0.5
    """
    choose_link("binomial", link, LINKS)
    return _binomial(link)


@cache
def _binomial(link: str) -> Family:
    transform = choose_link("binomial", link, LINKS)
    log_mean, log_complement = transform.log_mean, transform.log_complement
    assert log_complement is not None

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del log_phi
        n = 1.0 if trials is None else trials
        # Zero times -inf, which a logarithm beyond the range of float64 would be.
        hits = jnp.where(y > 0, y * log_mean(eta), 0.0)
        misses = jnp.where(y < n, (n - y) * log_complement(eta), 0.0)
        return weights * log_binomial(n, y) + weights * (hits + misses)

    return Family(
        name="binomial",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion=None,
        takes_trials=True,
        discrete=True,
        concave=True,
        log_prob=log_prob,
        variance=_variance,
        unit_deviance=_unit_deviance,
        sample=_sample,
        cdf=_cdf,
        check=_check,
        start=_start,
        start_phi=_start_phi,
    )


def _variance(mu: Any, phi: Any = None, trials: Any = None) -> Any:
    del phi
    return (1.0 if trials is None else trials) * mu * (1.0 - mu)


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.special import xlogy

    del phi
    n = 1.0 if trials is None else trials
    hits = xlogy(y, y / (n * mu))
    misses = xlogy(n - y, (n - y) / (n * (1.0 - mu)))
    return np.maximum(2.0 * weights * (hits + misses), 0.0)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del phi, weights
    n = 1 if trials is None else np.asarray(trials, dtype=np.int64)
    return generator.binomial(n, mu).astype(np.float64)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.stats import binom

    del phi, weights
    return binom.cdf(y, 1 if trials is None else trials, mu)


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    _response.check_successes("binomial", y, trials, response_name, index)


def _start(y: Any, trials: Any = None) -> Any:
    return (y + 0.5) / ((1.0 if trials is None else trials) + 1.0)


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    del y, mu, trials
    return 1.0
