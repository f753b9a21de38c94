"""Formulas: text -> terms. No data, no arrays."""

from ngmm.formula.dialect import columns_of, to_python
from ngmm.formula.parser import parse
from ngmm.formula.terms import ModelFormula, NetworkTerm, RandomTerm, Response
from ngmm.formula.updating import update

__all__ = [
    "ModelFormula",
    "NetworkTerm",
    "RandomTerm",
    "Response",
    "columns_of",
    "parse",
    "to_python",
    "update",
]
