"""Bootstrap likelihood-ratio tests.

All have 100 data sets, so that refits are compiled once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.comparison.lrt_base import base_model
from ngmm.comparison.resampled import ENOUGH, bootstrap_test
from ngmm.errors import DataError, OptionError
from ngmm.results import MixedModelFit


@pytest.fixture(scope="module")
def pair() -> tuple[MixedModelFit, MixedModelFit]:
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(10), 5)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=50)})
    data["y"] = rng.normal(size=10)[g] + rng.normal(size=50)
    large = ngmm.fit("y ~ x + (1 | g)", data)
    return large.update(". ~ . - x"), large


def test_the_p_value_counts_the_observed_one(
    pair: tuple[MixedModelFit, MixedModelFit],
) -> None:
    found = bootstrap_test(*pair, n=100, seed=3, stop=False)
    assert found.n == 100
    assert not found.stopped
    assert found.n_failed == 0
    k = int((found.null >= found.statistic).sum())
    assert found.n_exceeding == k
    assert found.p_value == pytest.approx((1 + k) / 101, rel=1e-15)
    # The largest of a chi-square with one df among 100 draws is about 7.
    assert 0 <= found.null.min() < 0.01 < 3 < found.null.max() < 20


def test_it_stops_when_the_answer_is_clear(
    pair: tuple[MixedModelFit, MixedModelFit],
) -> None:
    whole = bootstrap_test(*pair, n=100, seed=3, stop=False)
    found = bootstrap_test(*pair, n=100, seed=3)
    assert found.stopped
    assert found.n_exceeding == ENOUGH
    assert found.p_value == ENOUGH / found.n
    assert "stop=False" in found.method
    # What was drawn does not depend on where it stopped.
    np.testing.assert_array_equal(found.null, whole.null[: found.n])
    assert abs(found.p_value - whole.p_value) < 4 * found.std_error


def test_the_seed_decides(pair: tuple[MixedModelFit, MixedModelFit]) -> None:
    one, two, other = (bootstrap_test(*pair, n=100, seed=s).null for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (other[:20] != one[:20]).all()


def test_batched_refits_are_refits(pair: tuple[MixedModelFit, MixedModelFit]) -> None:
    small, large = pair
    found = bootstrap_test(*pair, n=100, seed=5, stop=False)
    from ngmm.comparison.resampled import _seed_of

    draws = small.simulate(100, _seed_of(5, 0))
    for i in range(3):
        y = draws[i]
        ratio = 2 * (large.refit(y).loglik - small.refit(y).loglik)
        # Both end within a gain of 1e-9 of the maximum.
        assert found.null[i] == pytest.approx(ratio, abs=1e-6)


def test_a_linear_model_is_simulated(
    pair: tuple[MixedModelFit, MixedModelFit],
) -> None:
    large = pair[1]
    found = bootstrap_test(base_model("y ~ x", large, reml=False), large, n=100, seed=1)
    # Half of the ratios or more are zero (Crainiceanu and Ruppert 2004).
    assert 0.4 < (found.null < 1e-6).mean() < 0.85


@pytest.mark.slow
def test_counts_by_glm_and_glmm() -> None:
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(8), 5)
    data = pd.DataFrame({"g": g, "y": rng.poisson(np.exp(0.5 * rng.normal(size=8))[g])})
    fit = ngmm.fit("y ~ 1 + (1 | g)", data, family="poisson", quad="laplace")
    found = bootstrap_test(base_model("y ~ 1", fit, reml=False), fit, n=30, seed=1)
    assert found.n + found.n_failed == 30
    assert found.null.min() >= 0


def test_failures_are_counted_and_reported(
    pair: tuple[MixedModelFit, MixedModelFit], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ngmm.model import Model

    search = Model.maximise_many

    def short(self: Model, Y, near, **options):  # type: ignore[no-untyped-def]
        # One step from the estimate is too few for most responses.
        return search(self, Y, near, **{**options, "max_steps": steps})

    monkeypatch.setattr(Model, "maximise_many", short)
    steps = 4
    found = bootstrap_test(*pair, n=100, seed=1, stop=False)
    assert 0 < found.n_failed < 100
    assert found.n + found.n_failed == 100
    assert sum(found.failures.values()) == found.n_failed
    assert f"{found.n_failed} of 100 refits failed" in str(found)
    steps = 1
    with pytest.raises(DataError, match=r"none of 100 .* used all its steps.*: 100"):
        bootstrap_test(*pair, n=100, seed=1)


def test_bad_arguments(pair: tuple[MixedModelFit, MixedModelFit]) -> None:
    with pytest.raises(OptionError, match="n must be a positive"):
        bootstrap_test(*pair, n=0)
    with pytest.raises(OptionError, match="seed must be"):
        bootstrap_test(*pair, n=10, seed=-1)
    with pytest.raises(OptionError, match="stop must be"):
        bootstrap_test(*pair, n=10, stop="yes")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="progress must be"):
        bootstrap_test(*pair, n=10, progress="yes")


def test_the_record_prints_itself(pair: tuple[MixedModelFit, MixedModelFit]) -> None:
    found = bootstrap_test(*pair, n=100, seed=1)
    assert found.to_frame()["n"].tolist() == [found.n]
    assert "parametric bootstrap" in found._repr_html_()
    assert "Monte Carlo error" in str(found)


@pytest.mark.slow
def test_networks_are_refitted() -> None:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 6)
    data = pd.DataFrame({"g": g, "x": rng.uniform(-2, 2, 72)})
    data["y"] = np.sin(2 * data["x"]) + rng.normal(size=12)[g] + rng.normal(size=72) / 2
    small = ngmm.fit("y ~ x + (1 | g)", data)
    once = ngmm.Evidence(restarts=1)
    large = ngmm.fit("y ~ x + nn(x) + (1 | g)", data, estimator=once)
    found = bootstrap_test(small, large, n=9, seed=1, progress=False)
    assert found.p_value == 0.1
    assert found.null.max() < found.statistic


@pytest.mark.slow
@pytest.mark.calibration
def test_size_of_a_tested_variance() -> None:
    # 200 sets: the rejections at 5 % lie between 3 and 20 but for one time in 500.
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(8), 4)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=32), "y": rng.normal(size=32)})
    fit = ngmm.fit("y ~ x + (1 | g)", data)
    rejected = 0
    for i in range(200):
        y = rng.normal(size=32)
        large = fit.update(data=data.assign(y=y))
        small = base_model("y ~ x", large, reml=False)
        found = bootstrap_test(small, large, n=99, seed=i)
        rejected += found.p_value <= 0.05
    assert 3 <= rejected <= 20
