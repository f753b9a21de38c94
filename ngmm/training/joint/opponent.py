"""The rows of a design as an adversary sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import OptionError, did_you_mean
from ngmm.estimation.adversary import Adversary
from ngmm.training.joint.adversary import Classifier
from ngmm.training.perceptron import balance

Vector = NDArray[np.float64]
Codes = NDArray[np.int32]

# A response with more values than this is told to the classifier by its fifths.
FEW_VALUES, PARTS = 10, 5


@dataclass(frozen=True, eq=False)
class Opponent:
    """Rows as an adversary sees them.

    Attributes
    ----------
    codes, stratum
        (n,) group and class of response of each row.
    balance
        (n,) weight of each row; their mean is one.
    classifier
        None for no adversary.
    warm_up
        Share of the epochs over which its strength grows.
    """

    codes: Codes
    stratum: Codes
    balance: Vector
    classifier: Classifier | None
    warm_up: float


@dataclass(frozen=True)
class Faced:
    """What networks were trained against, and how that ended.

    Attributes
    ----------
    strength
        Weight of the classifier's cross-entropy.
    n_groups
        Number of groups.
    accuracy
        Share of the rows whose group it tells in the end, groups counting the same; one
        over the number of groups is guessing.
    fresh
        The same of a classifier that learns from the finished networks, and is judged
        on rows that it did not learn from: networks can mislead the one they were
        trained against without hiding the groups.
    """

    strength: float
    n_groups: int
    accuracy: float
    fresh: float

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1.0 / self.n_groups


def no_opponent(n: int) -> Opponent:
    """What stands where there is no adversary."""
    zero = np.zeros(n, dtype=np.int32)
    return Opponent(zero, zero, np.ones(n), None, 1.0)


def opponent_of(design: Design, adversary: Adversary, strength: float) -> Opponent:
    """Rows, their groups and weights.

    Raises
    ------
    OptionError
        If the group is none of the model, or has so many levels that a classifier could
        learn nothing.
    """
    term = next(t for t in design.random if t.group == group_of(design, adversary))
    n = design.n_rows
    if term.n_levels > n / 2:
        raise OptionError(
            f"an adversary on '{term.group}': {term.n_levels} levels for {n} rows are "
            "too many to tell apart; use a coarser group"
        )
    codes = np.asarray(term.codes, dtype=np.int32)
    stratum = _strata(design) if adversary.given_response else np.zeros_like(codes)
    classifier = Classifier(
        n_groups=term.n_levels,
        n_strata=int(stratum.max()) + 1,
        strength=float(strength),
        last_only=adversary.layers == "last",
        hidden=adversary.hidden,
    )
    weights = balance(codes, stratum)
    return Opponent(codes, stratum, weights, classifier, adversary.warm_up)


def group_of(design: Design, adversary: Adversary) -> str:
    """The grouping factor that the adversary tells.

    Raises
    ------
    OptionError
        If it is not among those of the model, or not named where there are several.
    """
    names = list(dict.fromkeys(t.group for t in design.random))
    if adversary.group is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names)
    if adversary.group is None:
        raise OptionError(
            f"the model has several grouping factors ({listed}): say which one the "
            f'adversary is to tell, ngmm.Adversary(group="{names[0]}")'
        )
    if adversary.group not in names:
        raise OptionError(
            f"the adversary's group '{adversary.group}' is not a grouping factor of "
            f"the model{did_you_mean(adversary.group, names) or ';'} Grouping "
            f"factors: {listed}"
        )
    return adversary.group


def _strata(design: Design) -> Codes:
    """Class of response of each row: its values if they are few, else its fifths."""
    y = design.y if design.trials is None else design.y / design.trials
    values, codes = np.unique(y, return_inverse=True)
    if len(values) > FEW_VALUES:
        cuts = np.quantile(y, np.arange(1, PARTS) / PARTS)
        codes = np.searchsorted(cuts, y, side="right")
        codes = np.unique(codes, return_inverse=True)[1]
    return codes.astype(np.int32)
