"""Variance inflation and conditioning against their textbook definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.inference.collinearity import condition_number, correlation, inflation


def columns() -> tuple[np.ndarray, list[str]]:
    """Intercept, three overlapping numbers, and a factor of three levels."""
    rng = np.random.default_rng(11)
    n = 200
    a, b = rng.normal(size=(2, n))
    c = a + 0.5 * b + 0.3 * rng.normal(size=n)
    f = np.digitize(b + rng.normal(size=n), [-0.5, 0.5])
    X = np.column_stack([np.ones(n), a, b, c, f == 1, f == 2]).astype(float)
    return X, ["Intercept", "a", "b", "c", "f", "f"]


def r_squared(y: np.ndarray, X: np.ndarray) -> float:
    residual = y - X @ np.linalg.lstsq(X, y)[0]
    return 1 - residual @ residual / ((y - y.mean()) ** 2).sum()


def test_inflation_of_one_column_is_one_over_one_minus_r_squared() -> None:
    X, terms = columns()
    found = inflation(np.linalg.inv(X.T @ X), terms)
    assert list(found) == ["a", "b", "c", "f"]
    for j, name in enumerate(["a", "b", "c"], start=1):
        expected = 1 / (1 - r_squared(X[:, j], np.delete(X, j, axis=1)))
        value, df = found[name]
        # An inverse of condition about 100.
        assert (value, df) == (pytest.approx(expected, rel=1e-9), 1)


def test_inflation_of_a_factor_is_a_ratio_of_determinants() -> None:
    X, terms = columns()
    found = inflation(np.linalg.inv(X.T @ X), terms)
    # Fox and Monette (1992): of correlations of the columns, not of the estimates.
    R = np.corrcoef(X[:, 1:].T)
    rest, own = R[:3, :3], R[3:, 3:]
    det = np.linalg.det
    expected = det(rest) * det(own) / det(R)
    assert found["f"] == (pytest.approx(expected, rel=1e-9), 2)


def test_inflation_does_not_depend_on_the_coding_of_a_factor() -> None:
    X, terms = columns()
    other = X.copy()
    other[:, 4:] = X[:, 4:] @ np.array([[1.0, 2.0], [-1.0, 0.5]]) + 3.0
    a = inflation(np.linalg.inv(X.T @ X), terms)
    b = inflation(np.linalg.inv(other.T @ other), terms)
    for name, (value, df) in a.items():
        assert b[name] == (pytest.approx(value, rel=1e-9), df)


def test_orthogonal_columns_are_not_inflated() -> None:
    found = inflation(np.diag([1.0, 4.0, 9.0]), ["Intercept", "a", "b"])
    assert found == {"a": (pytest.approx(1), 1), "b": (pytest.approx(1), 1)}
    assert inflation(np.eye(1), ["Intercept"]) == {}
    assert inflation(np.zeros((0, 0)), []) == {}


def test_correlation_of_a_covariance() -> None:
    vcov = np.array([[4.0, 3.0], [3.0, 9.0]])
    np.testing.assert_allclose(correlation(vcov), [[1, 0.5], [0.5, 1]], rtol=1e-15)


def test_condition_number() -> None:
    X, _ = columns()
    unit = X / np.linalg.norm(X, axis=0)
    assert condition_number(X) == pytest.approx(np.linalg.cond(unit), rel=1e-10)
    # Columns at 60 degrees: eigenvalues 1 +- 1/2.
    pair = np.array([[1.0, 0.5], [0.0, np.sqrt(0.75)]])
    assert condition_number(pair) == pytest.approx(np.sqrt(3), rel=1e-14)
    assert condition_number(pair * [1e-8, 1e8]) == pytest.approx(np.sqrt(3), rel=1e-14)
    assert condition_number(np.zeros((5, 0))) == 1


def test_a_fit_without_variance_between_groups_has_the_ordinary_factors() -> None:
    X, _ = columns()
    data = pd.DataFrame(X[:, 1:4], columns=list("abc"))
    data["g"] = np.arange(200) % 10
    # A residual that no difference between groups is left in.
    full = np.column_stack([X[:, :4], np.eye(10)[data["g"]][:, 1:]])
    e = np.random.default_rng(0).normal(size=200)
    data["y"] = data["a"] + e - full @ np.linalg.lstsq(full, e)[0]
    fit = ngmm.fit("y ~ a + b + c + (1 | g)", data)
    assert fit.is_singular
    vif = fit.collinearity().to_frame()["vif"].to_dict()
    for j, name in enumerate("abc", start=1):
        expected = 1 / (1 - r_squared(X[:, j], np.delete(X[:, :4], j, axis=1)))
        assert vif[name] == pytest.approx(expected, rel=1e-8)
