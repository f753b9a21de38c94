"""What a response distribution is to the rest of the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A response distribution with its link.

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
        effects are measured (b = sigma Lambda u).
    """

    name: str
    link: str
    links: tuple[str, ...]
    has_residual: bool
