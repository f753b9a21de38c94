"""Scores of groups, and the covariance that is robust to what happens within them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import ngmm
from ngmm.errors import NotSupportedError, OptionError
from ngmm.intervals import cluster_covariance
from ngmm.intervals.clusters import clusters
from ngmm.intervals.influence import influence
from ngmm.intervals.robust import group_scores
from ngmm.results import MixedModelFit
from tests.engine.derivatives import differences


@cache
def nested() -> MixedModelFit:
    """Slopes within levels of an outer factor, an inner factor, weights, an offset."""
    rng = np.random.default_rng(4)
    n = 90
    outer, inner = np.arange(n) % 5, np.arange(n) % 15
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "w": rng.uniform(0.5, 2.0, n),
            "o": rng.normal(size=n),
            "outer": outer,
            "inner": inner,
            "region": np.array(["a", "a", "b", "b", "c"])[outer],
        }
    )
    a, b = rng.normal(size=(2, 5))[:, outer]
    data["y"] = a + b * data["x"] + data["o"] + rng.normal(size=15)[inner]
    data["y"] += rng.normal(size=n)
    formula = "y ~ x + offset(o) + (x | outer) + (1 | inner)"
    return ngmm.fit(formula, data, weights="w")


def log_density(fit: MixedModelFit, rows: np.ndarray, psi: np.ndarray) -> float:
    """Of some rows by their dense covariance matrix, psi = (beta, theta, log sigma)."""
    d, sigma = fit.design, np.exp(psi[-1])
    slope, cross = psi[2:5], d.random[0].codes[rows]
    lam = np.array([[slope[0], 0.0], [slope[1], slope[2]]])
    z = d.random[0].Z[rows]
    V = np.diag(1.0 / d.weights[rows])
    V = V + (z @ lam @ lam.T @ z.T) * (cross[:, None] == cross)
    own = d.random[1].codes[rows]
    V = V + psi[5] ** 2 * (own[:, None] == own)
    mean = d.X[rows] @ psi[:2] + d.offset[rows]
    return float(multivariate_normal(mean, sigma**2 * V).logpdf(d.y[rows]))


def test_gaussian_scores_are_slopes_of_dense_densities() -> None:
    fit = nested()
    groups = clusters(fit, None, "the test")
    assert groups.name == "outer"
    found = group_scores(fit, groups).scores
    psi = np.concatenate([fit.fixef, fit.theta, [np.log(fit.sigma)]])
    for g in range(groups.n):
        rows = np.flatnonzero(groups.codes == g)
        slope = differences(lambda x, r=rows: log_density(fit, r, x), psi, 1e-4)
        # What differences of a log-density of order 30 leave.
        np.testing.assert_allclose(found[g], slope, rtol=1e-6, atol=1e-6)
    # At a maximum they cancel: its gradient is 1e-7 of their size.
    np.testing.assert_allclose(found.sum(0), 0.0, atol=1e-5)


def test_gaussian_sandwich_is_the_formula() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    d, k = fit.design, 18
    lam = np.array([[fit.theta[0], 0.0], fit.theta[1:]])
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    for g in range(k):
        rows = d.random[0].codes == g
        z, x = d.random[0].Z[rows], d.X[rows]
        inverse = np.linalg.inv(np.eye(rows.sum()) + z @ lam @ lam.T @ z.T)
        score = x.T @ inverse @ (d.y[rows] - x @ fit.fixef.to_numpy())
        bread += x.T @ inverse @ x
        meat += np.outer(score, score)
    half = np.linalg.inv(bread)
    expected = k / (k - 1) * half @ meat @ half
    found = fit.vcov("cluster")
    # Two orders of the same sums.
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # In a balanced design of equal X it is the empirical covariance of the levels'
    # least-squares lines over k, as that of REML is.
    lines = np.stack(
        [
            np.linalg.lstsq(d.X[c], d.y[c], rcond=None)[0]
            for c in (d.random[0].codes == g for g in range(k))
        ]
    )
    np.testing.assert_allclose(found, np.cov(lines.T) / k, rtol=1e-9)


def test_larger_clusters_than_the_groups() -> None:
    fit = nested()
    found = cluster_covariance(fit, cluster="region")
    scores = group_scores(fit, clusters(fit, None, "the test")).scores
    region = np.zeros((3, 5))
    region[[0, 0, 1, 1, 2], range(5)] = 1.0
    half = fit.vcov().to_numpy()
    meat = (region @ scores)[:, :2]
    # The same scores added up by hand.
    np.testing.assert_allclose(found, 1.5 * half @ meat.T @ meat @ half, rtol=1e-9)


def test_influence_on_a_balanced_mean() -> None:
    data = ngmm.datasets.load("Dyestuff")
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    found = influence(fit, clusters(fit, None, "the test"))
    y = data["Yield"].to_numpy(dtype=np.float64)
    codes = fit.design.random[0].codes
    batch = np.bincount(codes, y) / np.bincount(codes)
    # The mean of six batches moves by a sixth of each deviation.
    np.testing.assert_allclose(found[:, 0], (batch - y.mean()) / 6, rtol=1e-8)
    np.testing.assert_allclose(found.sum(0), 0.0, atol=1e-6)


@pytest.mark.slow
def test_generalized_scores_two_ways() -> None:
    data = ngmm.datasets.load("cbpp")
    data["region"] = data["herd"].astype(int) % 5
    fit = ngmm.fit(
        "incidence ~ period + (1 | herd)",
        data,
        family="binomial",
        trials="size",
        quad="laplace",
    )
    groups = clusters(fit, "region", "the test")
    found = group_scores(fit, groups).scores
    psi = np.concatenate([fit.fixef, fit.theta])
    for g in range(groups.n):
        # Laplace's approximation of a model of those rows alone.
        own = ngmm.build_design(
            ngmm.parse("incidence ~ period + (1 | herd)"),
            data[groups.codes == g],
            trials="size",
        )[0]
        model = ngmm.Model(own, fit.model.family, quad="laplace")
        slope = differences(lambda x, m=model: m.loglik(x[-1:], beta=x[:-1]), psi, 1e-3)
        # What differences of a log-likelihood of order 30 leave.
        np.testing.assert_allclose(found[g], slope, atol=2e-6)


@pytest.mark.slow
def test_three_nested_factors_of_a_generalized_model() -> None:
    rng = np.random.default_rng(5)
    c = np.repeat(np.arange(24), 4)
    data = pd.DataFrame({"c": c, "b": c // 3, "a": c // 6, "x": rng.normal(size=96)})
    effect = rng.normal(size=4)[c // 6] + 0.7 * rng.normal(size=24)[c]
    data["y"] = rng.poisson(np.exp(0.5 * effect + 0.3 * data["x"]))
    formula = "y ~ x + (1 | a) + (1 | b) + (1 | c)"
    fit = ngmm.fit(formula, data, family="poisson")
    groups = clusters(fit, None, "the test")
    assert groups.name == "a"
    found = group_scores(fit, groups).scores
    # At the maximum the scores cancel to what its search leaves.
    np.testing.assert_allclose(found.sum(0), 0.0, atol=1e-4)
    assert (np.abs(found[:, 0]) > 1e-2).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"robust": "HC3"}, r"robust must be 'cluster' or None, got 'HC3'"),
        ({"cluster": "outr"}, r"cluster='outr' is neither .* did you mean \"outer\"\?"),
        ({"cluster": "inner"}, r"levels of \"inner\" are not independent: .*\"outer\""),
    ],
)
def test_bad_clusters(call: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        cluster_covariance(nested(), **call)


def test_crossed_factors_are_refused() -> None:
    data = ngmm.datasets.load("Penicillin")
    fit = ngmm.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    with pytest.raises(NotSupportedError, match=r"plate, sample are crossed"):
        fit.vcov("cluster")
    fit.call.data["lab"] = "one"
    with pytest.raises(OptionError, match=r"several groups, and \"lab\" has one"):
        fit.vcov("cluster", cluster="lab")
