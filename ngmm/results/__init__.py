"""The fitted model and its printable tables."""

from __future__ import annotations

from ngmm.results.fit import MixedModelFit
from ngmm.results.table import Table

__all__ = ["MixedModelFit", "Table"]
