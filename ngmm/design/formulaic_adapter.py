"""The only door to formulaic: model matrices of any formula, rebuilt for new data.

formulaic parses the terms, decides which factors need full coding, evaluates transforms
and keeps their state. Factors are coded by `ngmm.design.coding` instead of formulaic's
own classes, so that levels, contrasts and unseen categories follow one set of rules.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design.coding import CODINGS, Coding, Contrast, check_codable, factor_coding
from ngmm.design.columns import Column, Factor, Numeric
from ngmm.design.expressions import called_functions, cannot_evaluate, parse_python
from ngmm.design.functions import (
    ELEMENTWISE,
    MATRIX_FUNCTIONS,
    numpy_function,
    unknown_function,
)
from ngmm.design.spelling import Spelling
from ngmm.design.stateful import stateful_factor
from ngmm.errors import DataError, FormulaError, NewDataError, NgmmError
from ngmm.formula import columns_of, to_python

__all__ = ["FormulaicMatrix", "formulaic_matrix"]

_FAILED = re.compile(r"Unable to evaluate factor `(.*)`\. \[(.*)\]", re.DOTALL)


@dataclass(frozen=True, eq=False)
class FormulaicMatrix:
    """How to build the matrix of a formula that formulaic evaluates.

    Attributes
    ----------
    expr
        The right-hand side as the user wrote it.
    spec
        formulaic's ``ModelSpec``, with the state of transforms.
    contrasts
        Column name -> coding chosen by the user.
    names, column_terms
        Name of each column of the matrix, and the term it belongs to.
    variables
        The columns of data that are needed.
    column_variables
        For each column of the matrix, the columns of data in its term.
    """

    expr: str
    spec: Any
    contrasts: Mapping[str, Contrast]
    names: tuple[str, ...]
    column_terms: tuple[str, ...]
    variables: tuple[str, ...] = field(default=())
    column_variables: tuple[tuple[str, ...], ...] = field(default=())

    def build(self, columns: Mapping[str, Column], n_rows: int) -> NDArray[np.float64]:
        """Return the matrix for these columns, shape (n_rows, len(names))."""
        try:
            matrix = _materialise(
                self.spec,
                self.expr,
                _subset(columns, self.variables),
                self.contrasts,
                n_rows,
            )
        except NewDataError:
            raise
        except DataError as cause:
            raise NewDataError(str(cause)) from cause.__cause__
        return _as_array(matrix, n_rows)


def formulaic_matrix(
    expr: str,
    columns: Mapping[str, Column],
    contrasts: Mapping[str, Contrast],
    n_rows: int,
) -> tuple[NDArray[np.float64], FormulaicMatrix]:
    """Return the matrix of a formula's right-hand side and how to build it again.

    Parameters
    ----------
    expr
        Right-hand side of a formula or left of a bar, as the user wrote it.
    columns
        The columns of the data.
    contrasts
        Column name -> coding chosen by the user.
    n_rows
        Number of rows.

    Raises
    ------
    FormulaError
        If formulaic cannot read the formula, or it calls an unknown function.
    DataError
        If a term cannot be evaluated for these data.
    """
    # formulaic takes most of a second to import; plain formulas never need it.
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    text = to_python(expr)
    try:
        formula: Any = Formula(text)  # pyright: ignore[reportAbstractUsage]
        factors = [factor for term in formula for factor in term.factors]
    except (FormulaicError, SyntaxError, AttributeError, TypeError) as cause:
        raise FormulaError(f'cannot read "{expr}": {_first_line(cause)}') from cause
    for factor in factors:
        _check_factor(factor, columns, expr)
    used = tuple(name for name in columns_of(expr) if name in columns)
    matrix = _materialise(formula, expr, _subset(columns, used), contrasts, n_rows)
    spec = matrix.model_spec
    display = Spelling(
        expr, [f.expr for f in factors if f.eval_method.value == "python"]
    )
    names = tuple(display(name) for name in spec.column_names)
    terms = tuple(
        "Intercept" if str(part.term) == "1" else display(str(part.term))
        for part in spec.structure
        for _ in part.columns
    )
    within = tuple(
        _term_variables(part.term, columns)
        for part in spec.structure
        for _ in part.columns
    )
    record = FormulaicMatrix(expr, spec, dict(contrasts), names, terms, used, within)
    return _as_array(matrix, n_rows), record


def _term_variables(term: Any, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the columns of data in a term of formulaic's; none for the intercept."""
    names: list[str] = []
    for factor in term.factors:
        # A name that is looked up has lost its backticks.
        is_name = factor.eval_method.value == "lookup"
        names += [factor.expr] if is_name else columns_of(factor.expr)
    return tuple(dict.fromkeys(name for name in names if name in columns))


