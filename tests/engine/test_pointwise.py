"""Likelihoods at given parameters, from R without an optimiser.

The file holds 15 digits; R and ngmm form the same sums in other orders: 1e-9 relative
leaves three digits for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.model import Model
from tests.engine.derivatives import differences
from tests.reference import load_data, pointwise_cases

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
