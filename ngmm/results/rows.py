"""The rows of a prediction: those of the fit, or of new data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import DesignSpec, NewDesign, RandomDesign
from ngmm.errors import NewDataError
from ngmm.inference.analysis import Analysis
from ngmm.inference.neural import NeuralAnalysis
from ngmm.networks import Inputs

if TYPE_CHECKING:
    from ngmm.results.request import Request


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to predict.

    Attributes
    ----------
    X, offset, weights, index
        Fixed-effect columns, known part, prior weights and labels of the rows.
    trials
        Binomial numbers of trials; None where they are not known.
    random
        For each term of the formula its columns and levels, None if they are not
        needed.
    unseen_codes
        For grouping factors with levels that were not in the data, the position of
        each row's label among them, -1 where the level is known.
    networks
        (n, terms) contribution of each network term.
    inputs
        What each network reads.
    """

    X: NDArray[np.float64]
    offset: NDArray[np.float64]
    weights: NDArray[np.float64]
    trials: NDArray[np.float64] | None
    random: tuple[RandomDesign | None, ...]
    index: pd.Index
    unseen_codes: Mapping[str, NDArray[np.intp]]
    networks: NDArray[np.float64]
    inputs: tuple[Inputs, ...] = ()


def training_rows(analysis: Analysis) -> Rows:
    """The rows the model was fitted to."""
    design = analysis.design
    return Rows(
        X=design.X,
        offset=design.offset,
        weights=design.weights,
        trials=design.trials,
        random=analysis.model.design.random,
        index=design.index,
        unseen_codes={},
        networks=analysis.outputs,
        inputs=tuple(n.inputs for n in design.networks),
    )


def new_rows(analysis: Analysis, spec: DesignSpec, newdata: Any, ask: Request) -> Rows:
    """Rows of new data; unseen levels raise unless the request says what to do."""
    wanted = True if ask.integrate else sorted(ask.groups)
    new: NewDesign = spec.apply(
        newdata, random=wanted or False, levels=not ask.integrate
    )
    if new.unseen and ask.new_levels == "error":
        raise NewDataError(unseen_text(new.unseen))
    return rows_of(analysis, new)


def rows_of(analysis: Analysis, new: NewDesign) -> Rows:
    """Rows of a design for new data."""
    design = analysis.design
    terms = iter(with_units(analysis, new).random)
    built = {t.group for t in new.random}
    return Rows(
        X=new.X,
        offset=new.offset,
        weights=np.ones(new.n_rows),
        trials=None,
        random=tuple(next(terms) if t.group in built else None for t in design.random),
        index=new.index,
        unseen_codes=new.unseen_codes,
        networks=network_outputs(analysis, new.networks, new.X),
        inputs=new.networks,
    )


def with_units(analysis: Analysis, new: NewDesign) -> NewDesign:
    """New rows, their random terms with the hidden units on which they have slopes."""
    if not isinstance(analysis, NeuralAnalysis):
        return new
    terms = analysis.networks.random(new.random, new.networks)
    return replace(new, random=tuple(t for t in terms if t is not None))


def network_outputs(
    analysis: Analysis, inputs: tuple[Inputs, ...], X: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Contribution of each network term to new rows, (n, terms)."""
    if not isinstance(analysis, NeuralAnalysis):
        return np.zeros((len(X), 0))
    return analysis.networks.outputs(inputs, X)


def unseen_text(
    unseen: Mapping[str, pd.Series],
    marginal: str = "zero, with the variance between levels in se and interval",
) -> str:
    """What levels are new, and what to do with them."""
    parts = []
    for group, counts in unseen.items():
        labels = ", ".join(str(label) for label in counts.index[:5])
        more = ", ..." if len(counts) > 5 else ""
        rows, levels = int(counts.sum()), len(counts)
        parts.append(
            f"{rows} row{'s' * (rows != 1)} {'have' if rows != 1 else 'has'} {levels} "
            f'unseen level{"s" * (levels != 1)} of "{group}" ({labels}{more})'
        )
    return (
        "; ".join(parts) + '; pass new_levels="population" (their effects are zero), '
        f'"marginal" ({marginal}) or "sample" (drawn at random)'
    )
