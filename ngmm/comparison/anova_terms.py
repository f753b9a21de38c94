"""The fixed terms of a fit: their columns, which contains which, and a common coding.

Hypotheses are set up with treatment contrasts for all factors, whatever the coding of
the fit, and carried over: the tests are then the same for every coding.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design.columns import Column, Factor, read_new_columns
from ngmm.design.formulaic_adapter import FormulaicMatrix
from ngmm.design.frame import read_frame
from ngmm.design.matrix import build_matrix
from ngmm.design.rank import independent_columns
from ngmm.errors import OptionError
from ngmm.formula.tokens import quote
from ngmm.inference.wald.term_contrasts import recoded, type_one, type_three, type_two

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Matrix = NDArray[np.float64]

# Share of a column's length outside of a space that is rounding.
_OUTSIDE = 1e-7


@dataclass(frozen=True)
class Part:
    """A factor or covariate within a term, as a formula spells it.

    Attributes
    ----------
    text
        Its spelling.
    plain
        The same without a coding of its own: ``C(x)`` for ``C(x, contr.sum)``.
    is_factor
        Whether it has levels.
    """

    text: str
    plain: str
    is_factor: bool


@dataclass(frozen=True)
class Term:
    """A fixed term.

    Attributes
    ----------
    label
        As tables call it.
    parts
        Its factors and covariates.
    """

    label: str
    parts: tuple[Part, ...]

    def contains(self, other: Term) -> bool:
        """Whether all factors of the other are here, with the same covariates."""
        mine, theirs = set(self.parts), set(other.parts)
        covariates = {p for p in mine if not p.is_factor}
        return theirs < mine and covariates == {p for p in theirs if not p.is_factor}

    @property
    def formula(self) -> str:
        """The term with factors in no coding of their own."""
        return ":".join(part.plain for part in self.parts)


def fixed_terms(fit: MixedModelFit) -> list[Term]:
    """The fixed terms of a fit without the intercept, aliased ones included."""
    spec = fit.spec.fixed
    if isinstance(spec, FormulaicMatrix):
        return _formulaic_terms(spec)
    codings: Mapping[str, Any] = getattr(spec, "codings", {})
    return [
        Term(name, (Part(quote(name), quote(name), coding is not None),))
        for name, coding in codings.items()
    ]


def require_terms(fit: MixedModelFit) -> list[Term]:
    """The fixed terms.

    Raises
    ------
    OptionError
        If there are none.
    """
    terms = fixed_terms(fit)
    if not terms:
        raise OptionError(
            "the model has no fixed terms beside the intercept, so there is nothing to "
            "test; coef_table() tests the intercept, ranova() the random effects"
        )
    return terms


def containing(terms: Sequence[Term]) -> list[list[int]]:
    """For each term the positions of those that contain it."""
    return [
        [j for j, other in enumerate(terms) if other.contains(term)] for term in terms
    ]


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Contrasts of beta for each term.

    Attributes
    ----------
    terms
        The terms.
    contrasts
        (q, p) contrasts of each term; q is 0 for a term without a column of its own.
    empty
        Names of the cells without data.
    """

    terms: tuple[Term, ...]
    contrasts: tuple[Matrix, ...]
    empty: tuple[str, ...]


def hypotheses(fit: MixedModelFit, kind: int) -> Hypotheses:
    """Hypotheses of type 1, 2 or 3 of all fixed terms of a fit."""
    terms = require_terms(fit)
    coded = _common_coding(fit, terms)
    above = containing(terms)
    empty: tuple[str, ...] = ()
    if kind == 1:
        found = type_one(coded.X, coded.columns)
    elif kind == 2:
        found = type_two(coded.X, coded.columns, above)
    else:
        complete, empty = _complete(fit, terms, coded)
        found = type_three(coded.X, complete, coded.columns, above)
    X = fit.design.X
    if coded.X is not X:
        found = [recoded(L, coded.X, X) for L in found]
    return Hypotheses(tuple(terms), tuple(found), empty)


@dataclass(frozen=True, eq=False)
class _Coded:
    """Fixed columns of full rank in a coding, and the columns of each term."""

    X: Matrix
    columns: list[NDArray[np.intp]]
    data: Mapping[str, Column]


