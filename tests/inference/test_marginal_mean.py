"""Means over a random linear predictor, against adaptive integration."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats

from ngmm.errors import OptionError
from ngmm.families import LINKS
from ngmm.inference.marginal.mean import (
    link_slope,
    marginal_mean,
    marginal_slope,
    marginal_variance,
    nodes,
)

MEANS = [-30.0, -4.0, -0.7, 0.0, 1.3, 12.0]
SDS = [0.0, 1e-9, 0.03, 0.5, 1.0, 2.7, 5.0, 10.0]


SLOPES = {
    "logit": lambda x: 0.25 / np.cosh(x / 2) ** 2,
    "probit": stats.norm.pdf,
    "cloglog": lambda x: np.exp(x - np.exp(x)),
}


def by_quad(name: str, m: float, sd: float) -> NDArray[np.float64]:
    """E mu, E mu' and Var mu, integrated piece by piece."""
    # The mean changes within a few units of eta = 0.
    edges = [(c - m) / max(sd, 1e-3) for c in (-9.0, -3.0, 0.0, 3.0, 9.0)]
    points = np.unique(np.clip([-10.0, -3.0, 0.0, 3.0, 10.0, *edges], -10, 10))

    def expectation(f: Callable[[float], float]) -> float:
        def integrand(t: float) -> float:
            return f(m + sd * t) * np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)

        pieces = [
            integrate.quad(integrand, a, b, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
            for a, b in pairwise(points)
        ]
        return float(np.sum(pieces))

    link = LINKS[name]
    mean = expectation(link.mean)
    variance = expectation(lambda eta: (link.mean(eta) - mean) ** 2)
    return np.array([mean, expectation(SLOPES[name]), variance])


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog"])
def test_probabilities(name: str) -> None:
    link = LINKS[name]
    m, sd = (x.ravel() for x in np.meshgrid(MEANS, SDS))
    want = np.array([by_quad(name, a, b) for a, b in zip(m, sd, strict=True)]).T
    # The sum's error is below 1e-12; that of quad with up to nine pieces as well.
    for f, expected in zip(
        (marginal_mean, marginal_slope, marginal_variance), want, strict=True
    ):
        np.testing.assert_allclose(f(link, m, sd**2), expected, rtol=0, atol=2e-12)


def test_small_probabilities_keep_their_digits() -> None:
    m, sd = np.array([-30.0]), 2.0
    got = marginal_mean(LINKS["logit"], m, np.array([sd**2]))
    # So far out the logistic function is the exponential to 1e-8.
    assert got[0] == pytest.approx(np.exp(-30 + sd**2 / 2), rel=1e-8)


def test_probit_has_a_closed_form() -> None:
    rng = np.random.default_rng(3)
    m, v = rng.normal(0, 4, 500), rng.uniform(0, 100, 500)
    scale, probit = np.sqrt(1 + v), LINKS["probit"]
    mean, slope = stats.norm.cdf(m / scale), stats.norm.pdf(m / scale) / scale
    # Rounding of 1e3 terms.
    np.testing.assert_allclose(marginal_mean(probit, m, v), mean, atol=1e-13)
    np.testing.assert_allclose(marginal_slope(probit, m, v), slope, atol=1e-13)


@pytest.mark.parametrize("name", ["identity", "log", "sqrt"])
@pytest.mark.parametrize(("m", "sd"), [(0.3, 0.4), (1.5, 0.9), (-0.2, 1.7)])
def test_links_with_closed_forms(name: str, m: float, sd: float) -> None:
    link, at, v = LINKS[name], np.array([m]), np.array([sd**2])
    t, weight = nodes(40.0)
    mu = np.asarray(link.mean(m + sd * t))
    mean = weight @ mu
    # A fine sum over [-9, 9]; exp(9 * 1.7) times the density there is 1e-11.
    assert marginal_mean(link, at, v)[0] == pytest.approx(mean, rel=1e-9)
    variance = weight @ (mu - mean) ** 2
    assert marginal_variance(link, at, v)[0] == pytest.approx(variance, rel=1e-6)
    up, down = (marginal_mean(link, at + h, v)[0] for h in (1e-5, -1e-5))
    # Central differences.
    slope = marginal_slope(link, at, v)[0]
    assert slope == pytest.approx((up - down) / 2e-5, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", LINKS)
def test_without_variance_it_is_the_mean(name: str) -> None:
    link, eta, v = LINKS[name], np.array([0.2, 1.0, 1.7]), np.zeros(3)
    np.testing.assert_allclose(marginal_mean(link, eta, v), link.mean(eta), rtol=1e-15)
    np.testing.assert_array_equal(marginal_variance(link, eta, v), 0.0)
    slope = marginal_slope(link, eta, v)
    np.testing.assert_allclose(slope, link_slope(link, eta), rtol=1e-15)
    h = 1e-5
    differences = (link.mean(eta + h) - link.mean(eta - h)) / (2 * h)
    # h^2 times a third derivative, and 1e-16 / h.
    np.testing.assert_allclose(slope, differences, rtol=1e-7)


def test_the_inverse_link_has_no_mean() -> None:
    one = np.ones(2)
    with pytest.raises(OptionError, match=r"pole at eta = 0; use re=\"all\""):
        marginal_mean(LINKS["inverse"], one, one)


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 300)), min_size=1, max_size=8)
)
def test_a_row_does_not_depend_on_the_others(rows: list[tuple[float, float]]) -> None:
    m, v = np.array(rows).T
    logit = LINKS["logit"]
    together = marginal_mean(logit, m, v)
    alone = [marginal_mean(logit, m[[i]], v[[i]])[0] for i in range(len(m))]
    # Other nodes, the same integral.
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    m, v = np.linspace(-3, 3, 50), np.full(50, 2.0)
    before = [f(LINKS["logit"], m, v) for f in (marginal_mean, marginal_variance)]
    monkeypatch.setattr("ngmm.inference.marginal.mean.CHUNK", 1000)
    after = [f(LINKS["logit"], m, v) for f in (marginal_mean, marginal_variance)]
    np.testing.assert_allclose(after, before, rtol=1e-14)
