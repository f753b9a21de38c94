"""The beta distribution: shares strictly between 0 and 1."""

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
from ngmm.families._special import HALF_LOG_2PI, UNDERFLOW, softplus, stirling_rest
from ngmm.families.family import Family, choose_link

__all__ = ["beta"]

LINKS = ("logit", "probit", "cloglog")


def beta(link: str = "logit") -> Family:
    r"""The beta family, for shares strictly between 0 and 1.

    .. math:: \log p(y \mid \mu, \phi) = \log\frac{\Gamma(\phi)}{\Gamma(a) \Gamma(b)}
              + (a - 1) \log y + (b - 1) \log(1 - y),
              \quad a = \mu\phi,\; b = (1 - \mu)\phi

    with the variance :math:`\mu (1 - \mu) / (1 + \phi)`: phi is a precision.

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
    Ferrari & Cribari-Neto (2004), J. Appl. Stat. 31, 799-815, equation 4.

    Examples
    --------
    With mu = 1/2 and phi = 2 it is the uniform distribution.

    >>> import numpy as np
    >>> from ngmm.families import beta
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = beta().log_prob(0.3, np.float64(0.0), np.log(2.0), 1.0, None)
    ...     abs(float(value)) < 1e-15
    True
    """
    choose_link("beta", link, LINKS)
    return _beta(link)


@cache
def _beta(link: str) -> Family:
    transform = choose_link("beta", link, LINKS)
    log_mean, log_complement = transform.log_mean, transform.log_complement
    assert log_complement is not None

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del trials
        log_y, log_other = jnp.log(y), jnp.log1p(-y)
        phi = jnp.exp(log_phi)
        spread = softplus(-log_phi)
        constant = (
            0.5 * jnp.log1p(phi)
            + stirling_rest(0, phi)
            - log_phi
            + (1.0 - HALF_LOG_2PI - log_y - log_other)
        )
        varying = _side(log_y + spread, log_mean(eta), log_phi) + _side(
            log_other + spread, log_complement(eta), log_phi
        )
        return weights * constant + weights * varying

    return Family(
        name="beta",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion="phi",
        takes_trials=False,
        discrete=False,
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


def _side(log_share: Any, log_mu: Any, log_phi: Any) -> Any:
    """What one of the two parameters a = mu phi adds, by Stirling's formula.

    The logarithms of Gamma(phi), Gamma(a) and Gamma(b) are of the size phi log phi, and
    what is left of them is not: a log(y / mu) is formed first.
    """
    log_a = log_mu + log_phi
    far = log_a < UNDERFLOW
    near = jnp.where(far, UNDERFLOW, log_a)
    a = jnp.exp(near)
    power = a * (log_share - jnp.where(far, 0.0, log_mu) - softplus(-near))
    return power + (log_a - 0.5 * jnp.log1p(a) - stirling_rest(0, a))


def _variance(mu: Any, phi: Any, trials: Any = None) -> Any:
    del trials
    return mu * (1.0 - mu) / (1.0 + phi)


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    """Twice the log-likelihood ratio to the best mean, which is near y but not y."""
    from scipy.special import digamma, gammaln

    del trials
    y, mu, phi = np.broadcast_arrays(y, mu, phi)
    log_odds = np.log(y) - np.log1p(-y)

    def log_likelihood(p: Any, q: Any) -> Any:
        return p * phi * log_odds - gammaln(p * phi) - gammaln(q * phi)

    def score(p: Any, q: Any) -> Any:
        return log_odds - digamma(p * phi) + digamma(q * phi)

    best = log_likelihood(*best_probability(score, y.shape))
    return np.maximum(2.0 * weights * (best - log_likelihood(mu, 1.0 - mu)), 0.0)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del weights, trials
    y = generator.beta(mu * phi, (1.0 - mu) * phi)
    # A draw that rounds to 0 or 1 becomes the nearest number inside.
    return np.clip(y, np.finfo(float).tiny, 1.0 - np.finfo(float).epsneg)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.special import betainc

    del weights, trials
    return betainc(mu * phi, (1.0 - mu) * phi, np.clip(y, 0.0, 1.0))


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    del trials
    outside = (y < 0) | (y > 1)
    if outside.any():
        raise DataError(
            f"response {response_name} is outside 0 to 1 "
            f"{_response.rows(outside, index)}; family beta needs shares strictly "
            "between 0 and 1: divide by the total (by 100 for percentages)"
        )
    boundary = (y == 0) | (y == 1)
    if boundary.any():
        raise DataError(
            f"response {response_name} is 0 or 1 {_response.rows(boundary, index)}; "
            "family beta needs shares strictly between 0 and 1, as its density is zero "
            "or infinite at the ends. For a share of a whole number use "
            'family="betabinomial" with trials=; if 0 and 1 come from rounding, '
            f"squeeze the response: (y * (n - 1) + 0.5) / n with n = {len(y)}; "
            "otherwise model these rows separately"
        )


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return y


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    """The precision that gives the mean square of the residuals, within sane bounds."""
    del trials
    square = float(np.mean(np.square(y - mu)))
    binary = float(np.mean(mu * (1.0 - mu)))
    return float(np.clip(binary / square - 1.0, 0.5, 100.0)) if square > 0 else 100.0
