"""The likelihood of a batch as a function of eta_0: values and gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ngmm import covariance, families
from ngmm.covariance import pattern
from ngmm.families import Family
from ngmm.likelihood.eta import EtaLayout, Parameters, batch_loglik
from ngmm.likelihood.observations import Rows
from ngmm.linalg import precise

LEVELS = 6
SIZES = (1, 2, 3, 9, 14, 4)
CASES = [
    ("bernoulli", 1),
    ("poisson", 1),
    ("gamma", 1),
    ("negative_binomial", 1),
    ("bernoulli", 2),
]


def make(family: Family, k: int, seed: int = 0) -> tuple[Array, Parameters, Rows]:
    """Rows of six levels, in the order of their levels, weights not all one."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(LEVELS), SIZES).astype(np.int32)
    n = len(codes)
    Z = np.column_stack([np.ones(n), rng.normal(size=n)])[:, :k]
    eta0 = rng.normal(size=n)
    eta = eta0 + (Z * rng.normal(size=(LEVELS, k))[codes]).sum(1)
    mu = eta if family.name == "gaussian" else np.asarray(family.transform.mean(eta))
    weights = rng.integers(1, 3, n).astype(float)
    y = family.sample(rng, mu, 0.7, np.ones(n), np.ones(n))
    arrays = (y, weights, np.ones(n), np.ones(n), Z, codes)
    y, weights, trials, mask, Z, codes = (jnp.asarray(a) for a in arrays)
    rows = Rows(y, None, weights, trials, mask, None, (Z,), (codes,))
    theta = jnp.asarray([0.9, 0.3, 0.6][: pattern([(k, True)]).n_theta])
    return jnp.asarray(eta0), Parameters(theta, jnp.asarray(-0.3)), rows


def dense_gaussian(eta0: Array, at: Parameters, rows: Rows, k: int) -> Array:
    """Normal density with the whole covariance matrix."""
    a = rows.Z[0] @ covariance.factor(at.theta, pattern([(k, True)]))
    same = rows.codes[0][:, None] == rows.codes[0]
    V = jnp.exp(2 * at.xi) * (jnp.diag(1 / rows.weights) + (a @ a.T) * same)
    density = jax.scipy.stats.multivariate_normal.logpdf(rows.y, eta0, V)
    return jnp.asarray(density)


def brute_force(
    eta0: Array, at: Parameters, rows: Rows, family: Family, k: int
) -> Array:
    """Equally spaced nodes on (-8, 8) in every dimension, the same for all levels."""
    line = jnp.linspace(-8.0, 8.0, 801 if k == 1 else 161)
    u = jnp.stack(jnp.meshgrid(*[line] * k, indexing="ij"), -1).reshape(-1, k)
    a = rows.Z[0] @ covariance.factor(at.theta, pattern([(k, True)]))
    eta = eta0[:, None] + a @ u.T
    columns = (c[:, None] for c in (rows.y, rows.weights, rows.trials))
    y, weights, trials = columns
    row = family.log_prob(y, eta, at.xi, weights, trials)
    level = jax.ops.segment_sum(row, rows.codes[0], LEVELS)
    prior = -0.5 * (u * u).sum(1) - 0.5 * k * np.log(2 * np.pi)
    log_step = k * jnp.log(line[1] - line[0])
    return (jax.scipy.special.logsumexp(level + prior, axis=1) + log_step).sum()


@pytest.mark.parametrize("k", [1, 2])
def test_gaussian_batches_have_the_dense_density(k: int) -> None:
    with precise():
        family = families.get("gaussian")
        eta0, at, rows = make(family, k)
        layout = EtaLayout(family, pattern([(k, True)]), LEVELS)
        found = jax.value_and_grad(batch_loglik, (0, 1))(eta0, at, rows, layout)
        exact = jax.value_and_grad(dense_gaussian, (0, 1))(eta0, at, rows, k)
    # Rounding only: a 33 x 33 matrix with condition number below 100.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10),
        found,
        exact,
    )


@pytest.mark.parametrize(("name", "k"), CASES)
@pytest.mark.slow
def test_other_batches_have_the_integral_and_its_gradient(name: str, k: int) -> None:
    with precise():
        family = families.get(name)
        eta0, at, rows = make(family, k)
        layout = EtaLayout(family, pattern([(k, True)]), LEVELS)
        found = jax.jit(
            jax.value_and_grad(lambda e, p: batch_loglik(e, p, rows, layout), (0, 1))
        )(eta0, at)
        exact = jax.jit(
            jax.value_and_grad(lambda e, p: brute_force(e, p, rows, family, k), (0, 1))
        )(eta0, at)
    # What 15 nodes, or 9 x 9 twice, leave of levels with one row and more; it is a
    # thousandth of the noise of a batch's gradient.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3),
        found,
        exact,
    )
    np.testing.assert_allclose(found[0], exact[0], rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["gaussian", pytest.param("bernoulli", marks=pytest.mark.slow)]
)
def test_padding_counts_for_nothing(name: str) -> None:
    with precise():
        family = families.get(name)
        eta0, at, rows = make(family, 1)
        n = len(eta0)

        def pad(a: Array, value: float) -> Array:
            return jnp.concatenate([a, jnp.full((5, *a.shape[1:]), value, a.dtype)])

        wider = Rows(
            pad(rows.y, 1.0),
            None,
            pad(rows.weights, 3.0),
            pad(rows.trials, 1.0),
            pad(rows.mask, 0.0),
            None,
            (pad(rows.Z[0], 2.0),),
            (pad(rows.codes[0], LEVELS + 1),),
        )
        small = EtaLayout(family, pattern([(1, True)]), LEVELS)
        large = EtaLayout(family, pattern([(1, True)]), LEVELS + 2)
        value, slope = jax.value_and_grad(batch_loglik)(eta0, at, rows, small)
        padded = jax.value_and_grad(batch_loglik)(pad(eta0, 1.0), at, wider, large)
    # The same sums in the same order, but for places without a level.
    np.testing.assert_allclose(padded[0], value, rtol=1e-12)
    np.testing.assert_allclose(padded[1][:n], slope, rtol=1e-9, atol=1e-12)
    assert (np.asarray(padded[1])[n:] == 0).all()
