"""What the regressor and the classifier share: fitting and predicting by a formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ngmm.api import fit
from ngmm.errors import DataError, OptionError, did_you_mean
from ngmm.formula import ModelFormula
from ngmm.results import MixedModelFit
from ngmm.results.request import NEW_LEVELS, RE
from ngmm.sklearn.formulas import GROUPS, whole_formula
from ngmm.sklearn.inputs import checked_columns, with_groups

Vector = NDArray[np.float64]


class FormulaModel(BaseEstimator):
    """A model of a formula, before what its response is is known."""

    formula: str
    offset: str | None
    re: str
    new_levels: str
    fit_: MixedModelFit
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def _fit_to(
        self,
        frame: pd.DataFrame,
        y: Vector,
        weights: Vector | None,
        groups: Any,
        **arguments: Any,
    ) -> None:
        """Fit the formula to columns and a response."""
        self._check_prediction_options()
        data = with_groups(frame, groups)
        beside = () if self.offset is None else (self.offset,)
        terms = whole_formula(self.formula, list(data.columns), beside)
        _check_groups(terms, data, given=groups is not None)
        data = data.assign(**{terms.response.expr.strip("`"): y})
        if weights is not None:
            used = weights > 0
            data, weights = data[used], weights[used]
        self.fit_ = fit(
            str(terms),
            data,
            weights=weights,
            offset=self.offset,
            na_action="raise",
            progress=False,
            **arguments,
        )

    def _predicted(self, X: Any, groups: Any) -> Vector:
        """Means of rows: groups that are not known have b = 0, or b integrated out."""
        check_is_fitted(self)
        self._check_prediction_options()
        data = with_groups(checked_columns(self, X, reset=False), groups)
        known = [
            term.group_name
            for term in self.fit_.terms.random
            if set(term.group) <= set(data.columns)
        ]
        re: Any = self.re
        unknown = len(known) < len(self.fit_.terms.random)
        if re == "all" and unknown and self.new_levels != "error":
            nothing = "marginal" if self.new_levels == "marginal" else "none"
            re = list(dict.fromkeys(known)) or nothing
        found = self.fit_.predict(data, re=re, new_levels=self.new_levels)
        return np.asarray(found, dtype=np.float64)

    def _check_prediction_options(self) -> None:
        """Refuse what `predict` would refuse, before the fit."""
        allowed = {"re": RE, "new_levels": NEW_LEVELS}
        for name, values in allowed.items():
            value = getattr(self, name)
            if value not in values:
                hint = did_you_mean(value, values) or "."
                raise OptionError(
                    f"{name}={value!r} is not possible{hint} "
                    f"{name} is one of {', '.join(map(repr, values))}"
                )


def checked_weights(sample_weight: Any, frame: pd.DataFrame) -> Vector | None:
    """Weights of the rows as numbers that are not negative."""
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, frame, ensure_non_negative=True)


def _check_groups(terms: ModelFormula, data: pd.DataFrame, *, given: bool) -> None:
    """Raise unless the argument ``groups`` and the formula agree."""
    needed = GROUPS in terms.variables
    if needed and GROUPS not in data.columns:
        raise DataError(
            f'"{GROUPS}" of the formula {terms} is not a column of X; pass '
            "fit(X, y, groups=...), or name a column in the formula: "
            'formula="~ x + (1 | g)"'
        )
    if given and not needed:
        raise OptionError(
            f'groups= is the column "{GROUPS}" of the formula, and {terms} has none; '
            f"leave groups= out, or write (1 | {GROUPS})"
        )
