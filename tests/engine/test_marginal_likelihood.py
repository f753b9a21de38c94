"""The likelihood is the density of a multivariate normal, whatever the structure.

Tolerance: 1e-12 relative, where cross-products of 48 rows and one elimination lose a
few units in the last place of double precision. A response a million times further
from zero than it varies costs six digits of its residuals: 1e-9 has one to spare.
"""

from __future__ import annotations

import numpy as np
import pytest

from ngmm.likelihood import condense
from ngmm.likelihood.coupling import FullCoupling, SparseCoupling
from tests.engine.dense import Dense, log_det
from tests.engine.structures import STRUCTURES, build, frame

RTOL = dict.fromkeys(STRUCTURES, 1e-12) | {"far from zero": 1e-9}

each_structure = pytest.mark.parametrize("name", STRUCTURES)


def away_from_the_estimate(dense: Dense) -> np.ndarray:
    """Fixed effects that are not the best ones, by about a standard error each."""
    se = np.sqrt(np.diag(dense.unscaled_vcov))
    return (dense.beta + se * (-1) ** np.arange(len(se))).astype(float)


@each_structure
def test_density_at_given_parameters(name: str) -> None:
    s = STRUCTURES[name]
    model = build(name)
    dense = Dense(model.design, s.theta)
    beta = away_from_the_estimate(dense)
    expected = float(dense.loglik(s.sigma, beta))
    assert model.loglik(s.theta, s.sigma, beta) == pytest.approx(
        expected, rel=RTOL[name]
    )


@each_structure
def test_density_at_the_best_sigma_and_beta(name: str) -> None:
    s = STRUCTURES[name]
    model = build(name)
    dense = Dense(model.design, s.theta)
    at_sigma = float(dense.loglik(s.sigma))
    assert model.loglik(s.theta, s.sigma) == pytest.approx(at_sigma, rel=RTOL[name])
    assert model.loglik(s.theta) == pytest.approx(float(dense.loglik()), rel=RTOL[name])


@each_structure
def test_restricted_likelihood(name: str) -> None:
    s = STRUCTURES[name]
    model = build(name, reml=True)
    dense = Dense(model.design, s.theta)
    at_sigma = float(dense.restricted_loglik(s.sigma))
    assert model.loglik(s.theta, s.sigma) == pytest.approx(at_sigma, rel=RTOL[name])
    best = float(dense.restricted_loglik())
    assert model.loglik(s.theta) == pytest.approx(best, rel=RTOL[name])


@pytest.mark.parametrize("name", ["vector", "crossed, sparse", "nested", "weights"])
def test_restricted_is_full_likelihood_integrated_over_beta(name: str) -> None:
    s = STRUCTURES[name]
    ml, reml = build(name), build(name, reml=True)
    information = Dense(ml.design, s.theta)
    p = ml.design.X.shape[1]
    scale = 2 * float(np.log(information.scale).sum())
    volume = float(log_det(information.information)) + scale
    constant = 0.5 * (p * np.log(2 * np.pi * s.sigma**2) - volume)
    expected = ml.loglik(s.theta, s.sigma) + constant
    assert reml.loglik(s.theta, s.sigma) == pytest.approx(expected, rel=RTOL[name])


def test_without_fixed_effects_both_likelihoods_agree() -> None:
    s = STRUCTURES["no fixed, crossed"]
    ml, reml = build("no fixed, crossed"), build("no fixed, crossed", reml=True)
    assert ml.loglik(s.theta) == pytest.approx(reml.loglik(s.theta), rel=1e-14)


@pytest.mark.parametrize(
    "name", ["vector", "crossed, sparse", "crossed, full", "nested deep"]
)
def test_theta_of_zero_is_the_linear_model(name: str) -> None:
    model = build(name)
    X, y = model.design.X, model.design.y
    residual = y - X @ np.linalg.lstsq(X, y)[0]
    n = len(y)
    expected = -0.5 * n * (np.log(2 * np.pi * (residual @ residual) / n) + 1)
    zero = np.zeros(model.n_theta)
    # Least squares by another routine: rounding only.
    assert model.loglik(zero) == pytest.approx(expected, rel=1e-12)


def test_sign_of_a_column_of_lambda_is_arbitrary() -> None:
    model = build("vectors, sparse")
    theta = np.array(STRUCTURES["vectors, sparse"].theta)
    # Columns: (0, 1), (2), (3) and (4, 5), (6).
    flipped = theta * [-1, -1, 1, -1, -1, -1, 1]
    assert model.loglik(flipped) == pytest.approx(model.loglik(theta), rel=1e-13)


@pytest.mark.parametrize(
    ("name", "kind", "n_components"),
    [
        ("crossed, sparse", SparseCoupling, 1),
        ("crossed, full", FullCoupling, 1),
        ("vectors, sparse", SparseCoupling, 1),
        ("vectors, full", FullCoupling, 1),
        ("disjoint crossed", SparseCoupling, 2),
        ("nested", SparseCoupling, 4),
        ("nested deep", SparseCoupling, 4),
        ("nested and crossed", FullCoupling, 1),
    ],
)
def test_structures_take_the_paths_they_are_named_for(
    name: str, kind: type, n_components: int
) -> None:
    problem = build(name).problem
    assert isinstance(problem.system.coupling, kind)
    assert problem.layout.n_components == n_components


def test_some_groups_have_fewer_rows_than_effects() -> None:
    assert frame()["many"].value_counts().min() < 3


def test_components_are_merged_when_padding_them_costs_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = build("disjoint crossed")
    width = apart.problem.layout.width
    # Two padded components do not fit, one with all 7 items does.
    monkeypatch.setattr(condense, "MAX_DENSE_CELLS", 2 * width**2 - 1)
    together = build("disjoint crossed")
    assert together.problem.layout.n_components == 1
    theta = STRUCTURES["disjoint crossed"].theta
    # Two orders of summation.
    assert together.loglik(theta) == pytest.approx(apart.loglik(theta), rel=1e-13)
