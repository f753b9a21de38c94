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
    from ngmm import broom as broom
    from ngmm import clusters as clusters
    from ngmm import diagnostics as diagnostics
    from ngmm import effects as effects
    from ngmm import plots as plots
    from ngmm import sklearn as sklearn
    from ngmm.broom import side_by_side as side_by_side
    from ngmm.comparison import compare as compare
    from ngmm.comparison import lrt as lrt
    from ngmm.persistence import load as load

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
    "broom",
    "build_design",
    "clusters",
    "compare",
    "datasets",
    "diagnostics",
    "effects",
    "errors",
    "families",
    "fit",
    "load",
    "lrt",
    "parse",
    "plots",
    "side_by_side",
    "sklearn",
]


MODULES = ("broom", "clusters", "diagnostics", "effects", "plots", "sklearn")
# In modules of the same name: the package may hold either by that name.
FUNCTIONS = {
    "compare": "ngmm.comparison.compare",
    "load": "ngmm.persistence",
    "lrt": "ngmm.comparison.lrt",
    "side_by_side": "ngmm.broom",
}


def __getattr__(name: str) -> Any:
    """What is imported when it is first used."""
    if name in MODULES:
        return importlib.import_module(f"ngmm.{name}")
    if name in FUNCTIONS:
        return getattr(importlib.import_module(FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
