"""Intake of frames of other libraries and of mappings; kinds of columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ngmm.design import Design, build_design
from ngmm.design.columns import factorize
from ngmm.design.frame import read_frame
from ngmm.errors import DataError
from ngmm.formula import parse

TERMS = parse("y ~ x + a + b + (1 | g)")


def columns() -> dict[str, list]:
    return {
        "y": [1.0, 2.0, None, 4.0, 3.0, 7.0, 8.0, 9.0],
        "x": [1, None, 3, 4, 5, 6, 11, 9],
        "a": ["p", "q", "q", "p", None, "q", "q", "p"],
        "b": [True, False, True, False, True, True, False, None],
        "g": ["u", "v", "u", "v", "u", "u", "v", "u"],
    }


def assert_same(ours: Design, theirs: Design) -> None:
    assert ours.names == theirs.names
    assert ours.missing == theirs.missing
    np.testing.assert_array_equal(ours.X, theirs.X)
    np.testing.assert_array_equal(ours.y, theirs.y)
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_array_equal(ours.random[0].codes, theirs.random[0].codes)
    assert list(ours.random[0].levels) == list(theirs.random[0].levels)


def test_all_kinds_of_frames_give_the_same_design() -> None:
    expected = build_design(TERMS, pd.DataFrame(columns()))[0]
    assert expected.names == ("Intercept", "x", "a[T.q]", "b[T.True]")
    assert expected.missing == {"y": 1, "x": 1, "a": 1, "b": 1}
    assert_same(build_design(TERMS, columns())[0], expected)
    assert_same(build_design(TERMS, pl.DataFrame(columns()))[0], expected)
    nullable = pd.DataFrame(columns()).convert_dtypes()
    assert nullable["x"].dtype == "Int64"
    assert_same(build_design(TERMS, nullable)[0], expected)
    old = pd.DataFrame(columns()).astype({"a": object, "b": object, "g": object})
    assert_same(build_design(TERMS, old)[0], expected)


def test_polars_enum_keeps_the_order_of_its_categories() -> None:
    data = pl.DataFrame(columns()).with_columns(
        pl.col("g").cast(pl.Enum(["v", "u", "never"])),
        pl.col("a").cast(pl.Categorical),
    )
    design = build_design(TERMS, data)[0]
    assert list(design.random[0].levels) == ["v", "u"]
    assert design.names[2] == "a[T.q]"


def test_a_pandas_frame_is_not_copied() -> None:
    data = pd.DataFrame({"y": np.arange(4.0), "unused": list("abcd")})
    frame = read_frame(data, ["y"])
    assert list(frame.columns) == ["y"]
    assert np.shares_memory(frame.columns["y"].to_numpy(), data["y"].to_numpy())


def test_mapping_values_are_aligned_by_position() -> None:
    data = {
        "y": pd.Series([1.0, 2.0, 4.0], index=[5, 6, 7]),
        "g": pd.Categorical(["b", "a", "b"], categories=["b", "a"]),
    }
    design = build_design(parse("y ~ 1 + (1 | g)"), data)[0]
    assert design.y.tolist() == [1.0, 2.0, 4.0]
    assert list(design.random[0].levels) == ["b", "a"]


@pytest.mark.parametrize(
    ("values", "codes", "levels"),
    [
        (["b", "a", "b"], [1, 0, 1], ["a", "b"]),
        ([10, 9, 10], [1, 0, 1], [9, 10]),
        ([3.0, 1.0, 2.0], [2, 0, 1], [1, 2, 3]),
        ([0.5, 1.5, 0.5], [0, 1, 0], [0.5, 1.5]),
        ([True, False, True], [1, 0, 1], [False, True]),
        (pd.array([3, 1, 3], dtype="Int64"), [1, 0, 1], [1, 3]),
        (pd.Categorical(list("bab"), categories=list("cba")), [0, 1, 0], ["b", "a"]),
    ],
)
def test_codes_and_levels(values, codes: list[int], levels: list) -> None:
    result, index = factorize(pd.Series(values), "g")
    assert result.dtype == np.int32
    assert result.tolist() == codes
    assert index.tolist() == levels
    assert [type(level) for level in index.tolist()] == [type(v) for v in levels]


def test_mixed_types_are_refused() -> None:
    with pytest.raises(DataError, match=r'"g" mixes values of types int, str'):
        factorize(pd.Series([1, "a", 2], dtype=object), "g")


def test_whole_numbers_beside_missing_ones_are_labelled_as_integers() -> None:
    data = pd.DataFrame(
        {"y": [1.0, 2, 3, 5, 8], "g": [2, 1, 2, None, 1], "a": list("pqpqp")}
    )
    assert data["g"].dtype == np.float64
    design = build_design(parse("y ~ C(g) + (1 | g) + (1 | g:a)"), data)[0]
    assert design.names == ("Intercept", "C(g)[T.2]")
    assert design.random[0].levels.tolist() == [1, 2]
    assert design.random[1].levels.tolist() == ["1:p", "1:q", "2:p"]
