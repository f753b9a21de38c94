"""Errors: their text, their carets, and the builtin exceptions they also are."""

from __future__ import annotations

import pickle

import pytest

from ngmm import errors
from ngmm.errors import FormulaError, did_you_mean


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.FormulaError, ValueError),
        (errors.DataError, ValueError),
        (errors.NewDataError, errors.DataError),
        (errors.DesignError, ValueError),
        (errors.OptionError, ValueError),
        (errors.NotSupportedError, NotImplementedError),
    ],
)
def test_errors_are_caught_as_ours_and_as_builtins(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, errors.NgmmError)
    assert issubclass(error, builtin)


@pytest.mark.parametrize(
    "warning",
    [
        errors.ConvergenceWarning,
        errors.RankDeficiencyWarning,
    ],
)
def test_warnings_share_a_base(warning: type[Warning]) -> None:
    assert issubclass(warning, errors.NgmmWarning)
    assert issubclass(warning, UserWarning)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FormulaError("bad"), "bad"),
        (FormulaError("bad", "y + x"), "bad\n    y + x"),
        (FormulaError("bad", "y + x", 2), "bad\n    y + x\n      ^"),
        (FormulaError("bad", "y + xyz", 4, 7), "bad\n    y + xyz\n        ^^^"),
        # Past the end, as for something that is missing there.
        (FormulaError("bad", "y ~", 3), "bad\n    y ~\n       ^"),
        # Only the line that holds the start is underlined.
        (
            FormulaError("bad", "y ~ x +\n  (z", 10, 11),
            "bad\n    y ~ x +\n      (z\n      ^",
        ),
        (
            FormulaError("bad", "y ~ (x\n + z", 4, 11),
            "bad\n    y ~ (x\n        ^^\n     + z",
        ),
        # A tab would move the carets; wide characters take two columns each.
        (FormulaError("bad", "y\t~ x", 4, 5), "bad\n    y ~ x\n        ^"),
        (FormulaError("bad", "日本 | g", 3, 4), "bad\n    日本 | g\n         ^"),
        (FormulaError("bad", "y ~ 日本", 4, 6), "bad\n    y ~ 日本\n        ^^^^"),
    ],
)
def test_formula_error_shows_the_formula_and_the_place(
    error: FormulaError, text: str
) -> None:
    assert str(error) == text


def test_formula_error_survives_pickling() -> None:
    error = FormulaError("bad", "y + x", 2, 3)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.formula, copy.start, copy.end) == ("bad", "y + x", 2, 3)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("name", "candidates", "hint"),
    [
        ("Dyas", ["Days", "Subject"], '; did you mean "Days"?'),
        ("DAYS", ["Day", "days"], '; did you mean "days"?'),
        ("days", ["Days", "DAYS"], '; did you mean "Days"?'),
        ("zzz", ["Days", "Subject"], ""),
        ("x", [], ""),
        (12, [120, "other"], '; did you mean "120"?'),
    ],
)
def test_did_you_mean(name: object, candidates: list[object], hint: str) -> None:
    assert did_you_mean(name, candidates) == hint
