"""Codes of interactions against a brute-force definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ngmm.design.frame import Frame
from ngmm.design.grouping import group_codes

ROWS = st.lists(
    st.tuples(st.sampled_from("cab"), st.integers(-3, 12), st.booleans()), min_size=1
)


def as_columns(
    names: tuple[str, ...], rows: list[tuple[str, int, bool]]
) -> dict[str, pd.Series]:
    return {name: pd.Series([row[i] for row in rows]) for i, name in enumerate(names)}


@settings(deadline=None)
@given(rows=ROWS, n_columns=st.integers(1, 3))
def test_codes_are_ranks_of_observed_combinations(
    rows: list[tuple[str, int, bool]], n_columns: int
) -> None:
    names = ("a", "b", "c")[:n_columns]
    columns = as_columns(names, rows)
    codes, grouping = group_codes(names, columns)
    combinations = [row[:n_columns] for row in rows]
    ordered = sorted(set(combinations))
    assert codes.tolist() == [ordered.index(row) for row in combinations]
    assert codes.dtype == np.int32
    assert grouping.name == ":".join(names)
    expected = [
        level[0] if n_columns == 1 else ":".join(map(str, level)) for level in ordered
    ]
    assert grouping.levels.tolist() == expected
    np.testing.assert_array_equal(
        grouping.codes(Frame(columns, pd.RangeIndex(len(rows)))), codes
    )


@settings(deadline=None)
@given(train=ROWS, new=ROWS)
def test_new_combinations_are_unseen(
    train: list[tuple[str, int, bool]], new: list[tuple[str, int, bool]]
) -> None:
    names = ("a", "b", "c")
    _, grouping = group_codes(names, as_columns(names, train))
    frame = Frame(as_columns(names, new), pd.RangeIndex(len(new)))
    codes = grouping.codes(frame)
    known = sorted(set(train))
    expected = [known.index(row) if row in known else -1 for row in new]
    assert codes.tolist() == expected
    unseen, position = grouping.unseen(frame, codes)
    assert [p >= 0 for p in position] == [c < 0 for c in codes]
    assert unseen.sum() == expected.count(-1)
    assert set(unseen.index) == {":".join(map(str, r)) for r in set(new) - set(train)}
