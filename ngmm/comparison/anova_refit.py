"""A fit again with fewer terms, to the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.comparison.anova_terms import Term, training_columns
from ngmm.design.matrix import build_matrix
from ngmm.design.rank import independent_columns
from ngmm.formula import ModelFormula

if TYPE_CHECKING:
    from ngmm.design import Design
    from ngmm.results.fit import MixedModelFit


def fixed_text(fit: MixedModelFit, terms: Sequence[Term]) -> str:
    """The fixed part with these terms, as a formula spells it."""
    has_intercept = "Intercept" in fit.spec.fixed.column_terms
    parts = [":".join(part.text for part in term.parts) for term in terms]
    return " + ".join(["1" if has_intercept else "0", *parts])


def reduced_design(fit: MixedModelFit, terms: Sequence[Term]) -> Design:
    """The design with these fixed terms only, for the same rows."""
    data = training_columns(fit)
    contrasts = dict(fit.call.arguments.get("contrasts") or {})
    n = fit.design.n_rows
    whole, spec = build_matrix(fixed_text(fit, terms), data, contrasts, n)
    kept = independent_columns(whole)
    return replace(
        fit.design,
        X=np.ascontiguousarray(whole[:, kept]),
        names=tuple(spec.names[c] for c in kept),
        column_terms=tuple(spec.column_terms[c] for c in kept),
        aliased=(),
    )


def refit(fit: MixedModelFit, formula: ModelFormula) -> MixedModelFit:
    """Fit another formula to the rows that this fit has used.

    A column with missing values that the formula no longer has must not bring rows
    back: models are compared on the same rows.
    """
    changes: dict[str, Any] = {}
    arguments = fit.call.arguments
    contrasts = arguments.get("contrasts")
    if contrasts:
        left = formula.variables
        changes["contrasts"] = {k: v for k, v in contrasts.items() if k in left} or None
    if not formula.networks and not any(term.networks for term in formula.random):
        changes |= {"estimator": "auto", "networks": None}
    if fit.n_dropped:
        rows = fit.design.rows
        changes["data"] = _rows_of(fit.call.data, rows)
        for name in ("weights", "offset", "trials"):
            given = arguments.get(name)
            if given is not None and not isinstance(given, str) and np.ndim(given):
                changes[name] = np.asarray(given)[rows]
    return fit.call.again(str(formula), **changes)


def _rows_of(data: Any, rows: NDArray[np.int64]) -> Any:
    """Some rows of what users give as data."""
    if isinstance(data, pd.DataFrame):
        return data.iloc[rows]
    if isinstance(data, Mapping):
        return {name: _taken(values, rows) for name, values in data.items()}
    import narwhals

    return narwhals.from_native(data)[rows.tolist()].to_native()


def _taken(values: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(values, pd.Series):
        return values.iloc[rows]
    return np.asarray(values)[rows]
