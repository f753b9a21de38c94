"""What is minimised: divergence, expectation, and each player's share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import ngmm
from ngmm import families
from ngmm.linalg import precise
from ngmm.training.joint.adversary import Classifier, adversary_loss
from ngmm.training.joint.arrays import Data, Effects, Known, Static, Weights
from ngmm.training.joint.objective import Predictor, divergence, response_losses
from ngmm.training.joint.opponent import opponent_of
from tests.joint.frames import curved

ROWS = 6


def some_data(y: Any) -> Data:
    zero = np.zeros(ROWS, dtype=np.int32)
    return Data(
        inputs=(),
        y=np.asarray(y, dtype=np.float64),
        offset=np.zeros(ROWS),
        weights=np.ones(ROWS),
        trials=np.ones(ROWS),
        X=np.zeros((ROWS, 0)),
        Z=(),
        codes=(),
        group=zero,
        balance=np.ones(ROWS),
        stratum=zero,
        scale=np.float64(1.0),
    )


def some_weights(effects: tuple[Effects, ...] = (), xi: float = 0.0) -> Weights:
    return Weights((), np.zeros(0), effects, np.float64(xi), np.float64(xi))


def test_divergence_is_that_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(1)
    mean, log_sd = rng.normal(size=(4, 2)), rng.normal(size=(4, 2)) * 0.3
    Sigma = np.array([[1.3, 0.4], [0.4, 0.6]])
    known = Known(
        (np.linalg.inv(Sigma),),
        (np.float64(np.linalg.slogdet(Sigma)[1]),),
        (),
        np.float64(1.0),
        {},
    )
    with precise():
        found = float(divergence(some_weights((Effects(mean, log_sd),)), known))
    # By definition: E_q log q - E_q log p, the first an entropy, the second quadratic.
    total = 0.0
    for m, s in zip(mean, np.exp(log_sd), strict=True):
        entropy = stats.norm(0.0, s).entropy().sum()
        p: Any = stats.multivariate_normal(np.zeros(2), cov=Sigma)  # type: ignore[arg-type]
        second = np.diag(s**2) + np.outer(m, m)
        at_zero = p.logpdf(np.zeros(2))
        total += -entropy - at_zero + 0.5 * np.trace(np.linalg.inv(Sigma) @ second)
    assert found == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "poisson"])
def test_expectation_over_the_random_effects(family: str) -> None:
    rng = np.random.default_rng(2)
    mean, sd = rng.normal(size=ROWS), np.array([0.0, 0.05, 0.2, 0.4, 0.7, 1.0])
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    chosen = families.get(family)
    layout = Static(chosen, (), (), 1.0)
    with precise():
        zero, centre, variance = map(jnp.asarray, (np.zeros(ROWS), mean, sd**2))
    at = Predictor(zero, centre, variance, (), ())
    data, weights = some_data(y), some_weights(xi=0.3)
    with precise():
        found, alone = response_losses(at, weights, data, layout)
        for i in range(ROWS):

            def log_prob(eta: float, i: int = i) -> float:
                return float(chosen.log_prob(y[i], jnp.float64(eta), 0.3, 1.0, 1.0))

            exact = log_prob(mean[i])
            if sd[i]:
                q: Any = stats.norm(mean[i], sd[i])
                low, high = mean[i] - 9 * sd[i], mean[i] + 9 * sd[i]
                exact = integrate.quad(
                    lambda e, q=q: q.pdf(e) * log_prob(e), low, high, epsabs=1e-13
                )[0]
            # Exact for a normal response. Five nodes are to the tenth order in sd: of
            # exp(eta) they leave sd^10 / 30,240, which is 7e-5 times its mean here.
            tolerance = 1e-10 if family == "gaussian" else 3e-4
            assert -float(found[i]) == pytest.approx(exact, abs=tolerance)
            assert -float(alone[i]) == pytest.approx(log_prob(0.0), rel=1e-12)


def players(scale: float) -> tuple[Any, Any, Classifier]:
    """Weights of a classifier, layers to read, and its kind."""
    classifier = Classifier(3, 1, 1.0, False, (5,))
    with precise():
        weights = classifier.init(jax.random.key(0), 4)
        layers = scale * jax.random.normal(jax.random.key(1), (ROWS, 4))
    return weights, layers, classifier


def test_each_player_moves_its_own_weights_only() -> None:
    weights, layers, classifier = players(1.0)
    group = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
    rest = (group, np.ones(ROWS), np.zeros(ROWS, np.int32), classifier)
    with precise():
        own = jax.grad(lambda w, h: adversary_loss(w, h, *rest).own, argnums=(0, 1))(
            weights, layers
        )
        theirs = jax.grad(
            lambda w, h: adversary_loss(w, h, *rest).against, argnums=(0, 1)
        )(weights, layers)
    size = [
        sum(np.abs(np.asarray(a)).sum() for a in jax.tree.leaves(g))
        for g in (*own, *theirs)
    ]
    assert size[0] > 0.0
    assert size[1] == 0.0
    assert size[2] == 0.0


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_there_is_nothing_to_gain_beyond_guessing(scale: float) -> None:
    weights, layers, classifier = players(scale)
    group = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
    with precise():
        found = adversary_loss(
            weights, layers, group, np.ones(ROWS), np.zeros(ROWS, np.int32), classifier
        )
    assert float(found.against) >= -np.log(3) - 1e-12
    if scale == 0.0:
        # Without anything to read, and without biases, it guesses.
        assert float(found.own) == pytest.approx(np.log(3), rel=1e-12)


@pytest.mark.parametrize("given_response", [True, False])
def test_groups_count_the_same(given_response: bool) -> None:
    data = curved("bernoulli").iloc[:170]  # groups of 14 and 15 rows
    design, _ = ngmm.build_design(ngmm.parse("y ~ nn(x) + (1 | g)"), data)
    adversary = ngmm.Adversary(given_response=given_response)
    found = opponent_of(design, adversary, 1.0)
    assert found.balance.mean() == pytest.approx(1.0, rel=1e-12)
    strata = np.unique(found.stratum)
    assert len(strata) == (2 if given_response else 1)
    for stratum in strata:
        there = found.stratum == stratum
        total = np.bincount(found.codes[there], weights=found.balance[there])
        total = total[total > 0]  # one group has no row with a response of one
        np.testing.assert_allclose(total, total[0], rtol=1e-12)


def test_a_response_of_many_values_is_told_by_its_fifths() -> None:
    design, _ = ngmm.build_design(ngmm.parse("y ~ nn(x) + (1 | g)"), curved())
    found = opponent_of(design, ngmm.Adversary(), 1.0)
    assert np.bincount(found.stratum).tolist() == [48] * 5
    order = np.argsort(design.y)
    assert (np.diff(found.stratum[order]) >= 0).all()
