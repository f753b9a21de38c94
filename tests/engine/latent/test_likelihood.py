"""The likelihood of latent vectors against other likelihoods and brute force."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

import ngmm
from ngmm import families
from ngmm.likelihood.latent.data import LatentRows
from ngmm.likelihood.latent.engine import own_placing
from ngmm.likelihood.latent.placement import LatentPlacing
from ngmm.likelihood.nodes import truncated
from ngmm.linalg import precise
from ngmm.networks import MLP
from ngmm.networks.latent import Centred, LatentMLP
from tests.engine.latent import problems

Vector = NDArray[np.float64]
SHARED = LatentPlacing(truncated(91, 7.0))


def mixed_model(rows: LatentRows, family: str) -> ngmm.Model:
    """The model with a random intercept and slopes, by ngmm's other likelihoods."""
    data = pd.DataFrame(
        {
            "y": rows.y,
            "x1": rows.inputs.x[:, 0],
            "x2": rows.inputs.x[:, 1],
            "g": rows.codes.astype(str),
        }
    )
    design, _ = ngmm.build_design(
        ngmm.parse("y ~ x1 + x2 + (1 + x1 + x2 | g)"),
        data,
        offset=rows.offset,
        weights=rows.weights,
    )
    quad = "auto" if family == "gaussian" else ngmm.AdaptiveQuadrature(31)
    return ngmm.Model(design, families.get(family), quad=quad)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_bilinear_network_is_the_rank_one_mixed_model(family: str) -> None:
    rows = problems.numeric(family)
    engine = problems.engine(rows, family, LatentMLP(), own_placing(41, 1))
    beta, loading, sigma = np.array([0.3, 0.4, -0.2]), np.array([0.7, 0.5, -0.3]), 0.8
    tail = [2.0 * np.log(sigma)] if family == "gaussian" else []
    psi = np.concatenate([engine.problem.triangle @ beta, loading, tail])
    model = mixed_model(rows, family)
    relative = loading / sigma if family == "gaussian" else loading
    # Lambda has the loadings in its first column, in the order of theta, and zeros.
    theta = np.concatenate([relative, np.zeros(3)])
    expected = model.loglik(
        theta, beta=beta, sigma=sigma if family == "gaussian" else None
    )
    # Exact if Gaussian; 31 nodes a dimension leave 2e-10 of the other one.
    assert engine.value(psi) == pytest.approx(expected, abs=1e-8)


def test_shared_loading_is_the_random_intercept() -> None:
    rows = problems.items(40, 6)
    network = LatentMLP(levels=(6,), constant=False, all_levels=True, shared=True)
    engine = problems.engine(rows, "bernoulli", network, SHARED)
    data = pd.DataFrame(
        {
            "y": rows.y,
            "item": rows.inputs.codes[0].astype(str),
            "g": rows.codes.astype(str),
        }
    )
    design, _ = ngmm.build_design(ngmm.parse("y ~ 0 + item + (1 | g)"), data)
    model = ngmm.Model(design, families.get("bernoulli"), quad=25)
    beta = np.linspace(-1.0, 1.0, 6)
    psi = np.append(engine.problem.triangle @ beta, 1.3)
    # 25 adaptive nodes leave about 1e-10 of each level's integral here.
    assert engine.value(psi) == pytest.approx(model.loglik([1.3], beta=beta), abs=1e-8)


def by_hand(rows: LatentRows, weights: dict, v: Vector) -> Vector:
    """h (n, K) of the network with two hidden layers, in numpy."""
    item = rows.inputs.codes[0]
    loading = weights["loadings"]["levels"][0][item]
    base = weights["embeddings"][0][item] @ weights["from_x"] + weights["bias"]
    (matrix, bias), *_ = weights["layers"]

    def inner(latent: Vector) -> Vector:
        first = np.tanh(base[:, None, :] + latent @ weights["from_v"])
        return np.tanh(first @ matrix + bias) @ weights["out"]

    return loading @ v.T + inner(v) - inner(np.zeros_like(v))


