"""The Poisson distribution: counts whose variance equals their mean."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.families import _response
from ngmm.families._special import log_gamma1p
from ngmm.families.family import Family, choose_link, inside

__all__ = ["poisson"]

LINKS = ("log", "identity", "sqrt")


def poisson(link: str = "log") -> Family:
    r"""The Poisson family, for counts.

    .. math:: \log p(y \mid \mu) = y \log\mu - \mu - \log y!

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
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.families import poisson
    >>> from ngmm.linalg import precise
    >>> with precise():
    ...     value = poisson().log_prob(0.0, np.float64(0.0), None, 1.0, None)
    ...     round(float(value), 12)
    -1.0
    """
    choose_link("poisson", link, LINKS)
    return _poisson(link)


@cache
def _poisson(link: str) -> Family:
    transform = choose_link("poisson", link, LINKS, positive=True)

    def log_prob(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        del log_phi, trials
        varying = y * transform.log_mean(eta) - transform.mean(eta)
        return weights * varying - weights * log_gamma1p(y)

    return Family(
        name="poisson",
        link=link,
        links=LINKS,
        has_residual=False,
        transform=transform,
        dispersion=None,
        takes_trials=False,
        discrete=True,
        concave=True,
        log_prob=inside(transform, log_prob),
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
    return mu


def _unit_deviance(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.special import xlogy

    del phi, trials
    return np.maximum(2.0 * weights * (xlogy(y, y / mu) - (y - mu)), 0.0)


def _sample(
    generator: np.random.Generator, mu: Any, phi: Any, weights: Any, trials: Any
) -> NDArray[np.float64]:
    del phi, weights, trials
    return generator.poisson(mu).astype(np.float64)


def _cdf(y: Any, mu: Any, phi: Any, weights: Any, trials: Any) -> Any:
    from scipy.stats import poisson as distribution

    del phi, weights, trials
    return distribution.cdf(y, mu)


def _check(
    y: NDArray[np.float64], trials: Any, response_name: str, index: Sequence[Any]
) -> None:
    del trials
    _response.check_counts("poisson", y, response_name, index)


def _start(y: Any, trials: Any = None) -> Any:
    del trials
    return y + 0.1


def _start_phi(y: Any, mu: Any, trials: Any = None) -> float:
    del y, mu, trials
    return 1.0
