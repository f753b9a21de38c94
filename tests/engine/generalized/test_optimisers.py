"""Newton, lbfgs and adam reach one optimum, boundaries are exact, programs are kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import optax
import pandas as pd
import pytest

from ngmm.estimation.estimators import FullBatch, Newton
from ngmm.estimation.status import Status
from ngmm.likelihood import laplace, single
from ngmm.model import GeneralizedEstimate, Model
from tests.engine.generalized.problems import N_ROWS, Likelihood, likelihood
from tests.engine.test_compilation import Counter

MODELS = {"single": ("single", 5), "crossed": ("crossed", "laplace")}

# Adam's steps are of the size of the learning rate until that has fallen.
TRANSFORMATIONS = {
    "lbfgs": optax.lbfgs(),
    "adam": optax.adam(optax.exponential_decay(0.1, 200, 0.5)),
}


@pytest.fixture(scope="module")
def counter() -> Counter:
    return Counter()


@pytest.fixture
def compilations(counter: Counter) -> Iterator[Counter]:
    counter.on, counter.n = True, 0
    yield counter
    counter.on = False


def model(name: str, y: Any | None = None) -> Model:
    """Counts with variation between the groups of every factor."""
    like = likelihood("poisson", *MODELS[name])
    data = like.data.assign(w=1.0)
    if y is None:
        rng = np.random.default_rng(11)
        effect = np.linspace(-1, 1, 6)[data["g"]] + np.linspace(-1, 1, 4)[data["h"]]
        y = rng.poisson(np.exp(1.5 + 0.4 * data["x"] + effect))
    data = data.assign(y=y)
    return Likelihood(
        "poisson", "log", like.structure, like.quad, data, like.formula
    ).model


@cache
def newton(name: str) -> GeneralizedEstimate:
    found = model(name).maximise()
    assert isinstance(found, GeneralizedEstimate)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_newton_ends_at_a_maximum(name: str) -> None:
    found = newton(name)
    assert found.status is Status.CONVERGED
    assert found.n_unsettled == 0
    # The last step squares what the tolerance of 1e-8 left.
    assert 0.0 <= found.gain < 1e-12
    assert (np.linalg.eigvalsh(found.information) > 0).all()
    assert (found.theta > 0.1).all()


def test_what_is_known_of_the_error() -> None:
    one, crossed = newton("single").integral, newton("crossed").integral
    # Five nodes are compared with many; for crossed factors there is no finer rule.
    assert one.error is not None
    assert 0.0 < one.error < 1e-3
    assert (crossed.error, crossed.text) == (None, "Laplace")


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize(
    "name",
    ["single", pytest.param("crossed", marks=pytest.mark.slow)],
)
def test_first_order_methods_reach_the_optimum_of_newton(
    name: str, transformation: str
) -> None:
    estimator = FullBatch(TRANSFORMATIONS[transformation], max_steps=4000)
    found, expected = estimator(model(name)), newton(name)
    assert isinstance(found, GeneralizedEstimate)
    assert found.status is Status.CONVERGED
    # A gradient of 1e-6 in scaled parameters, curvatures of one and more: 1e-12 in the
    # log-likelihood and 1e-6 in parameters.
    assert found.loglik == pytest.approx(expected.loglik, rel=0, abs=1e-8)
    np.testing.assert_allclose(found.beta, expected.beta, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-5)
    assert found.gain < 1e-8
    np.testing.assert_allclose(
        found.information, expected.information, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [1e-3, 0.1, 1.0, 5.0])
def test_starting_values_do_not_matter(name: str, size: float) -> None:
    expected = newton(name)
    found = Newton()(model(name), np.full(len(expected.theta), size))
    assert found.status is Status.CONVERGED
    # Within rounding of one maximum; parameters to the root of it.
    assert found.loglik == pytest.approx(expected.loglik, rel=0, abs=1e-10)
    np.testing.assert_allclose(found.beta, expected.beta, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_no_variation_between_groups_is_a_variance_of_exactly_zero(name: str) -> None:
    # Counts that vary less than Poisson's can, in every group alike.
    y = np.where(np.arange(N_ROWS) % 2, 4.0, 3.0)
    found = model(name, y).maximise()
    assert isinstance(found, GeneralizedEstimate)
    assert found.status is Status.CONVERGED
    np.testing.assert_array_equal(found.theta, 0.0)
    for b in found.modes:
        np.testing.assert_array_equal(b, 0.0)
    # What is left is a generalized linear model.
    assert found.gain < 1e-12


def test_a_vanishing_variance_among_others() -> None:
    data = likelihood("poisson", "crossed", "laplace").data
    # All variation is between the levels of g.
    y = np.round(np.exp(1.0 + 0.5 * data["g"].to_numpy()))
    found = model("crossed", y).maximise()
    assert found.theta[0] > 0.3
    assert found.theta[1] == 0.0


@pytest.mark.parametrize("name", MODELS)
def test_other_values_of_the_same_shape_compile_nothing(
    name: str, compilations: Counter
) -> None:
    model(name).maximise()
    programs = (single.maximise, single.evaluate, single.assess, laplace.maximise)
    before, compilations.n = sum(f.cache_size() for f in programs), 0
    rng = np.random.default_rng(1)
    found = model(name, rng.poisson(3.0, N_ROWS)).maximise()
    assert isinstance(found, GeneralizedEstimate)
    assert sum(f.cache_size() for f in programs) == before
    assert compilations.n == 0


def test_a_second_descent_compiles_nothing(compilations: Counter) -> None:
    estimator = FullBatch(TRANSFORMATIONS["lbfgs"], max_steps=50)
    estimator(model("single"))
    compilations.n = 0
    estimator(model("single", np.arange(N_ROWS) % 5))
    assert compilations.n == 0


def test_estimates_are_in_the_units_and_order_of_the_formula() -> None:
    like = likelihood("poisson", "crossed", "laplace")
    data = like.data.assign(w=1.0, y=model("crossed").design.y)
    swapped = pd.DataFrame(data).assign(x=100.0 * data["x"])
    formula = "y ~ x + (1 | h) + (1 | g)"
    other = Likelihood("poisson", "log", "crossed", "laplace", swapped, formula)
    found, expected = other.model.maximise(), newton("crossed")
    assert isinstance(found, GeneralizedEstimate)
    np.testing.assert_allclose(found.theta, expected.theta[::-1], rtol=1e-6)
    np.testing.assert_allclose(found.beta * [1, 100], expected.beta, rtol=1e-6)
    for b, c in zip(found.modes, expected.modes[::-1], strict=True):
        np.testing.assert_allclose(b, c, rtol=0, atol=1e-6)
    unit = np.array([1.0, 100.0, 1.0, 1.0])
    order = [0, 1, 3, 2]
    information = (found.information / np.outer(unit, unit))[np.ix_(order, order)]
    # Beta in other units: the inverse of them in the information.
    np.testing.assert_allclose(information, expected.information, rtol=1e-5, atol=1e-6)
