"""Likelihoods at given parameters, from R without an optimiser.

The files hold 15 digits; R and ngmm form the same sums in other orders: 1e-9 relative
leaves three digits for that. Integrals are given by R's adaptive integrate() to 1e-12,
and by a lattice in two dimensions: enough nodes must come within 1e-8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm import families
from ngmm.model import Model
from tests.engine.derivatives import differences
from tests.reference import (
    generalized_call,
    lattice_problems,
    load_data,
    pointwise_cases,
)

pytestmark = pytest.mark.reference

RTOL = 1e-9
CASES = {c["id"]: c for c in pointwise_cases() if c["family"] == "gaussian"}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def model_of(case: dict[str, Any], *, reml: bool = False) -> Model:
    design, _ = ngmm.build_design(
        ngmm.parse(case["formula"]),
        load_data(case["dataset"]),
        weights=case["weights"],
    )
    return Model(design, reml=reml)


def theta_of(sds: list[list[float]], cors: list[float | None], sigma: float) -> Any:
    """Relative Cholesky factors, by columns, of terms of one or two effects."""
    out: list[float] = []
    for sd, cor in zip(sds, cors, strict=True):
        if len(sd) == 1:
            out.append(sd[0])
        else:
            assert cor is not None
            out += [sd[0], cor * sd[1], np.sqrt(1 - cor**2) * sd[1]]
    return np.array(out) / sigma


def parameters(case: dict[str, Any]) -> tuple[Any, float, list[float]]:
    given = case["params"]
    sds = [t["sd"] for t in given["random"]]
    cors = [t["cor"] for t in given["random"]]
    theta = theta_of(sds, cors, given["sigma"])
    return theta, given["sigma"], list(given["beta"].values())


@each_case
def test_log_likelihood(case: dict[str, Any]) -> None:
    model = model_of(case)
    theta, sigma, beta = parameters(case)
    assert model.design.n_rows == case["n"]
    found = model.loglik(theta, sigma, beta)
    assert found == pytest.approx(case["loglik"], rel=RTOL)
    best = model.loglik(theta, sigma)
    assert best == pytest.approx(case["loglik_at_gls_beta"], rel=RTOL)


@each_case
def test_best_fixed_effects(case: dict[str, Any]) -> None:
    model = model_of(case)
    theta, sigma, _ = parameters(case)
    beta = list(case["gls_beta"].values())
    at_beta = model.loglik(theta, sigma, beta)
    assert at_beta == pytest.approx(case["loglik_at_gls_beta"], rel=RTOL)
    # No beta is better: the likelihood falls on both sides in every coordinate.
    for step in np.diag(1e-3 * np.abs(beta)):
        assert model.loglik(theta, sigma, beta + step) < at_beta
        assert model.loglik(theta, sigma, beta - step) < at_beta


@each_case
def test_restricted_log_likelihood(case: dict[str, Any]) -> None:
    theta, sigma, _ = parameters(case)
    found = model_of(case, reml=True).loglik(theta, sigma)
    assert found == pytest.approx(case["reml_loglik"], rel=RTOL)


@each_case
def test_gradient(case: dict[str, Any]) -> None:
    model = model_of(case)
    given, p = case["params"], len(case["params"]["beta"])
    sizes = [len(t["sd"]) for t in given["random"]]

    def loglik(x: Any) -> float:
        """Of beta, log sds, atanh of a correlation if there is one, log sigma."""
        sigma = np.exp(x[-1])
        rest = list(x[p:-1])
        sds, cors = [], []
        for size in sizes:
            sds.append([np.exp(rest.pop(0)) for _ in range(size)])
            cors.append(np.tanh(rest.pop(0)) if size == 2 else None)
        return model.loglik(theta_of(sds, cors, sigma), sigma, x[:p])

    x = list(given["beta"].values())
    for term in given["random"]:
        x += [np.log(s) for s in term["sd"]]
        x += [] if term["cor"] is None else [np.arctanh(term["cor"])]
    x.append(np.log(given["sigma"]))
    found = differences(loglik, np.array(x), 1e-3)
    # Both are differences: of a log-likelihood of 1e3, good to 1e-10 and 1e-9.
    np.testing.assert_allclose(found, case["grad"]["value"], rtol=1e-6, atol=1e-7)


# Generalized models -------------------------------------------------------------------

INTEGRAL_RTOL = 1e-8

GENERALIZED = {c["id"]: c for c in pointwise_cases() if c["family"] != "gaussian"}
LATTICES = {p["id"]: p for p in lattice_problems()}
POINTS = {
    f"{name}-{i}": (name, point)
    for name, p in LATTICES.items()
    for i, point in enumerate([*p["points"], p["ml"]["at_optimum"]])
}

# A canonical link, one that is not, and a dispersion: each rule and family is compiled.
SOME = ("pw_toenail_logit", "pw_contra_cloglog", "pw_epil_nbinom2")

each_integral = pytest.mark.parametrize("case", GENERALIZED.values(), ids=GENERALIZED)
each_point = pytest.mark.parametrize(("name", "point"), POINTS.values(), ids=POINTS)


def generalized_model(case: dict[str, Any], quad: Any) -> Model:
    call = generalized_call(case)
    design, _ = ngmm.build_design(
        ngmm.parse(case["formula"]),
        load_data(case["dataset"]),
        binary_response=call["family"] == "bernoulli",
    )
    return Model(design, families.get(call["family"], call["link"]), quad=quad)


def lattice_model(name: str, quad: Any) -> Model:
    problem = LATTICES[name]
    family, link = problem["fam"].split("_")
    return generalized_model({**problem, "family": family, "link": link}, quad)


def loglik_at(model: Model, case: dict[str, Any]) -> float:
    given = case["params"]
    phi = given.get("phi", given.get("theta"))
    return model.loglik([given["sd"]], phi=phi, beta=list(given["beta"].values()))


def loglik_at_point(model: Model, point: dict[str, Any]) -> float:
    theta = theta_of([point["sd"]], [point["cor"]], 1.0)
    return model.loglik(theta, beta=list(point["beta"].values()))


@each_integral
def test_integral(case: dict[str, Any]) -> None:
    # The skewed integrands of the toenail data need most: 101 nodes leave 1e-12.
    model = generalized_model(case, 101)
    assert model.design.n_rows == case["n"]
    assert loglik_at(model, case) == pytest.approx(case["loglik"], rel=INTEGRAL_RTOL)


@pytest.mark.parametrize("name", SOME)
def test_truncated_integral(name: str) -> None:
    case = GENERALIZED[name]
    # What lies beyond 8 standard deviations weighs 1e-15.
    model = generalized_model(case, ngmm.TruncatedQuadrature(radius=8, n_nodes=321))
    assert loglik_at(model, case) == pytest.approx(case["loglik"], rel=INTEGRAL_RTOL)


@each_integral
def test_laplace(case: dict[str, Any]) -> None:
    found = loglik_at(generalized_model(case, "laplace"), case)
    assert found == pytest.approx(case["loglik_laplace_observed"], rel=RTOL)


@pytest.mark.parametrize("name", SOME)
def test_the_same_adaptive_rule(name: str) -> None:
    case = GENERALIZED[name]
    found = loglik_at(generalized_model(case, 5), case)
    # The modes are found to about 1e-8, and a rule that is not exact depends on them.
    assert found == pytest.approx(case["loglik_aghq"]["5"], rel=1e-8)


@each_integral
def test_gradient_of_an_integral(case: dict[str, Any]) -> None:
    # The stored gradients are those of 61 nodes, which the toenail data show.
    model, given = generalized_model(case, 61), case["params"]
    p = len(given["beta"])
    phi = given.get("phi", given.get("theta"))

    def loglik(x: Any) -> float:
        """Of beta, log sd, and log dispersion if there is one."""
        return model.loglik(
            [np.exp(x[p])], phi=None if phi is None else np.exp(x[-1]), beta=x[:p]
        )

    x = [*given["beta"].values(), np.log(given["sd"])]
    x += [] if phi is None else [np.log(phi)]
    assert len(x) == len(case["grad"]["order"])
    found = differences(loglik, np.array(x), 1e-3)
    # Differences, here and in R, whose modes are good to about 1e-8.
    np.testing.assert_allclose(found, case["grad"]["value"], rtol=1e-5, atol=1e-5)


@each_point
def test_integral_in_two_dimensions(name: str, point: dict[str, Any]) -> None:
    # The lattice of the toenail data has 161 nodes per dimension over 7 sd as well.
    model = lattice_model(name, ngmm.TruncatedQuadrature(radius=8, n_nodes=201))
    found = loglik_at_point(model, point)
    assert found == pytest.approx(point["loglik"], rel=INTEGRAL_RTOL)


@each_point
def test_laplace_in_two_dimensions(name: str, point: dict[str, Any]) -> None:
    found = loglik_at_point(lattice_model(name, "laplace"), point)
    # As in one dimension.
    assert found == pytest.approx(point["loglik_aghq"]["1"], rel=RTOL)


@pytest.mark.parametrize("name", ["vec_contra_slope-0", "vec_epil_slope-0"])
def test_adaptive_nodes_in_two_dimensions(name: str) -> None:
    # With few nodes the value depends on which square root of the curvature turns the
    # grid; with 25 per dimension that is below 1e-10 for these data.
    problem, point = POINTS[name]
    found = loglik_at_point(lattice_model(problem, 25), point)
    assert found == pytest.approx(point["loglik"], rel=INTEGRAL_RTOL)
