"""One-step influence: exact sums, refits, and lme4's case deletion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.diagnostics import influence
from ngmm.errors import OptionError
from ngmm.inference.deletion.gaussian import (
    Component,
    components_of,
    profiled,
)
from ngmm.inference.deletion.one_step import Parts, newton_step
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.likelihood.maximise import profile_at, to_numpy
from ngmm.linalg import precise
from ngmm.model import Model

# Rows left out of sleepstudy, so that the fixed effects depend on the variances.
GONE = [1, 2, 14, 39, 40, 41, 42, 99, 100]

GAUSSIAN = [
    ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "Subject", False),
    ("Reaction ~ Days + (Days || Subject)", "sleepstudy", "Subject", True),
    ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch", False),
    ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch:cask", False),
    ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", "sample", True),
]


def subset(model: Model, rows: np.ndarray) -> Model:
    """The model of some of the rows."""
    d = model.design
    random = []
    for t in d.random:
        levels, codes = np.unique(t.codes[rows], return_inverse=True)
        random.append(
            replace(
                t, Z=t.Z[rows], codes=codes.astype(np.int32), levels=t.levels[levels]
            )
        )
    design = replace(
        d,
        y=d.y[rows],
        X=d.X[rows],
        offset=d.offset[rows],
        weights=d.weights[rows],
        trials=None if d.trials is None else d.trials[rows],
        random=tuple(random),
        rows=d.rows[rows],
        index=d.index[rows],
    )
    return replace(model, design=design)


def profile_of(model: Model, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The engine's gradient and Hessian in the user's theta."""
    problem = model.problem
    with precise():
        found = to_numpy(
            profile_at(problem.to_engine(theta), problem.system, layout=problem.layout)
        )
    order, scale = problem.order, problem.theta_scale[problem.order]
    return (
        found.gradient[order] * scale,
        found.hessian[np.ix_(order, order)] * np.outer(scale, scale),
    )


@pytest.mark.parametrize(("formula", "name", "group", "reml"), GAUSSIAN)
def test_sums_without_a_level_are_those_of_the_engine(
    formula: str, name: str, group: str, reml: bool
) -> None:
    data = ngmm.datasets.load(name)
    weights = np.linspace(0.5, 2.0, len(data))
    fit = ngmm.fit(formula, data, reml=reml, weights=weights)
    d, e = fit.design, fit.estimate
    codes = next(t.codes for t in d.random if t.group == group)
    rows = np.arange(d.n_rows)
    label = components_of(d.random)
    kept, total = rows[codes != 1], None
    for c in np.unique(label):
        own = rows[label == c]
        T = np.column_stack([d.X, d.y - d.offset - d.X @ e.beta])
        part = Component.of(own, d.random, T, d.weights, e.theta)
        gone = np.flatnonzero(codes[own] == 1)
        if len(gone) == len(own):
            continue
        left = part.products()
        if len(gone):
            left = left.without(part.products(gone))
        sums = part.sums(left)
        total = sums if total is None else total.plus(sums)
    assert total is not None
    found = profiled(total, reml=reml)
    gradient, hessian = profile_of(subset(fit.model, kept), e.theta)
    # Two routes to the same derivatives; gradients are sums of terms of the size of
    # the diagonal of the Hessian.
    size = np.abs(np.diag(hessian)).max()
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-9 * size)
    np.testing.assert_allclose(found.hessian, hessian, atol=1e-9 * size)


@pytest.fixture(scope="module")
def unbalanced() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("sleepstudy").drop(index=GONE)
    return ngmm.fit("Reaction ~ Days + (Days | Subject)", data)


