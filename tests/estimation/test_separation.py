"""Separation: textbook data, linear programs written another way, invariances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import linprog

from ngmm.estimation.separation import Separation, find_separation


def binary(X: Any, y: Any, names: list[str] | None = None) -> Separation | None:
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    names = names or [f"x{j}" for j in range(X.shape[1])]
    return find_separation(X, y == 0, y == 1, names)


def table(a: int, b: int, c: int, d: int) -> tuple[NDArray, NDArray]:
    """Intercept and treatment; a, b failures and successes without it, c, d with."""
    treated = np.repeat([0.0, 0.0, 1.0, 1.0], [a, b, c, d])
    return (
        np.column_stack([np.ones_like(treated), treated]),
        np.repeat([0, 1, 0, 1], [a, b, c, d]),
    )


def is_direction(X: NDArray, sign: NDArray, d: NDArray) -> bool:
    moves = X @ d
    noise = 1e-9 * (np.abs(X) @ np.abs(d))
    allowed = np.where(sign == 0, np.abs(moves) <= noise, sign * moves >= -noise)
    return bool(allowed.all() and (np.abs(moves) > noise).any())


@pytest.mark.parametrize(
    ("cells", "columns", "n_rows"),
    [
        ((5, 6, 7, 0), ("treated",), 7),
        ((5, 6, 0, 8), ("treated",), 8),
        # The level without variation is the reference: its logit is the intercept.
        ((5, 0, 7, 8), ("Intercept", "treated"), 5),
        ((0, 6, 7, 8), ("Intercept", "treated"), 6),
    ],
)
def test_a_zero_cell_separates_its_level(
    cells: tuple[int, int, int, int], columns: tuple[str, ...], n_rows: int
) -> None:
    X, y = table(*cells)
    found = binary(X, y, ["Intercept", "treated"])
    assert found is not None
    assert found.columns == found.infinite == columns
    assert (found.complete, found.n_rows) == (False, n_rows)
    assert is_direction(X, np.where(y == 1, 1, -1), found.direction)


def test_tables_without_a_zero_cell_are_not_separated() -> None:
    assert binary(*table(1, 1, 1, 1)) is None
    assert binary(*table(50, 1, 1, 70)) is None


def test_two_zero_cells_on_the_diagonal_separate_completely() -> None:
    found = binary(*table(5, 0, 0, 8), names=["Intercept", "treated"])
    assert found is not None
    assert found.complete
    assert found.n_rows == 13
    assert found.infinite == ("Intercept", "treated")


# "What is complete or quasi-complete separation", UCLA Statistical Consulting Group.
COMPLETE = (
    [1, 2, 3, 3, 5, 6, 10, 11],
    [3, 2, -1, -1, 2, 4, 1, 0],
    [0, 0, 0, 0, 1, 1, 1, 1],
)
QUASI = (
    [1, 2, 3, 3, 3, 4, 5, 6, 10, 11],
    [3, 0, -1, 4, 1, 0, 2, 7, 3, 4],
    [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
)


def test_complete_separation_by_a_number() -> None:
    x1, x2, y = COMPLETE
    found = binary(np.column_stack([np.ones(8), x1, x2]), y, ["Intercept", "x1", "x2"])
    assert found is not None
    assert found.columns == ("Intercept", "x1")
    # No coefficient has a finite estimate, that of x2 is not even determined.
    assert found.infinite == ("Intercept", "x1", "x2")
    assert found.complete
    assert found.text == (
        "the response is 0 in all 4 rows with x1 <= 3 and 1 in all 4 rows with x1 >= "
        "5. No estimate is finite: what is printed is where the search stopped, and "
        "their standard errors and tests mean nothing"
    )
    assert found.remedy == (
        "remove x1 from the formula, or check that it was not made from the response"
    )


def test_quasi_complete_separation_by_a_number() -> None:
    x1, x2, y = QUASI
    found = binary(np.column_stack([np.ones(10), x1, x2]), y, ["Intercept", "x1", "x2"])
    assert found is not None
    assert found.columns == found.infinite == ("Intercept", "x1")
    assert not found.complete
    assert found.n_rows == 7
    assert found.text.startswith(
        "the response is 0 in all 2 rows with x1 <= 2 and 1 in all 5 rows with x1 >= 4."
        " The estimates of Intercept and x1 are infinite"
    )


def test_endometrial_cancer() -> None:
    # Neovasculation and grade in Heinze & Schemper (2002), Statist. Med. 21, 2409:
    # all 13 patients with it are of high grade, and 17 of the 66 without.
    found = binary(*table(49, 17, 0, 13), names=["Intercept", "NV"])
    assert found is not None
    assert found.columns == ("NV",)
    assert found.text == (
        "the response is 1 in all 13 rows with NV = 1. The estimate of NV is infinite: "
        "what is printed is where the search stopped, and its standard error and test "
        "mean nothing"
    )


def factor(counts: list[tuple[int, int]]) -> tuple[NDArray, NDArray]:
    """Treatment coding of a factor with (zeros, ones) in each level."""
    level = np.repeat(np.arange(len(counts)), [sum(c) for c in counts])
    X = (level[:, None] == np.arange(len(counts))).astype(float)
    X[:, 0] = 1.0
    y = np.concatenate([np.repeat([0, 1], c) for c in counts])
    return X, y


def test_levels_are_reported_together() -> None:
    names = ["Intercept", "g[T.b]", "g[T.c]", "g[T.d]"]
    found = binary(*factor([(2, 3), (5, 0), (0, 1), (1, 2)]), names=names)
    assert found is not None
    assert found.columns == found.infinite == ("g[T.b]", "g[T.c]")
    assert found.n_rows == 6
    assert found.text.startswith(
        "the response is 0 in all 5 rows with g[T.b] = 1; the response is 1 in the one "
        "other row with g[T.c] = 1. The estimates of g[T.b] and g[T.c] are infinite"
    )
    assert found.remedy == (
        "remove g[T.b] and g[T.c] from the formula, or merge levels so that the "
        "response varies within each"
    )


def test_the_reference_level_is_named_by_what_it_is_not() -> None:
    names = ["Intercept", "g[T.b]", "g[T.c]"]
    found = binary(*factor([(6, 0), (1, 2), (2, 1)]), names=names)
    assert found is not None
    assert found.columns == ("Intercept", "g[T.b]", "g[T.c]")
    assert "0 in all 6 rows with g[T.b] = 0 and g[T.c] = 0" in found.text


def test_many_names_are_not_all_spelled_out() -> None:
    counts = [(1, 1), *[(3, 0)] * 8]
    names = ["Intercept", *[f"g[T.{j}]" for j in range(8)]]
    found = binary(*factor(counts), names=names)
    assert found is not None
    assert len(found.columns) == 8
    assert "; and so on for 5 more. The estimates of" in found.text
    assert "g[T.0], g[T.1], g[T.2] and 5 other columns" in found.remedy


def test_a_response_that_never_varies() -> None:
    X = np.column_stack([np.ones(6), np.arange(6.0)])
    found = binary(X, np.zeros(6), ["Intercept", "x"])
    assert found is not None
    assert found.columns == ("Intercept",)
    assert found.complete
    assert found.text.startswith("the response is 0 in all 6 rows. No estimate is fini")
    assert found.remedy.startswith("check the response")


def test_counts_are_separated_by_zeros_only() -> None:
    X, _ = table(4, 0, 0, 4)
    never = np.zeros(8, dtype=bool)
    y = np.array([0, 3, 1, 2, 0, 0, 0, 0])
    found = find_separation(X, y == 0, never, ["Intercept", "treated"])
    assert found is not None
    assert found.columns == ("treated",)
    # The same counts, but large ones are not at the end of any range.
    assert find_separation(X, y == 9, never, ["Intercept", "treated"]) is None


def test_one_proportion_inside_the_range_is_enough() -> None:
    X, _ = table(4, 0, 0, 4)
    successes = np.array([0, 3, 1, 2, 5, 5, 5, 5])
    names = ["Intercept", "treated"]
    found = find_separation(
        X, successes == 0, successes == 5, names, highest="the number of trials"
    )
    assert found is not None
    assert "the response is the number of trials in all 4 rows" in found.text
    successes[-1] = 4
    assert find_separation(X, successes == 0, successes == 5, names) is None


def test_a_combination_of_numbers() -> None:
    rng = np.random.default_rng(5)
    X = np.column_stack([np.ones(300), rng.normal(size=(300, 4))])
    y = X @ [0.3, 1.0, -2.0, 0.0, 0.0] > 0
    found = binary(X, y, ["Intercept", "a", "b", "c", "d"])
    assert found is not None
    assert found.columns == ("Intercept", "a", "b")
    assert found.complete
    assert found.text.startswith("a combination of a and b ")
    assert "tells 0 from 1 without error in 300 rows" in found.text
    assert is_direction(X, np.where(y, 1, -1), found.direction)


def test_no_columns_and_no_rows() -> None:
    assert binary(np.empty((5, 0)), [0, 0, 1, 1, 0]) is None
    assert binary(np.empty((0, 2)), []) is None


# --- against linear programs in the original coordinates ---


def largest(objective: NDArray, X: NDArray, sign: NDArray) -> float:
    """Maximum of objective'd over directions in the unit box."""
    equal, oriented = X[sign == 0], X * sign[:, None]
    found = linprog(
        -objective,
        A_ub=-oriented[sign != 0] if (sign != 0).any() else None,
        b_ub=np.zeros(int((sign != 0).sum())) if (sign != 0).any() else None,
        A_eq=equal if len(equal) else None,
        b_eq=np.zeros(len(equal)) if len(equal) else None,
        bounds=(-1, 1),
        method="highs",
    )
    assert found.status == 0
    return -found.fun


