"""Response distributions: a file each, and the registry that names them."""

from __future__ import annotations

from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.families.family import Family
from ngmm.families.gaussian import gaussian

__all__ = ["Family", "gaussian", "get"]

REGISTRY = {"gaussian": gaussian}

# Named by the contract, not yet fitted: asking for one is not a typing error.
PLANNED = (
    "bernoulli",
    "binomial",
    "poisson",
    "negative_binomial",
    "gamma",
    "inverse_gaussian",
    "beta",
    "betabinomial",
)


def get(family: str | Family, link: str | None = None) -> Family:
    """The family of a name, with its default link or another one.

    Parameters
    ----------
    family
        A name such as ``"gaussian"``, or a `Family`, which is returned as it is.
    link
        Name of the link; None for the family's own.

    Raises
    ------
    OptionError
        If there is no such family, or it has no such link.
    NotSupportedError
        If the family is planned for a later version.

    Examples
    --------
    >>> get("gaussian").link
    'identity'
    """
    if isinstance(family, Family):
        chosen = family
    elif not isinstance(family, str):
        raise OptionError(
            "family must be a name such as 'gaussian' or an object from ngmm.families; "
            f"got {family!r}"
        )
    elif family in REGISTRY:
        chosen = REGISTRY[family]()
    elif family in PLANNED:
        raise NotSupportedError(
            f"family '{family}' is not fitted yet: this version of ngmm has the "
            "gaussian family only"
        )
    else:
        raise OptionError(
            f"there is no family '{family}'"
            f"{did_you_mean(family, [*REGISTRY, *PLANNED]) or '.'} "
            f"Families: {', '.join(REGISTRY)}"
        )
    if link is not None and link not in chosen.links:
        raise OptionError(
            f"family '{chosen.name}' has no link '{link}'"
            f"{did_you_mean(link, chosen.links) or '.'} "
            f"Links: {', '.join(chosen.links)}"
        )
    return chosen
