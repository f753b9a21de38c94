"""A model on part of its groups: the same columns, the rows of some levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ngmm.design import check_identifiable, design_rows
from ngmm.design.checks import check_events
from ngmm.errors import NgmmError, NotSupportedError, OptionError
from ngmm.estimation.status import Status
from ngmm.likelihood.arrangement import is_nested
from ngmm.model import Model
from ngmm.neural.fitting import NeuralFit
from ngmm.neural.held_out import loglik_elsewhere
from ngmm.results import MixedModelFit

Vector = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Half:
    """A model on some of its rows.

    Attributes
    ----------
    model
        The model on these rows.
    kept
        Columns of X that are independent there; those of a level without rows are not.
    """

    model: Model
    kept: NDArray[np.intp]


def independent_groups(
    m0: MixedModelFit, m1: MixedModelFit
) -> tuple[str, NDArray[np.int32]]:
    """The factor whose levels are independent in both models, and the level of rows.

    Raises
    ------
    NotSupportedError
        If there is none, as with crossed factors, or a model has latent inputs.
    """
    for fit in (m0, m1):
        for term in fit.design.latent:
            raise NotSupportedError(
                f"{term.label} is a network with latent inputs, whose likelihood for "
                "held-out groups is not available; use "
                'method="bootstrap"'
            )
    terms = [*m0.design.random, *m1.design.random]
    for outer in sorted(terms, key=lambda t: t.n_levels):
        if all(is_nested(t.codes, outer.codes) for t in terms):
            return outer.group, outer.codes
    names = ", ".join(dict.fromkeys(t.group for t in terms))
    raise NotSupportedError(
        f"a split test needs independent groups, and the levels of {names} are "
        "crossed: no split of the rows leaves two independent parts. Use "
        'method="bootstrap"'
    )


def halve(
    codes: NDArray[np.int32], generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Rows of two random halves of the levels.

    Raises
    ------
    OptionError
        If there are fewer than four levels.
    """
    n_levels = int(codes.max()) + 1
    if n_levels < 4:
        raise OptionError(
            f"a split test needs two groups or more in each half, four in all; there "
            f"are {n_levels}"
        )
    first = np.zeros(n_levels, dtype=bool)
    first[generator.permutation(n_levels)[: n_levels // 2]] = True
    inside = first[codes]
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def half_of(fit: MixedModelFit, rows: Rows) -> Half:
    """The model of a fit on some of its rows, by maximum likelihood."""
    part = design_rows(fit.design, rows)
    return Half(replace(fit.model, design=part.design, reml=False), part.kept)


def check_halves(fit: MixedModelFit, halves: Sequence[Half]) -> None:
    """Refuse a split one of whose halves does not identify the model.

    Raises
    ------
    OptionError
        If so; the text is that of the failing check.
    """
    family = fit.model.family
    for half in halves:
        d = half.model.design
        try:
            check_identifiable(
                d,
                family=family.name,
                residual=family.has_residual,
                binary=family.name == "bernoulli",
            )
            if family.discrete:
                check_events(d, family.name)
        except NgmmError as cause:
            raise OptionError(
                f"`{fit.formula}` cannot be fitted to half of the groups: {cause}"
            ) from cause


def best_loglik(fit: MixedModelFit, half: Half) -> float:
    """Maximum of the log-likelihood; infinite where it was not found.

    What is not known to be a maximum must not stand in the denominator of an e-value.
    """
    found = fit.estimator(half.model)
    estimate = found.estimate if isinstance(found, NeuralFit) else found
    if estimate.status is not Status.CONVERGED or not np.isfinite(estimate.loglik):
        return np.inf
    return float(estimate.loglik)


def held_out_loglik(fit: MixedModelFit, train: Half, test: Half, rows: Rows) -> float:
    """Log-likelihood of rows at the parameters fitted to others; -inf where undefined.

    Parameters
    ----------
    fit
        The model on all rows.
    train, test
        The model on each part.
    rows
        The rows of `test`.
    """
    found = fit.estimator(train.model)
    # Coefficients of columns that the training rows do not identify are zero.
    X = np.ascontiguousarray(fit.design.X[rows][:, train.kept])
    if isinstance(found, NeuralFit):
        return loglik_elsewhere(found.estimate, found.networks, test.model, X)
    return loglik_elsewhere(found, None, test.model, X)
