"""What is trained, what is known, and the rows, as the compiled functions take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ngmm.families import Family
from ngmm.linalg import Values
from ngmm.networks import Inputs, Network
from ngmm.training.joint.adversary import Classifier


class Effects(NamedTuple):
    """Normal distributions of the random effects of a term: (levels, k) each."""

    mean: Values
    log_sd: Values


class Weights(NamedTuple):
    """All that is trained.

    Attributes
    ----------
    networks
        Weights of each network.
    beta
        (p,) coefficients of the orthonormal fixed-effect columns, in units of s.
    effects
        Of each random-effects term.
    xi, xi_population
        Log-dispersion with the random effects, and without them.
    adversary
        Weights of the classifier; empty without one.
    """

    networks: tuple[Any, ...]
    beta: Values
    effects: tuple[Effects, ...]
    xi: Values
    xi_population: Values
    adversary: tuple[Any, ...] = ()


class Slopes(NamedTuple):
    """Centre and spread of the units of a network that have slopes, (width,) each."""

    centre: Values
    spread: Values


class Known(NamedTuple):
    """What an epoch holds fixed.

    Attributes
    ----------
    precision
        (k, k) inverse of the covariance of each term's random effects.
    log_det
        Log-determinant of that covariance.
    slopes
        For each network that has random slopes, the scaling of its units.
    warmth
        Between 0 and 1, how much of the adversary's strength there is by now.
    told
        Named numbers for the history.
    """

    precision: tuple[Values, ...]
    log_det: tuple[Values, ...]
    slopes: tuple[Slopes | None, ...]
    warmth: Values
    told: dict[str, Values]


class Data(NamedTuple):
    """The rows; the first axis of every array but the last is that of the rows."""

    inputs: tuple[Inputs, ...]
    y: Values
    offset: Values
    weights: Values
    trials: Values
    X: Values
    Z: tuple[Values, ...]
    codes: tuple[Values, ...]
    # Codes of the adversary's group, its rows' weights, and their class of response.
    group: Values
    balance: Values
    stratum: Values
    scale: Values


class Batch(NamedTuple):
    """Rows of one step, and the raw random key of what is drawn for it."""

    rows: Values
    key: Values


@dataclass(frozen=True)
class Static:
    """What is compiled for.

    Attributes
    ----------
    family
        Response distribution.
    networks
        The networks.
    slopes
        For each random-effects term the network of its slopes, or None.
    population
        Weight of the likelihood without random effects.
    adversary
        The classifier, or None.
    """

    family: Family
    networks: tuple[Network, ...]
    slopes: tuple[int | None, ...]
    population: float
    adversary: Classifier | None = None
