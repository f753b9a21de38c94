"""The beta-binomial distribution: counts out of trials that vary more than binomial."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.errors import DataError
from ngmm.families import _response
from ngmm.families._saturated import best_probability
from ngmm.families._special import log_binomial, log_rising
from ngmm.families.family import Family, choose_link

__all__ = ["betabinomial"]

LINKS = ("logit", "probit", "cloglog")


def betabinomial(link: str = "logit") -> Family:
    r"""The beta-binomial family, for overdispersed counts of successes among n trials.

    .. math:: \log p(y \mid \mu, \phi) = \log\binom{n}{y}
              + \log\frac{\Gamma(a + y)}{\Gamma(a)}
              + \log\frac{\Gamma(b + n - y)}{\Gamma(b)}
              - \log\frac{\Gamma(\phi + n)}{\Gamma(\phi)},
              \quad a = \mu\phi,\; b = (1 - \mu)\phi

    with the variance :math:`n \mu (1 - \mu) (\phi + n) / (\phi + 1)`. As phi grows the
    distribution becomes the binomial.

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
    Skellam (1948), J. R. Stat. Soc. B 10, 257-261.

    Examples
    --------
    With mu = 1/2 and phi = 2 every count is as likely.

    >>> import numpy as np
    >>> from ngmm.families import betabinomial
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = betabinomial().log_prob(3.0, np.float64(0), np.log(2.0), 1.0, 9.0)
    ...     round(float(np.exp(value)), 12)
    0.1
    """
    choose_link("betabinomial", link, LINKS)
    return _betabinomial(link)


@cache
def _betabinomial(link: str) -> Family:
    transform = choose_link("betabinomial", link, LINKS)
    log_mean, log_complement = transform.log_mean, transform.log_complement
    assert log_complement is not None

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        n = 1.0 if trials is None else trials
        constant = log_binomial(n, y) - log_rising(n, log_phi)
        hits = _side(y, log_mean(eta), log_phi)
        misses = _side(n - y, log_complement(eta), log_phi)
        return weights * constant + weights * (hits + misses)

    return Family(
        name="betabinomial",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion="phi",
        takes_trials=True,
        discrete=True,
        concave=False,
        log_prob=log_prob,
        variance=_variance,
        unit_deviance=_unit_deviance,
        sample=_sample,
        cdf=_cdf,
        check=_check,
        start=_start,
        start_phi=_start_phi,
    )


def _side(count: Any, log_mu: Any, log_phi: Any) -> Any:
    """What the successes add to the binomial term, or the failures."""
    value = count * log_mu + log_rising(count, log_mu + log_phi)
    return jnp.where(count > 0, value, 0.0)


def _variance(mu: Any, phi: Any, trials: Any = None) -> Any:
    n = 1.0 if trials is None else trials
    return n * mu * (1.0 - mu) * (phi + n) / (phi + 1.0)


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    """Twice the log-likelihood ratio to the best probability, near y / n but not it."""
    from scipy.special import digamma, gammaln

    y, mu, phi, n = np.broadcast_arrays(y, mu, phi, 1.0 if trials is None else trials)

    def side(count: Any, a: Any) -> Any:
        return np.where(count > 0, gammaln(a + count) - gammaln(a), 0.0)

    def slope(count: Any, a: Any) -> Any:
        return np.where(count > 0, digamma(a + count) - digamma(a), 0.0)

    def score(p: Any, q: Any) -> Any:
        return slope(y, p * phi) - slope(n - y, q * phi)

    def log_likelihood(p: Any, q: Any) -> Any:
        return side(y, p * phi) + side(n - y, q * phi)

    best = log_likelihood(*best_probability(score, y.shape))
    return np.maximum(2.0 * weights * (best - log_likelihood(mu, 1.0 - mu)), 0.0)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del weights
    n = 1 if trials is None else np.asarray(trials, dtype=np.int64)
    chance = generator.beta(mu * phi, (1.0 - mu) * phi)
    return generator.binomial(n, chance).astype(np.float64)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.stats import betabinom

    del weights
    return betabinom.cdf(y, 1 if trials is None else trials, mu * phi, (1.0 - mu) * phi)


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    _response.check_successes("betabinomial", y, trials, response_name, index)
    if trials is None or np.all(np.asarray(trials) == 1):
        raise DataError(
            f"response {response_name} has one trial in every row: a beta-binomial of "
            "one trial is a bernoulli for any phi, so that phi cannot be estimated. "
            'Give the number of trials, or use family="bernoulli"'
        )


def _start(y: Any, trials: Any = None) -> Any:
    return (y + 0.5) / ((1.0 if trials is None else trials) + 1.0)


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    """The phi that gives the mean square of the residuals, within sane bounds."""
    n = 1.0 if trials is None else trials
    binary = n * mu * (1.0 - mu)
    # The variance is `binary` times 1 + (n - 1) rho, with rho = 1 / (1 + phi).
    excess = float(np.mean(np.square(y - n * mu) - binary))
    pairs = float(np.mean((n - 1.0) * binary))
    return float(np.clip(pairs / excess - 1.0, 0.5, 100.0)) if excess > 0 else 100.0
