"""Link functions: g(mu) = eta, and what is needed of their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ngmm.families import _special

__all__ = ["LINKS", "POSITIVE_IDENTITY", "Link"]

Elementwise = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Link:
    """A link function and its inverse, elementwise.

    Attributes
    ----------
    name
        Name in `LINKS`.
    mean
        mu as a function of eta. NumPy in, NumPy out; JAX in (traced too), JAX out.
    link
        eta as a function of mu, likewise.
    log_mean
        log mu as a function of eta (JAX, float64), with exact derivatives in the tails.
    log_complement
        log(1 - mu) as a function of eta, for links of probabilities; None otherwise.
    lower, upper
        The open interval of valid eta.
    symmetric
        Whether 1 - mu(eta) = mu(-eta).

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.families import LINKS
    >>> link = LINKS["logit"]
    >>> float(link.mean(np.float64(0.0))), float(link.link(np.float64(0.5)))
    (0.5, 0.0)
    """

    name: str
    mean: Elementwise
    link: Elementwise
    log_mean: Elementwise
    log_complement: Elementwise | None = None
    lower: float = -math.inf
    upper: float = math.inf
    symmetric: bool = False


def _either(numpy: Elementwise, traced: Elementwise) -> Elementwise:
    """A function that stays in NumPy unless it is given a JAX array."""

    def function(x: Any) -> Any:
        if isinstance(x, jax.Array):
            return traced(x)
        return numpy(np.asarray(x, dtype=np.float64))

    return function


# These are imported when a link is first used, which keeps `import ngmm` light.


def _expit(eta: Any) -> Any:
    from scipy.special import expit

    return expit(eta)


def _ndtr(eta: Any) -> Any:
    from scipy.special import ndtr

    return ndtr(eta)


def _ndtri(mu: Any) -> Any:
    from scipy.special import ndtri

    return ndtri(mu)


def _traced_ndtri(mu: Any) -> Any:
    from jax.scipy.special import ndtri

    return ndtri(mu)


def _log_ndtr(eta: Any) -> Any:
    return _special.log_normal_tails(eta)[0]


LOGIT = Link(
    "logit",
    mean=_either(_expit, _special.sigmoid),
    link=_either(
        lambda mu: np.log(mu) - np.log1p(-mu), lambda mu: jnp.log(mu) - jnp.log1p(-mu)
    ),
    log_mean=lambda eta: -_special.softplus(-eta),
    log_complement=lambda eta: -_special.softplus(eta),
    symmetric=True,
)

PROBIT = Link(
    "probit",
    mean=_either(_ndtr, lambda eta: jnp.exp(_log_ndtr(eta))),
    link=_either(_ndtri, _traced_ndtri),
    log_mean=_log_ndtr,
    log_complement=lambda eta: _special.log_normal_tails(eta)[1],
    symmetric=True,
)

CLOGLOG = Link(
    "cloglog",
    mean=_either(
        lambda eta: -np.expm1(-np.exp(eta)),
        lambda eta: jnp.exp(_special.log_one_minus_exp_minus_exp(eta)),
    ),
    link=_either(
        lambda mu: np.log(-np.log1p(-mu)), lambda mu: jnp.log(-jnp.log1p(-mu))
    ),
    log_mean=_special.log_one_minus_exp_minus_exp,
    log_complement=lambda eta: -jnp.exp(eta),
)

LOG = Link(
    "log",
    mean=_either(np.exp, jnp.exp),
    link=_either(np.log, jnp.log),
    log_mean=lambda eta: eta,
)

IDENTITY = Link(
    "identity",
    mean=lambda eta: eta,
    link=lambda mu: mu,
    log_mean=jnp.log,
)

# For responses whose mean is positive.
POSITIVE_IDENTITY = replace(IDENTITY, lower=0.0)

INVERSE = Link(
    "inverse",
    mean=lambda eta: 1.0 / eta,
    link=lambda mu: 1.0 / mu,
    log_mean=lambda eta: -jnp.log(eta),
    lower=0.0,
)

SQRT = Link(
    "sqrt",
    mean=lambda eta: eta * eta,
    link=_either(np.sqrt, jnp.sqrt),
    log_mean=lambda eta: 2.0 * jnp.log(eta),
    lower=0.0,
)

LINKS = {
    link.name: link for link in (LOGIT, PROBIT, CLOGLOG, LOG, IDENTITY, INVERSE, SQRT)
}
