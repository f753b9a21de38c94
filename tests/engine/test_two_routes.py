"""Two ways to the same number must agree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ngmm
from ngmm.design import build_design
from ngmm.estimation.newton import NewtonResult
from ngmm.estimation.status import Status
from ngmm.likelihood.maximise import maximise
from ngmm.linalg import precise
from ngmm.model import GaussianEstimate, Model
from tests.engine.derivatives import quick_jit
from tests.engine.structures import STRUCTURES, build, frame

# Two orders of summation, a few units in the last place of every operation.
ROUNDING = 1e-12
# Two runs of the optimiser: each ends within rounding of the maximum, which theta
# reaches to the square root of that.
SAME_MAXIMUM = 1e-10
SAME_THETA = 1e-6


def model_of(formula: str, *, reml: bool = False) -> Model:
    return Model(build_design(ngmm.parse(formula), frame())[0], reml=reml)


@pytest.mark.parametrize(("prefix", "reml"), [("crossed", False), ("vectors", True)])
@pytest.mark.slow
def test_full_coupling_is_sparse_coupling(prefix: str, reml: bool) -> None:
    sparse = build(f"{prefix}, sparse", reml=reml)
    full = build(f"{prefix}, full", reml=reml)
    theta = STRUCTURES[f"{prefix}, full"].theta
    assert full.loglik(theta) == pytest.approx(sparse.loglik(theta), rel=ROUNDING)
    one, other = full.maximise(), sparse.maximise()
    assert one.loglik == pytest.approx(other.loglik, rel=SAME_MAXIMUM)
    np.testing.assert_allclose(one.theta, other.theta, rtol=0, atol=SAME_THETA)
    assert isinstance(one, GaussianEstimate)
    assert isinstance(other, GaussianEstimate)
    np.testing.assert_allclose(
        one.profile.hessian, other.profile.hessian, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("y ~ x + (1 | a/b)", "y ~ x + (1 | a) + (1 | a:b)"),
        ("y ~ x + (1 | a/b)", "y ~ x + (1 | a:b) + (1 | a)"),
        ("y ~ x + (z || g)", "y ~ x + (1 | g) + (0 + z | g)"),
        ("y ~ x + (z || g)", "y ~ x + (0 + z | g) + (1 | g)"),
        ("y ~ x + (1 | g) + (1 | h)", "y ~ x + (1 | h) + (1 | g)"),
    ],
)
def test_two_spellings_are_one_model(short: str, long: str) -> None:
    one, other = model_of(short), model_of(long)
    terms = [(t.group, t.names) for t in one.design.random]
    split = [(g, name) for g, names in terms for name in names]
    their = [(t.group, n) for t in other.design.random for n in t.names]
    order = [split.index(key) for key in their]
    theta = np.array([0.8, 0.4])
    there = other.loglik(theta[order])
    assert one.loglik(theta) == pytest.approx(there, rel=ROUNDING)
    a, b = one.maximise(), other.maximise()
    assert a.loglik == pytest.approx(b.loglik, rel=SAME_MAXIMUM)
    np.testing.assert_allclose(a.theta[order], b.theta, rtol=0, atol=SAME_THETA)
    np.testing.assert_allclose(a.beta, b.beta, rtol=SAME_THETA)


def test_any_start_ends_at_the_same_maximum() -> None:
    model = model_of("y ~ x + (1 + z | g) + (1 | h)")
    expected = model.maximise()
    for start in ([0.1, 0.0, 0.1, 0.1], [5.0, 2.0, 3.0, 4.0], [1.0, -0.9, 0.2, 0.01]):
        found = model.maximise(start)
        assert found.status is Status.CONVERGED
        assert found.loglik == pytest.approx(expected.loglik, rel=SAME_MAXIMUM)
        np.testing.assert_allclose(found.theta, expected.theta, atol=SAME_THETA)


def test_estimate_is_a_stationary_maximum_of_loglik() -> None:
    model = model_of("y ~ x + (1 + z | g) + (1 | h)", reml=True)
    best = model.maximise()
    assert best.status is Status.CONVERGED
    assert model.loglik(best.theta, best.sigma) == pytest.approx(best.loglik, rel=1e-13)
    rng = np.random.default_rng(5)
    for _ in range(20):
        away = best.theta + rng.normal(0, 0.1, len(best.theta))
        assert model.loglik(away) < best.loglik
        assert model.loglik(best.theta, best.sigma * rng.uniform(1.01, 2)) < best.loglik


def test_beta_of_the_estimate_maximises_loglik() -> None:
    model = model_of("y ~ x + (1 + z | g) + (1 | h)")
    best = model.maximise()
    there = model.loglik(best.theta, best.sigma, best.beta)
    assert there == pytest.approx(best.loglik, rel=1e-12)


@pytest.mark.parametrize("name", ["vector", "crossed, sparse"])
def test_mapping_the_maximiser_over_responses(name: str) -> None:
    rng = np.random.default_rng(8)
    model = build(name)
    responses = [model.design.y + rng.normal(size=len(frame())) for _ in range(3)]
    models = [_with_response(name, y) for y in responses]
    systems = [m.problem.system for m in models]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *systems)
    layout = models[0].problem.layout
    start = np.full(layout.n_theta, 0.5)
    fun = quick_jit(jax.vmap(lambda s: maximise.fun(start, s, 100, layout=layout)))
    with precise():
        found = fun(stacked)
    for i, m in enumerate(models):
        assert int(found.status[i]) == Status.CONVERGED
        with precise():
            alone: NewtonResult = maximise(
                start, m.problem.system, np.int64(100), layout=layout
            )
        # The same steps, in code that XLA has arranged otherwise.
        np.testing.assert_allclose(found.x[i], alone.x, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.value[i], alone.value, rtol=1e-12)
        assert int(found.n_steps[i]) == int(alone.n_steps)


def test_mapping_the_maximiser_over_starts() -> None:
    model = build("vector")
    system, layout = model.problem.system, model.problem.layout
    starts = np.array([[0.1, 0.0, 0.1], [3.0, 1.0, 2.0], [0.5, -0.4, 0.1]])
    with precise():
        found = quick_jit(
            jax.vmap(lambda t: maximise.fun(t, system, 100, layout=layout))
        )(jnp.asarray(starts))
    assert found.status.tolist() == [Status.CONVERGED] * 3
    np.testing.assert_allclose(found.value, found.value[0], rtol=SAME_MAXIMUM)


def _with_response(name: str, y: np.ndarray) -> Model:
    data = frame().assign(new=y)
    s = STRUCTURES[name]
    formula = s.formula.replace("y ~", "new ~")
    model = Model(build_design(ngmm.parse(formula), data)[0])
    cost = s.pair_cost
    if cost is None:
        return model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ngmm.likelihood.condense.PAIR_COST", cost)
        assert model.problem is not None
    return model
