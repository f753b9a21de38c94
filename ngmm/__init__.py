"""Mixed-effects models from formulas: lme4's, and neural ones."""

from __future__ import annotations

from ngmm import datasets as datasets
from ngmm import errors as errors
from ngmm import families as families
from ngmm.api import fit as fit
from ngmm.design import build_design as build_design
from ngmm.estimation.estimators import Newton as Newton
from ngmm.formula import parse as parse
from ngmm.likelihood.rules import AdaptiveQuadrature as AdaptiveQuadrature
from ngmm.likelihood.rules import Laplace as Laplace
from ngmm.likelihood.rules import TruncatedQuadrature as TruncatedQuadrature
from ngmm.model import Model as Model
from ngmm.results import MixedModelFit as MixedModelFit

__version__ = "0.1.0"

__all__ = [
    "AdaptiveQuadrature",
    "Laplace",
    "MixedModelFit",
    "Model",
    "Newton",
    "TruncatedQuadrature",
    "build_design",
    "datasets",
    "errors",
    "families",
    "fit",
    "parse",
]