@pytest.mark.parametrize(("d", "spacing"), [(1, 0.05), (2, 0.2)])
def test_hidden_network_against_dense_trapezoid(d: int, spacing: float) -> None:
    rows = problems.items(15, 4)
    engine = problems.engine(
        rows, "bernoulli", problems.hidden(4, d), own_placing(41 if d == 1 else 27, d)
    )
    psi = problems.some_psi(engine.problem)
    line = np.arange(-8.0, 8.0 + spacing / 2, spacing)
    v = np.stack(np.meshgrid(*[line] * d, indexing="ij"), -1).reshape(-1, d)
    eta = rows.X @ np.linalg.solve(engine.problem.triangle, psi[:4])
    eta = eta[:, None] + by_hand(rows, problems.tree_of(engine.problem, psi), v)
    log_p = -np.logaddexp(0.0, np.where(rows.y[:, None] > 0.5, -eta, eta))
    total = np.zeros((15, len(v)))
    np.add.at(total, rows.codes, log_p)
    prior = d * np.log(spacing / np.sqrt(2.0 * np.pi)) - 0.5 * (v * v).sum(1)
    expected = np.asarray(logsumexp(total + prior, axis=1)).sum()
    # The rule itself estimates an error of about 1e-8 for these densities.
    assert engine.value(psi) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("arrangement", ["table", "rows"])
def test_derivatives_against_differences(arrangement: str) -> None:
    rows = problems.items(30, 4)
    placing = SHARED if arrangement == "table" else own_placing(41, 1)
    engine = problems.engine(rows, "bernoulli", problems.hidden(4), placing)
    assert engine.tabled == (arrangement == "table")
    check_derivatives(engine)


@pytest.mark.parametrize("family", ["gaussian", "gamma"])
@pytest.mark.slow
def test_derivatives_in_the_dispersion(family: str) -> None:
    rows = problems.numeric(family)
    link = "log" if family == "gamma" else None
    check_derivatives(
        problems.engine(rows, family, LatentMLP(), own_placing(41, 1), link)
    )


def check_derivatives(engine: problems.LatentEngine) -> None:
    """Gradient against differences of values, Hessian against those of gradients."""
    psi, step = problems.some_psi(engine.problem), 5e-4
    at = engine.evaluate(psi)
    # The value at the same point by the other program.
    assert at.value == pytest.approx(engine.value(psi), abs=1e-9)
    for i in range(0, len(psi), 3):
        move = np.zeros(len(psi))
        move[i] = step
        a, b, c, d = (engine.evaluate(psi + s * move) for s in (-2, -1, 1, 2))
        slope = (a.value - 8 * b.value + 8 * c.value - d.value) / (12 * step)
        bend = a.gradient - 8 * b.gradient + 8 * c.gradient - d.gradient
        # Differences of order four are off by step^4 times fifth derivatives, some
        # ten thousand here, and by rounding over the step.
        assert at.gradient[i] == pytest.approx(slope, abs=2e-7)
        np.testing.assert_allclose(at.hessian[i], bend / (12 * step), atol=1e-6)


def test_table_and_rows_agree() -> None:
    rows = problems.items(30, 5)
    network = problems.two_parameter(5)
    table = problems.engine(rows, "bernoulli", network, SHARED)
    own = problems.engine(rows, "bernoulli", network, own_placing(41, 1))
    psi = problems.some_psi(table.problem)
    a, b = table.evaluate(psi), own.evaluate(psi)
    # Different nodes, both accurate to about 1e-10.
    assert a.value == pytest.approx(b.value, abs=1e-8)
    np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-7)
    np.testing.assert_allclose(a.hessian, b.hessian, atol=1e-6)
    first, second = table.posterior(psi), own.posterior(psi)
    np.testing.assert_allclose(first.mean, second.mean, atol=1e-8)
    np.testing.assert_allclose(first.cov, second.cov, atol=1e-8)


