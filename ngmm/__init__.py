"""Mixed-effects models from formulas: lme4's, and neural ones."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ngmm import datasets as datasets
from ngmm import errors as errors
from ngmm import families as families
from ngmm.api import fit as fit
from ngmm.design import build_design as build_design
from ngmm.estimation.estimators import Newton as Newton
from ngmm.estimation.evidence import Evidence as Evidence
from ngmm.estimation.stochastic import Stochastic as Stochastic
from ngmm.formula import parse as parse
from ngmm.likelihood.rules import AdaptiveQuadrature as AdaptiveQuadrature
from ngmm.likelihood.rules import Laplace as Laplace
from ngmm.likelihood.rules import TruncatedQuadrature as TruncatedQuadrature
from ngmm.model import Model as Model
from ngmm.results import MixedModelFit as MixedModelFit

if TYPE_CHECKING:
    from ngmm import effects as effects

__version__ = "0.1.0"

__all__ = [
    "AdaptiveQuadrature",
    "Evidence",
    "Laplace",
    "MixedModelFit",
    "Model",
    "Newton",
    "Stochastic",
    "TruncatedQuadrature",
    "build_design",
    "datasets",
    "effects",
    "errors",
    "families",
    "fit",
    "parse",
]


def __getattr__(name: str) -> Any:
    """Modules that are imported when they are first used."""
    if name == "effects":
        return importlib.import_module("ngmm.effects")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
