"""Conditional AIC against derivatives of the fitted values and the R package cAIC4."""

from __future__ import annotations

import numpy as np
import pytest

import ngmm
from ngmm.diagnostics.checks import additive
from ngmm.errors import ConvergenceWarning
from ngmm.inference.conditional_aic import conditional_aic, estimation_term
from ngmm.inference.deletion.leverage import leverage
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis


@pytest.mark.parametrize(
    ("formula", "name", "reml"),
    [
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff", True),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff", False),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes", False),
    ],
)
def test_edf_is_the_trace_of_the_derivative_of_the_fitted_values(
    formula: str, name: str, reml: bool
) -> None:
    data = ngmm.datasets.load(name)
    weights = np.linspace(0.5, 2.0, len(data))
    fit = ngmm.fit(formula, data, reml=reml, weights=weights)
    y, total = fit.design.y, 0.0
    step = 1e-3 * fit.sigma
    for row in range(len(y)):
        ends = []
        for sign in (1.0, -1.0):
            moved = y.copy()
            moved[row] += sign * step
            ends.append(fit.refit(moved).fitted().iloc[row])
        total += (ends[0] - ends[1]) / (2.0 * step)
    analysis = fit._analysis
    assert isinstance(analysis, GaussianAnalysis)
    # Central differences of refits: an error of step^2, and 1e-9 / step of the search.
    assert leverage(analysis).sum() + estimation_term(analysis) == pytest.approx(
        total, rel=1e-5
    )


def test_loglik_is_that_of_caic4() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", data, reml=True)
    found = conditional_aic(additive(fit, "", ""))
    # cAIC4 1.0: loglikelihood -864.5295004, df 19.0296. Its term for the estimation of
    # theta is 5 % larger than the derivative of the fitted values (see above).
    assert found.loglik == pytest.approx(-864.5295004, abs=1e-4)
    assert found.edf == pytest.approx(19.0296, abs=0.01)
    assert found.value == -2 * found.loglik + 2 * found.edf


def test_at_a_boundary_the_variance_adds_nothing() -> None:
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", ngmm.datasets.load("Dyestuff2"))
    # A mean and a residual standard deviation.
    assert conditional_aic(additive(fit, "", "")).edf == pytest.approx(2.0)


def test_poisson_counts_the_working_model() -> None:
    data = ngmm.datasets.load("epil")
    formula = "y ~ trt + (1 | subject)"
    with pytest.warns(ConvergenceWarning, match="carries an error"):
        fit = ngmm.fit(formula, data, family="poisson", quad="laplace")
    found = conditional_aic(additive(fit, "", ""))
    # cAIC4 1.0 at lme4's default tolerance.
    assert found.loglik == pytest.approx(-586.4168, abs=5e-3)
    a = fit._analysis
    assert isinstance(a, GeneralizedAnalysis)
    columns = np.column_stack(
        [fit.design.X, (fit.design.random[0].codes[:, None] == np.arange(59))]
    )
    W = a.working.weight
    inner = columns.T @ (W[:, None] * columns)
    penalty = np.r_[np.zeros(2), np.full(59, 1 / fit.theta[0] ** 2)]
    # The textbook formula, dense.
    edf = np.trace(np.linalg.solve(inner + np.diag(penalty), inner))
    assert found.edf == pytest.approx(edf, rel=1e-8)
