"""Averages of a network and its derivatives over rows whose inputs are changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.effects.rows import Rows
from ngmm.effects.terms import Term

Matrix = NDArray[np.float64]

# Rows over which an effect is averaged at least where there are so many weights that
# their derivatives at all points would not fit into this many numbers.
LEAST_ROWS, MOST_NUMBERS = 50, 20_000_000
# Residual of a constant regressed on columns that span it: rounding.
SPANNED = 1e-8


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages over the rows, at each point and for each member.

    Attributes
    ----------
    values
        (members, points) of the network.
    slopes
        For each member, (points, weights) of its derivatives; None without covariance.
    """

    values: Matrix
    slopes: list[Matrix] | None


def averages(
    term: Term,
    rows: Rows,
    at_points: Mapping[str, NDArray[Any]],
    held: Mapping[str, NDArray[Any]],
) -> Averages:
    """Averages of a term over the rows where some of its inputs are changed.

    Parameters
    ----------
    term
        The term.
    rows
        Rows of the data.
    at_points
        Column -> its value at each point.
    held
        Column -> its one value at all points.
    """
    networks = term.networks
    n_points = len(next(iter(at_points.values())))
    free = set(term.network_spec.variables) - set(at_points) - set(held)
    n = _affordable(term, n_points, rows.n_rows) if free else 1
    # Rows of the data as they are come last: their mean is subtracted.
    taken = np.concatenate([np.tile(np.arange(n), n_points), np.arange(n)])
    changed = {name: np.repeat(v, n) for name, v in at_points.items()}
    changed |= {name: np.repeat(v, n * n_points) for name, v in held.items()}
    as_they_are = {name: np.asarray(rows.columns[name])[:n] for name in changed}
    whole = {name: np.append(v, as_they_are[name]) for name, v in changed.items()}
    inputs, X = rows.read(whole, taken)
    # A network without other inputs needs no average, and has mean zero already.
    relative = bool(free) and _is_centred(term)

    def average(values: NDArray[Any]) -> NDArray[Any]:
        by_point = values.reshape(n_points + 1, n, *values.shape[1:]).mean(1)
        return by_point[:-1] - by_point[-1] if relative else by_point[:-1]

    f = networks.member_outputs(inputs, X)[:, :, term.position]
    values = np.stack([average(own) for own in f])
    if not networks.has_covariance:
        return Averages(values, None)
    slopes = [
        average(networks.jacobian(member, inputs, X)[:, term.weights])
        for member in networks.members
    ]
    return Averages(values, slopes)


def _affordable(term: Term, n_points: int, n_rows: int) -> int:
    """Rows to average over: fewer if there are many points and weights."""
    if not term.networks.has_covariance:
        return n_rows
    n = MOST_NUMBERS // ((n_points + 1) * term.stack.n_weights)
    return min(n_rows, max(n, LEAST_ROWS))


def _is_centred(term: Term) -> bool:
    basis = term.design.basis(term.networks.X)
    if not basis.shape[1]:
        return False
    ones = np.ones(len(basis))
    left = ones - basis @ np.linalg.lstsq(basis, ones, rcond=None)[0]
    return bool(np.abs(left).max() < SPANNED)
