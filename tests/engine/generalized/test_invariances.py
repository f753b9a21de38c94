"""What must not change a likelihood, or must change it in a known way.

All rules of one program: value, gradient and Hessian at the same psi, so that sums of
two orders are compared, and nothing that a search leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from ngmm.likelihood.engines import Derivatives
from tests.engine.derivatives import relative_error
from tests.engine.generalized.problems import (
    N_ROWS,
    Likelihood,
    Vector,
    likelihood,
)

RULES = [("double", "auto"), ("double", 3), ("nested", "auto"), ("crossed", "laplace")]
each_rule = pytest.mark.parametrize(("structure", "quad"), RULES)
few = settings(max_examples=4)
seeds = st.integers(0, 2**32 - 1)


def with_data(like: Likelihood, data: pd.DataFrame, psi: Vector | None = None) -> Any:
    """The same model of other data."""
    other = Likelihood(
        like.family, like.link, like.structure, like.quad, data, like.formula
    )
    if psi is not None:
        other.__dict__["psi"] = psi
    return other


def assert_same(found: Derivatives, expected: Derivatives, rtol: float = 1e-11) -> None:
    # Rounding of sums of 24 rows, and of modes on the way to it.
    assert found.value == pytest.approx(expected.value, rel=rtol)
    assert relative_error(found.gradient, expected.gradient) < 100 * rtol
    assert relative_error(found.hessian, expected.hessian) < 100 * rtol


@each_rule
@few
@given(seed=seeds)
def test_order_of_rows_and_levels(structure: str, quad: Any, seed: int) -> None:
    like = likelihood("poisson", structure, quad)
    rng = np.random.default_rng(seed)
    data = like.data.sample(frac=1, random_state=seed % 1000)
    # Only levels of as many rows exchange places, so that shapes stay what they are.
    for name, n in (("g", 6), ("h", 4), ("a", 3)):
        if name == "g" and structure == "nested":
            continue
        data = data.assign(**{name: rng.permutation(n)[data[name]]})
    assert_same(with_data(like, data).derivatives(), like.derivatives())


@each_rule
@few
@given(shift=st.floats(-3.0, 3.0))
def test_an_offset_is_an_intercept(structure: str, quad: Any, shift: float) -> None:
    like = likelihood("poisson", structure, quad)
    psi = like.psi.copy()
    psi[0] -= shift
    other = with_data(like, like.data.assign(o=like.data["o"] + shift), psi)
    assert_same(other.derivatives(), like.derivatives())


@each_rule
@few
@given(power=st.floats(-5.0, 5.0))
def test_unit_of_a_column(structure: str, quad: Any, power: float) -> None:
    like = likelihood("poisson", structure, quad)
    c = 10.0**power
    unit = np.ones(len(like.psi))
    unit[1] = c
    if structure == "double":
        # Lambda = [[t1, 0], [t2, t3]]: the second row is that of x.
        unit[3:5] = c
    other = with_data(like, like.data.assign(x=c * like.data["x"]), like.psi / unit)
    found, expected = other.derivatives(), like.derivatives()
    scaled = Derivatives(
        found.value, found.gradient / unit, found.hessian / np.outer(unit, unit)
    )
    assert_same(scaled, expected)


@pytest.mark.parametrize(
    ("structure", "quad"), [("single", 5), ("single", "auto"), ("crossed", "laplace")]
)
def test_weights_are_repeated_rows(structure: str, quad: Any) -> None:
    like = likelihood("poisson", structure, quad)
    one = like.data.assign(w=1.0)
    twice = with_data(like, pd.concat([one, one])).derivatives()
    assert_same(with_data(like, like.data.assign(w=2.0)).derivatives(), twice)


def test_precision_weights_divide_the_dispersion() -> None:
    like = likelihood("gamma")
    psi = like.psi.copy()
    psi[-1] += np.log(3.0)
    other = with_data(like, like.data.assign(w=3.0 * like.data["w"]), psi)
    assert_same(other.derivatives(), like.derivatives())


@pytest.mark.parametrize("quad", [5, "auto"])
def test_binomial_counts_are_bernoulli_responses(quad: Any) -> None:
    counts = likelihood("binomial", quad=quad)
    counts = with_data(counts, counts.data.assign(w=1.0))
    # One row for each trial: the first y of the six are successes.
    rows = counts.data.loc[counts.data.index.repeat(6)]
    order = np.tile(np.arange(6), N_ROWS)
    single = likelihood("bernoulli", quad=quad)
    single = with_data(single, rows.assign(y=1.0 * (order < rows["y"].to_numpy())))
    y = counts.data["y"].to_numpy()
    constant = (gammaln(7) - gammaln(y + 1) - gammaln(7 - y)).sum()
    found, expected = counts.derivatives(), single.derivatives()
    assert_same(found._replace(value=found.value - constant), expected)


def test_a_level_less_is_its_likelihood_less() -> None:
    like = likelihood("poisson")
    keep = like.data["g"] != 2
    x = like.problem.jacobian @ like.psi
    whole = like.engine.by_level(x)  # type: ignore[attr-defined]
    other = with_data(like, like.data.loc[keep])
    without = other.engine.by_level(other.problem.jacobian @ like.psi)
    np.testing.assert_allclose(
        without.value, np.delete(whole.value, 2), rtol=1e-12, atol=0
    )
