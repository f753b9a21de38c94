"""What models can be compared by their predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ngmm.comparison.compare_text import listed_rows
from ngmm.errors import NotSupportedError, OptionError
from ngmm.results import MixedModelFit


def check_comparable(fits: Sequence[object]) -> tuple[MixedModelFit, ...]:
    """The fits, if they predict the same responses of the same rows.

    Raises
    ------
    OptionError
        Saying what differs.
    NotSupportedError
        If a random effect is the input of a network.
    """
    models = tuple(f for f in fits if isinstance(f, MixedModelFit))
    for other in fits:
        if not isinstance(other, MixedModelFit):
            raise OptionError(
                "compare needs fitted models, as ngmm.fit gives them; got "
                f"{type(other).__name__}. Options are given by name: folds=, new=, by="
            )
    if len(models) < 2:
        raise OptionError(
            f"compare needs two models or more, got {len(models)}: "
            "ngmm.compare(m0, m1, ...)"
        )
    for fit in models:
        for term in fit.design.latent:
            raise NotSupportedError(
                f"compare does not hold out rows of models with {term.label}; compare "
                "their aic and bic, or predict held-out rows with fit.predict"
            )
    for other in models[1:]:
        _check_pair(models[0], other)
    return models


def _check_pair(one: MixedModelFit, two: MixedModelFit) -> None:
    names = f"`{one.formula}` and `{two.formula}`"
    if one.response_name != two.response_name:
        raise OptionError(
            f"the models have different responses, {one.response_name} and "
            f"{two.response_name}: densities of different quantities cannot be compared"
        )
    _check_rows(one, two, names)
    a, b = one.design, two.design
    trials = [np.ones(len(d.y)) if d.trials is None else d.trials for d in (a, b)]
    differ = (a.y != b.y) | (trials[0] != trials[1])
    if differ.any():
        raise OptionError(
            f"{names} have different responses in {int(differ.sum())} rows "
            f"({listed_rows(a.index[differ])}): fit both to the same data"
        )
    if one.model.family.discrete != two.model.family.discrete:
        kinds = {f.family: f.model.family.discrete for f in (one, two)}
        text = ", ".join(
            f"{name} is for {'counts' if discrete else 'continuous responses'}"
            for name, discrete in kinds.items()
        )
        raise OptionError(
            f"{names}: {text}; a density and a probability cannot be compared"
        )


def _check_rows(one: MixedModelFit, two: MixedModelFit, names: str) -> None:
    a, b = one.design, two.design
    if np.array_equal(a.rows, b.rows) and a.index.equals(b.index):
        return
    text = [f"{names} are fitted to different rows ({one.nobs:,} and {two.nobs:,})"]
    for fit, own, other in ((one, a, b), (two, b, a)):
        only = ~np.isin(own.rows, other.rows)
        if only.any():
            shown = listed_rows(own.index[only])
            text.append(f"only `{fit.formula}` has {shown}")
    missing = sorted({*a.missing, *b.missing})
    if missing:
        shown = ", ".join(f'"{m}"' for m in missing)
        text.append(
            f"leave out rows with missing values first, dropna(subset=[{shown}])"
        )
    raise OptionError("; ".join(text))
