"""How a user can ask for the random effects to be integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral as Whole
from numbers import Real
from typing import Any

from ngmm.errors import OptionError, did_you_mean

# Nodes of one integral, all dimensions together: beyond this a tensor grid is no
# longer the right tool, and arrays of one group alone can fill the memory.
MAX_NODES = 250_000
# Their table needs the eigenvalues of a matrix of this size.
MAX_HERMITE = 1_000
# Dimensions up to which tensor grids are worth their cost.
MAX_DIMENSIONS = 4

NAMES = ("auto", "laplace")


@dataclass(frozen=True)
class Auto:
    """The rule by structure, with as many nodes as the likelihood needs.

    Parameters
    ----------
    tolerance
        Error of the log-likelihood, in total, that is aimed at.
    """

    tolerance: float = 1e-4


@dataclass(frozen=True)
class AdaptiveQuadrature:
    """Gauss-Hermite nodes about the conditional mode of every level.

    The nodes of a level stand at its conditional mode, scaled by the curvature there
    (Liu & Pierce 1994; `nAGQ` of lme4). With one node this is Laplace's approximation.

    Parameters
    ----------
    n_nodes
        Nodes per dimension.

    Raises
    ------
    OptionError
        If n_nodes is not a positive whole number.

    References
    ----------
    Liu & Pierce (1994), Biometrika 81, 624-629; Pinheiro & Bates (1995), J. Comput.
    Graph. Stat. 4, 12-35.

    Examples
    --------
    >>> from ngmm import AdaptiveQuadrature
    >>> AdaptiveQuadrature(9)
    AdaptiveQuadrature(n_nodes=9)
    """

    n_nodes: int

    def __post_init__(self) -> None:
        """Check the number of nodes."""
        _check_nodes(self.n_nodes, least=1, most=MAX_HERMITE)


@dataclass(frozen=True)
class TruncatedQuadrature:
    """Equally spaced nodes within a radius, the same for every level.

    With u = b / sd standard normal, what lies beyond the radius c weighs at most
    2 Phi(-c) per dimension, so that the error falls at a Gaussian-tail rate in c until
    the spacing of the nodes limits it. Nothing is centred: the rule suits integrands
    with several peaks, and needs more nodes than an adaptive one for those with one.

    Parameters
    ----------
    radius
        Largest ``|u|``, in standard deviations of the random effect.
    n_nodes
        Nodes per dimension.

    Raises
    ------
    OptionError
        If radius is not positive, or n_nodes not a whole number from 3.

    References
    ----------
    Trefethen & Weideman (2014), SIAM Rev. 56, 385-458, theorem 5.1, for equally spaced
    nodes.

    Examples
    --------
    >>> from ngmm import TruncatedQuadrature
    >>> TruncatedQuadrature(radius=6, n_nodes=61)
    TruncatedQuadrature(radius=6, n_nodes=61)
    """

    radius: float = 6.0
    n_nodes: int = 61

    def __post_init__(self) -> None:
        """Check both numbers."""
        _check_nodes(self.n_nodes, least=3, most=MAX_NODES)
        if (
            isinstance(self.radius, bool)
            or not isinstance(self.radius, Real)
            or not 0 < self.radius <= 40
        ):
            raise OptionError(
                "radius must be a positive number of standard deviations, such as 6 "
                f"(at most 40); got {self.radius!r}"
            )


@dataclass(frozen=True)
class Laplace:
    """The normal approximation at the joint mode of all random effects.

    The only rule for crossed random effects; exact when the response is Gaussian.

    Notes
    -----
    Cost: one factorisation a step of the mode search, whatever the number of factors.
    It underestimates the variances of binary responses with few rows a level; the error
    is not known from one node.

    References
    ----------
    Pinheiro & Bates (1995), J. Comput. Graph. Stat. 4, 12-35; Tierney & Kadane (1986),
    J. Am. Stat. Assoc. 81, 82-86.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("cbpp")
    >>> terms = ngmm.parse("cbind(incidence, size - incidence) ~ period + (1 | herd)")
    >>> design, spec = ngmm.build_design(terms, data)
    >>> model = ngmm.Model(design, ngmm.families.binomial(), quad=ngmm.Laplace())
    >>> model.marginal.rule
    Laplace()
    """


Rule = Auto | AdaptiveQuadrature | TruncatedQuadrature | Laplace


def as_rule(quad: Any) -> Rule:
    """The rule that an argument ``quad=`` stands for.

    Parameters
    ----------
    quad
        ``"auto"``, ``"laplace"``, a number of adaptive nodes per dimension, or a rule.

    Raises
    ------
    OptionError
        If it stands for none.

    Examples
    --------
    >>> as_rule(25)
    AdaptiveQuadrature(n_nodes=25)
    """
    if isinstance(quad, Auto | AdaptiveQuadrature | TruncatedQuadrature | Laplace):
        return quad
    if isinstance(quad, Whole) and not isinstance(quad, bool):
        return AdaptiveQuadrature(int(quad)) if quad != 1 else Laplace()
    if isinstance(quad, str) and quad in NAMES:
        return Auto() if quad == "auto" else Laplace()
    if isinstance(quad, type) and issubclass(
        quad, Auto | AdaptiveQuadrature | TruncatedQuadrature | Laplace
    ):
        raise OptionError(f"quad is a class: call it, ngmm.{quad.__name__}(...)")
    hint = did_you_mean(quad, NAMES) if isinstance(quad, str) else ""
    asked = f"quad={quad!r}{hint} It" if hint else f"quad={quad!r}: it"
    raise OptionError(
        f"{asked} must be 'auto', 'laplace', a number of nodes per dimension such as "
        "25, ngmm.AdaptiveQuadrature(n_nodes), "
        "ngmm.TruncatedQuadrature(radius, n_nodes) or ngmm.Laplace()"
    )


def _check_nodes(n_nodes: object, least: int, most: int) -> None:
    whole = isinstance(n_nodes, Whole) and not isinstance(n_nodes, bool)
    if not whole or n_nodes < least:  # type: ignore[operator]
        raise OptionError(
            f"n_nodes must be a whole number from {least}, got {n_nodes!r}"
        )
    if n_nodes > most:  # type: ignore[operator]
        raise OptionError(
            f"n_nodes={n_nodes} is beyond the limit of {most:,} nodes a dimension; 15 "
            "to 101 are usual"
        )