def _common_coding(fit: MixedModelFit, terms: Sequence[Term]) -> _Coded:
    """Treatment contrasts for all factors, where they span what the fit's do."""
    own = fit.design.X
    labels = fit.design.column_terms
    data = training_columns(fit)
    if all(not part.is_factor for term in terms for part in term.parts):
        return _Coded(own, _positions(terms, labels), data)
    treatment = {name: "treatment" for name, c in data.items() if isinstance(c, Factor)}
    intercept = "1" if _has_intercept(fit) else "0"
    text = " + ".join([intercept, *(term.formula for term in terms)])
    whole, spec = build_matrix(text, data, treatment, len(own))
    kept = independent_columns(whole)
    X = whole[:, kept]
    if X.shape[1] != own.shape[1] or not _spans(X, own):
        # A contrast matrix with fewer columns than the factor has degrees of freedom.
        return _Coded(own, _positions(terms, labels), data)
    order = [
        label for label in dict.fromkeys(spec.column_terms) if label != "Intercept"
    ]
    names = {label: term.label for label, term in zip(order, terms, strict=True)}
    of = tuple(names.get(spec.column_terms[c], "Intercept") for c in kept)
    return _Coded(X, _positions(terms, of), data)


def _complete(
    fit: MixedModelFit, terms: Sequence[Term], coded: _Coded
) -> tuple[Matrix, tuple[str, ...]]:
    """Columns with an indicator for every level, and the cells without data."""
    n = len(coded.X)
    blocks = [np.ones((n, 1))] if _has_intercept(fit) else []
    empty: list[str] = []
    for term, columns in zip(terms, coded.columns, strict=True):
        block, spec = build_matrix(f"0 + {term.formula}", coded.data, {}, n)
        if not _spans(coded.X, block):
            block = coded.X[:, columns]
        elif any(part.is_factor for part in term.parts):
            none = ~np.any(block, axis=0)
            empty += [name for name, no in zip(spec.names, none, strict=True) if no]
        blocks.append(block)
    return np.column_stack(blocks), tuple(empty)


def training_columns(fit: MixedModelFit) -> dict[str, Column]:
    """The columns of data in the fixed part, for the rows used."""
    needed = fit.spec.fixed.variables
    frame = read_frame(fit.call.data, needed).take(fit.design.rows)
    specs = [spec for spec in fit.spec.columns if spec.name in needed]
    return read_new_columns(frame, specs, "data")


def _has_intercept(fit: MixedModelFit) -> bool:
    return "Intercept" in fit.spec.fixed.column_terms


def _positions(terms: Sequence[Term], labels: Sequence[str]) -> list[NDArray[np.intp]]:
    of = np.array(labels, dtype=object)
    return [np.flatnonzero(of == term.label) for term in terms]


def _spans(X: Matrix, columns: Matrix) -> bool:
    """Whether the columns are linear combinations of those of X."""
    q = np.linalg.qr(X)[0]
    rest = columns - q @ (q.T @ columns)
    length = np.linalg.norm(columns, axis=0)
    return bool((np.linalg.norm(rest, axis=0) <= _OUTSIDE * length).all())


def _formulaic_terms(spec: FormulaicMatrix) -> list[Term]:
    kinds = {
        expr: str(getattr(kind, "value", kind)) == "categorical"
        for expr, (kind, *_) in spec.spec.encoder_state.items()
    }
    labels = iter(spec.column_terms)
    found: list[Term] = []
    for part in spec.spec.structure:
        names = [next(labels) for _ in part.columns]
        if str(part.term) == "1" or not names:
            continue
        parts = tuple(_part(f, kinds.get(f.expr, False)) for f in part.term.factors)
        found.append(Term(names[0], parts))
    return found


def _part(factor: Any, is_factor: bool) -> Part:
    is_name = factor.eval_method.value == "lookup"
    if is_name:
        text = quote(factor.expr)
        return Part(text, text, is_factor)
    tree = ast.parse(factor.expr, mode="eval").body
    # Braces keep the operators of an expression from being those of the formula.
    text = factor.expr if isinstance(tree, ast.Call) else f"{{{factor.expr}}}"
    is_coded = isinstance(tree, ast.Call) and text.startswith("C(")
    return Part(text, _without_contrast(tree) if is_coded else text, is_factor)


def _without_contrast(call: Any) -> str:
    """``C(x)`` for ``C(x, contr.sum)``; levels stay."""
    kept = [ast.unparse(call.args[0])]
    kept += [
        f"{word.arg}={ast.unparse(word.value)}"
        for word in call.keywords
        if word.arg == "levels"
    ]
    return f"C({', '.join(kept)})"
