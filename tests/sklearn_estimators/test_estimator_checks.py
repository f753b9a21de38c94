"""scikit-learn's own checks of estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ngmm.sklearn import MixedModelClassifier, MixedModelRegressor

EXACT = (
    "the response is an exact function of X, which leaves no residual variance to "
    "estimate: a mixed model refuses that"
)
REGRESSOR = {
    "check_sample_weights_shape": EXACT,
    "check_sample_weights_not_overwritten": EXACT,
    "check_regressors_no_decision_function": EXACT,
    "check_sample_weight_equivalence_on_dense_data": (
        "weights of a Gaussian response are precisions and not counts"
    ),
}
CLASSIFIER = {
    "check_sample_weight_equivalence_on_dense_data": (
        "leaves as many rows as there are fixed effects, and the groups below go by "
        "row number, which repeating rows changes; test_mixed_model_classifier.py has "
        "the same check with groups that stay"
    ),
}


class Regressor(MixedModelRegressor):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # type: ignore[override]
        return super().fit(X, y, sample_weight, groups=some_groups(X))


class Classifier(MixedModelClassifier):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # type: ignore[override]
        return super().fit(X, y, sample_weight, groups=some_groups(X))


def some_groups(X: Any) -> Any:
    """The checks have no groups: rows are dealt to four of them."""
    shape = np.shape(np.asarray(X))
    return np.arange(shape[0]) % 4 if shape else None


# Blobs are separated, as their coefficients say; it is the interface that is tested.
@pytest.mark.filterwarnings("ignore::ngmm.errors.NgmmWarning")
@parametrize_with_checks([Regressor()], expected_failed_checks=lambda _: REGRESSOR)
def test_regressor(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ngmm.errors.NgmmWarning")
@parametrize_with_checks([Classifier()], expected_failed_checks=lambda _: CLASSIFIER)
def test_classifier(estimator: Any, check: Any) -> None:
    check(estimator)
