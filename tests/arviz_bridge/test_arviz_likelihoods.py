"""Log-likelihoods of rows and levels against densities written out from the draws."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray
from scipy import special

import ngmm
from ngmm.results import MixedModelFit
from tests.results import examples, generalized

Vector = NDArray[np.float64]
# Its stubs take frozen distributions for one another.
stats: Any = scipy.stats

# Rounding of densities summed in another order.
EXACT = 1e-9


@cache
def exported(name: str) -> Any:
    """A few draws of an example."""
    return examples.fitted(name).to_arviz(4, seed=3)


def value(found: Any, name: str, draw: int) -> Vector:
    """One draw of a parameter."""
    return found.posterior[name].to_numpy()[0, draw]


def fixed(fit: MixedModelFit, found: Any, draw: int) -> Vector:
    """X beta and the offset, of a model all of whose fixed terms are numeric."""
    beta = np.array([value(found, n, draw) for n in fit.design.names])
    return fit.design.X @ beta + fit.design.offset


def codes(fit: MixedModelFit, group: str) -> NDArray[np.int32]:
    return next(t.codes for t in fit.design.random if t.group == group)


@pytest.mark.parametrize("draw", [0, 3])
def test_levels_of_one_factor_have_their_marginal_density(draw: int) -> None:
    fit, found = examples.fitted("slope"), exported("slope")
    sd = [value(found, f"{x}|Subject_sigma", draw) for x in ("1", "Days")]
    r = value(found, "cor(Intercept, Days | Subject)", draw)
    between = np.outer(sd, sd) * np.array([[1.0, r], [r, 1.0]])
    sigma = value(found, "sigma", draw)
    mean, term = fixed(fit, found, draw), fit.design.random[0]
    by_level = found.log_likelihood["Reaction|Subject"].to_numpy()[0, draw]
    for level in range(term.n_levels):
        rows = term.codes == level
        Z = term.Z[rows]
        cov = Z @ between @ Z.T + sigma**2 * np.eye(rows.sum())
        expected = stats.multivariate_normal(mean[rows], cov).logpdf(fit.design.y[rows])
        assert by_level[level] == pytest.approx(expected, rel=EXACT)


def test_rows_have_their_density_given_the_effects() -> None:
    fit, found = examples.fitted("slope"), exported("slope")
    b = np.stack([value(found, f"{x}|Subject", 1) for x in ("1", "Days")], axis=1)
    term = fit.design.random[0]
    eta = fixed(fit, found, 1) + np.einsum("nk,nk->n", term.Z, b[term.codes])
    expected = stats.norm(eta, value(found, "sigma", 1)).logpdf(fit.design.y)
    rows = found.log_likelihood["Reaction"].to_numpy()[0, 1]
    np.testing.assert_allclose(rows, expected, rtol=EXACT)
    means = found.posterior_predictive["mu"].to_numpy()[0, 1]
    np.testing.assert_allclose(means, eta, rtol=EXACT)


@pytest.mark.parametrize(("group", "other"), [("plate", "sample"), ("sample", "plate")])
def test_levels_of_crossed_factors_are_given_the_effects_of_the_other(
    group: str, other: str
) -> None:
    fit, found = examples.fitted("crossed"), exported("crossed")
    mean = fixed(fit, found, 2) + value(found, f"1|{other}", 2)[codes(fit, other)]
    sd, sigma = value(found, f"1|{group}_sigma", 2), value(found, "sigma", 2)
    by_level = found.log_likelihood[f"diameter|{group}"].to_numpy()[0, 2]
    own, y = codes(fit, group), fit.design.y
    for level in range(own.max() + 1):
        rows = own == level
        cov = np.full((rows.sum(), rows.sum()), sd**2) + sigma**2 * np.eye(rows.sum())
        expected = stats.multivariate_normal(mean[rows], cov).logpdf(y[rows])
        assert by_level[level] == pytest.approx(expected, rel=EXACT)


def test_levels_that_contain_others_integrate_these_out_too() -> None:
    fit, found = examples.fitted("nested"), exported("nested")
    inner, outer = codes(fit, "batch:cask"), codes(fit, "batch")
    sds = [value(found, f"1|{g}_sigma", 0) for g in ("batch", "batch:cask")]
    sigma, mean = value(found, "sigma", 0), fixed(fit, found, 0)
    by_level = found.log_likelihood["strength|batch"].to_numpy()[0, 0]
    for level in range(outer.max() + 1):
        rows = np.flatnonzero(outer == level)
        same = inner[rows][:, None] == inner[rows]
        cov = sds[0] ** 2 + sds[1] ** 2 * same + sigma**2 * np.eye(len(rows))
        density = stats.multivariate_normal(mean[rows], cov)
        expected = density.logpdf(fit.design.y[rows])
        assert by_level[level] == pytest.approx(expected, rel=EXACT)


def test_levels_of_a_binary_response_by_brute_force() -> None:
    fit = generalized.fitted("bernoulli")
    found = fit.to_arviz(3, seed=1)
    mean, sd = fixed(fit, found, 2), value(found, "1|g_sigma", 2)
    y, own = fit.design.y, codes(fit, "g")
    grid = np.linspace(-9.0, 9.0, 2001)
    eta = mean[:, None] + sd * grid
    value_of = np.where(
        y[:, None] == 1, special.log_expit(eta), special.log_expit(-eta)
    )
    by_level = found.log_likelihood["answer|g"].to_numpy()[0, 2]
    for level in range(own.max() + 1):
        joint = np.exp(value_of[own == level].sum(0)) * stats.norm.pdf(grid)
        expected = np.log(np.trapezoid(joint, grid))
        # Fifteen adaptive nodes.
        assert by_level[level] == pytest.approx(expected, abs=1e-6)
    b = value(found, "1|g", 2)
    probability = special.expit(mean + b[own])
    rows = found.log_likelihood["answer"].to_numpy()[0, 2]
    expected = stats.bernoulli(probability).logpmf(y)
    np.testing.assert_allclose(rows, expected, rtol=EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", generalized.NAMES)
def test_rows_of_every_family_have_their_density(name: str) -> None:
    fit = generalized.fitted(name)
    found = fit.to_arviz(2, seed=1)
    family = fit.model.family
    if family.dispersion is None:
        phi = 1.0
    else:
        phi = float(found.posterior[family.dispersion].to_numpy()[0, 1])
    mu = found.posterior_predictive["mu"].to_numpy()[0, 1]
    rows = found.log_likelihood[fit.response_name].to_numpy()[0, 1]
    assert np.isfinite(rows).all()
    d = fit.design
    trials = np.ones(d.n_rows) if d.trials is None else d.trials
    with ngmm.linalg.precise():
        eta = np.asarray(family.transform.link(mu))
        expected = family.log_prob(d.y, eta, np.log(phi), d.weights, trials)
    np.testing.assert_allclose(rows, np.asarray(expected), rtol=1e-7, atol=1e-9)


@pytest.mark.slow
def test_a_nested_model_of_counts_by_the_rule_of_its_fit() -> None:
    rng = np.random.default_rng(5)
    a = np.repeat(np.arange(12), 12)
    b = np.repeat(np.arange(36), 4)
    eta = 0.5 + rng.normal(0, 0.6, 12)[a] + rng.normal(0, 0.4, 36)[b]
    data = pd.DataFrame({"y": rng.poisson(np.exp(eta)), "a": a, "b": b})
    fit = ngmm.fit("y ~ 1 + (1 | a/b)", data, family="poisson")
    found = fit.to_arviz(3, seed=1)
    assert list(found.log_likelihood.data_vars) == ["y", "y|a:b", "y|a"]
    by_level = found.log_likelihood["y|a"].to_numpy()[0, 1]
    outer, inner = (value(found, f"1|{g}_sigma", 1) for g in ("a", "a:b"))
    mean = value(found, "Intercept", 1)
    u = np.linspace(-7.0, 7.0, 281)
    weight = stats.norm.pdf(u) * (u[1] - u[0])
    for level in (0, 7):
        given = np.ones(len(u))
        for cask in np.unique(b[a == level]):
            y = data["y"].to_numpy()[b == cask]
            eta = mean + outer * u[:, None] + inner * u
            joint = stats.poisson(np.exp(eta)[..., None]).pmf(y).prod(-1)
            given *= joint @ weight
        # The error that the fit allows its rule.
        assert by_level[level] == pytest.approx(np.log(given @ weight), abs=1e-4)


@pytest.mark.slow
def test_loo_by_level_is_what_refits_without_each_level_give() -> None:
    from ngmm.arviz_bridge.container import import_arviz
    from ngmm.inference.deletion.held_density import Parameters, density

    data = ngmm.datasets.load("epil")
    fit = ngmm.fit("y ~ lbase + trt + (1 | subject)", data, family="poisson")
    total = 0.0
    for level in data["subject"].unique():
        held = (data["subject"] == level).to_numpy()
        e = fit.update(data=data[~held]).estimate
        at = Parameters(e.beta, e.theta, e.sigma, e.phi)
        total += density(fit.model, at).total(held)
    found = import_arviz().loo(fit.to_arviz(2000, seed=3), var_name="y|subject")
    estimate = getattr(found, "elpd_loo", None) or found.elpd
    # Draws spread where the plug-in estimate does not, and 2000 of them are not all.
    assert estimate == pytest.approx(total, abs=0.5)
