"""What a response distribution is to the rest of the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from ngmm.errors import OptionError, did_you_mean
from ngmm.families.links import LINKS, POSITIVE_IDENTITY, Link

__all__ = ["Family", "choose_link", "inside"]


@dataclass(frozen=True, eq=False)
class Family:
    """A response distribution with its link.

    Families are compared by identity, so that they can be static arguments of a
    compiled function: `ngmm.families.get` returns one object for a name and link.

    Attributes
    ----------
    name
        Name in the registry.
    link
        Name of the link g in g(mu) = eta.
    links
        Links the family can have.
    has_residual
        Whether a residual variance sigma^2 is estimated, relative to which the random
        effects are measured (b = sigma Lambda u): the Gaussian family.
    transform
        The link as functions.
    dispersion
        Name of the dispersion parameter phi, ``"phi"`` or ``"size"``; None if there is
        none. (The Gaussian family takes phi = sigma^2 in its functions.)
    takes_trials
        Whether the response counts successes among trials.
    discrete
        Whether the response is a count.
    concave
        Whether the log-probability is known to be concave in eta.
    log_prob
        ``log_prob(y, eta, log_phi, weights, trials)``: log-probability of each response
        with all its constants, in JAX, float64. The arguments broadcast: for y of shape
        (n, 1) and eta of (n, K), what does not depend on eta is computed n times. At
        least four times differentiable in eta and twice in log phi, without NaN for
        abs(eta) <= 700; -inf, with derivatives zero, outside the link's interval.
    variance
        ``variance(mu, phi, trials)``: Var(y) of a row of weight one. For counts out of
        trials, mu is the probability of a success and y the number of them.
    unit_deviance
        ``unit_deviance(y, mu, phi, weights, trials)``: contributions to the deviance,
        the squares of the deviance residuals. Zero where mu fits y best.
    sample
        ``sample(generator, mu, phi, weights, trials)``: random responses, with a NumPy
        generator.
    cdf
        ``cdf(y, mu, phi, weights, trials)``: P(Y <= y).
    check
        ``check(y, trials, response_name, index)``: raises `DataError` if the response
        is outside the family's range. `index` holds the labels of the rows.
    start
        ``start(y, trials)``: a crude mean for each row, inside the range.
    start_phi
        ``start_phi(y, mu, trials)``: a crude dispersion; 1.0 where there is none.

    Notes
    -----
    Fitted values of counts out of trials are probabilities, as in lme4, so that the
    response residual is y / trials - mu.

    A row's weight w divides the dispersion of the gaussian, gamma and inverse Gaussian
    families (phi / w). In all others the row counts w times in the log-likelihood.

    Examples
    --------
    >>> import ngmm, numpy as np
    >>> family = ngmm.families.get("poisson")
    >>> family.name, family.link, family.links, family.dispersion
    ('poisson', 'log', ('log', 'identity', 'sqrt'), None)
    >>> family.variance(np.array([1.0, 4.0]), None).tolist()
    [1.0, 4.0]
    >>> family.transform.mean(np.array([0.0])).tolist()
    [1.0]
    """

    name: str
    link: str
    links: tuple[str, ...]
    has_residual: bool
    transform: Link
    dispersion: str | None
    takes_trials: bool
    discrete: bool
    concave: bool
    log_prob: Callable[..., Array]
    variance: Callable[..., Any]
    unit_deviance: Callable[..., Any]
    sample: Callable[..., Any]
    cdf: Callable[..., Any]
    check: Callable[..., None]
    start: Callable[..., Any]
    start_phi: Callable[..., float]

    def __repr__(self) -> str:
        """Return the name with the link, ``poisson(log)``."""
        return f"{self.name}({self.link})"


def choose_link(
    family: str, link: str, links: tuple[str, ...], *, positive: bool = False
) -> Link:
    """The link of a family by name.

    Parameters
    ----------
    family, link, links
        Names of the family, of the link and of the links that the family has.
    positive
        Whether the mean is positive, so that the identity link needs eta > 0.

    Raises
    ------
    OptionError
        If the family has no such link.
    """
    if link not in links:
        raise OptionError(
            f"family '{family}' has no link '{link}'"
            f"{did_you_mean(link, links) or '.'} Links: {', '.join(links)}"
        )
    return POSITIVE_IDENTITY if positive and link == "identity" else LINKS[link]


def inside(transform: Link, log_prob: Callable[..., Array]) -> Callable[..., Array]:
    """The log-probability, -inf with derivatives zero where eta is not valid.

    The function is not evaluated outside: a NaN there would reach the derivatives even
    through a `where` that selects the other value.
    """
    if transform.lower == -jnp.inf and transform.upper == jnp.inf:
        return log_prob

    def restricted(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Array:
        valid = (eta > transform.lower) & (eta < transform.upper)
        safe = jnp.where(valid, eta, 1.0)
        value = log_prob(y, safe, log_phi, weights, trials)
        return jnp.where(valid, value, -jnp.inf)

    return restricted
