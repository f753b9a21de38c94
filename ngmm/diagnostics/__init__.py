"""What a fitted model leaves unexplained."""

from __future__ import annotations

from ngmm.diagnostics.icc import icc
from ngmm.diagnostics.influence import influence
from ngmm.diagnostics.normality import normality
from ngmm.diagnostics.overdispersion import overdispersion
from ngmm.diagnostics.r2 import r2
from ngmm.diagnostics.residual_tests import residual_tests
from ngmm.diagnostics.zero_inflation import zero_inflation

__all__ = [
    "icc",
    "influence",
    "normality",
    "overdispersion",
    "r2",
    "residual_tests",
    "zero_inflation",
]