def test_fixed_effects_agree_with_refits_to_second_order(unbalanced) -> None:
    found = influence(unbalanced)
    data = unbalanced.call.data
    for level in ("309", "335", "352", "369"):
        exact = unbalanced.update(data=data[data["Subject"].astype(str) != level])
        one = found.estimates.loc[level]
        moved = exact.fixef - unbalanced.fixef
        se = unbalanced.bse
        # The fixed effects follow theta to second order: an error of the change of the
        # weights, which is of the order of the share of a level, 1/18, squared.
        error = np.abs(one[exact.fixef.index] - exact.fixef) / se
        assert (error < 0.02 * np.maximum(1.0, np.abs(moved / se))).all()
        change = np.abs(exact.theta - unbalanced.theta).max()
        left = np.abs(one[["theta1", "theta2", "theta3"]] - exact.theta).max()
        # Levels of an influence of a tenth on theta: an error of its square.
        assert left < max(0.25 * change, 2e-3)
        assert one["sigma"] == pytest.approx(exact.sigma, rel=0.01)


# lme4 1.1-31 (R 4.2.2), influence(m, groups = "Subject") of lmer(Reaction ~ Days +
# (Days | Subject), sleepstudy[-c(2, 3, 15, 40:43, 100, 101), ], REML = FALSE): Cook's
# distances from its fixed effects without each level and vcov(m) (its own function
# multiplies by (J - p) / J), and dfbetas, which are without the level less with it.
COOK = [
    0.07335015, 0.14735113, 0.11426568, 0.13604650, 0.01224666, 0.00506938, 0.02270531,
    0.00760764, 0.14507828, 0.13132723, 0.06641192, 0.08796297, 0.01483950, 0.03561333,
    0.00132561, 0.10492545, 0.00112316, 0.01072055,
]  # fmt: skip
DAYS = [
    -0.35256746, 0.31306493, 0.15403717, 0.39841059, 0.09261072, 0.02034520, 0.05459670,
    -0.07473435, 0.59568404, -0.32940532, -0.14151662, -0.37836649, 0.15225617,
    -0.11612370, -0.03671473, -0.31260416, 0.04358374, -0.03073437,
]  # fmt: skip


def test_distances_are_those_of_lme4(unbalanced) -> None:
    found = influence(unbalanced).to_frame()
    # One step here, refits there: see above for the order of the difference.
    np.testing.assert_allclose(found["cook"], COOK, rtol=0.02, atol=5e-4)
    np.testing.assert_allclose(-found["dfbetas(Days)"], DAYS, rtol=0.03, atol=5e-3)


def test_leverage_is_that_of_lme4() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    found = influence(fit).leverage
    # hatvalues(lmer(..., REML = FALSE)), lme4 1.1-31 at its default tolerance.
    assert found.sum() == pytest.approx(28.61135, rel=1e-4)
    np.testing.assert_allclose(found[:3], [0.2224661, 0.1650934, 0.1239426], rtol=1e-4)


def test_leverage_is_the_derivative_of_the_fitted_values() -> None:
    data = ngmm.datasets.load("Pastes")
    weights = np.linspace(0.5, 2.0, len(data))
    fit = ngmm.fit("strength ~ 1 + (1 | batch/cask)", data, weights=weights)
    h = influence(fit).leverage
    for row in (0, 31):
        y = fit.design.y.copy()
        y[row] += 1.0
        model = replace(fit.model, design=replace(fit.design, y=y))
        moved = model.at(
            fit.fixef.to_numpy(),
            fit.theta,
            fit.sigma,
            fit.estimate.status,
            1,
        )
        other = replace(fit, model=model, estimate=moved)
        # The fitted values are linear in y at given variances.
        change = other.fitted().iloc[row] - fit.fitted().iloc[row]
        assert h.iloc[row] == pytest.approx(change, rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("formula", "name", "group", "family"),
    [
        ("y ~ trt + (1 | subject)", "epil", "subject", "negative_binomial"),
        (
            "cbind(incidence, size - incidence) ~ period + (1 | herd)",
            "cbpp",
            "herd",
            "binomial",
        ),
    ],
)
def test_generalized_levels_agree_with_the_engine_and_with_refits(
    formula: str, name: str, group: str, family: str
) -> None:
    fit = ngmm.fit(formula, ngmm.datasets.load(name), family=family)
    e, marginal = fit.estimate, fit.model.marginal
    problem = marginal.problem
    log_phi = None if e.phi is None else np.log(e.phi)
    x = problem.to_engine(e.beta, e.theta, log_phi)
    engine = accurate_engine(problem, marginal.rule, x)
    codes = fit.design.random[0].codes
    assert isinstance(engine, QuadratureEngine)
    gradient, hessian = Parts(engine, x).without(codes == 3)
    other = subset(fit.model, np.flatnonzero(codes != 3)).marginal
    x_other = other.problem.to_engine(e.beta, e.theta, log_phi)
    there = accurate_engine(other.problem, other.rule, x_other).derivatives(x_other)
    # User's units are common to both; the rules agree to the tolerance of "auto", 1e-6.
    J, K = problem.jacobian, other.problem.jacobian
    np.testing.assert_allclose(J.T @ gradient, K.T @ there.gradient, atol=1e-4)
    np.testing.assert_allclose(J.T @ hessian @ J, K.T @ there.hessian @ K, rtol=1e-3)

    found = influence(fit)
    data, level = fit.call.data, fit.design.random[0].levels[3]
    exact = fit.update(data=data[data[group].astype(str) != str(level)])
    one = found.estimates.iloc[3]
    error = np.abs(one[exact.fixef.index] - exact.fixef) / fit.bse
    size = (np.abs(exact.fixef - fit.fixef) / fit.bse).max()
    # Second order in the influence, which is below a half of a standard error.
    assert error.max() < 0.15 * max(size, 0.1)


