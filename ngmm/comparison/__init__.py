"""Tests of models, of terms and of contrasts, and comparison by prediction."""

from __future__ import annotations

from ngmm.comparison.anova import anova
from ngmm.comparison.compare import compare
from ngmm.comparison.contest import contest
from ngmm.comparison.drop import drop1, ranova
from ngmm.comparison.linearity import test_linear
from ngmm.comparison.lrt import lrt

__all__ = ["anova", "compare", "contest", "drop1", "lrt", "ranova", "test_linear"]