small_designs = st.integers(1, 4).flatmap(
    lambda p: st.integers(p, 12).flatmap(
        lambda n: st.tuples(
            arrays(np.int64, (n, p), elements=st.integers(-2, 2)),
            arrays(np.int64, n, elements=st.integers(-1, 1)),
        )
    )
)


@settings(max_examples=150)
@given(small_designs)
def test_agrees_with_linear_programs(case: tuple[NDArray, NDArray]) -> None:
    X, sign = case[0].astype(float), case[1]
    assume(np.linalg.matrix_rank(X) == X.shape[1])
    names = [f"x{j}" for j in range(X.shape[1])]
    found = find_separation(X, sign < 0, sign > 0, names)
    # With whole numbers up to 2, what is not zero is far from it.
    movable = [largest(s * x, X, sign) > 1e-6 for x, s in zip(X, sign, strict=True)]
    unbounded = [
        max(largest(e, X, sign), largest(-e, X, sign)) > 1e-6
        for e in np.eye(X.shape[1])
    ]
    if not any(movable):
        assert found is None
        return
    assert found is not None
    assert found.n_rows == sum(movable)
    assert found.complete == all(movable)
    assert is_direction(X, sign, found.direction)
    assert set(found.columns) <= set(found.infinite)
    names_unbounded = {n for n, u in zip(names, unbounded, strict=True) if u}
    assert set(found.infinite) == names_unbounded
    moved = np.abs(X @ found.direction) > 1e-9
    assert found.n_rows >= moved.sum() > 0


