"""The Bernoulli distribution: y is 1 with probability mu, else 0."""

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
from ngmm.families.family import Family, choose_link

__all__ = ["bernoulli"]

LINKS = ("logit", "probit", "cloglog")


def bernoulli(link: str = "logit") -> Family:
    r"""The Bernoulli family, for responses that are 0 or 1.

    .. math:: \log p(y \mid \mu) = y \log\mu + (1 - y) \log(1 - \mu)

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
    >>> from ngmm.families import bernoulli
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     float(bernoulli().log_prob(1.0, np.float64(0.0), None, 1.0, None))
    -0.6931471805599453
    """
    choose_link("bernoulli", link, LINKS)
    return _bernoulli(link)


@cache
def _bernoulli(link: str) -> Family:
    transform = choose_link("bernoulli", link, LINKS)
    log_mean, log_complement = transform.log_mean, transform.log_complement
    assert log_complement is not None

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del log_phi, trials
        if transform.symmetric:
            return weights * log_mean((2.0 * y - 1.0) * eta)
        return weights * jnp.where(y > 0.5, log_mean(eta), log_complement(eta))

    return Family(
        name="bernoulli",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion=None,
        takes_trials=False,
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
    del phi, trials
    return mu * (1.0 - mu)


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    del phi, trials
    return -2.0 * weights * np.where(np.asarray(y) > 0.5, np.log(mu), np.log1p(-mu))


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del phi, weights, trials
    return generator.binomial(1, mu).astype(np.float64)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    del phi, weights, trials
    y = np.asarray(y)
    return np.where(y < 0, 0.0, np.where(y < 1, 1.0 - mu, 1.0))


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    del trials
    wrong = (y != 0) & (y != 1)
    if not wrong.any():
        return
    if ((y >= 0) & (y <= 1)).all():
        remedy = (
            "If it is a proportion of successes, use "
            'family="binomial" with trials=, the number behind each proportion'
        )
    else:
        one = f"{np.max(y):g}"
        remedy = (
            f'Recode it: data["{response_name}"] = '
            f'(data["{response_name}"] == {one}).astype(int)'
        )
    raise DataError(
        f"response {response_name} is neither 0 nor 1 {_response.rows(wrong, index)}: "
        f"it has values {_response.values(y)}. {remedy}"
    )


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return (y + 0.5) / 2.0


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    del y, mu, trials
    return 1.0
