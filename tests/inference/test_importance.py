"""Importance sampling against likelihoods that are known otherwise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import ngmm
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.importance import Importance, importance_loglik
from ngmm.results import MixedModelFit


def sampled(fit: MixedModelFit, n: int, seed: int = 0) -> Importance:
    a = analysis(fit)
    return importance_loglik(
        fit.design,
        fit.model.family,
        a.dispersion,
        a.eta,
        a.working,
        a.posterior,
        n=n,
        seed=seed,
    )


def analysis(fit: MixedModelFit) -> GeneralizedAnalysis:
    return GeneralizedAnalysis(fit.model, fit.estimate)  # type: ignore[arg-type]


def counts(n: int, levels: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    g, h, x = np.arange(n) % levels, np.arange(n) // levels % 2, rng.normal(size=n)
    effect = rng.normal(size=levels)[g] + np.array([-0.5, 0.5])[h]
    return pd.DataFrame(
        {"y": rng.poisson(np.exp(0.3 * x + effect)), "x": x, "g": g, "h": h}
    )


@pytest.mark.parametrize("term", ["(1 | g)", "(1 + x | g)"])
@pytest.mark.slow
def test_one_factor_against_quadrature(term: str) -> None:
    fit = ngmm.fit(f"y ~ x + {term}", counts(90, 12), family="poisson")
    assert fit.estimate.integral.error < 1e-4  # type: ignore[attr-defined]
    found = sampled(fit, 4000)
    assert found.std_error < 0.02
    # Four standard errors and the error of the quadrature.
    assert found.loglik == pytest.approx(fit.loglik, abs=4 * found.std_error + 1e-4)


@pytest.mark.slow
def test_crossed_factors_against_a_tensor_rule() -> None:
    rng = np.random.default_rng(3)
    g, h = np.arange(40) % 8, np.arange(40) // 8 % 2
    p = special.expit(2 * rng.normal(size=8)[g] + np.array([-1.5, 1.5])[h])
    data = pd.DataFrame({"y": rng.binomial(1, p), "g": g, "h": h})
    fit = ngmm.fit("y ~ 1 + (1 | g) + (1 | h)", data, family="bernoulli")
    d = fit.design
    sd_g, sd_h = fit.theta
    assert sd_g > 1
    assert sd_h > 0.5
    # Equally spaced nodes: exact to rounding for a smooth integrand.
    t = np.linspace(-8, 8, 81)
    log_w = stats.norm.logpdf(t) + np.log(t[1] - t[0])
    sign, base = 2 * d.y - 1, d.X @ fit.fixef.to_numpy()
    # Given the two effects of h, those of g are independent.
    total = []
    for i, j in product(range(len(t)), repeat=2):
        eta = base + sd_h * t[[i, j]][d.random[1].codes]
        rows = special.log_expit(sign[:, None] * (eta[:, None] + sd_g * t))
        levels = np.array([rows[d.random[0].codes == k].sum(axis=0) for k in range(8)])
        inner = np.log(np.exp(levels + log_w).sum(axis=1)).sum()
        total.append(inner + log_w[i] + log_w[j])
    exact = float(np.log(np.exp(total).sum()))
    found = sampled(fit, 20_000)
    assert found.loglik == pytest.approx(exact, abs=4 * found.std_error)
    # Laplace is off by more than that: the estimate of its error means something.
    assert abs(fit.loglik - exact) > 6 * found.std_error


def test_at_the_mode_it_is_laplace() -> None:
    data = counts(60, 6).assign(h=lambda d: d.index // 6)
    fit = ngmm.fit("y ~ x + (1 | g) + (1 | h)", data, family="poisson")
    assert not fit.is_singular
    a = analysis(fit)
    squares = [((b / s) ** 2).sum() for b, s in zip(a.modes, fit.theta, strict=True)]
    rows = stats.poisson.logpmf(fit.design.y, np.exp(a.eta)).sum()
    laplace = rows - 0.5 * sum(squares) - 0.5 * float(a.posterior.elimination.log_det)
    # The same numbers by other routes.
    assert laplace == pytest.approx(fit.loglik, abs=1e-8)


def test_seeds_and_blocks() -> None:
    fit = ngmm.fit("y ~ x + (1 | g)", counts(90, 12), family="poisson")
    one, two = sampled(fit, 120, seed=1), sampled(fit, 120, seed=2)
    assert one == sampled(fit, 120, seed=1)
    assert one.loglik != two.loglik
    # Whole blocks of at most half as many draws as there are rows.
    assert one.n == 135
    assert 1 <= one.n_effective <= one.n


def test_a_variance_of_zero_leaves_nothing_to_sample() -> None:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"y": rng.binomial(9, 0.2, 60), "g": np.arange(60) % 6})
    fit = ngmm.fit("y ~ 1 + (1 | g)", data, family="poisson")
    assert fit.theta[0] == 0.0
    found = sampled(fit, 60)
    # No draw differs from another.
    assert found.loglik == pytest.approx(fit.loglik, abs=1e-9)
    assert found.std_error == pytest.approx(0.0, abs=1e-12)
