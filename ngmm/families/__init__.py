"""Response distributions: a file each, and the registry that names them."""

from __future__ import annotations

import copyreg

from ngmm.errors import OptionError, did_you_mean
from ngmm.families._foreign import native_name
from ngmm.families.bernoulli import bernoulli
from ngmm.families.beta import beta
from ngmm.families.betabinomial import betabinomial
from ngmm.families.binomial import binomial
from ngmm.families.family import Family
from ngmm.families.gamma import gamma
from ngmm.families.gaussian import gaussian
from ngmm.families.inverse_gaussian import inverse_gaussian
from ngmm.families.links import LINKS, Link
from ngmm.families.negative_binomial import negative_binomial
from ngmm.families.poisson import poisson

__all__ = [
    "LINKS",
    "REGISTRY",
    "Family",
    "Link",
    "bernoulli",
    "beta",
    "betabinomial",
    "binomial",
    "gamma",
    "gaussian",
    "get",
    "inverse_gaussian",
    "negative_binomial",
    "poisson",
]

REGISTRY = {
    "gaussian": gaussian,
    "bernoulli": bernoulli,
    "binomial": binomial,
    "poisson": poisson,
    "negative_binomial": negative_binomial,
    "gamma": gamma,
    "inverse_gaussian": inverse_gaussian,
    "beta": beta,
    "betabinomial": betabinomial,
}


def get(family: str | Family, link: str | None = None) -> Family:
    """The family of a name, with its default link or another one.

    Parameters
    ----------
    family
        A name such as ``"poisson"``, or a `Family`, which is returned as it is.
    link
        Name of the link; None for the family's own.

    Returns
    -------
    Family
        The same object whenever the name and the link are the same.

    Raises
    ------
    OptionError
        If there is no such family, it has no such link, or a family given as an object
        has another link.

    Examples
    --------
    >>> from ngmm.families import gamma, get
    >>> get("poisson"), get("binomial", "probit")
    (poisson(log), binomial(probit))
    >>> get("gamma", "inverse") is gamma("inverse")
    True
    """
    if isinstance(family, Family):
        if link not in (None, family.link):
            raise OptionError(
                f"family {family!r} has its link already, and link='{link}' is another "
                f"one: give it once, families.{family.name}('{link}')"
            )
        return family
    if not isinstance(family, str):
        name = getattr(family, "__name__", None)
        hint = (
            f"; call it, families.{name}()"
            if name in REGISTRY and family is REGISTRY[name]
            else ""
        )
        raise OptionError(
            "family must be a name such as 'gaussian' or an object from ngmm.families; "
            f"got {family!r}{hint}"
        )
    if family in REGISTRY:
        return REGISTRY[family]() if link is None else REGISTRY[family](link)
    foreign = native_name(family)
    if foreign:
        raise OptionError(f"there is no family '{family}'. {foreign}")
    raise OptionError(
        f"there is no family '{family}'{did_you_mean(family, REGISTRY) or '.'} "
        f"Families: {', '.join(REGISTRY)}"
    )


# A family holds functions made for its link, which cannot be pickled; its name can.
copyreg.pickle(Family, lambda family: (get, (family.name, family.link)))
