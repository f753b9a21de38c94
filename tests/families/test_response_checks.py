"""What is said of a response that a family cannot have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ngmm import families
from ngmm.errors import DataError
from ngmm.families import Family
from tests.families.cases import SETTINGS, every_family


def _check(name: str, y: Any, trials: Any = None, label: str = "y") -> None:
    y = np.asarray(y, dtype=float)
    n = None if trials is None else np.asarray(trials, dtype=float)
    index = [f"r{i + 1}" for i in range(len(y))]
    families.get(name).check(y, n, label, index)


@every_family
def test_samples_pass(family: Family) -> None:
    setting = SETTINGS[family.name]
    n = None if setting.trials is None else np.full(200, setting.trials)
    for mu in setting.means:
        y = family.sample(
            np.random.default_rng(1), np.full(200, mu), setting.phis[0], 1.0, n
        )
        family.check(y, n, "y", range(200))


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_counts(name: str) -> None:
    with pytest.raises(
        DataError,
        match=rf"^response y is negative in 2 rows \(r1, r3\); family {name} needs "
        r"counts 0, 1, 2, .* leave them out; .*family=\"gaussian\"$",
    ):
        _check(name, [-1, 2, -0.5])
    with pytest.raises(
        DataError,
        match=r"^response y is not a whole number in 7 rows \(r1, r2, r3, r4, r5, "
        r"\.\.\.\); .*offset=np\.log\(exposure\)",
    ):
        _check(name, [0.5] * 7)
    with pytest.raises(DataError, match=r"in 1 row \(r2\)"):
        _check(name, [0, 2.5])


def test_bernoulli_says_how_to_recode() -> None:
    with pytest.raises(DataError) as error:
        _check("bernoulli", [1, 2, 2, 1], label="use")
    assert str(error.value) == (
        "response use is neither 0 nor 1 in 2 rows (r2, r3): it has values 1, 2. "
        'Recode it: data["use"] = (data["use"] == 2).astype(int)'
    )
    with pytest.raises(DataError, match=r"has values 0, 1, 2, 3, 4, \.\.\.\. Recode"):
        _check("bernoulli", range(9))
    with pytest.raises(DataError, match=r"values 0\.2, 0\.5\. If it is a proportion"):
        _check("bernoulli", [0.2, 0.5])


@pytest.mark.parametrize("name", ["binomial", "betabinomial"])
def test_successes_and_trials(name: str) -> None:
    for y, trials, message in [
        (
            [0.2, 1],
            None,
            (
                r"^response y is a proportion in 1 row \(r1\), and the number .* is "
                rf"not given: family {name} needs the number behind .*, trials=\"n\""
            ),
        ),
        ([0, 3], None, r"^response y is neither 0 nor 1 in 1 row \(r2\).*cbind\("),
        ([-1, 3], None, r"^response y is neither 0 nor 1 in 2 rows"),
        ([0, 1], [0, 2], r"^trials: .*y is zero in 1 row \(r1\); a row without trials"),
        ([0, 1], [0.5, 0], r"^trials: .* is not a whole number above 0 in 2 rows"),
        ([0, 1], [-2, 2], r"^trials: .* is not a whole number above 0 in 1 row"),
        ([0, 1], [np.nan, 2], r"^trials: .* is not a whole number above 0 in 1 row"),
        ([-1, 3], [4, 4], r"^response y is negative in 1 row \(r1\)"),
        ([0.5, 3], [4, 4], r"^response y is not a whole number of successes in 1 row"),
        (
            [5, 3],
            [4, 4],
            r"^response y is larger than the number of trials in 1 row .*cbind\(",
        ),
    ]:
        with pytest.raises(DataError, match=message):
            _check(name, y, trials)


def test_binomial_of_single_trials() -> None:
    _check("binomial", [0, 1, 1])
    for trials in (None, [1, 1, 1]):
        with pytest.raises(
            DataError,
            match=r"one trial in every row.*phi cannot be .*\"bernoulli\"$",
        ):
            _check("betabinomial", [0, 1, 1], trials)


@pytest.mark.parametrize("name", ["gamma", "inverse_gaussian"])
def test_positive_responses(name: str) -> None:
    with pytest.raises(
        DataError,
        match=rf"^response y is zero in 1 row \(r2\); family {name} needs values above "
        r"0\. .*\(whether y > 0 by family=\"bernoulli\"\)",
    ):
        _check(name, [1.0, 0.0])
    with pytest.raises(DataError, match=r"^response y is zero or negative in 2 rows"):
        _check(name, [-1.0, 0.0])


def test_beta() -> None:
    with pytest.raises(
        DataError,
        match=r"^response y is 0 or 1 in 2 rows \(r1, r3\); .*\"betabinomial\".*"
        r"squeeze the response: \(y \* \(n - 1\) \+ 0\.5\) / n with n = 3",
    ):
        _check("beta", [0.0, 0.5, 1.0])
    with pytest.raises(
        DataError, match=r"^response y is outside 0 to 1 in 2 rows .*percentages\)$"
    ):
        _check("beta", [50.0, 0.5, -0.1])


def test_gaussian_takes_any_number() -> None:
    _check("gaussian", [-1e9, 0.0, 2.5])
