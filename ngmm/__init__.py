"""Mixed-effects models from formulas: lme4's, and neural ones."""

from __future__ import annotations

from ngmm import datasets as datasets
from ngmm import errors as errors
from ngmm import families as families
from ngmm.api import fit as fit
from ngmm.design import build_design as build_design
from ngmm.estimation.estimators import Newton as Newton
from ngmm.formula import parse as parse
from ngmm.model import Model as Model
from ngmm.results import MixedModelFit as MixedModelFit

__version__ = "0.1.0"

__all__ = [
    "MixedModelFit",
    "Model",
    "Newton",
    "build_design",
    "datasets",
    "errors",
    "families",
    "fit",
    "parse",
]
