"""The fast path for plain sums against formulaic, and names of transforms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ngmm.design import build_design
from ngmm.design.columns import read_columns
from ngmm.design.formulaic_adapter import formulaic_matrix
from ngmm.design.frame import read_frame
from ngmm.design.plain import plain_matrix
from ngmm.formula import parse


def frame(n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(1, 5, n),
            "z": rng.uniform(1, 5, n),
            "total.fruits": rng.uniform(1, 5, n),
            "my col": rng.uniform(1, 5, n),
            "a": list("pqr") * (n // 3),
            "b": [True, False] * (n // 2),
            "k": [3, 1, 2, 4] * (n // 4),
            "g": list("uvwxyz") * (n // 6),
        }
    )
    data["o"] = pd.Categorical(data["a"], categories=["r", "p", "q"], ordered=True)
    return data


PLAIN = [
    "1",
    "1 + x",
    "0 + x",
    "x + 0",
    "x",
    "1 + x + z + x",
    "1 + a",
    "0 + a",
    "0 + x + a + b",
    "1 + a + b + o + x",
    "0 + o + a",
    "1 + total.fruits + `my col`",
    "0 + b",
]


@pytest.mark.parametrize("expr", PLAIN)
@pytest.mark.parametrize("contrasts", [{}, {"a": "sum", "o": "helmert"}])
def test_fast_path_equals_formulaic(expr: str, contrasts: dict[str, str]) -> None:
    data = frame()
    columns = read_columns(read_frame(data, data.columns), data.columns)
    plain = plain_matrix(expr, columns, contrasts)
    assert plain is not None
    matrix, slow = formulaic_matrix(expr, columns, contrasts, len(data))
    assert plain.names == slow.names
    assert plain.column_terms == slow.column_terms
    assert set(plain.variables) == set(slow.variables)
    np.testing.assert_array_equal(plain.build(columns, len(data)), matrix)
    np.testing.assert_array_equal(slow.build(columns, len(data)), matrix)


@pytest.mark.parametrize(
    "expr", ["1 + x:z", "x*z", "x - 1", "log(x)", "1 + 0 + x", "x^2", "1 + pi"]
)
def test_other_expressions_are_left_to_formulaic(expr: str) -> None:
    data = frame()
    columns = read_columns(read_frame(data, data.columns), data.columns)
    assert plain_matrix(expr, columns, {}) is None


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("I(x^2)", "I(x^2)"),
        ("I(x ** 2)", "I(x ** 2)"),
        ("log(total.fruits)", "log(total.fruits)"),
        ("`my col`:x", "my col:x"),
        ("np.sqrt(x)", "np.sqrt(x)"),
        ("log(x, 2)", "log(x, 2)"),
        ("Q('my col')", "Q('my col')"),
        ("I(a == 'q')", "I(a == 'q')"),
    ],
)
def test_names_are_spelled_as_the_user_did(term: str, name: str) -> None:
    design, _ = build_design(parse(f"y ~ {term} + (1 | g)"), frame())
    assert design.names == ("Intercept", name)
    assert design.column_terms == ("Intercept", name)


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("I(x^2)", lambda d: d["x"] ** 2),
        ("log(total.fruits)", lambda d: np.log(d["total.fruits"])),
        ("sqrt(x)", lambda d: np.sqrt(d["x"])),
        ("exp10(x)", lambda d: 10.0 ** d["x"]),
        ("log(x, 2)", lambda d: np.log(d["x"]) / np.log(2.0)),
        ("I(x % 2)", lambda d: d["x"] % 2),
        ("I(b * x)", lambda d: d["b"] * d["x"]),
        ("I(a == 'q')", lambda d: (d["a"] == "q").astype(float)),
        ("I(2^-k)", lambda d: 0.5 ** d["k"]),
        ("I(x * pi)", lambda d: d["x"] * np.pi),
        ("Q('my col')", lambda d: d["my col"]),
    ],
)
def test_values_of_transforms(term: str, expected) -> None:
    data = frame()
    design, _ = build_design(parse(f"y ~ {term} + (1 | g)"), data)
    # The same operations in another order: a few roundings.
    np.testing.assert_allclose(design.X[:, 1], expected(data), rtol=1e-14)


def test_poly_is_that_of_r() -> None:
    data = pd.DataFrame({"y": np.arange(8.0), "x": [1, 2, 4, 7] * 2, "g": [1, 2] * 4})
    design, _ = build_design(parse("y ~ poly(x, 2) + (1 | g)"), data)
    # poly(c(1, 2, 4, 7), 2) in R; here each row occurs twice, which divides by sqrt(2).
    expected = [
        [-0.5455447255899810, 0.5128225940683707],
        [-0.3273268353539885, -0.1709408646894570],
        [0.1091089451179962, -0.7407437469876468],
        [0.7637626158259733, 0.3988620176087329],
    ]
    scaled = design.X[:4, 1:] * np.sqrt(2.0)
    # R printed 16 digits of numbers below 1; a recurrence loses one of them.
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-14)
    assert design.names[1:] == ("poly(x, 2)[1]", "poly(x, 2)[2]")
    assert design.column_terms[1:] == ("poly(x, 2)", "poly(x, 2)")


def test_small_integers_do_not_overflow() -> None:
    data = frame()
    data["k"] = np.array([100, 50, 20, 3] * 6, dtype=np.int8)
    design, _ = build_design(parse("y ~ I(k^2) + (1 | g)"), data)
    np.testing.assert_array_equal(design.X[:4, 1], [10000.0, 2500.0, 400.0, 9.0])


def test_a_numeric_slope_by_factor_has_a_column_for_each_level() -> None:
    design, _ = build_design(parse("y ~ 1 + a:x + (1 | g)"), frame())
    assert design.names == ("Intercept", "a[p]:x", "a[q]:x", "a[r]:x")
