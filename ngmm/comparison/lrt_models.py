"""The models of a comparison: fitted, of one likelihood, in their order."""

from __future__ import annotations

from typing import Any

from ngmm.comparison.lrt_base import LinearBase, base_model, fitted_base
from ngmm.comparison.nesting import same_fixed_effects
from ngmm.comparison.nesting_data import Comparable, check_same_data, same_offset
from ngmm.errors import OptionError
from ngmm.formula import parse
from ngmm.results import MixedModelFit


def ready(fits: tuple[Any, ...]) -> tuple[list[Comparable], list[str]]:
    """The models, fitted and in order, and what had to be done for that."""
    fitted = [f for f in fits if isinstance(f, MixedModelFit)]
    for f in fits:
        if not isinstance(f, MixedModelFit | str):
            raise OptionError(
                f"lrt compares fits of ngmm.fit; got {type(f).__name__}. A model "
                'without random effects is given as a formula, such as "y ~ x"'
            )
    if len(fits) < 2 or not fitted:
        raise OptionError(
            f"lrt compares two models or more, at least one of them fitted; got "
            f"{len(fits)}: ngmm.lrt(m0, m1)"
        )
    models = [_fitted(f, fitted[0]) for f in fits]
    for other in models[1:]:
        check_same_data(models[0], other)
    models, notes = _by_one_likelihood(models)
    models.sort(key=_size)
    if sum(isinstance(m, LinearBase) for m in models) > 1:
        raise OptionError(
            "lrt takes one model without random effects, the smallest; compare linear "
            "models with each other by statsmodels"
        )
    if isinstance(models[-1], LinearBase) or any(
        isinstance(m, LinearBase) for m in models[1:]
    ):
        raise OptionError(
            "the model without random effects has more parameters than one with them, "
            "so it is not nested in it; take terms out of its formula"
        )
    return models, notes


def _fitted(given: MixedModelFit | str, like: MixedModelFit) -> Comparable:
    if isinstance(given, MixedModelFit):
        return given
    if parse(given).random:
        return like.call.again(given)
    return base_model(given, like, reml=like.reml)


def _by_one_likelihood(
    models: list[Comparable],
) -> tuple[list[Comparable], list[str]]:
    """Refit all by maximum likelihood unless restricted likelihoods compare."""
    restricted = [m.reml for m in models]
    if not any(restricted):
        return models, []
    first = models[0].design
    same = all(
        same_fixed_effects(m.design, first) and same_offset(m.design, first)
        for m in models[1:]
    )
    if all(restricted) and same:
        note = (
            "Restricted likelihoods: they compare, as the fixed effects are the same."
        )
        return models, [note]
    why = "the fixed effects differ" if not same else "some were fitted by it already"
    refitted = [_by_maximum_likelihood(m) for m in models]
    return refitted, [f"Fits by REML were refitted by maximum likelihood: {why}."]


def _by_maximum_likelihood(model: Comparable) -> Comparable:
    if not model.reml:
        return model
    if isinstance(model, MixedModelFit):
        return model.update(reml=False)
    return fitted_base(model.terms, model.design, model.family, reml=False)


def _size(model: Comparable) -> tuple[int, int, float]:
    """Order of the models; effective sizes of networks can be below linear ones."""
    networks = len(model.design.networks) + len(model.design.latent)
    return isinstance(model, MixedModelFit), networks, model.df_model
