"""Contrast matrices and names against R."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ngmm.design import build_design
from ngmm.design.coding import CODINGS
from ngmm.formula import parse

# R 4: contr.sum(4), contr.helmert(4); contr.poly(5), orthonormal polynomials of 1..5.
R_SUM = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]]
R_HELMERT = [[-1, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]]
R_POLY = [
    [-0.632455532033676, 0.534522483824849, -0.316227766016838, 0.119522860933439],
    [-0.316227766016838, -0.267261241912424, 0.632455532033676, -0.478091443733758],
    [0.0, -0.5345224838248487, 0.0, 0.7171371656006363],
    [0.316227766016838, -0.267261241912424, -0.632455532033676, -0.478091443733757],
    [0.632455532033676, 0.534522483824849, 0.316227766016838, 0.119522860933439],
]
# contr.poly(6)[, 5]
R_POLY_6_5 = [-0.0629940788, 0.3149703942, -0.6299407883]


def frame(levels: str = "abcd", repeats: int = 3) -> pd.DataFrame:
    n = len(levels) * repeats
    return pd.DataFrame(
        {
            "y": np.arange(float(n)),
            "f": list(levels) * repeats,
            "k": list(range(1, len(levels) + 1)) * repeats,
            "g": [1, 2] * (n // 2),
        }
    )


def test_sum_and_helmert_are_those_of_r() -> None:
    labels = tuple("abcd")
    np.testing.assert_array_equal(CODINGS["sum"](labels).matrix, R_SUM)
    np.testing.assert_array_equal(CODINGS["helmert"](labels).matrix, R_HELMERT)
    treatment = CODINGS["treatment"](labels).matrix
    np.testing.assert_array_equal(treatment, np.eye(4)[:, 1:])


def test_polynomials_are_those_of_r() -> None:
    coding = CODINGS["poly"](tuple("abcde"))
    # Fifteen digits were typed in; both sides are a few roundings from the truth.
    np.testing.assert_allclose(coding.matrix, R_POLY, rtol=0, atol=2e-15)
    assert coding.suffixes == (".L", ".Q", ".C", "^4")
    fifth = CODINGS["poly"](tuple("abcdef")).matrix[:3, 4]
    # Ten digits were typed in.
    np.testing.assert_allclose(fifth, R_POLY_6_5, rtol=0, atol=1e-10)


@pytest.mark.parametrize("k", [2, 3, 7, 12, 20])
def test_polynomials_are_orthonormal_contrasts(k: int) -> None:
    matrix = CODINGS["poly"](tuple(map(str, range(k)))).matrix
    # Householder QR is orthogonal to a few roundings whatever the condition.
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(k - 1), atol=1e-13)
    np.testing.assert_allclose(matrix.sum(axis=0), 0.0, atol=1e-13)
    assert (matrix[-1] > 0).all()


@pytest.mark.parametrize(
    ("contrast", "names"),
    [
        ("treatment", ("Intercept", "f[T.b]", "f[T.c]", "f[T.d]")),
        ("sum", ("Intercept", "f[S.a]", "f[S.b]", "f[S.c]")),
        ("helmert", ("Intercept", "f[H.b]", "f[H.c]", "f[H.d]")),
        ("poly", ("Intercept", "f.L", "f.Q", "f.C")),
    ],
)
def test_chosen_contrasts(contrast: str, names: tuple[str, ...]) -> None:
    design, _ = build_design(
        parse("y ~ f + (1 | g)"), frame(), contrasts={"f": contrast}
    )
    assert design.names == names
    coded = CODINGS[contrast](tuple("abcd")).matrix
    np.testing.assert_array_equal(design.X[:4, 1:], coded)


@pytest.mark.parametrize("formula", ["y ~ f + (1 | g)", "y ~ f * k + (1 | g)"])
def test_a_matrix_of_contrasts(formula: str) -> None:
    matrix = np.array([[1.0, 0.0], [-1.0, 1.0], [0.0, 2.0], [0.0, -3.0]])
    design, _ = build_design(parse(formula), frame(), contrasts={"f": matrix})
    assert design.names[1:3] == ("f[1]", "f[2]")
    np.testing.assert_array_equal(design.X[:4, 1:3], matrix)
    named = pd.DataFrame(matrix, columns=["first", "second"])
    design, _ = build_design(parse(formula), frame(), contrasts={"f": named})
    assert design.names[1:3] == ("f[first]", "f[second]")


def test_ordered_categoricals_have_polynomial_contrasts() -> None:
    data = frame("abc", 4)
    data["f"] = pd.Categorical(data["f"], categories=["b", "c", "a"], ordered=True)
    design, _ = build_design(parse("y ~ f + (1 | g)"), data)
    assert design.names == ("Intercept", "f.L", "f.Q")
    # Levels b, c, a have the linear scores -1, 0, 1, scaled to length 1; one rounding.
    half = np.sqrt(0.5)
    np.testing.assert_allclose(design.X[:3, 1], [half, -half, 0.0], atol=1e-15)
    design, _ = build_design(
        parse("y ~ f + (1 | g)"), data, contrasts={"f": "treatment"}
    )
    assert design.names == ("Intercept", "f[T.c]", "f[T.a]")


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("C(k)", ["C(k)[T.2]", "C(k)[T.3]", "C(k)[T.4]"]),
        ("C(k, contr.sum)", [f"C(k, contr.sum)[S.{i}]" for i in (1, 2, 3)]),
        ("C(k, Sum)", [f"C(k, Sum)[S.{i}]" for i in (1, 2, 3)]),
        ("C(f, contr.poly)", [f"C(f, contr.poly){s}" for s in (".L", ".Q", ".C")]),
        ("C(f, contr.helmert)", [f"C(f, contr.helmert)[H.{i}]" for i in "bcd"]),
        (
            "C(f, contrasts=contr.sum)",
            [f"C(f, contrasts=contr.sum)[S.{i}]" for i in "abc"],
        ),
        ("C(f, 'sum')", [f"C(f, 'sum')[S.{i}]" for i in "abc"]),
        (
            "C(f, contr.treatment('c'))",
            [f"C(f, contr.treatment('c'))[T.{i}]" for i in "abd"],
        ),
        (
            "C(f, levels=['d', 'c', 'b', 'a'])",
            [f"C(f, levels=['d', 'c', 'b', 'a'])[T.{i}]" for i in "cba"],
        ),
    ],
)
def test_contrasts_written_in_the_formula(term: str, names: list[str]) -> None:
    design, spec = build_design(parse(f"y ~ {term} + (1 | g)"), frame())
    assert list(design.names) == ["Intercept", *names]
    new = spec.apply(frame().iloc[[3, 1]])
    np.testing.assert_array_equal(new.X, design.X[[3, 1]])


def test_contrasts_argument_reaches_inside_c() -> None:
    design, _ = build_design(
        parse("y ~ C(k) + (1 | g)"), frame(), contrasts={"k": "sum"}
    )
    assert design.names[1:] == ("C(k)[S.1]", "C(k)[S.2]", "C(k)[S.3]")
    np.testing.assert_array_equal(design.X[:4, 1:], R_SUM)


def test_interaction_of_two_codings_as_in_r() -> None:
    grid = [(a, b) for b in "uv" for a in "pqr"]
    data = pd.DataFrame(grid * 2, columns=["a", "b"])
    data["y"] = np.arange(12.0)
    data["g"] = [1, 2, 3] * 4
    design, _ = build_design(
        parse("y ~ a * b + (1 | g)"), data, contrasts={"a": "sum", "b": "helmert"}
    )
    # model.matrix(~a * b, contrasts.arg = list(a = "contr.sum", b = "contr.helmert"))
    expected = [
        [1, 1, 0, -1, -1, 0],
        [1, 0, 1, -1, 0, -1],
        [1, -1, -1, -1, 1, 1],
        [1, 1, 0, 1, 1, 0],
        [1, 0, 1, 1, 0, 1],
        [1, -1, -1, 1, -1, -1],
    ]
    np.testing.assert_array_equal(design.X[:6], expected)


def test_cell_means_are_in_r_order() -> None:
    data = pd.DataFrame({"a": list("pqr") * 4, "b": list("uuuvvv") * 2})
    data["y"] = np.arange(12.0)
    data["g"] = [1, 2, 3] * 4
    design, _ = build_design(parse("y ~ 0 + a:b + (1 | g)"), data)
    # colnames(model.matrix(~0 + a:b))
    expected = ["a[p]:b[u]", "a[q]:b[u]", "a[r]:b[u]"]
    assert list(design.names[:3]) == expected
