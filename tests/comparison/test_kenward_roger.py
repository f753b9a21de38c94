"""Kenward and Roger's tests: against pbkrtest, and against their definition."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import NotSupportedError, OptionError
from ngmm.inference.wald import kenward_roger_blocks
from ngmm.inference.wald.kenward_roger import (
    kenward_roger,
    kenward_roger_table,
    matched_moments,
)
from ngmm.model import GaussianEstimate
from ngmm.results import MixedModelFit

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "reference" / "anova.json").read_text()
)
CASES = {c["name"]: c for c in REFERENCE["cases"] if c.get("kenward_roger")}


@cache
def frame(name: str) -> pd.DataFrame:
    if name not in ("unbalanced", "missing_cell"):
        return ngmm.datasets.load(name)
    data = pd.DataFrame(REFERENCE["data"]["unbalanced"])
    return data.loc[data["empty"] == 0] if name == "missing_cell" else data


@cache
def fitted(name: str) -> MixedModelFit:
    case = CASES[name]
    names: tuple[str, ...] = ("a", "b") if case["data"] == "unbalanced" else ("recipe",)
    is_sum = "sum" in case["coding"]
    contrasts: Any = dict.fromkeys(names, "sum") if is_sum else None
    with warnings.catch_warnings():
        # One coefficient of the data with an empty cell is aliased.
        warnings.simplefilter("ignore", ngmm.errors.RankDeficiencyWarning)
        return ngmm.fit(
            case["formula"], frame(case["data"]), reml=case["reml"], contrasts=contrasts
        )


@pytest.mark.reference
@pytest.mark.parametrize("name", CASES)
def test_tests_of_terms_are_those_of_pbkrtest(name: str) -> None:
    found = fitted(name).anova(df="kenward-roger").to_frame()
    for row in CASES[name]["kenward_roger"]:
        got = found.loc[row["term"]]
        assert got["num_df"] == row["num_df"]
        # lme4 has found theta to about 1e-7, which moves V by as much.
        assert got["statistic"] == pytest.approx(row["F"], rel=5e-6)
        assert got["den_df"] == pytest.approx(row["den_df"], rel=5e-6)


@pytest.mark.reference
@pytest.mark.parametrize("name", CASES)
def test_coefficients_are_those_of_pbkrtest(name: str) -> None:
    fit = fitted(name)
    assert isinstance(fit.estimate, GaussianEstimate)
    found = kenward_roger_table(fit.model, fit.estimate)
    expected = np.array(CASES[name]["vcov_adjusted"])
    scale = np.sqrt(np.diag(expected))
    # In units of the standard errors; as above.
    np.testing.assert_allclose(
        found.vcov / np.outer(scale, scale),
        expected / np.outer(scale, scale),
        atol=5e-6,
    )
    np.testing.assert_allclose(found.df, CASES[name]["kr_df"], rtol=5e-6)


def dense(fit: MixedModelFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adjusted covariance, W and Phi from matrices of size n x n, by definition."""
    d, sigma = fit.design, fit.sigma
    n = d.n_rows
    G = [np.diag(1.0 / d.weights)]
    V = sigma**2 * G[0]
    start = 0
    for term, c in zip(d.random, fit._analysis.components, strict=True):
        same = np.equal.outer(term.codes, term.codes).astype(float)
        k = len(term.names)
        for j in range(k):
            for i in range(j, k if term.correlated else j + 1):
                g = same * np.outer(term.Z[:, i], term.Z[:, j])
                G.append(g if i == j else g + g.T)
        for i in range(k):
            for j in range(k):
                V += same * np.outer(term.Z[:, i], term.Z[:, j]) * c.covariance[i, j]
        start += k
    H = np.linalg.inv(V)
    X = d.X
    phi = np.linalg.inv(X.T @ H @ X)
    P = [-X.T @ H @ g @ H @ X for g in G]
    m, p = len(G), X.shape[1]
    Q = np.array([[X.T @ H @ g @ H @ h @ H @ X for h in G] for g in G])
    info = np.array(
        [
            [
                np.trace(H @ G[r] @ H @ G[s])
                - 2 * np.trace(phi @ Q[r, s])
                + np.trace(phi @ P[r] @ phi @ P[s])
                for s in range(m)
            ]
            for r in range(m)
        ]
    )
    W = 2 * np.linalg.inv(info)
    U = sum(
        (W[r, s] * (Q[r, s] - P[r] @ phi @ P[s]) for r in range(m) for s in range(m)),
        np.zeros((p, p)),
    )
    assert n == len(V)
    return phi + 2 * phi @ U @ phi, W, phi


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ a + x + (1 + x | g) + (1 | h)",  # crossed: one block
        "y ~ a + x + (1 + x || g)",
        "y ~ a + x + (1 | g / b)",  # nested: blocks of several shapes
    ],
)
def test_adjusted_covariance_is_that_of_dense_matrices(formula: str) -> None:
    data = frame("unbalanced").assign(w=lambda d: 0.5 + (d["x"] - d["x"].min()))
    fit = ngmm.fit(formula, data, weights="w", reml=True)
    assert isinstance(fit.estimate, GaussianEstimate)
    found = kenward_roger(fit.model, fit.estimate)
    expected, _, phi = dense(fit)
    np.testing.assert_allclose(found.vcov, phi, rtol=1e-8, atol=1e-10)
    # Two ways to the same sums; the information has a condition of about 1e4.
    np.testing.assert_allclose(found.vcov_adjusted, expected, rtol=1e-7, atol=1e-10)


def test_balanced_data_have_the_exact_test() -> None:
    # Split plots: recipe between, temperature within the 45 bakings.
    found = fitted("cake_factor").anova(1, df="kenward-roger").to_frame()
    expected = [42.0, 210.0, 210.0]
    # Exact in theory; the maximum is found to 1e-9.
    np.testing.assert_allclose(found["den_df"], expected, rtol=1e-7)


def test_moments_of_a_known_f_distribution_are_found() -> None:
    # T^2 / q of dimension q with m degrees of freedom has A1, A2 for which the scale is
    # (m - q + 1) / m; for q = 1 it is t with m degrees of freedom: A1 = A2 = 2 / m.
    for m in (5.0, 17.0, 200.0):
        nu, scale = matched_moments(1, 2.0 / m, 2.0 / m)
        # Rounding only.
        assert nu == pytest.approx(m, rel=1e-9)
        assert scale == pytest.approx(1.0, rel=1e-9)
    assert matched_moments(2, 0.0, 0.0) == (np.inf, 1.0)


def test_a_fit_by_maximum_likelihood_is_fitted_again() -> None:
    data, formula = frame("sleepstudy"), "Reaction ~ Days + (Days | Subject)"
    table = ngmm.fit(formula, data).anova(df="kenward-roger")
    assert "from a fit by REML" in table.caption
    expected = fitted("sleepstudy").anova(df="kenward-roger").to_frame()
    # Searches from two starting points.
    np.testing.assert_allclose(table.to_frame(), expected, rtol=1e-6)
    ml = ngmm.fit(formula, data)
    assert isinstance(ml.estimate, GaussianEstimate)
    with pytest.raises(OptionError, match="reml=True"):
        kenward_roger_table(ml.model, ml.estimate)


def test_too_large_a_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kenward_roger_blocks, "MAX_BLOCK", 10)
    with pytest.raises(NotSupportedError, match=r"up to 10\. Use df=.satterthwaite"):
        fitted("unbalanced").anova(df="kenward-roger")
    # Subjects are blocks of two each.
    fitted("sleepstudy").anova(df="kenward-roger")
