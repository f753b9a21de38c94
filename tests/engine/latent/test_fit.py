"""Maxima of models with a latent vector per level."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm import families
from ngmm.errors import NotSupportedError, OptionError
from ngmm.estimation.status import Status
from ngmm.likelihood.latent import predict
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.fit import fit_latent, fit_rows
from ngmm.likelihood.rules import Laplace
from ngmm.networks import Inputs
from ngmm.networks.latent import LatentMLP, latent_network
from tests.engine.latent import problems

N_ITEMS = 6


def answers() -> pd.DataFrame:
    """Answers as a table."""
    rows = problems.items(200, N_ITEMS)
    item = pd.Categorical.from_codes(
        rows.inputs.codes[0], categories=[f"i{j}" for j in range(N_ITEMS)]
    )
    return pd.DataFrame(
        {"y": rows.y, "item": item, "student": [f"s{c:03}" for c in rows.codes]}
    )


def fitted(formula: str) -> LatentEstimate:
    """The estimate for a formula."""
    design, _ = ngmm.build_design(ngmm.parse(formula), answers())
    term = design.latent[0]
    network = latent_network(term.network, n_latent=term.n_latent)
    return fit_latent(design, (network,), families.get("bernoulli"))


@cache
def two_parameter() -> LatentEstimate:
    """The 2PL model."""
    return fitted("y ~ 0 + item + (nn(item, hidden=()) | student)")


def test_rasch_model_is_the_random_intercept() -> None:
    found = fitted("y ~ 0 + item + (nn(item, shared=True) | student)")
    reference = ngmm.fit(
        "y ~ 0 + item + (1 | student)", answers(), family="bernoulli", quad=31
    )
    assert found.status is Status.CONVERGED
    # Both integrals are accurate to 1e-6 or better.
    assert found.loglik == pytest.approx(reference.loglik, abs=1e-5)
    np.testing.assert_allclose(found.beta, reference.fixef, atol=1e-5)
    loading = found.weights["loadings"]["constant"][0]
    assert loading == pytest.approx(reference.theta[0], abs=1e-5)
    # A maximum of beta and the loading, as the standard deviation is.
    assert found.df == reference.df_model


def test_two_parameter_model_is_a_maximum() -> None:
    found = two_parameter()
    assert found.status is Status.CONVERGED
    assert found.gain < 1e-8
    at = found.engine.evaluate(found.x)
    # Where Newton's method ends, the gradient is rounding.
    assert np.abs(at.gradient).max() < 1e-5
    assert np.linalg.eigvalsh(found.information).min() > 0
    assert found.df == 2 * N_ITEMS


def test_loadings_rise_with_v_and_have_standard_errors() -> None:
    found = two_parameter()
    inputs = Inputs(np.eye(N_ITEMS))
    slope, se = predict.loadings(found, inputs)
    assert slope.mean() > 0
    # The information of (beta, w) holds the weights in the order of the items.
    covariance = np.linalg.inv(found.information)
    expected = np.sqrt(np.diag(covariance)[N_ITEMS:])
    np.testing.assert_allclose(se[:, 0], expected, rtol=1e-6)


def test_posterior_means_average_the_nodes_and_predictions_the_curves() -> None:
    found = two_parameter()
    nodes = predict.level_nodes(found)
    mean = np.einsum(
        "gk,gkd->gd",
        nodes.weight,
        np.broadcast_to(nodes.v, (len(nodes.weight), *nodes.v.shape[1:])),
    )
    np.testing.assert_allclose(mean, found.means, atol=1e-12)
    rows = found.engine.problem.rows
    base = rows.X @ found.beta
    mu = predict.predict(found, base, rows.inputs, rows.codes)
    # The score equation of an item's beta, in which the link is canonical.
    np.testing.assert_allclose(rows.X.T @ mu, rows.X.T @ rows.y, atol=1e-4)
    new = predict.predict(found, base, rows.inputs, np.full_like(rows.codes, -1))
    # Averaged over many levels, the prior is the posterior's mean.
    assert abs(new - mu)[rows.codes == 0].max() > 0.01
    np.testing.assert_allclose(new.mean(), mu.mean(), atol=0.02)


def test_simulated_responses_have_the_means_of_new_levels() -> None:
    found = two_parameter()
    rows = found.engine.problem.rows
    generator = np.random.default_rng(0)
    y = np.mean([predict.simulate(found, generator) for _ in range(20)], axis=0)
    base = rows.X @ found.beta
    new = predict.predict(found, base, rows.inputs, np.full_like(rows.codes, -1))
    share = np.array([y[rows.X[:, j] > 0].mean() for j in range(N_ITEMS)])
    expected = np.array([new[rows.X[:, j] > 0].mean() for j in range(N_ITEMS)])
    # 4,000 draws an item: standard errors of 0.008, four of them.
    np.testing.assert_allclose(share, expected, atol=0.032)


def test_gaussian_one_dimension_is_the_mixed_model_of_one_slope() -> None:
    rows = problems.numeric("gaussian", n_levels=30)
    network = LatentMLP(columns=(), shared=True)
    found = fit_rows(rows, families.get("gaussian"), network)
    data = pd.DataFrame(
        {"y": rows.y, "x1": rows.inputs.x[:, 0], "x2": rows.inputs.x[:, 1]}
    ).assign(g=rows.codes.astype(str))
    reference = ngmm.fit(
        "y ~ x1 + x2 + (1 | g)", data, offset=rows.offset, weights=rows.weights
    )
    # The rule aims at an error of 1e-4 and reaches 1e-8 for normal densities.
    assert found.loglik == pytest.approx(reference.loglik, abs=1e-6)
    assert found.sigma == pytest.approx(reference.sigma, rel=1e-5)


def test_rank_one_maximum_is_stationary_for_the_exact_likelihood() -> None:
    rows = problems.numeric("gaussian", n_levels=30)
    found = fit_rows(rows, families.get("gaussian"), LatentMLP())
    assert found.status is Status.CONVERGED
    data = pd.DataFrame(
        {"y": rows.y, "x1": rows.inputs.x[:, 0], "x2": rows.inputs.x[:, 1]}
    ).assign(g=rows.codes.astype(str))
    design, _ = ngmm.build_design(
        ngmm.parse("y ~ x1 + x2 + (1 + x1 + x2 | g)"),
        data,
        offset=rows.offset,
        weights=rows.weights,
    )
    model = ngmm.Model(design)
    inner = found.weights["loadings"]
    loading = np.concatenate([inner["constant"], inner["x"][:, 0]]) / found.sigma

    def exact(a: np.ndarray) -> float:
        return model.loglik(np.concatenate([a, np.zeros(3)]))

    # The exact likelihood, with beta and sigma at their best for these loadings.
    assert exact(loading) == pytest.approx(found.loglik, abs=1e-6)
    for i in range(3):
        step = 1e-4 * np.eye(3)[i]
        slope = (exact(loading + step) - exact(loading - step)) / 2e-4
        # Rounding of the log-likelihood over the step, and the rule's error.
        assert abs(slope) < 1e-4


@pytest.mark.slow
def test_hidden_layers_find_curves_that_level_off() -> None:
    generator = np.random.default_rng(0)
    rows = problems.items(1500, 12)
    v = generator.standard_normal(1500)[rows.codes]
    item = rows.inputs.codes[0]
    # Answers that are guessed: probabilities between 0.25 and 1.
    mean = 0.25 + 0.75 / (1.0 + np.exp(-2.5 * (v - 0.1 * (item - 6))))
    rows = replace(rows, y=(generator.random(len(v)) < mean).astype(float))
    family = families.get("bernoulli")
    straight = fit_rows(rows, family, problems.two_parameter(12))
    free = fit_rows(rows, family, replace(problems.hidden(12), hidden=(4,)), restarts=1)
    # Both with the parameters that they use: free curves are worth theirs.
    assert free.loglik - free.df > straight.loglik - straight.df + 10.0
    # Where nine tenths of the abilities are, they are closer to the truth.
    assert curve_error(free) < 0.7 * curve_error(straight)


def curve_error(found: LatentEstimate) -> float:
    """Root mean squared error of the probabilities of 12 guessed items."""
    item, v = np.arange(12), np.linspace(-1.6, 1.6, 17)
    inputs = Inputs(np.zeros((12, 0)), (item.astype(np.int32),))
    eta = found.beta[:, None] + predict.curves(found, inputs, v[:, None])
    truth = 0.25 + 0.75 / (1.0 + np.exp(-2.5 * (v - 0.1 * (item[:, None] - 6))))
    error = 1.0 / (1.0 + np.exp(-eta)) - truth
    return float(np.sqrt(np.mean(error**2)))


def test_what_is_not_supported_is_refused() -> None:
    data = answers()
    for formula in (
        "y ~ 0 + item + (1 | item) + (nn(item) | student)",
        "y ~ 0 + item + (nn(item) | student) + (nn(student) | item)",
    ):
        design, _ = ngmm.build_design(ngmm.parse(formula), data)
        with pytest.raises(NotSupportedError, match="in this version"):
            fit_latent(design, (LatentMLP(),), families.get("bernoulli"))
    rows = problems.items(20, 4)
    family = families.get("bernoulli")
    with pytest.raises(NotSupportedError, match="laplace"):
        fit_rows(rows, family, problems.two_parameter(4), rule=Laplace())
    with pytest.raises(NotSupportedError, match="latent=4"):
        fit_rows(rows, family, replace(problems.two_parameter(4), n_latent=4))
    with pytest.raises(OptionError, match="leave hidden out"):
        LatentMLP(hidden=(3,), shared=True)