def test_order_of_rows_names_of_levels_and_sign_of_v() -> None:
    rows = problems.items(30, 5)
    network = problems.two_parameter(5)
    engine = problems.engine(rows, "bernoulli", network, SHARED)
    psi = problems.some_psi(engine.problem)
    generator = np.random.default_rng(5)
    order, names = generator.permutation(len(rows.y)), generator.permutation(30)
    moved = LatentRows(
        rows.y[order],
        rows.offset[order],
        rows.weights[order],
        rows.trials[order],
        rows.X[order],
        rows.inputs._replace(
            x=rows.inputs.x[order], codes=(rows.inputs.codes[0][order],)
        ),
        names[rows.codes[order]].astype(np.int32),
        30,
    )
    again = problems.engine(moved, "bernoulli", network, SHARED)
    # The same sums in another order.
    assert again.value(psi) == pytest.approx(engine.value(psi), abs=1e-10)
    np.testing.assert_allclose(
        again.posterior(psi).mean[names], engine.posterior(psi).mean, atol=1e-12
    )
    flipped = psi.copy()
    flipped[5:] *= -1.0
    assert engine.value(flipped) == pytest.approx(engine.value(psi), abs=1e-10)
    np.testing.assert_allclose(
        engine.posterior(flipped).mean, -engine.posterior(psi).mean, atol=1e-12
    )


@pytest.mark.parametrize("n", [7, 11, 15, 21])
def test_error_is_not_understated_with_large_discriminations(n: int) -> None:
    rows = problems.items(60, 12, slope=6.0)
    network = problems.two_parameter(12)
    coarse = problems.engine(
        rows, "bernoulli", network, LatentPlacing(truncated(n, 6.0))
    )
    exact = problems.engine(
        rows, "bernoulli", network, LatentPlacing(truncated(1201, 8.0))
    )
    psi = np.concatenate([0.2 * np.arange(12.0) - 1.0, np.full(12, 6.0)])
    value, error = coarse.value_and_error(psi)
    truth, rest = exact.value_and_error(psi)
    # The reference is converged, and the estimate bounds the actual error.
    assert rest < 1e-6
    assert abs(value - truth) <= error
    # It is not a bound by being enormous either.
    assert error < 100.0 * abs(value - truth) + 1e-6


def test_narrow_and_skewed_densities_are_found_without_modes() -> None:
    # 400 rows a level: posterior sds of 0.03 about means up to 2.
    rows = problems.items(5, 400, slope=2.0)
    network = LatentMLP(levels=(400,), constant=False, all_levels=True, shared=True)
    own = problems.engine(rows, "bernoulli", network, own_placing(21, 1))
    fine = problems.engine(
        rows, "bernoulli", network, LatentPlacing(truncated(1201, 6.0))
    )
    psi = np.append(np.zeros(400), 2.0)
    # Both resolve sds of 0.05 with several nodes: errors below 1e-9 a level.
    assert own.value(psi) == pytest.approx(fine.value(psi), abs=1e-7)


def test_network_of_the_protocol_is_centred() -> None:
    # A linear function of (x, v), less its value at v = 0, is the slope in v times v.
    rows = problems.numeric("poisson")
    placing = own_placing(21, 1)
    plain = Centred(MLP(hidden=()))
    by_protocol = problems.engine(rows, "poisson", plain, placing)
    shared = LatentMLP(shared=True)
    built_in = problems.engine(rows, "poisson", shared, placing)
    beta = [0.1, 0.2, 0.3]
    first = by_protocol.value(np.array([*beta, 5.0, -5.0, 0.8]))
    # The same arithmetic but for the part that cancels.
    assert first == pytest.approx(built_in.value(np.array([*beta, 0.8])), abs=1e-10)


def test_rotated_weights_give_the_same_function() -> None:
    network = problems.hidden(4, 2)
    rows = problems.items(3, 4)
    engine = problems.engine(rows, "bernoulli", network, own_placing(11, 2))
    weights = problems.tree_of(engine.problem, problems.some_psi(engine.problem))
    angle = 0.7
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    v = np.random.default_rng(0).standard_normal((1, 5, 2))
    with precise():
        expected = np.asarray(network.at_nodes(weights, rows.inputs, jnp.asarray(v)))
        turned = network.rotated(weights, rotation)
        found = np.asarray(
            network.at_nodes(turned, rows.inputs, jnp.asarray(v @ rotation))
        )
    # Rounding of sums of a few terms.
    np.testing.assert_allclose(found, expected, atol=1e-13)