def _check_factor(factor: Any, columns: Mapping[str, Column], expr: str) -> None:
    """Refuse unknown functions and anything that could reach beyond the data."""
    if factor.eval_method.value == "lookup" and factor.expr not in columns:
        raise DataError(f'"{factor.expr}" in "{expr}" is not a column of data')
    if factor.eval_method.value != "python":
        return
    for name in called_functions(parse_python(factor.expr)):
        module, _, attribute = name.rpartition(".")
        known = (
            numpy_function(attribute) is not None
            if module == "np"
            else name in MATRIX_FUNCTIONS
        )
        if not known:
            raise unknown_function(name, MATRIX_FUNCTIONS, expr)
        if name in columns:
            raise DataError(
                f'column "{name}" has the name of the function in "{factor.expr}"; '
                "rename the column"
            )


def _subset(columns: Mapping[str, Column], names: tuple[str, ...]) -> dict[str, Column]:
    return {name: columns[name] for name in names}


def _materialise(
    spec: Any,
    expr: str,
    columns: Mapping[str, Column],
    contrasts: Mapping[str, Contrast],
    n_rows: int,
) -> Any:
    """Return formulaic's matrix for a formula or for a spec that it made before."""
    from formulaic.materializers import PandasMaterializer

    numbers = {
        name: column.values
        for name, column in columns.items()
        if isinstance(column, Numeric)
    }
    frame = pd.DataFrame(numbers, index=pd.RangeIndex(n_rows), copy=False)
    context = {**_functions(contrasts), **_factor_values(columns, contrasts)}
    context["Q"] = lambda name: frame[name] if name in frame else context[name]
    builder = PandasMaterializer(frame, context=context)
    try:
        # What is not finite is reported afterwards by term and row.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return builder.get_model_matrix(spec, output="numpy", na_action="ignore")
    except NgmmError:
        raise
    except Exception as cause:
        # A formula may do anything to the data, so any exception can come out of it.
        if isinstance(cause.__cause__, NgmmError):
            raise cause.__cause__ from None
        # formulaic names the part of the formula that failed, and why.
        failed = _FAILED.fullmatch(str(cause))
        part, why = (failed[1], failed[2]) if failed else (expr, cause)
        raise DataError(cannot_evaluate(part, columns, why)) from cause


def _functions(contrasts: Mapping[str, Contrast]) -> dict[str, Any]:
    """Return what formulas may call beside formulaic's own transforms."""
    from formulaic.transforms import ContrastsRegistry

    defaults = contrasts

    def categorical(data: Any, contrasts: Any = None, *, levels: Any = None) -> Any:
        series = data if isinstance(data, pd.Series) else pd.Series(np.asarray(data))
        name = "" if series.name is None else str(series.name)
        return _encoded_factor(series, name, defaults, contrasts, levels)

    registry = {
        f"contr.{name}": getattr(ContrastsRegistry, name)
        for name in ("treatment", "sum", "helmert", "poly", "SAS")
    }
    return {**ELEMENTWISE, **registry, "C": categorical, "pi": np.pi}


