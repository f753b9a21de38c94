"""What fits the diagnostics can be made of."""

from __future__ import annotations

from typing import TypeAlias

from ngmm.errors import NotSupportedError, OptionError
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.neural import NeuralAnalysis
from ngmm.results import MixedModelFit

Additive: TypeAlias = GaussianAnalysis | GeneralizedAnalysis | NeuralAnalysis


def check_fit(fit: object, what: str) -> MixedModelFit:
    """Refuse what is not a fitted model.

    Raises
    ------
    OptionError
        Saying what came.
    """
    if isinstance(fit, MixedModelFit):
        return fit
    raise OptionError(
        f"{what} needs a fitted model, as ngmm.fit gives it; got {type(fit).__name__}"
    )


def additive(fit: MixedModelFit, what: str, instead: str) -> Additive:
    """The analysis of a fit whose random effects add to the linear predictor.

    Raises
    ------
    NotSupportedError
        If they enter a network.
    """
    analysis = fit._analysis
    if isinstance(analysis, LatentAnalysis):
        term = fit.design.latent[0].label
        raise NotSupportedError(
            f"{what} needs random effects that add to the linear predictor; those of "
            f"{term} enter a network. Use {instead}"
        )
    return analysis


def refuse_family(fit: MixedModelFit, what: str, reason: str) -> None:
    """Refuse a family that the diagnostic says nothing about.

    Raises
    ------
    OptionError
        Always.
    """
    raise OptionError(f"{what}: {reason} (family {fit.family})")
