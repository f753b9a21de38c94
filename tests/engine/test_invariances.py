"""What must not change an estimate, or must change it in a known way.

All frames have the same shape, so that few programs are compiled. Two runs of the
optimiser end within rounding of one maximum: the log-likelihood agrees to 1e-9, the
parameters, of which it is a quadratic function there, to the root of that at worst.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngmm
from ngmm.results import MixedModelFit

N, N_G, N_H = 60, 10, 6
FORMULA = "y ~ x + (1 + x | g) + (1 | h)"
LOGLIK = {"rel": 0, "abs": 1e-8}
RTOL = 1e-5

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=6)


def frame(seed: int) -> pd.DataFrame:
    """Every level of g meets every level of h; all variances are well above zero."""
    rng = np.random.default_rng(seed)
    g, h = np.arange(N) % N_G, np.arange(N) // N_G
    x = rng.normal(size=N)
    # Spread evenly, so that no draw of the effects is singular.
    b0 = rng.permutation(np.linspace(-2, 2, N_G))
    b1 = rng.permutation(np.linspace(-2, 2, N_G))
    b2 = rng.permutation(np.linspace(-2, 2, N_H))
    y = 3 + x + b0[g] + b1[g] * x + b2[h] + rng.normal(size=N)
    return pd.DataFrame(
        {
            "g": [f"g{i}" for i in g],
            "h": [f"h{i}" for i in h],
            "x": x,
            "y": y,
            "w": rng.uniform(0.5, 2, N),
        }
    )


def fit(data: pd.DataFrame, formula: str = FORMULA, **options: Any) -> MixedModelFit:
    return ngmm.fit(formula, data, **options)


def sds(found: MixedModelFit) -> np.ndarray:
    table = found.varcorr().to_frame()
    return table["sd"].dropna().to_numpy()


def assert_same(one: MixedModelFit, other: MixedModelFit) -> None:
    assert one.loglik == pytest.approx(other.loglik, **LOGLIK)
    np.testing.assert_allclose(one.theta, other.theta, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(one.fixef, other.fixef, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(one.bse, other.bse, rtol=RTOL)
    assert one.sigma == pytest.approx(other.sigma, rel=RTOL)


@few
@given(seeds)
def test_order_of_rows(seed: int) -> None:
    data = frame(seed)
    shuffled = data.sample(frac=1, random_state=seed % 1000)
    one, other = fit(data), fit(shuffled)
    assert_same(one, other)
    fitted = other.fitted()
    np.testing.assert_allclose(one.fitted()[fitted.index], fitted, rtol=RTOL, atol=RTOL)


@few
@given(seeds)
def test_names_of_levels(seed: int) -> None:
    data = frame(seed)
    rng = np.random.default_rng(seed)
    labels = dict(zip(data["g"].unique(), rng.permutation(N_G), strict=True))
    one, other = fit(data), fit(data.assign(g=[labels[v] for v in data["g"]]))
    assert_same(one, other)
    theirs = other.ranef()["g"].loc[[labels[k] for k in one.ranef()["g"].index]]
    np.testing.assert_allclose(one.ranef()["g"], theirs, rtol=RTOL, atol=RTOL)


@few
@given(seeds, st.floats(-1e3, 1e3))
def test_offset_is_added_to_the_mean(seed: int, size: float) -> None:
    data = frame(seed)
    known = size * np.random.default_rng(seed).normal(size=N)
    moved = data.assign(y=data["y"] + known, known=known)
    assert_same(fit(data), fit(moved, offset="known"))


@few
@given(seeds, st.floats(-1e4, 1e4))
def test_shift_of_the_response(seed: int, shift: float) -> None:
    data = frame(seed)
    one, other = fit(data), fit(data.assign(y=data["y"] + shift))
    assert one.loglik == pytest.approx(other.loglik, **LOGLIK)
    np.testing.assert_allclose(one.theta, other.theta, rtol=RTOL, atol=RTOL)
    moved = one.fixef.to_numpy() + np.array([shift, 0.0])
    np.testing.assert_allclose(other.fixef, moved, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
@few
@given(seed=seeds, power=st.floats(-6, 6))
def test_unit_of_the_response(reml: bool, seed: int, power: float) -> None:
    data, c = frame(seed), 10.0**power
    one, other = fit(data, reml=reml), fit(data.assign(y=c * data["y"]), reml=reml)
    n_free = N - 2 * reml
    expected = one.loglik - n_free * np.log(c)
    assert other.loglik == pytest.approx(expected, **LOGLIK)
    np.testing.assert_allclose(one.theta, other.theta, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(sds(other), c * sds(one), rtol=RTOL)
    np.testing.assert_allclose(other.fixef, c * one.fixef, rtol=RTOL)


@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
@few
@given(seed=seeds, shift=st.floats(-10, 10), power=st.floats(-5, 5))
def test_unit_and_origin_of_a_slope(
    reml: bool, seed: int, shift: float, power: float
) -> None:
    data, c = frame(seed), 10.0**power
    one = fit(data, reml=reml)
    other = fit(data.assign(x=c * (data["x"] + shift)), reml=reml)
    # The volume in which beta is integrated out has the unit of x.
    expected = one.loglik - reml * np.log(c)
    assert other.loglik == pytest.approx(expected, **LOGLIK)
    assert other.sigma == pytest.approx(one.sigma, rel=RTOL)
    assert other.fixef["x"] * c == pytest.approx(one.fixef["x"], rel=RTOL, abs=RTOL)
    assert other.bse["x"] * c == pytest.approx(one.bse["x"], rel=RTOL)
    # The intercept is elsewhere, the slope's and the other factor's sds are not.
    np.testing.assert_allclose(sds(other)[1:] * [c, 1, 1], sds(one)[1:], rtol=RTOL)
    np.testing.assert_allclose(other.fitted(), one.fitted(), rtol=RTOL, atol=RTOL)


@few
@given(seeds, st.floats(-4, 4))
def test_unit_of_the_weights(seed: int, power: float) -> None:
    data, c = frame(seed), 10.0**power
    one = fit(data, weights="w")
    other = fit(data.assign(w=c * data["w"]), weights="w")
    assert other.loglik == pytest.approx(one.loglik, **LOGLIK)
    assert other.sigma == pytest.approx(np.sqrt(c) * one.sigma, rel=RTOL)
    # sigma takes it all: the random effects stay as large as they were.
    np.testing.assert_allclose(sds(other)[:-1], sds(one)[:-1], rtol=RTOL)
    np.testing.assert_allclose(other.bse, one.bse, rtol=RTOL)


def test_weights_of_one_are_no_weights() -> None:
    data = frame(1)
    assert_same(fit(data), fit(data.assign(w=1.0), weights="w"))


def test_weight_two_is_the_mean_of_two_rows_but_for_the_residual() -> None:
    # A row of weight 2 has half the variance, as the mean of two rows has.
    data = frame(3)
    rng = np.random.default_rng(3)
    e = rng.normal(size=N)
    pairs = pd.concat([data.assign(y=data["y"] + e), data.assign(y=data["y"] - e)])
    both = fit(pairs, "y ~ x + (1 + x | g) + (1 | h)").model
    means = fit(data.assign(w=2.0), weights="w").model
    theta, sigma = [0.8, 0.1, 0.5, 0.7], 1.3
    beta = [3.0, 1.0]
    # Pairs of rows are their mean and their difference, N(0, 2 sigma^2), independent;
    # the Jacobian of (mean, difference) is one.
    difference = -0.5 * (
        N * np.log(2 * np.pi * 2 * sigma**2) + (4 * e @ e) / (2 * sigma**2)
    )
    expected = means.loglik(theta, sigma, beta) + difference
    assert both.loglik(theta, sigma, beta) == pytest.approx(expected, rel=1e-12)


@few
@given(seeds)
def test_order_of_terms(seed: int) -> None:
    data = frame(seed)
    one, other = fit(data), fit(data, "y ~ x + (1 | h) + (1 + x | g)")
    assert one.loglik == pytest.approx(other.loglik, **LOGLIK)
    np.testing.assert_allclose(one.theta, other.theta[[1, 2, 3, 0]], rtol=RTOL)
