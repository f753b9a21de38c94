"""Expressions may use columns, numbers and known functions, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ngmm.design.columns import Numeric
from ngmm.design.expressions import evaluate
from ngmm.design.functions import RESPONSE_FUNCTIONS
from ngmm.errors import DataError, FormulaError, NgmmError
from ngmm.formula import parse, to_python

COLUMNS = {
    "x": Numeric("x", np.array([1.0, 2.0, 4.0])),
    "my col": Numeric("my col", np.array([3.0, 2.0, 1.0])),
    "total.fruits": Numeric("total.fruits", np.array([1.0, 0.0, 1.0])),
}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("x", [1.0, 2.0, 4.0]),
        ("1 + 2 * x^2", [3.0, 9.0, 33.0]),
        ("-x^2", [-1.0, -4.0, -16.0]),
        ("`my col` - total.fruits", [2.0, 2.0, 0.0]),
        ("x / 2 / `my col`", [1 / 6, 0.5, 2.0]),
        ("np.where(x > 1, x, 0)", [0.0, 2.0, 4.0]),
        ("(x >= 2) & (x < 4)", [False, True, False]),
        ("5", [5.0, 5.0, 5.0]),
        ("round(x / 3, 2)", [0.33, 0.67, 1.33]),
        ("x // 3", [0.0, 0.0, 1.0]),
    ],
)
def test_values(expr: str, expected: list[float]) -> None:
    values = evaluate(expr, COLUMNS, RESPONSE_FUNCTIONS, 3)
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    "expr",
    [
        "x.__class__",
        "__import__('os')",
        "np.__dict__",
        "np.linalg.norm(x)",
        "np.save('f', x)",
        "(lambda: x)()",
        "[x for x in x]",
        "x[0]",
        "I(x)(x)",
        "np.sqrt(*x)",
        "I.__globals__",
        "open('f')",
        "f'{x}'",
        "x if x else x",
        "I(x) and x",
    ],
)
def test_everything_else_is_refused(expr: str) -> None:
    with pytest.raises(NgmmError, match=r"."):
        evaluate(expr, COLUMNS, RESPONSE_FUNCTIONS, 3)


@pytest.mark.parametrize(
    ("expr", "error", "message"),
    [
        ("y", DataError, r'^"y" in "y" is not a column of data'),
        ("x + xx", DataError, r'^"xx" in "x \+ xx" is not .* did you mean "x"\?'),
        ("sqr(x)", FormulaError, r'^unknown function "sqr"; did you mean "sqrt"\?'),
        ("log(x, 'a')", DataError, r"^cannot evaluate \"log\(x, 'a'\)\""),
        ("sqrt(x, base=3)", DataError, r'^cannot evaluate "sqrt\(x, base=3\)"'),
    ],
)
def test_messages(expr: str, error: type[NgmmError], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(expr, COLUMNS, RESPONSE_FUNCTIONS, 3)


@pytest.mark.parametrize(
    "term",
    [
        "I(x.__class__)",
        "I((lambda: x)())",
        "{x.values}",
        "I([v for v in x])",
        "{__import__('os').getcwd()}",
        "np.random.normal(x)",
        "I(x[0])",
    ],
)
def test_terms_cannot_reach_beyond_the_data(term: str) -> None:
    from ngmm.design.formulaic_adapter import formulaic_matrix

    with pytest.raises(NgmmError, match=r"."):
        formulaic_matrix(f"1 + {term}", COLUMNS, {}, 3)


def test_the_dialect_is_that_of_the_parser() -> None:
    assert to_python("I(x^2)") == "I(x ** 2)"
    assert parse("cbind(k, n - k) ~ 1 + (1 | g)").response.parts == ("k", "n - k")
