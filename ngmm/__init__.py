"""Mixed-effects models from formulas: lme4's, and neural ones."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ngmm import datasets as datasets
from ngmm import errors as errors
from ngmm import families as families
from ngmm.api import fit as fit
from ngmm.design import build_design as build_design
from ngmm.estimation.adversary import Adversary as Adversary
from ngmm.estimation.estimators import Newton as Newton
from ngmm.estimation.evidence import Evidence as Evidence
from ngmm.estimation.joint import Joint as Joint
from ngmm.estimation.stochastic import Stochastic as Stochastic
from ngmm.formula import parse as parse
from ngmm.likelihood.rules import AdaptiveQuadrature as AdaptiveQuadrature
from ngmm.likelihood.rules import Laplace as Laplace
from ngmm.likelihood.rules import TruncatedQuadrature as TruncatedQuadrature
from ngmm.model import Model as Model
from ngmm.results import MixedModelFit as MixedModelFit

if TYPE_CHECKING:
    from ngmm import clusters as clusters
    from ngmm import diagnostics as diagnostics
    from ngmm import effects as effects
    from ngmm.comparison import compare as compare
    from ngmm.comparison import lrt as lrt

__version__ = "0.1.0"

__all__ = [
    "AdaptiveQuadrature",
    "Adversary",
    "Evidence",
    "Joint",
    "Laplace",
    "MixedModelFit",
    "Model",
    "Newton",
    "Stochastic",
    "TruncatedQuadrature",
    "build_design",
    "clusters",
    "compare",
    "datasets",
    "diagnostics",
    "effects",
    "errors",
    "families",
    "fit",
    "lrt",
    "parse",
]


MODULES = ("clusters", "diagnostics", "effects")
# In modules of the same name: the package may hold either by that name.
FUNCTIONS = {"compare": "ngmm.comparison.compare", "lrt": "ngmm.comparison.lrt"}


def __getattr__(name: str) -> Any:
    """What is imported when it is first used."""
    if name in MODULES:
        return importlib.import_module(f"ngmm.{name}")
    if name in FUNCTIONS:
        return getattr(importlib.import_module(FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
