"""Model matrices that formulaic makes: formula, state of transforms, columns of terms.

A file holds the text of the formula and what was found from the data: knots, scales,
levels, and which factors of a term are coded with a column fewer. formulaic's objects
are made from these anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngmm.design.expressions import called_functions, parse_python
from ngmm.design.formulaic_adapter import FormulaicMatrix
from ngmm.design.functions import MATRIX_FUNCTIONS, numpy_function
from ngmm.formula import to_python
from ngmm.persistence.codec import Decoder, Encoder
from ngmm.persistence.types import conforms, field_types

__all__ = ["decode_matrix", "encode_matrix"]

_STATED = (
    "expr",
    "contrasts",
    "names",
    "column_terms",
    "variables",
    "column_variables",
)


def encode_matrix(encoder: Encoder, matrix: FormulaicMatrix, place: str) -> Any:
    """Return the contents of the node of a matrix."""
    spec = matrix.spec
    encoders = {
        name: (kind.value, state) for name, (kind, state) in spec.encoder_state.items()
    }
    return {
        **{name: encoder(getattr(matrix, name), f"{place}.{name}") for name in _STATED},
        "transforms": encoder(spec.transform_state, f"{place}.transforms"),
        "encoders": encoder(encoders, f"{place}.encoders"),
        "structure": [_described(part) for part in spec.structure],
    }


def decode_matrix(decoder: Decoder, body: Any) -> FormulaicMatrix:
    """Return the matrix of a node.

    Raises
    ------
    ValueError
        If its formula calls what formulas may not.
    """
    from formulaic import Formula, ModelSpec
    from formulaic.parser.types import Factor

    stated = {name: decoder(body[name]) for name in _STATED}
    hints = field_types(FormulaicMatrix)
    for name, value in stated.items():
        if not conforms(value, hints[name]):
            raise ValueError(f"{name} of a matrix is {type(value).__name__}")
    formula: Any = Formula(to_python(stated["expr"]))  # pyright: ignore[reportAbstractUsage]
    for term in formula:
        for factor in term.factors:
            _check(factor)
    encoders = {
        name: (Factor.Kind(kind), state)
        for name, (kind, state) in decoder(body["encoders"]).items()
    }
    terms = {str(term): term for term in formula}
    spec = ModelSpec(
        formula=formula,
        structure=[_restored(part, terms) for part in body["structure"]],
        transform_state=decoder(body["transforms"]),
        encoder_state=encoders,
    )
    return FormulaicMatrix(spec=spec, **stated)


def _described(part: Any) -> list[Any]:
    """A term, its codings and the names of its columns, as JSON."""
    scoped = [
        [[[f.factor.expr, bool(f.reduced)] for f in one.factors], one.scale]
        for one in part.scoped_terms
    ]
    return [str(part.term), scoped, list(part.columns)]


def _restored(part: Any, terms: Mapping[str, Any]) -> Any:
    """The same as formulaic keeps it."""
    from formulaic.materializers.base import EncodedTermStructure
    from formulaic.materializers.types import (
        EvaluatedFactor,
        ScopedFactor,
        ScopedTerm,
    )

    text, scoped, columns = part
    term = terms[text]
    factors = {factor.expr: factor for factor in term.factors}
    # As in what formulaic keeps, the values are those of the next rows.
    nothing: Any = None
    found = [
        ScopedTerm(
            [ScopedFactor(EvaluatedFactor(factors[e], nothing), r) for e, r in one],
            scale,
        )
        for one, scale in scoped
    ]
    return EncodedTermStructure(term, found, [str(name) for name in columns])


def _check(factor: Any) -> None:
    """Refuse what formulaic would run but a formula may not say."""
    if factor.eval_method.value != "python":
        return
    for name in called_functions(parse_python(factor.expr)):
        module, _, attribute = name.rpartition(".")
        known = numpy_function(attribute) is not None if module == "np" else False
        if not known and name not in MATRIX_FUNCTIONS:
            raise ValueError(f"a formula calls {name}")
