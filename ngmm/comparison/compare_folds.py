"""Which rows are held out together, and in what units a difference is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.errors import OptionError, did_you_mean
from ngmm.results import MixedModelFit

Ints = NDArray[np.intp]


def folding_factor(fits: Sequence[MixedModelFit], by: str | None) -> RandomDesign:
    """The grouping factor whose levels are the groups.

    Raises
    ------
    OptionError
        If `by` is no factor of the fits, or it is for the caller to choose.
    """
    terms = {t.group: t for f in fits for t in f.design.random}
    if by is not None:
        if by in terms:
            return terms[by]
        raise OptionError(
            f'by="{by}" is not a grouping factor of the models'
            f"{did_you_mean(by, terms) or '.'} Grouping factors: {', '.join(terms)}"
        )
    for term in terms.values():
        if all(is_within(other.codes, term.codes) for other in terms.values()):
            return term
    names = ", ".join(f'"{name}"' for name in terms)
    raise OptionError(
        "no grouping factor contains all the others; say whose levels are the groups: "
        f"by= one of {names}"
    )


def is_within(inner: NDArray[Any], outer: NDArray[Any]) -> bool:
    """Whether all rows of a level of `inner` belong to one level of `outer`."""
    first = np.full(int(inner.max()) + 1, -1)
    first[inner] = outer
    return bool((first[inner] == outer).all())


def group_folds(codes: Ints, folds: int, generator: np.random.Generator) -> Ints:
    """Fold of each row: whole levels, dealt out at random.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([0, 0, 1, 1, 2, 3])
    >>> found = group_folds(codes, 2, np.random.default_rng(0))
    >>> bool(found[0] == found[1]), np.bincount(found[[0, 2, 4, 5]]).tolist()
    (True, [2, 2])
    """
    n_levels = int(codes.max()) + 1
    fold = np.empty(n_levels, dtype=np.intp)
    fold[generator.permutation(n_levels)] = np.arange(n_levels) % folds
    return fold[codes]


def row_folds(codes: Ints, folds: int, generator: np.random.Generator) -> Ints:
    """Fold of each row: the rows of every level spread evenly over the folds."""
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), dtype=np.intp)
    fold[order] = np.arange(len(codes)) % folds
    return fold
