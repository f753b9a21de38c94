"""A fit that is loaded says what the fit that was saved says, to the last bit."""

from __future__ import annotations

import copy
import os
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import SavedFitError
from ngmm.persistence import from_bytes, to_bytes
from tests.persistence.fits import CASES, SLOW, data, made, networks_of
from tests.persistence.same import NEW, ROWS, TABLES, assert_same

EVERY = [
    *CASES,
    *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW),
]


@pytest.mark.parametrize("case", EVERY)
def test_everything_is_equal_after_loading(case: str, tmp_path: Path) -> None:
    fit = made(case)
    path = tmp_path / "fit.ngmm"
    fit.save(path)
    again = ngmm.load(path, networks=networks_of(case))
    assert_same(fit, again, {**TABLES, **NEW, **ROWS})
    pd.testing.assert_index_equal(fit.design.index, again.design.index, exact=True)


@pytest.mark.parametrize("case", EVERY)
def test_the_same_fit_is_the_same_bytes_and_so_is_what_was_loaded(case: str) -> None:
    fit = made(case)
    contents = to_bytes(fit)
    assert to_bytes(fit) == contents
    assert to_bytes(from_bytes(contents, networks_of(case))) == contents


@pytest.mark.parametrize("case", EVERY)
def test_tables_and_predictions_do_without_the_rows(case: str) -> None:
    fit = made(case)
    again = from_bytes(to_bytes(fit, data=False), networks_of(case))
    assert_same(fit, again, {**TABLES, **NEW})


@pytest.mark.parametrize("case", EVERY)
def test_what_needs_the_rows_says_that_they_were_not_saved(case: str) -> None:
    fit = from_bytes(to_bytes(made(case), data=False), networks_of(case))
    asks = {
        **ROWS,
        "refit": lambda fit: fit.refit([0.0] * fit.nobs),
        "update": lambda fit: fit.update(". ~ . + w"),
        "bootstrap": lambda fit: fit.bootstrap(2),
        "r2": ngmm.diagnostics.r2,
    }
    refused = 0
    for name, ask in asks.items():
        with pytest.raises(ngmm.errors.NgmmError) as caught:
            ask(fit)
        if isinstance(caught.value, SavedFitError):
            assert "data=False" in str(caught.value), name
            refused += 1
    # Up to three are not offered for neural random effects, with rows or without.
    assert refused >= len(asks) - 3


@pytest.mark.parametrize("case", EVERY)
def test_nothing_of_the_rows_is_in_a_file_without_them(case: str) -> None:
    fit = made(case)
    whole, without = to_bytes(fit), to_bytes(fit, data=False)
    checked = 0
    for name in ("y", "x", "z", "w", "pos", "img"):
        if name not in fit.call.data:
            continue
        values = np.asarray(fit.call.data[name], dtype=np.float64).ravel()
        # Sixteen bytes do not occur by chance: two values that follow each other.
        pairs = [values[i : i + 2].tobytes() for i in range(len(values) - 1)]
        assert all(pair in whole for pair in pairs[:5]), name
        assert not any(pair in without for pair in pairs), name
        checked += 1
    assert checked >= 3
    for term in (*fit.design.random, *fit.design.latent):
        # Which row is of which level.
        assert term.codes.tobytes() in whole
        assert term.codes.tobytes() not in without


@pytest.mark.parametrize("case", EVERY)
def test_pickles_and_copies_say_the_same(case: str) -> None:
    fit = made(case)
    # What is computed once is there before, as in a session.
    fit.summary()
    fit.ranef(cond_sd=True)
    fit.predict(se=not fit.design.latent)
    contents = pickle.dumps(fit)
    for again in (copy.copy(fit), copy.deepcopy(fit), pickle.loads(contents)):
        assert_same(fit, again, {**TABLES, **NEW, **ROWS})
    called = {arg for _, arg, _ in pickletools.genops(contents) if isinstance(arg, str)}
    assert not any("Compiled" in name or "PjitFunction" in name for name in called)


ANOTHER = """
import sys, ngmm
fit = ngmm.load(sys.argv[1])
new = fit.call.data.iloc[:20]
print(fit.predict(new, interval="prediction").to_numpy().tobytes().hex())
"""


def test_another_process_finds_the_same_bits(tmp_path: Path) -> None:
    # The order of sets is another one in each process.
    fit = made("transforms")
    path = tmp_path / "fit.ngmm"
    fit.save(path)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", ANOTHER, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "99"},
    )
    expected = fit.predict(data().iloc[:20], interval="prediction")
    assert run.stdout.strip() == expected.to_numpy().tobytes().hex()


def test_a_fit_without_rows_can_be_pickled() -> None:
    fit = made("gaussian")
    again = from_bytes(to_bytes(fit, data=False))
    for copied in (copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        assert_same(fit, copied, {**TABLES, **NEW})


def test_a_loaded_fit_is_fitted_again_as_the_saved_one_is() -> None:
    fit = made("transforms")
    again = from_bytes(to_bytes(fit))
    assert_same(
        fit.update(". ~ . - C(h, contr.sum)"),
        again.update(". ~ . - C(h, contr.sum)"),
        TABLES,
    )
    y = fit.simulate(1, seed=3)[0]
    assert_same(fit.refit(y), again.refit(y), TABLES)
    assert again.call.arguments.keys() == fit.call.arguments.keys()


def test_a_fit_without_rows_can_be_fitted_to_other_rows() -> None:
    fit = made("nested")
    again = from_bytes(to_bytes(fit, data=False))
    assert_same(again.update(data=fit.call.data), fit, TABLES)


def test_a_fit_without_rows_can_be_saved_again() -> None:
    contents = to_bytes(made("gaussian"), data=False)
    again = from_bytes(contents)
    assert to_bytes(again, data=False) == contents
    assert to_bytes(again) == contents
