"""Mixed-effects models from formulas: lme4's, and neural ones."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ngmm import broom as broom
    from ngmm import clusters as clusters
    from ngmm import datasets as datasets
    from ngmm import diagnostics as diagnostics
    from ngmm import effects as effects
    from ngmm import errors as errors
    from ngmm import families as families
    from ngmm import intervals as intervals
    from ngmm import networks as networks
    from ngmm import plots as plots
    from ngmm import sklearn as sklearn
    from ngmm.api import fit as fit
    from ngmm.broom import side_by_side as side_by_side
    from ngmm.comparison import compare as compare
    from ngmm.comparison import lrt as lrt
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
    from ngmm.persistence import load as load
    from ngmm.results import MixedModelFit as MixedModelFit

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
    "intervals",
    "load",
    "lrt",
    "networks",
    "parse",
    "plots",
    "side_by_side",
    "sklearn",
]

# Where public names come from. They are imported when they are first used (SPEC 1 of
# Scientific Python); those that are not here are modules of the package.
SOURCES = {
    "AdaptiveQuadrature": "ngmm.likelihood.rules",
    "Adversary": "ngmm.estimation.adversary",
    "Evidence": "ngmm.estimation.evidence",
    "Joint": "ngmm.estimation.joint",
    "Laplace": "ngmm.likelihood.rules",
    "MixedModelFit": "ngmm.results",
    "Model": "ngmm.model",
    "Newton": "ngmm.estimation.estimators",
    "Stochastic": "ngmm.estimation.stochastic",
    "TruncatedQuadrature": "ngmm.likelihood.rules",
    "build_design": "ngmm.design",
    "compare": "ngmm.comparison.compare",
    "fit": "ngmm.api",
    "load": "ngmm.persistence",
    "lrt": "ngmm.comparison.lrt",
    "parse": "ngmm.formula",
    "side_by_side": "ngmm.broom",
}


def __getattr__(name: str) -> Any:
    """Import what is used for the first time, and keep it."""
    if name in SOURCES:
        found = getattr(importlib.import_module(SOURCES[name]), name)
    elif name in __all__:
        found = importlib.import_module(f"ngmm.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Public names, whether they were imported yet or not."""
    return sorted({*globals(), *__all__})
