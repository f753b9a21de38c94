"""Score statistics against dense matrices, F tests and finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ngmm
from ngmm.inference.score.statistic import (
    effective_df,
    gaussian_score,
    generalized_engine,
    generalized_score,
    with_columns,
)
from ngmm.likelihood.choose import accurate_engine


@pytest.fixture(scope="module")
def crossed():
    """Rows of two crossed factors with weights, a fit, and three columns."""
    generator = np.random.default_rng(1)
    n = 60
    data = pd.DataFrame({"g": np.arange(n) % 10, "h": np.arange(n) // 12})
    data["x"] = generator.normal(size=n)
    data["w"] = generator.uniform(0.5, 2.0, size=n)
    b = 2.0 * generator.normal(size=10)[data.g] + generator.normal(size=5)[data.h]
    data["y"] = 1.0 + data.x + b + generator.normal(size=n)
    formula = "y ~ x + (1 + x | g) + (1 | h)"
    fit = ngmm.fit(formula, data, reml=True, weights="w")
    return fit, generator.normal(size=(n, 3))


def dense_forms(fit, theta, F):
    """A, U and y'Py with sigma = 1 from dense matrices, columns as given."""
    d = fit.design
    V = np.diag(1.0 / d.weights)
    start = 0
    for term, k in zip(d.random, (2, 1), strict=True):
        lam = np.zeros((k, k))
        lam[np.triu_indices(k)] = theta[start : start + k * (k + 1) // 2]
        lam = lam.T
        start += k * (k + 1) // 2
        half = np.einsum("nk,kj->nj", term.Z, lam)
        V += (half @ half.T) * (term.codes[:, None] == term.codes)
    inverse = np.linalg.inv(V)
    XV = d.X.T @ inverse
    P = inverse - XV.T @ np.linalg.solve(XV @ d.X, XV)
    return F.T @ P @ F, F.T @ P @ d.y, d.y @ P @ d.y


def test_quadratic_forms_are_those_of_dense_matrices(crossed):
    fit, F = crossed
    e = fit.estimate
    root = np.sqrt(fit.design.weights)
    found = gaussian_score(
        fit.model.problem, e.engine_theta, e.profile.hessian, F, root
    )
    A, U, rss = dense_forms(fit, fit.theta, F)
    scale = fit.model.problem.data.y_scale
    # A 60 x 60 inverse keeps about 12 digits.
    np.testing.assert_allclose(found.A, A, rtol=1e-9)
    np.testing.assert_allclose(found.U * scale, U, rtol=1e-9, atol=1e-9)
    assert found.rss * scale**2 == pytest.approx(rss, rel=1e-9)
    assert found.n_residual == 58


def test_what_estimating_theta_takes_is_a_regression_on_its_scores(crossed):
    fit, F = crossed
    e = fit.estimate
    root = np.sqrt(fit.design.weights)
    found = gaussian_score(
        fit.model.problem, e.engine_theta, e.profile.hessian, F, root
    )
    # With y'Py stationary up to the log-determinants, the covariance of the statistic
    # with the score of theta is minus the derivative of tr(A) (y'Py)^(-1) at fixed
    # mean of y'Py: both by central differences in the user's theta.
    step, shared = 1e-5, []
    for j in range(len(fit.theta)):
        ends = []
        for sign in (1.0, -1.0):
            theta = fit.theta.copy()
            theta[j] += sign * step
            A, _, rss = dense_forms(fit, theta, F)
            ends.append((np.trace(A), np.log(rss)))
        slope = (np.array(ends[0]) - ends[1]) / (2.0 * step)
        shared.append(-slope[0] + slope[1] * np.trace(found.A))
    turn = np.zeros((len(fit.theta),) * 2)
    for j, unit in enumerate(np.eye(len(fit.theta))):
        turn[:, j] = fit.model.problem.to_engine(unit)
    hessian = turn.T @ e.profile.hessian @ turn
    shared = np.array(shared)
    variance = (found.A**2).sum() - np.trace(found.A) ** 2 / 58
    taken = shared @ np.linalg.solve(hessian, shared) / variance
    # Differences of step 1e-5 have an error of about 1e-9.
    assert found.taken == pytest.approx(taken, rel=1e-5)
    assert 0.0 < found.taken < 0.9


def test_one_column_has_the_p_value_of_its_f_test(crossed):
    fit, F = crossed
    e = fit.estimate
    root = np.sqrt(fit.design.weights)
    found = gaussian_score(
        fit.model.problem, e.engine_theta, e.profile.hessian, F[:, :1], root
    )
    A, U, rss = dense_forms(fit, fit.theta, F[:, :1])
    explained = float(U[0] ** 2 / A[0, 0])
    f = explained / ((rss - explained) / 57)
    known = replace(found, taken=0.0)
    # The mixture is good to ten digits.
    assert known.p_value() == pytest.approx(stats.f.sf(f, 1, 57), rel=1e-8)


def test_padding_of_columns_changes_nothing(crossed):
    fit, F = crossed
    problem = fit.model.problem
    root = np.sqrt(fit.design.weights)
    y = problem.data.tail[:, 2:]
    system, layout = with_columns(problem, y, F, root)
    assert layout.n_beta == 2 + 32
    assert not np.asarray(system.within)[5:34].any()


@pytest.fixture(scope="module")
def binary():
    generator = np.random.default_rng(3)
    n = 80
    g = np.repeat(np.arange(16), 5)
    x = generator.normal(size=n)
    eta = 0.5 * x + generator.normal(size=16)[g]
    y = (generator.uniform(size=n) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    fit = ngmm.fit("y ~ x + (1 | g)", data, family="bernoulli", quad=15)
    return fit, generator.normal(size=(n, 2))


def test_score_and_information_are_derivatives_of_the_marginal_likelihood(binary):
    fit, F = binary
    e, problem = fit.estimate, fit.model.marginal.problem
    x = problem.to_engine(e.beta, e.theta, None)
    engine = accurate_engine(problem, fit.model.marginal.rule, x)
    found = generalized_score(generalized_engine(engine, F), x, 2, 2)
    wide = replace(
        fit.model,
        design=replace(
            fit.design,
            X=np.column_stack([fit.design.X, F]),
            names=("Intercept", "x", "f1", "f2"),
            column_terms=("Intercept", "x", "f1", "f2"),
        ),
    )
    psi = np.concatenate([e.beta, np.zeros(2), e.theta])
    step = 1e-3

    def value(change):
        at = psi + change
        return wide.loglik(at[4:], beta=at[:4])

    eye = step * np.eye(5)
    gradient = [(value(eye[j]) - value(-eye[j])) / (2 * step) for j in range(5)]
    hessian = np.array(
        [
            [
                value(eye[i] + eye[j])
                - value(eye[i] - eye[j])
                - value(eye[j] - eye[i])
                + value(-eye[i] - eye[j])
                for j in range(5)
            ]
            for i in range(5)
        ]
    ) / (4 * step**2)
    new, old = [2, 3], [0, 1, 4]
    J = -hessian
    efficient = J[np.ix_(new, new)] - J[np.ix_(new, old)] @ np.linalg.solve(
        J[np.ix_(old, old)], J[np.ix_(old, new)]
    )
    # Central differences of step 1e-3: errors of 1e-6 of the third and fourth
    # derivatives, which are of the order of the second here.
    np.testing.assert_allclose(found.U, np.array(gradient)[new], atol=2e-4)
    np.testing.assert_allclose(found.J, efficient, rtol=1e-3, atol=1e-3)
    assert found.statistic == pytest.approx(float(found.U @ found.U), rel=1e-12)


def test_effective_df_of_equal_weights_is_their_number():
    assert effective_df(np.full(7, 0.3)) == pytest.approx(7.0, rel=1e-12)