@pytest.mark.slow
def test_crossed_generalized_factors_by_laplace() -> None:
    r = np.random.default_rng(2)
    a, b = (m.ravel() for m in np.meshgrid(np.arange(12), np.arange(8)))
    eta = 1.0 + 0.5 * r.normal(size=12)[a] + 0.5 * r.normal(size=8)[b]
    data = pd.DataFrame({"y": r.poisson(np.exp(eta)), "a": a, "b": b})
    fit = ngmm.fit("y ~ 1 + (1 | a) + (1 | b)", data, family="poisson")
    found = influence(fit, by="b")
    exact = fit.update(data=data[data["b"] != 5])
    here, there = fit.fixef.to_numpy()[0], exact.fixef.to_numpy()[0]
    one = found.estimates.loc[[5]].to_numpy()[0, 0]
    # One of eight levels: an eighth of the change, and more than the sign is right.
    margin = 0.02 * fit.bse.to_numpy()[0]
    assert one - here == pytest.approx(there - here, rel=0.15, abs=margin)


def test_a_step_keeps_positive_elements_positive() -> None:
    x, gradient = np.array([0.5, 0.0, 1.0]), np.array([-9.0, 0.0, 0.0])
    found = newton_step(x, gradient, np.eye(3), np.array([True, True, False]), 0)
    # In tau = log x the information is x^2 - x g and the score x g.
    assert found.x[0] == pytest.approx(0.5 * np.exp(-4.5 / (0.25 + 4.5)))
    assert found.x[1:].tolist() == [0.0, 1.0]
    held = newton_step(x, gradient, np.diag([1.0, -1.0, 1.0]), np.zeros(3, bool), 1)
    assert held.held
    assert held.x.tolist() == [-8.5, 0.0, 1.0]


def test_without_variance_the_parameters_are_held_or_stay() -> None:
    fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", ngmm.datasets.load("Dyestuff2"))
    found = influence(fit)
    data = fit.call.data
    exact = [
        data.loc[data["Batch"] != level, "Yield"].mean() for level in found.table.index
    ]
    # With theta = 0 the estimate is the mean of the other rows.
    np.testing.assert_allclose(found.estimates["Intercept"], exact, rtol=1e-10)


def test_printing_and_refusals(unbalanced) -> None:
    found = influence(unbalanced)
    assert "8 levels of less influence not shown" in str(found)
    assert "<table" in found._repr_html_()
    assert len(found.to_frame()) == 18
    with pytest.raises(OptionError, match='did you mean "Subject"'):
        influence(unbalanced, by="subject")
    with pytest.raises(OptionError, match="needs a fitted model"):
        influence("Reaction")  # type: ignore[arg-type]
