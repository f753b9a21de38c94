"""Standard errors of a fit with a network, against the textbook's dense matrices."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ngmm
from ngmm.design import build_design
from ngmm.formula import parse
from tests.engine.derivatives import lambda_derivatives
from tests.engine.neural.dense import derivatives, effects_matrix
from tests.neural.frames import frame

ONE = ngmm.Evidence(restarts=1, widths=(3,))
FORMULAS = {
    "slopes": "y ~ x1 + nn(x1, x2) + (1 + x1 | g)",
    "crossed": "y ~ x1 + nn(x1, x2) + (1 | g) + (1 | h)",
}


@cache
def fitted(name: str) -> Any:
    """A fit to a few rows with weights; one member, so that nothing is averaged."""
    data = frame(2, n_groups=8, size=12)
    return ngmm.fit(FORMULAS[name], data, weights="w", estimator=ONE)


@cache
def covariance(name: str) -> Any:
    """Inverse of the penalised information in (beta, w, theta, log sigma).

    With what the penalties' uncertainty adds (Wood, Pya & Safken 2016): log penalties
    vary by 2 / edf, and the maximum with them, here by differences.
    """
    fit = fitted(name)
    networks = fit.networks
    (member,) = networks.members
    J = networks.jacobian(member, [d.inputs for d in networks.designs], networks.X)
    e = fit.estimate
    found = derivatives(fit._analysis.model, J, e.beta, e.theta, e.sigma)
    p = len(e.beta)
    information = -found.hessian
    at = np.arange(p, p + J.shape[1])
    x = np.zeros(len(information))
    x[at] = networks.weights(member)

    def penalised(log_penalty: Any) -> Any:
        out = information.copy()
        out[at, at] += np.exp(log_penalty)[networks.groups]
        return out

    # Where the slope of the likelihood, of curvature `information`, is the penalty's.
    pull = (penalised(member.log_penalty) - information) @ x + information @ x
    found = np.linalg.inv(penalised(member.log_penalty))
    for k, edf in enumerate(member.edf):
        h = 1e-4 * np.eye(len(member.edf))[k]
        ends = [
            np.linalg.solve(penalised(member.log_penalty + sign * h), pull)
            for sign in (1, -1)
        ]
        moved = (ends[0] - ends[1]) / 2e-4
        # The range of log penalties is from log 1e-3 to log 1e7, uniform a priori.
        variance = min(2.0 / max(edf, 1e-9), np.log(1e10) ** 2 / 12.0)
        found += variance * np.outer(moved, moved)
    return found, J


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n == "slopes" else n for n in FORMULAS],
)
def test_the_model_is_that_of_its_own_parameters(name: str) -> None:
    fit = fitted(name)
    e = fit.estimate
    found = derivatives(
        fit._analysis.model, covariance(name)[1], e.beta, e.theta, e.sigma
    )
    # Of the same density.
    assert fit.loglik == pytest.approx(found.value, rel=1e-10)
    # The fixed effects are at their maximum given all else.
    assert_allclose(found.gradient[: len(e.beta)], 0.0, atol=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.slow
def test_covariances_are_those_of_the_penalised_information(name: str) -> None:
    fit, (dense, J) = fitted(name), covariance(name)
    p, q = len(fit.fixef), len(fit.theta)
    at = np.r_[np.arange(p), np.arange(p + J.shape[1], len(dense))]
    # Weights are where the last step of the search led, the information where it
    # started: a twentieth of a standard error apart at most.
    expected = dense[np.ix_(at, at)]
    size = np.sqrt(np.diag(expected))
    assert_allclose(
        fit._analysis.covariance / np.outer(size, size),
        expected / np.outer(size, size),
        atol=2e-3,
    )
    assert_allclose(fit.bse, size[:p], rtol=2e-3)
    assert_allclose(fit.vcov(), expected[:p, :p], rtol=5e-3, atol=1e-5)
    theta = fit._analysis.parameter_covariance[:q, :q]
    assert_allclose(theta, expected[p : p + q, p : p + q], rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("re", ["none", "all"])
@pytest.mark.parametrize("name", FORMULAS)
def test_errors_of_predictions(name: str, re: str) -> None:
    fit, (dense, J) = fitted(name), covariance(name)
    d, e = fit._analysis.model.design, fit.estimate
    new = frame(9, n_groups=8, size=12).iloc[::5]
    rows, spec = fit.spec.apply(new), fit.networks
    inputs = rows.networks
    J_new = spec.jacobian(spec.members[0], inputs, rows.X)
    m, M = np.column_stack([rows.X, J_new]), np.column_stack([d.X, J])
    C = dense[: M.shape[1], : M.shape[1]]
    expected = np.zeros(len(m))
    if re == "all":
        lam = np.tensordot(e.theta, lambda_derivatives(fit._analysis.model), 1)
        Z = effects_matrix(fit._analysis.model)
        terms, _ = build_design(parse(FORMULAS[name]), frame(9, n_groups=8, size=12))
        z = np.hstack(
            [_columns(t, s) for t, s in zip(terms.random, d.random, strict=True)]
        )
        z = z[::5]
        B = e.sigma**2 * lam @ lam.T
        V = e.sigma**2 * np.diag(1 / d.weights) + Z @ B @ Z.T
        gain = z @ B @ Z.T @ np.linalg.inv(V)
        m = m - gain @ M
        expected = np.einsum("nq,nq->n", z @ B - gain @ Z @ B, z)
    expected = np.sqrt(expected + np.einsum("np,pq,nq->n", m, C, m))
    found = fit.predict(new, re=re, se=True)["se"]
    # As above.
    assert_allclose(found, expected, rtol=3e-3)


def _columns(term: Any, seen: Any) -> Any:
    """Z of new rows, level by level in the order of the fit."""
    out = np.zeros((len(term.codes), seen.n_levels, term.Z.shape[1]))
    at = seen.levels.get_indexer(term.levels)[term.codes]
    assert (at >= 0).all()
    out[np.arange(len(at)), at] = term.Z
    return out.reshape(len(at), -1)


def test_averaged_fits_add_the_variance_between_them() -> None:
    data = frame(2, n_groups=8, size=12)
    options = ngmm.Evidence(restarts=4, widths=(3,))
    fit: Any = ngmm.fit(FORMULAS["slopes"], data, weights="w", estimator=options)
    networks = fit.networks
    assert len(networks.members) > 1
    shares = np.array([m.share for m in networks.members])
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    inputs = [d.inputs for d in networks.designs]
    X = networks.X
    f = networks.member_outputs(inputs, X).sum(2)
    between = shares @ (f - shares @ f) ** 2
    within = np.zeros(len(X))
    p = networks.n_beta
    for member in networks.members:
        J = networks.jacobian(member, inputs, X)
        turn = fit._analysis._slope[:p, :p]
        # Rows in the units of the likelihood, whose covariance is the member's.
        wide = np.column_stack([X @ turn, J])
        C = member.covariance[: wide.shape[1], : wide.shape[1]]
        within += member.share * np.einsum("np,pq,nq->n", wide, C, wide)
    found = fit.predict(re="none", se=True)["se"]
    assert_allclose(found**2, within + between, rtol=1e-8)
