"""`MixedModelClassifier` is a bernoulli model in scikit-learn's clothes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_score

import ngmm
from ngmm.errors import DataError
from ngmm.sklearn import MixedModelClassifier

FORMULA = "~ urban + age + (1 | district)"


@cache
def women() -> tuple[pd.DataFrame, pd.Series]:
    data = ngmm.datasets.load("Contraception").iloc[:500]
    return data[["urban", "age", "district"]], data["use"]


@cache
def classifier() -> MixedModelClassifier:
    return MixedModelClassifier(FORMULA, quad="laplace").fit(*women())


@cache
def direct() -> Any:
    X, y = women()
    return ngmm.fit(
        "use " + FORMULA, X.assign(use=y), family="bernoulli", quad="laplace"
    )


def test_probabilities_and_classes_are_those_of_fit() -> None:
    X, y = women()
    # The same computation.
    assert classifier().fit_.loglik == direct().loglik
    p = classifier().predict_proba(X)
    np.testing.assert_array_equal(p[:, 1], direct().predict(X))
    # 1 - p + p, rounded.
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-15)
    assert classifier().classes_.tolist() == ["N", "Y"]
    chosen = classifier().predict(X)
    assert (chosen == np.where(p[:, 1] > 0.5, "Y", "N")).all()
    assert classifier().score(X, y) == np.mean(chosen == y)


def test_new_groups_with_the_effects_averaged_out() -> None:
    X, y = women()
    model = MixedModelClassifier(FORMULA, quad="laplace", new_levels="marginal")
    new = X.iloc[:5].assign(district="elsewhere")
    p = model.fit(X, y).predict_proba(new)[:, 1]
    expected = direct().predict(new, new_levels="marginal")
    np.testing.assert_array_equal(p, expected)
    population = classifier().predict_proba(new)[:, 1]
    # Averaging over groups brings probabilities nearer to a half.
    assert (np.abs(p - 0.5) < np.abs(population - 0.5)).all()


@pytest.mark.slow
def test_cross_validation_by_area_under_the_curve() -> None:
    X, y = women()
    model = MixedModelClassifier("~ urban + (1 | district)", quad="laplace")
    folds = GroupKFold(2)
    groups = X["district"]
    found = cross_val_score(model, X, y, groups=groups, cv=folds, scoring="roc_auc")
    train, test = next(iter(folds.split(X, y, groups)))
    model.fit(X.iloc[train], y.iloc[train])
    expected = roc_auc_score(
        y.iloc[test] == "Y", model.predict_proba(X.iloc[test])[:, 1]
    )
    assert found[0] == expected


@pytest.mark.slow
def test_a_weight_is_a_number_of_rows() -> None:
    X, y = women()
    w = np.random.default_rng(1).integers(0, 3, len(X))
    weighted = MixedModelClassifier(FORMULA, quad="laplace").fit(X, y, w)
    rows = np.repeat(np.arange(len(X)), w)
    repeated = MixedModelClassifier(FORMULA, quad="laplace")
    repeated.fit(X.iloc[rows], y.iloc[rows])
    # Two searches of one maximum, to where it is flat.
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6
    )


def test_numeric_labels_come_back_as_they_are() -> None:
    X, y = women()
    labels = np.where(y == "Y", 7, -2)
    model = MixedModelClassifier(FORMULA, quad="laplace").fit(X, labels)
    assert model.classes_.tolist() == [-2, 7]
    assert set(model.predict(X)) <= {-2, 7}
    assert model.fit_.loglik == direct().loglik


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(500), "one class only"),
        (np.arange(500) % 3, "Only binary classification is supported.*3 classes"),
    ],
    ids=["one", "three"],
)
def test_other_numbers_of_classes(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        MixedModelClassifier(FORMULA).fit(women()[0], labels)


def test_weights_of_zero_may_not_take_a_class_away() -> None:
    X, y = women()
    with pytest.raises(DataError, match="one class only"):
        MixedModelClassifier(FORMULA).fit(X, y, sample_weight=(y == "Y").astype(float))
