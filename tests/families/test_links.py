"""Links and their inverses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ngmm.families import LINKS, Link
from ngmm.linalg import precise
from tests.families.cases import derivatives

every = pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
probabilities = pytest.mark.parametrize(
    "link",
    [link for link in LINKS.values() if link.log_complement],
    ids=lambda link: link.name,
)

# Where the mean is neither 0 nor 1 to double precision, so that it can be inverted.
MODERATE = np.array([0.01, 0.3, 1.0, 1.5, 3.0])


def _eta(link: Link) -> np.ndarray:
    return MODERATE if link.lower == 0 else np.concatenate([-MODERATE[::-1], MODERATE])


@every
def test_link_undoes_mean(link: Link) -> None:
    # cloglog at 3 has a mean of 1 - 2e-9: half of the digits of 1 - mu are lost.
    tolerance = 1e-7 if link.name == "cloglog" else 1e-12
    eta = _eta(link)
    np.testing.assert_allclose(link.link(link.mean(eta)), eta, rtol=tolerance)


@every
def test_numpy_and_jax_agree_and_stay_what_they_are(link: Link) -> None:
    eta = _eta(link)
    mu = link.mean(eta)
    assert isinstance(mu, np.ndarray)
    assert mu.dtype == np.float64
    with precise():
        traced = jax.jit(link.mean)(jnp.asarray(eta))
        assert isinstance(traced, jax.Array)
        # Two libraries of special functions.
        np.testing.assert_allclose(traced, mu, rtol=1e-13)
        back = jax.jit(link.link)(jnp.asarray(mu))
        np.testing.assert_allclose(back, link.link(mu), rtol=1e-12, atol=1e-13)


@every
def test_log_mean_is_the_logarithm_of_the_mean(link: Link) -> None:
    eta = MODERATE
    with precise():
        np.testing.assert_allclose(
            link.log_mean(jnp.asarray(eta)), np.log(link.mean(eta)), atol=1e-14
        )


@probabilities
def test_mean_and_complement_add_to_one(link: Link) -> None:
    eta = _eta(link)
    assert link.log_complement is not None
    with precise():
        both = jnp.exp(link.log_mean(eta)) + jnp.exp(link.log_complement(eta))
    np.testing.assert_allclose(both, 1.0, rtol=1e-14)


@probabilities
def test_symmetric_links(link: Link) -> None:
    eta = _eta(link)
    mirrored = np.allclose(link.mean(eta) + link.mean(-eta), 1.0, rtol=1e-14)
    assert link.symmetric == mirrored


@probabilities
def test_the_tails_have_a_slope_that_does_not_vanish(link: Link) -> None:
    eta = np.array([-700.0, -300.0])
    value, slope = derivatives(link.log_mean, eta, 1)
    assert np.isfinite(value).all()
    # log mu is eta + o(1), or -eta^2/2 for the probit.
    expected = -eta if link.name == "probit" else np.ones(2)
    np.testing.assert_allclose(slope, expected, rtol=2e-5)


@pytest.mark.parametrize("name", ["inverse", "sqrt"])
def test_links_of_positive_predictors(name: str) -> None:
    assert (LINKS[name].lower, LINKS[name].upper) == (0.0, np.inf)


def test_closed_forms() -> None:
    eta = np.array([0.25, 2.0])
    forms = {
        "logit": 1 / (1 + np.exp(-eta)),
        "probit": np.array([0.598706325682924, 0.977249868051821]),
        "cloglog": 1 - np.exp(-np.exp(eta)),
        "log": np.exp(eta),
        "identity": eta,
        "inverse": 1 / eta,
        "sqrt": eta**2,
    }
    assert forms.keys() == LINKS.keys()
    for name, mu in forms.items():
        # The values of the probit are tabled with 15 digits.
        np.testing.assert_allclose(LINKS[name].mean(eta), mu, rtol=1e-14)
