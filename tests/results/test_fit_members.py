"""Numbers and rows of a fit: what they are called, and that they agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ngmm.covariance import factor_numpy, pattern
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit
from tests.results.dense import log_density, solve, spread, term_covariances
from tests.results.examples import NAMES, fitted, model, panel


@pytest.fixture(params=NAMES)
def fit(request: pytest.FixtureRequest) -> MixedModelFit:
    return fitted(request.param)


def test_names_of_the_fixed_effects() -> None:
    names = ["Intercept", "x", "f[T.b]", "f[T.c]"]
    fit = fitted("rich")
    assert fit.fixef.index.tolist() == names
    assert fit.bse.index.tolist() == names
    assert fit.pvalues.index.tolist() == names
    for frame in (fit.vcov(), fit.correlation()):
        assert frame.index.tolist() == names
        assert frame.columns.tolist() == names
    assert (fit.fixef.name, fit.bse.name) == ("estimate", "std_error")


def test_a_model_without_fixed_effects_has_empty_tables() -> None:
    fit = fitted("no_fixed")
    for empty in (fit.fixef, fit.bse, fit.pvalues, fit.vcov(), fit.correlation()):
        assert len(empty) == 0
    assert len(fit.coef_table().to_frame()) == 0
    assert fit.df_model == 2


def test_facts_of_the_call() -> None:
    rich, slope = fitted("rich"), fitted("slope_reml")
    assert rich.formula == model("rich")[0]
    assert (rich.family, rich.link, rich.reml) == ("gaussian", "identity", False)
    assert slope.reml
    assert (slope.df_method, fitted("independent").df_method) == (
        "satterthwaite",
        "none",
    )
    assert (slope.seed, slope.integral_text) == (0, "exact")
    assert rich.estimate_text == f"converged in {rich.estimate.n_steps} Newton steps"


def test_counts() -> None:
    fit, data = fitted("rich"), panel()
    used = data.drop(index=[105, 120, 200, 201])
    assert (fit.nobs, fit.n_dropped) == (236, 4)
    assert fit.missing == {"x": 2, "z": 3}
    assert fit.n_levels == {"h": 6, "g": 12}
    for name in ("g", "h"):
        size = used[name].value_counts()
        assert fit.group_sizes[name] == (size.min(), size.median(), size.max())
    # Four fixed effects; 3 + 1 + 1 variance parameters; sigma.
    assert fit.df_model == 10
    assert fit.aliased == ("copy",)
    assert "copy" not in fit.fixef.index


def test_counts_without_missing_values() -> None:
    fit = fitted("nested")
    assert (fit.nobs, fit.n_dropped, fit.missing) == (60, 0, {})
    assert fit.n_levels == {"batch": 10, "batch:cask": 30}
    assert fit.group_sizes == {"batch": (6, 6.0, 6), "batch:cask": (2, 2.0, 2)}


def test_information_criteria(fit: MixedModelFit) -> None:
    # Identities, exact up to one rounding.
    assert fit.deviance == -2 * fit.loglik
    assert fit.aic == pytest.approx(fit.deviance + 2 * fit.df_model, rel=1e-14)
    penalty = np.log(fit.nobs) * fit.df_model
    assert fit.bic == pytest.approx(fit.deviance + penalty, rel=1e-14)
    n_theta = len(fit.theta)
    assert fit.df_model == len(fit.fixef) + n_theta + 1


def test_log_likelihood_is_the_dense_normal_density(fit: MixedModelFit) -> None:
    # Dense factorisations of at most 240 rows: about 1e-13 of some hundreds.
    assert fit.loglik == pytest.approx(log_density(fit), rel=1e-10)


def test_estimates_solve_the_mixed_model_equations(fit: MixedModelFit) -> None:
    dense = solve(fit)
    p = len(fit.fixef)
    # Both are exact solutions; the dense one loses digits to its condition number.
    np.testing.assert_allclose(fit.fixef, dense.beta, rtol=1e-8)
    np.testing.assert_allclose(fit.vcov(), dense.covariance[:p, :p], rtol=1e-7)


def test_standard_errors_and_correlations_come_from_the_covariance(
    fit: MixedModelFit,
) -> None:
    vcov = fit.vcov().to_numpy()
    np.testing.assert_array_equal(vcov, vcov.T)
    np.testing.assert_allclose(fit.bse**2, np.diag(vcov), rtol=1e-14)
    outer = np.outer(fit.bse, fit.bse)
    np.testing.assert_allclose(fit.correlation() * outer, vcov, rtol=1e-13)


def test_theta_holds_the_terms_in_the_order_of_the_formula(fit: MixedModelFit) -> None:
    start = 0
    for term, sigma in zip(fit.design.random, term_covariances(fit), strict=True):
        p = pattern([(len(term.names), term.correlated)])
        part = fit.theta[start : start + p.n_theta]
        lam = factor_numpy(part, p)
        assert (np.diag(lam) >= 0).all()
        # Products of a handful of numbers.
        np.testing.assert_allclose(
            fit.sigma**2 * lam @ lam.T, sigma, rtol=1e-12, atol=1e-12 * sigma.max()
        )
        start += p.n_theta
    assert start == len(fit.theta)
    # The engine takes the largest factor first: here it is not the first term.
    assert fit.model.loglik(fit.theta) == pytest.approx(fit.loglik, rel=1e-12)


def test_the_example_of_several_terms_is_reordered_by_the_engine() -> None:
    problem = fitted("rich").model.problem
    assert problem.order.tolist() != sorted(problem.order.tolist())


def test_theta_is_a_copy() -> None:
    fit = fitted("slope")
    fit.theta[:] = 0
    assert fit.theta[0] > 0


def test_singular_fits(fit: MixedModelFit) -> None:
    ranks = [
        np.linalg.matrix_rank(s, tol=1e-8 * max(s.max(), 1e-300))
        for s in term_covariances(fit)
    ]
    full = [len(t.names) for t in fit.design.random]
    assert fit.is_singular == (ranks != full)
    assert fit.is_singular == (fit in (fitted("zero"), fitted("perfect")))
    assert fit.converged


def test_fitted_is_the_linear_predictor(fit: MixedModelFit) -> None:
    d, b = fit.design, fit.ranef()
    eta = d.X @ fit.fixef.to_numpy() + d.offset
    for term in d.random:
        columns = b[term.group][list(term.names)].to_numpy()
        eta = eta + (term.Z * columns[term.codes]).sum(1)
    fitted_values = fit.fitted()
    # The same sum in another order.
    np.testing.assert_allclose(fitted_values, eta, rtol=1e-12, atol=1e-12)
    assert fitted_values.name == "fitted"
    pd.testing.assert_index_equal(fitted_values.index, d.index)


def test_fitted_agrees_with_the_dense_solution(fit: MixedModelFit) -> None:
    d, dense = fit.design, solve(fit)
    z = np.hstack([spread(t) for t in d.random])
    eta = d.X @ dense.beta + z @ dense.b + d.offset
    # As above; modes near zero are compared on the scale of the response.
    scale = float(np.abs(d.y).max())
    np.testing.assert_allclose(fit.fitted(), eta, rtol=0, atol=1e-9 * scale)


def test_rows_of_a_fit_carry_the_labels_of_the_rows_used() -> None:
    fit = fitted("rich")
    labels = panel().index.drop([105, 120, 200, 201])
    for rows in (fit.fitted(), fit.resid(), fit.predict(), fit.simulate(2)):
        pd.testing.assert_index_equal(rows.index, labels, exact=False)


def test_residuals() -> None:
    fit = fitted("rich")
    used = panel().loc[fit.design.index]
    raw = used["y"] - fit.fitted()
    # One subtraction and one product.
    for kind, expected in {
        "response": raw,
        "working": raw,
        "pearson": raw * np.sqrt(used["w"]),
        "deviance": raw * np.sqrt(used["w"]),
        "quantile": raw * np.sqrt(used["w"]) / fit.sigma,
    }.items():
        actual = fit.resid(kind)
        np.testing.assert_allclose(actual, expected, rtol=1e-12)
        assert actual.name == "resid"
    pd.testing.assert_series_equal(fit.resid(), fit.resid("response"))


def test_deviance_residuals_and_the_penalty_make_up_the_variance() -> None:
    # sigma^2 n = weighted residual squares + |u|^2 at the ML estimate.
    fit = fitted("rich")
    dense = solve(fit)
    penalty, at = 0.0, 0
    for term, sigma in zip(fit.design.random, dense.sigmas, strict=True):
        size = term.n_levels * len(term.names)
        b = dense.b[at : at + size].reshape(term.n_levels, -1)
        penalty += float(np.einsum("li,ij,lj->", b, np.linalg.inv(sigma), b))
        at += size
    total = float((fit.resid("deviance") ** 2).sum()) + fit.sigma**2 * penalty
    # The relative error of the dense solution.
    assert total / fit.nobs == pytest.approx(fit.sigma**2, rel=1e-8)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "pearsn",
            (
                r"^there are no residuals 'pearsn'; did you mean \"pearson\"\? "
                r"Kinds: response, pearson, deviance, working, quantile$"
            ),
        ),
        (3, r"^there are no residuals 3\. Kinds: response"),
    ],
)
def test_unknown_residuals(kind: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted("slope").resid(kind)
