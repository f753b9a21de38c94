"""Aliased columns: order, tolerance and scaling, and the cost of large matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngmm.design.rank import independent_columns


def normal(n: int, p: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p))


def test_full_rank_keeps_all() -> None:
    assert independent_columns(normal(50, 6)).tolist() == [0, 1, 2, 3, 4, 5]


def test_no_column() -> None:
    assert independent_columns(np.empty((5, 0))).tolist() == []


def test_columns_go_from_left_to_right() -> None:
    X = normal(40, 7)
    X[:, 2] = X[:, 0] - 3 * X[:, 1]
    X[:, 4] = 0.0
    X[:, 6] = X[:, 5]
    assert independent_columns(X).tolist() == [0, 1, 3, 5]


def test_a_second_dependent_column_does_not_hide_behind_the_first() -> None:
    X = normal(40, 6)
    X[:, 1] = X[:, 0]
    X[:, 3] = X[:, 2] + X[:, 0]
    X[:, 5] = X[:, 4] - X[:, 2]
    assert independent_columns(X).tolist() == [0, 2, 4]


def test_fewer_rows_than_columns() -> None:
    X = normal(3, 5)
    assert independent_columns(X).tolist() == [0, 1, 2]


def test_many_blocks_of_rows() -> None:
    X = normal(9001, 4)
    X[:, 2] = X[:, 0] + X[:, 1]
    assert independent_columns(X).tolist() == [0, 1, 3]


# qr(cbind(1, 1 + eps * x)) in R, with x orthogonal to the constant and of its length,
# has rank 1 below eps = 1e-7 and rank 2 above.
@pytest.mark.parametrize(("eps", "rank"), [(1e-4, 2), (2e-7, 2), (5e-8, 1), (1e-12, 1)])
def test_tolerance_is_that_of_r(eps: float, rank: int) -> None:
    x = np.tile([1.0, -1.0], 50)
    X = np.column_stack([np.ones(100), 1.0 + eps * x])
    assert len(independent_columns(X)) == rank


@settings(deadline=None)
@given(
    exponents=st.lists(st.integers(-200, 200), min_size=5, max_size=5),
    copied=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_units_do_not_matter(exponents: list[int], copied: int, seed: int) -> None:
    X = normal(30, 5, seed)
    X[:, 4] = X[:, copied]
    scaled = X * 10.0 ** np.array(exponents, dtype=float)
    assert independent_columns(X).tolist() == [0, 1, 2, 3]
    assert independent_columns(scaled).tolist() == [0, 1, 2, 3]