def _factor_values(
    columns: Mapping[str, Column], contrasts: Mapping[str, Contrast]
) -> dict[str, Any]:
    """Return the factors in the form in which formulaic leaves their coding to us."""
    from formulaic.materializers.types import FactorValues

    def encoder(factor: Factor) -> Any:
        def encode(
            values: Any,  # noqa: ARG001  the codes are at hand already
            reduced_rank: bool,
            drop_rows: Any,  # noqa: ARG001  missing rows are gone before
            encoder_state: dict[str, Any],  # noqa: ARG001  new data have these levels
            model_spec: Any,  # noqa: ARG001
        ) -> Any:
            coding = factor_coding(factor, contrasts, reduced=reduced_rank)
            return _columns_of(coding, factor, reduced=reduced_rank)

        return encode

    return {
        name: FactorValues(
            _as_series(column),
            kind="categorical",
            spans_intercept=True,
            encoder=encoder(column),
        )
        for name, column in columns.items()
        if isinstance(column, Factor)
    }


def _as_series(factor: Factor) -> pd.Series:
    values = factor.values()
    return (
        values if isinstance(values, pd.Series) else pd.Series(values, name=factor.name)
    )


def _encoded_factor(
    series: pd.Series,
    name: str,
    contrasts: Mapping[str, Contrast],
    chosen: Any,
    levels: Any,
) -> Any:
    """Return the value of ``C(x, contrast, levels=...)``."""
    from formulaic.materializers.types import FactorValues

    values = getattr(series, "__wrapped__", series)

    def encode(
        values_: Any,  # noqa: ARG001  already bound
        reduced_rank: bool,
        drop_rows: Any,  # noqa: ARG001  missing rows are gone before
        encoder_state: dict[str, Any],
        model_spec: Any,  # noqa: ARG001
    ) -> Any:
        factor = stateful_factor(values, name, levels, encoder_state)
        check_codable(factor)
        if reduced_rank and chosen is not None:
            coding = _chosen_coding(factor, chosen)
        else:
            coding = factor_coding(factor, contrasts, reduced=reduced_rank)
        return _columns_of(coding, factor, reduced=reduced_rank)

    return FactorValues(
        values, kind="categorical", spans_intercept=True, encoder=encode
    )


def _chosen_coding(factor: Factor, chosen: Any) -> Coding:
    """Return the coding that a formula asks for, ``C(x, contr.sum)``."""
    from formulaic.transforms.contrasts import Contrasts

    by_name = {"SumContrasts": "sum", "HelmertContrasts": "helmert"}
    by_name |= {"PolyContrasts": "poly"}
    instance = _instance(chosen)
    if not isinstance(instance, Contrasts):
        return factor_coding(factor, {factor.name: chosen}, reduced=True)
    kind = by_name.get(type(instance).__name__)
    if kind is not None and instance == type(instance)():
        return CODINGS[kind](factor.labels)
    levels = list(factor.levels)
    matrix: Any = instance.get_coding_matrix(levels, reduced_rank=True)
    pattern = instance.get_factor_format(levels, reduced_rank=True)
    suffixes = tuple(pattern.format(name="", field=field) for field in matrix.columns)
    return Coding(np.asarray(matrix, dtype=np.float64), suffixes)


def _instance(chosen: Any) -> Any:
    """Return ``contr.sum()`` for ``contr.sum``; both may be written."""
    return chosen() if callable(chosen) else chosen


def _columns_of(coding: Coding, factor: Factor, *, reduced: bool) -> Any:
    """Return coded columns in formulaic's container, named by our suffixes."""
    from formulaic.materializers.types import FactorValues

    return FactorValues(
        coding.matrix[factor.codes],
        kind="categorical",
        column_names=coding.suffixes,
        spans_intercept=not reduced,
        drop_field=None,
        format="{name}{field}",
        format_reduced="{name}{field}",
        encoded=True,
    )


def _as_array(matrix: Any, n_rows: int) -> NDArray[np.float64]:
    array = np.asarray(getattr(matrix, "__wrapped__", matrix))
    if array.size == 0:
        return np.empty((n_rows, 0))
    return np.ascontiguousarray(array, dtype=np.float64)


def _first_line(cause: BaseException) -> str:
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0]
