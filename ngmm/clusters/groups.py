"""The grouping factors of a fit, and levels of them that are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import LatentDesign, RandomDesign
from ngmm.diagnostics.checks import check_fit
from ngmm.errors import OptionError, did_you_mean
from ngmm.results import MixedModelFit

Codes = NDArray[np.int32]


def one_group(fit: MixedModelFit, group: object, what: str) -> str:
    """The grouping factor asked for, the only one if none is.

    Raises
    ------
    OptionError
        If there is no such factor, or several and none was named.
    """
    groups = list(check_fit(fit, what).spec.groups)
    if group is None:
        if len(groups) > 1:
            shown = " or ".join(f'group="{g}"' for g in groups)
            raise OptionError(
                f"{what}: the model has several grouping factors; say {shown}"
            )
        return groups[0]
    if group not in groups:
        raise OptionError(
            f"{what}: {group!r} is not a grouping factor of the model"
            f"{did_you_mean(group, groups) or '.'} "
            f"Grouping factors: {', '.join(groups)}"
        )
    return str(group)


def term_of(fit: MixedModelFit, group: str) -> RandomDesign | LatentDesign:
    """A random term of a grouping factor, for its levels and codes."""
    terms = (*fit.model.design.random, *fit.model.design.latent)
    return next(term for term in terms if term.group == group)


def level_means(codes: Codes, n_levels: int, values: NDArray[Any]) -> NDArray[Any]:
    """Means of (n,) or (n, k) values over the rows of each level.

    Examples
    --------
    >>> level_means(np.array([0, 1, 1]), 2, np.array([3.0, 1.0, 2.0])).tolist()
    [3.0, 1.5]
    """
    totals = np.zeros((n_levels, *values.shape[1:]))
    np.add.at(totals, codes, values)
    size = np.bincount(codes, minlength=n_levels).astype(np.float64)
    return totals / size.reshape(-1, *[1] * (values.ndim - 1))


def chosen_levels(
    known: pd.Index, levels: Any, group: str, default: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Positions of the levels asked for; `default` if none are.

    Raises
    ------
    OptionError
        If one is not a level of the grouping factor.
    """
    if levels is None:
        return default
    asked = [levels] if isinstance(levels, str) or np.ndim(levels) == 0 else levels
    labels = list(known)
    out = []
    for level in dict.fromkeys(asked):
        if level not in labels:
            shown = ", ".join(map(str, labels[:10])) + ", ..." * (len(labels) > 10)
            raise OptionError(
                f'{level!r} is not a level of "{group}"'
                f"{did_you_mean(level, labels) or '.'} Levels: {shown}"
            )
        out.append(labels.index(level))
    if not out:
        raise OptionError("levels= is empty; leave it out for a choice of levels")
    return np.asarray(out, dtype=np.intp)
