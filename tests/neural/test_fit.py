"""Fits with networks: what they are orthogonal to, and what must not change them."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import ngmm
from tests.neural.frames import frame

ONE = ngmm.Evidence(restarts=1, widths=(3,))
FORMULA = "y ~ x1 + nn(x1, x2) + (1 | g)"


def fit_to(data: pd.DataFrame, formula: str = FORMULA, **options: Any) -> Any:
    """One search of one width: all data of one shape share its program."""
    return ngmm.fit(formula, data, estimator=ONE, **options)


@cache
def fitted() -> Any:
    return fit_to(frame())


def output(fit: Any) -> np.ndarray:
    """Contribution of the network to the rows of the fit."""
    return fit.predict(kind="terms")["nn(x1, x2)"].to_numpy()


@pytest.mark.slow
def test_the_network_is_orthogonal_to_what_it_shares() -> None:
    f, data = output(fitted()), frame()
    size = np.linalg.norm(f)
    # Rounding of sums over the rows.
    assert abs(f.sum()) < 1e-12 * size * np.sqrt(len(f))
    assert abs(f @ data["x1"]) < 1e-12 * size * np.linalg.norm(data["x1"])
    # It is not zero, and not orthogonal to what it does not share.
    assert f.std() > 0.1
    assert abs(f @ data["x2"] ** 2) > 0.1 * size


def test_training_rows_as_new_data_give_the_same() -> None:
    fit, data = fitted(), frame()
    rows = [3, 1, 4, 100, 5]
    for re in ("none", "all"):
        old = fit.predict(re=re, se=True)
        new = fit.predict(data.iloc[rows], re=re, se=True)
        # The same products, summed in another order.
        assert_allclose(new, old.iloc[rows], rtol=1e-10, atol=1e-12)
    assert_allclose(fit.predict(data, re="all"), fit.fitted(), rtol=1e-10)


def same(fit: Any, other: Any, scale: float = 1.0, shift: float = 0.0) -> None:
    """Whether two fits agree, the response of the other one rescaled."""
    # Rounding decides where a search ends by what its tolerance allows: log-evidence
    # is settled to 1e-3, so weights to a twentieth of a standard error, and their
    # output much better.
    n = fit.nobs
    assert other.loglik == pytest.approx(fit.loglik - n * np.log(scale), abs=0.02)
    fixed = fit.fixef.to_numpy() * scale + [shift, 0.0]
    assert_allclose(other.fixef, fixed, atol=0.05 * scale * fit.bse.max())
    assert_allclose(other.bse, scale * fit.bse, rtol=0.02)
    assert other.sigma == pytest.approx(scale * fit.sigma, rel=0.01)
    assert_allclose(other.theta, fit.theta, rtol=0.02)
    assert other.networks.edf[0] == pytest.approx(fit.networks.edf[0], abs=0.2)


def test_the_order_of_rows_does_not_matter() -> None:
    data = frame()
    order = np.random.default_rng(1).permutation(len(data))
    other = fit_to(data.iloc[order])
    same(fitted(), other)
    assert_allclose(output(other), output(fitted())[order], atol=0.02)


def test_names_of_levels_do_not_matter() -> None:
    data = frame()
    # Another order of the levels too.
    renamed = data.assign(g=data["g"].map(lambda g: f"{int(g[1:]) * 7 % 20:02d}"))
    same(fitted(), fit_to(renamed))


def test_units_of_the_response_do_not_matter() -> None:
    data = frame()
    other = fit_to(data.assign(y=1000.0 * data["y"] + 5e4))
    same(fitted(), other, 1000.0, 5e4)
    assert_allclose(output(other), 1000.0 * output(fitted()), atol=20.0)


def test_units_of_the_inputs_do_not_matter() -> None:
    data = frame()
    other = fit_to(data.assign(x2=1e-3 * data["x2"] + 7.0))
    same(fitted(), other)


def test_a_seed_gives_the_same_fit_to_the_last_bit() -> None:
    first, second = fitted(), fit_to(frame())
    for a, b in zip(first.networks.members, second.networks.members, strict=True):
        assert_array_equal(a.x, b.x)
    assert first.loglik == second.loglik
    assert_array_equal(first.vcov(), second.vcov())


SCRIPT = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import ngmm
from tests.neural.frames import frame
fit = ngmm.fit(
    "y ~ x1 + nn(x1, x2) + (1 | g)", frame(),
    estimator=ngmm.Evidence(restarts=3, widths=(3, 4)), seed=5,
)
print([m.x.tobytes().hex() for m in fit.networks.members], fit.loglik.hex())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_another_process_with_other_threads_gives_the_same_bits() -> None:
    answers = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, n_cores],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n_cores in ("1", "64")
    ]
    assert answers[0] == answers[1] != ""


def test_other_seeds_differ_by_less_than_standard_errors() -> None:
    options = ngmm.Evidence(restarts=6, widths=(3,))
    fits: list[Any] = [
        ngmm.fit(FORMULA, frame(), estimator=options, seed=s) for s in (0, 1)
    ]
    first, second = fits
    assert not np.array_equal(first.networks.members[0].x, second.networks.members[0].x)
    a, b = (f.predict(re="none", se=True) for f in fits)
    apart = np.abs(a["fit"] - b["fit"]) / a["se"]
    assert apart.max() < 1.0
    assert np.abs(first.fixef - second.fixef).max() < 0.2 * first.bse.min()


def test_a_function_is_found() -> None:
    data = frame()
    shared = np.column_stack([np.ones(len(data)), data["x1"]])
    f = data["f"] - shared @ np.linalg.lstsq(shared, data["f"], rcond=None)[0]
    error = output(fitted()) - f.to_numpy()
    # About ten effective weights at sigma = 0.5 and 160 rows: 0.5^2 * 10 / 160 = 0.016,
    # against 0.5 for no network at all.
    assert np.mean(error**2) < 0.05 < 0.2 < np.mean(f**2)


@pytest.mark.parametrize(
    "truth", [pytest.param("nothing", marks=pytest.mark.slow), "linear"]
)
def test_no_curvature_is_found_where_there_is_none(truth: str) -> None:
    edf, gains = [], []
    for seed in range(6):
        data = frame(seed)
        slope = 0.8 * data["x1"] - 0.4 * data["x2"] if truth == "linear" else 0.0
        noise = np.random.default_rng(100 + seed).normal(size=len(data))
        effect: Any = data["y"].groupby(data["g"]).transform("mean")
        data["y"] = slope + 0.5 * effect + noise
        fit: Any = ngmm.fit("y ~ nn(x1, x2) + (1 | g)", data, seed=seed)
        linear = "x1 + x2 + " if truth == "linear" else ""
        known: Any = ngmm.fit(f"y ~ {linear}(1 | g)", data)
        edf.append(fit.networks.edf[0])
        gains.append(fit.loglik - known.loglik)
    # Two weights are linear; noise of 160 rows may look curved now and then.
    expected = 2.0 if truth == "linear" else 0.0
    assert np.median(edf) < expected + 1.5
    assert np.median(gains) < 2.0
