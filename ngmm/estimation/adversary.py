"""What an adversary is: which group it tells, what it reads, how much it counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real

from ngmm.errors import OptionError

LAYERS = ("all", "last")

# Strengths that "auto" tries.
STRENGTHS = (0.0, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class Adversary:
    """A classifier that tells the groups from a network's hidden units and output.

    The networks are trained against it: what they compute is to say as little as
    possible about which group a row is in, so that the fixed part of the model uses
    what holds in all groups, and the random effects what differs between them.

    Parameters
    ----------
    group
        The grouping factor; None for the only one in the formula.
    strength
        Weight of the classifier's cross-entropy against the log-likelihood of a row, 0
        for an ordinary fit. ``"auto"`` tries 0, 0.1, 0.3 and 1 and takes the one that
        gives groups left out the highest marginal log-likelihood.
    layers
        ``"all"`` hidden layers of the networks, or the ``"last"`` of each; their
        outputs in any case.
    given_response
        Whether the classifier is told the response. Then the networks unlearn what the
        response does not explain, and only that: where groups differ in their share of
        cases, what tells cases from the others tells groups as well. A response with
        more than ten values is told by its fifths.
    warm_up
        Share of the epochs over which the strength grows from zero.
    hidden
        Widths of the hidden layers of the classifier.

    Raises
    ------
    OptionError
        If an option is not what it should be.

    Notes
    -----
    The idea is that of Ganin et al. (2016, JMLR 17(59)) and of ARMED (Nguyen, Treacher
    and Montillo 2023, IEEE TPAMI 45, 8081-8093). Other than there, groups count the
    same however many rows they have, and the networks gain nothing from a classifier
    that does worse than guessing, so that the objective is bounded.

    References
    ----------
    Ganin et al. (2016), J. Mach. Learn. Res. 17(59); Nguyen, Treacher & Montillo
    (2023), IEEE TPAMI 45, 8081-8093.

    Examples
    --------
    >>> from ngmm import Adversary
    >>> Adversary(group="site", strength=0.3)
    Adversary(group='site', strength=0.3)
    """

    group: str | None = None
    strength: float | str = "auto"
    layers: str = field(default="all", repr=False)
    given_response: bool = field(default=True, repr=False)
    warm_up: float = field(default=0.3, repr=False)
    hidden: tuple[int, ...] = field(default=(32,), repr=False)

    def __post_init__(self) -> None:
        """Check the options."""
        if self.group is not None and not isinstance(self.group, str):
            raise OptionError(
                f"group must be the name of a grouping factor, got {self.group!r}"
            )
        if self.strength != "auto" and not _is_real(self.strength, 0.0):
            raise OptionError(
                f'strength must be "auto" or a number, 0 or more; got {self.strength!r}'
            )
        if self.layers not in LAYERS:
            raise OptionError(f'layers must be "all" or "last", got {self.layers!r}')
        if not isinstance(self.given_response, bool):
            raise OptionError(
                f"given_response must be True or False, got {self.given_response!r}"
            )
        if not _is_real(self.warm_up, 0.0, 1.0):
            raise OptionError(
                "warm_up must be the share of the epochs over which the strength "
                f"grows, from 0 to 1, got {self.warm_up!r}"
            )
        if not isinstance(self.hidden, tuple) or not all(map(_is_width, self.hidden)):
            raise OptionError(
                "hidden must be a tuple of positive whole numbers such as (32,), got "
                f"{self.hidden!r}"
            )

    @property
    def is_off(self) -> bool:
        """Whether the fit is an ordinary one.

        Examples
        --------
        >>> import ngmm
        >>> ngmm.Adversary(group="g", strength=0).is_off
        True
        """
        return self.strength == 0


def _is_real(value: object, low: float, high: float = float("inf")) -> bool:
    real = isinstance(value, Real) and not isinstance(value, bool)
    return real and low <= float(value) <= high and float(value) < float("inf")  # type: ignore[arg-type]


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
