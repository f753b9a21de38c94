"""Groups of rows that are independent of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.likelihood.arrangement import is_nested

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Independent groups of rows.

    Attributes
    ----------
    name
        The factor whose levels they are.
    codes
        (n,) group of each row, from 0 without gaps.
    """

    name: str
    codes: Ints

    @property
    def n(self) -> int:
        """Number of groups."""
        return int(self.codes.max()) + 1


def clusters(fit: MixedModelFit, name: str | None, purpose: str) -> Clusters:
    """The levels of a factor within which every random effect stays.

    Parameters
    ----------
    fit
        The fitted model.
    name
        A grouping factor of the model, or a column of its data; None for the outermost
        grouping factor.
    purpose
        What needs independent groups, for messages.

    Raises
    ------
    OptionError
        If there is no such factor, its levels are not independent, or there is only
        one.
    NotSupportedError
        If the random effects are crossed and no name is given.
    """
    factors = _factors(fit.design)
    if name is None:
        found = _outermost(factors, purpose)
    else:
        found = Clusters(name, _codes(fit, factors, name))
        for other, codes in factors.items():
            if not is_nested(codes, found.codes):
                raise OptionError(
                    f'the levels of "{name}" are not independent: some levels of '
                    f'"{other}", which have random effects, occur in several of them. '
                    f"{purpose} needs groups that share nothing"
                )
    if found.n < 2:
        raise OptionError(
            f'{purpose} needs several groups, and "{found.name}" has one level'
        )
    return found


def _factors(design: Design) -> dict[str, Ints]:
    terms = (*design.random, *design.latent)
    return {t.group: np.asarray(t.codes, dtype=np.int64) for t in terms}


def _outermost(factors: Mapping[str, Ints], purpose: str) -> Clusters:
    for name, codes in factors.items():
        if all(is_nested(inner, codes) for inner in factors.values()):
            return Clusters(name, _dense(codes))
    raise NotSupportedError(
        f"{purpose} needs independent groups, and the grouping factors "
        f"{', '.join(factors)} are crossed: every row shares an effect with others. "
        "Name a factor that contains them with cluster=, if the data have one"
    )


def _codes(fit: MixedModelFit, factors: Mapping[str, Ints], name: str) -> Ints:
    if name in factors:
        return _dense(factors[name])
    try:
        column = np.asarray(fit.call.data[name])[fit.design.rows]
    except (KeyError, IndexError, TypeError, ValueError):
        known = [*factors, *_columns(fit.call.data)]
        raise OptionError(
            f"cluster={name!r} is neither a grouping factor of the model nor a column "
            f"of its data{did_you_mean(name, known)}; grouping factors: "
            + ", ".join(factors)
        ) from None
    codes, _ = pd.factorize(column)
    if (codes < 0).any():
        raise OptionError(
            f'column "{name}" has missing values in {(codes < 0).sum()} rows: every '
            "row must belong to a group"
        )
    return codes.astype(np.int64)


def _columns(data: object) -> list[str]:
    names = getattr(data, "columns", None)
    if names is None:
        names = data if isinstance(data, Mapping) else []
    return [str(c) for c in names]


def _dense(codes: Ints) -> Ints:
    """Codes without gaps, in the same order."""
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)