@settings(max_examples=60)
@given(small_designs, st.integers(0, 2**32 - 1))
def test_does_not_depend_on_units_order_or_parametrisation(
    case: tuple[NDArray, NDArray], seed: int
) -> None:
    X, sign = case[0].astype(float), case[1]
    assume(np.linalg.matrix_rank(X) == X.shape[1])
    rng = np.random.default_rng(seed)
    p = X.shape[1]
    names = [f"x{j}" for j in range(p)]
    found = find_separation(X, sign < 0, sign > 0, names)
    mixed = X @ (np.eye(p) + 0.3 * rng.normal(size=(p, p)))
    assume(np.linalg.cond(mixed) < 1e4)
    scaled = X * 10.0 ** rng.integers(-12, 13, p)
    order = rng.permutation(len(X))
    for Y, s in ((mixed, sign), (scaled, sign), (X[order], sign[order])):
        again = find_separation(Y, s < 0, s > 0, names)
        assert (again is None) == (found is None)
        if found is not None and again is not None:
            assert (again.complete, again.n_rows) == (found.complete, found.n_rows)
            if Y is not mixed:
                assert again.infinite == found.infinite


@pytest.mark.parametrize("separated", [True, False])
def test_nearly_collinear_and_badly_scaled_columns(separated: bool) -> None:
    rng = np.random.default_rng(2)
    n = 400
    year = rng.integers(1990, 2020, n).astype(float)
    rare = (np.arange(n) % 40 == 0).astype(float)
    # The cube of a year is a linear function of it and its square up to 2e-6.
    X = np.column_stack(
        [np.ones(n), year, year**2, year**3, 1e-9 * rare, 1e9 + 1e4 * rng.random(n)]
    )
    y = rng.random(n) < 0.5
    if separated:
        y[rare == 1] = False
    found = binary(X, y, ["Intercept", "year", "square", "cube", "rare", "large"])
    assert (found is not None) == separated
    if found is not None:
        assert found.columns == ("rare",)
        assert found.n_rows == 10


@pytest.mark.slow
@pytest.mark.parametrize("probability", [0.5, 0.001])
def test_many_rows(probability: float) -> None:
    rng = np.random.default_rng(1)
    n, p = 100_000, 20
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    y = rng.random(n) < probability
    assert binary(X, y) is None
    X[:, 7] = np.arange(n) % 5000 == 0
    y[X[:, 7] == 1] = True
    found = binary(X, y)
    assert found is not None
    assert found.columns == found.infinite == ("x7",)
    assert found.n_rows == 20


def test_barely_separated_and_barely_not() -> None:
    # One row decides, and most rows say nothing about it.
    rng = np.random.default_rng(8)
    n = 20_000
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 3))])
    score = X @ [0.1, 1.0, -1.0, 0.5]
    y = score > 0
    found = binary(X, y)
    assert found is not None
    assert found.complete
    y[np.argmax(score)] = False
    assert binary(X, y) is None
