"""The normal distribution: y = eta + error, error ~ N(0, sigma^2 / weight)."""

from __future__ import annotations

from ngmm.families.family import Family


def gaussian() -> Family:
    """The Gaussian family, with the identity link.

    Examples
    --------
    >>> gaussian().name
    'gaussian'
    """
    return Family("gaussian", "identity", ("identity",), has_residual=True)
