"""How strong an adversary should be: what serves groups that were left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design import design_rows
from ngmm.errors import OptionError
from ngmm.estimation.adversary import STRENGTHS
from ngmm.model import Model
from ngmm.neural.held_out import loglik_elsewhere
from ngmm.progress import ProgressLine

# Parts into which the groups are dealt, each left out once.
FOLDS = 5


def choose_strength(
    base: Model,
    codes: NDArray[np.int32],
    fit: Callable[[Model, float], tuple[Any, Any]],
    seed: int,
    line: ProgressLine,
) -> float:
    """The strength whose fits give groups left out the highest log-likelihood.

    The marginal log-likelihood of a whole group counts, with its random effects
    integrated out: other than row by row, what only tells the level of a new group is
    worth little there, since the random intercept tells it too.

    Parameters
    ----------
    base
        The model without its networks.
    codes
        (n,) group of each row.
    fit
        Fits a model with a strength; gives estimate and networks.
    seed
        Deals the groups to folds.
    line
        Shows how far it is.

    Raises
    ------
    OptionError
        If there are fewer than three groups.
    """
    levels = np.unique(codes)
    if len(levels) < 3:
        raise OptionError(
            f'strength="auto" leaves groups out, and there are {len(levels)}: give '
            "ngmm.Adversary(strength=0.3) or another number"
        )
    n_folds = min(FOLDS, len(levels))
    fold = np.empty(int(levels.max()) + 1, dtype=int)
    shuffled = np.random.default_rng(seed).permutation(levels)
    fold[shuffled] = np.arange(len(levels)) % n_folds
    total, done = np.zeros(len(STRENGTHS)), 0
    for k in range(n_folds):
        held = fold[codes] == k
        train = design_rows(base.design, np.flatnonzero(~held))
        test = replace(base, design=design_rows(base.design, np.flatnonzero(held))[0])
        X = np.ascontiguousarray(base.design.X[held][:, train.kept])
        for i, strength in enumerate(STRENGTHS):
            estimate, networks = fit(replace(base, design=train.design), strength)
            total[i] += loglik_elsewhere(estimate, networks, test, X)
            done += 1
            line.update(done, n_folds * len(STRENGTHS), f"strength {strength:g}")
    return STRENGTHS[int(np.argmax(total))]
