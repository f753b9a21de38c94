"""The R dialect: what formulaic is given, and that it reads it as R would."""

from __future__ import annotations

import formulaic
import numpy as np
import pandas as pd
import pytest

from ngmm.formula import columns_of, parse, to_python


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {name: rng.uniform(1, 3, 30) for name in ["a", "b", "x", "z", "x.1", "a b"]}
    )
    frame["k"] = np.arange(1, 31)
    frame["class"] = np.tile([1.0, 2.0, 4.0], 10)
    return frame.assign(g=list("abc") * 10)


@pytest.mark.parametrize(
    ("expr", "python"),
    [
        ("I(age^2)", "I(age ** 2)"),
        ("(a + b)^2 + I(a^b^2)", "(a + b)^2 + I(a ** b ** 2)"),
        ("I(x^-1)", "I(x ** -1)"),
        ("{k^2}", "{k ** 2}"),
        ("I((k + 1)^2)", "I((k + 1) ** 2)"),
        ("poly(x, degree=2L, raw=TRUE)", "poly(x, degree=2, raw=True)"),
        ("f(x, FALSE, NULL)", "f(x, False, None)"),
        ("total.fruits", "`total.fruits`"),
        ("log(total.fruits + x.1)", "log(`total.fruits` + `x.1`)"),
        ("np.log(x.1) * np.pi", "np.log(`x.1`) * np.pi"),
        ("C(g.1, contr.sum)", "C(`g.1`, contr.sum)"),
        ("C(g, contr.treatment(base='b^c'))", "C(g, contr.treatment(base='b^c'))"),
        ("`a.b` + log(`c d`)", "`a.b` + log(`c d`)"),
        ("1 + a / b - c", "1 + a/b - c"),
        ("log(x, base=1e-3)", "log(x, base=1e-3)"),
    ],
)
def test_to_python(expr: str, python: str) -> None:
    assert to_python(expr) == python
    # What is converted already stays, so that nothing depends on who calls first.
    assert to_python(python) == python


@pytest.mark.parametrize(
    ("expr", "columns"),
    [
        ("1 + x + z:x", ("x", "z")),
        ("log(x) + np.sqrt(z) * np.pi", ("x", "z")),
        ("bs(x, df=n, knots=[a, 1])", ("x", "n", "a")),
        ("I(x == z)", ("x", "z")),
        ("C(x, Sum) + C(log(z), contr.poly)", ("x", "z")),
        ("C(x, Treatment('y'), levels=w)", ("x",)),
        ("Q('a b') + Q(x)", ("a b", "x")),
        ("f('x ~ z', TRUE, None)", ()),
        ("I(x if not z else -w)", ("x", "z", "w")),
        ("{x + `y z`} + total.fruits", ("x", "y z", "total.fruits")),
        ("`np` + `C`", ("np", "C")),
        ("", ()),
    ],
)
def test_columns_of(expr: str, columns: tuple[str, ...]) -> None:
    assert columns_of(expr) == columns


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("y ~ x + z", ["Intercept", "x", "z"]),
        ("y ~ x - 1", ["x"]),
        ("y ~ 0", []),
        ("y ~ (a + b)^2 - b", ["Intercept", "a", "a:b"]),
        ("y ~ (a + b)**2", ["Intercept", "a", "b", "a:b"]),
        ("y ~ a/b", ["Intercept", "a", "a:b"]),
        ("y ~ a*b - (a + b)", ["Intercept", "a:b"]),
        ("y ~ x.1 + `a b`:x.1", ["Intercept", "x.1", "a b:x.1"]),
        ("y ~ `class` + class:x", ["Intercept", "class", "class:x"]),
        ("y ~ log(x.1)", ["Intercept", "log(`x.1`)"]),
        ("y ~ I(k^2)", ["Intercept", "I(k ** 2)"]),
        ("y ~ {k^2}", ["Intercept", "k ** 2"]),
        (
            "y ~ C(g, contr.sum)",
            ["Intercept", "C(g, contr.sum)[S.a]", "C(g, contr.sum)[S.b]"],
        ),
        ("y ~ g + Q('a b')", ["Intercept", "g[T.b]", "g[T.c]", "Q('a b')"]),
    ],
)
def test_formulaic_reads_the_fixed_part(
    formula: str, columns: list[str], data: pd.DataFrame
) -> None:
    matrix = formulaic.model_matrix(to_python(parse(formula).fixed), data)
    assert list(matrix.columns) == columns


def test_a_power_of_integers_is_a_power(data: pd.DataFrame) -> None:
    # Python's ^ would give the exclusive or without any error.
    matrix = formulaic.model_matrix(to_python("0 + I(k^2)"), data)
    np.testing.assert_array_equal(matrix.iloc[:, 0], np.arange(1, 31) ** 2)
