"""Simulated responses have the moments of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import OptionError
from tests.results.dense import solve
from tests.results.examples import SLEEP, fitted, load

N = 4000


@pytest.mark.parametrize("name", ["slope", "independent", "crossed", "nested", "rich"])
def test_moments(name: str) -> None:
    fit = fitted(name)
    d, V = fit.design, solve(fit).V
    mean = d.X @ fit.fixef.to_numpy() + d.offset
    draws = fit.simulate(N, seed=3).to_numpy()
    sd = np.sqrt(np.diag(V))
    # The largest of n dependent standard normals stays below 4.5 for n <= 240.
    assert np.abs((draws.mean(1) - mean) / sd).max() < 4.5 / np.sqrt(N)
    # Correlations and relative variances have standard errors of at most sqrt(2 / N);
    # the largest of n^2 / 2 of them stays below 5.5.
    centred = (draws - mean[:, None]) / sd[:, None]
    error = centred @ centred.T / N - V / np.outer(sd, sd)
    assert np.abs(error).max() < 5.5 * np.sqrt(2 / N)
    # Averages over entries are far more precise: 0.01 would betray a wrong variance.
    assert abs(np.diag(error).mean()) < 0.02


def test_weights_and_offset_enter() -> None:
    fit = fitted("rich")
    draws = fit.simulate(N, seed=4)
    plain = draws.sub(draws.mean(axis=1), axis=0)
    # The residual of a row has variance sigma^2 / weight: rows of the least and of
    # the largest weight differ in variance by that much, random effects aside.
    V = solve(fit).V
    low, high = fit.design.weights.argmin(), fit.design.weights.argmax()
    for row in (low, high):
        # Relative standard error sqrt(2 / N) = 0.022; four of them.
        assert plain.iloc[row].var() == pytest.approx(V[row, row], rel=0.09)
    d = fit.design
    assert np.corrcoef(draws.mean(axis=1), d.offset)[0, 1] > 0.5


def test_layout() -> None:
    fit = fitted("rich")
    draws = fit.simulate(3)
    assert draws.columns.tolist() == [0, 1, 2]
    pd.testing.assert_index_equal(draws.index, fit.design.index)
    assert fit.simulate().shape == (fit.nobs, 1)
    two: Any = np.int64(2)
    assert fit.simulate(two).shape == (fit.nobs, 2)


def test_seeds() -> None:
    fit = ngmm.fit(SLEEP, load("sleepstudy"), seed=5)
    same = fit.simulate(2)
    pd.testing.assert_frame_equal(same, fit.simulate(2))
    pd.testing.assert_frame_equal(same, fit.simulate(2, seed=5))
    five: Any = np.int32(5)
    pd.testing.assert_frame_equal(same, fit.simulate(2, seed=five))
    assert (same != fit.simulate(2, seed=6)).all(axis=None)
    assert np.all(same[0] != same[1])


def test_a_zero_variance_simulates_independent_rows() -> None:
    fit = fitted("zero")
    draws = fit.simulate(N, seed=1).to_numpy()
    correlation = np.corrcoef(draws)
    off = correlation[np.triu_indices(len(correlation), 1)]
    # 1770 correlations of standard error 1 / sqrt(N) = 0.016.
    assert np.abs(off).max() < 5 / np.sqrt(N)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, r"^n must be a positive whole number, got 0$"),
        ({"n": 2.0}, r"^n must be a positive whole number, got 2\.0$"),
        ({"n": True}, r"^n must be a positive whole number, got True$"),
        ({"seed": -1}, r"^seed must be a whole number from 0, got -1$"),
        ({"seed": "a"}, r"^seed must be a whole number from 0, got 'a'$"),
        ({"seed": True}, r"^seed must be a whole number from 0, got True$"),
        ({"seed": 0.5}, r"^seed must be a whole number from 0, got 0\.5$"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted("slope").simulate(**arguments)
