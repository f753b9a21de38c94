"""A spec rebuilds the training matrices and handles new data."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ngmm import datasets
from ngmm.design import build_design
from ngmm.errors import NewDataError, OptionError
from ngmm.formula import parse


def frame(n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(1, 5, n),
            "z": rng.uniform(1, 5, n),
            "a": list("pqr") * (n // 3),
            "b": [True, False] * (n // 2),
            "k": [3, 1, 2, 4] * (n // 4),
            "e": rng.uniform(1, 2, n),
            "g": list("uvwxyz") * (n // 6),
            "h": [2.0, 1.0, 5.0] * (n // 3),
        }
    )


FORMULAS = [
    "y ~ x + (x | g)",
    "y ~ x * a + (a | g)",
    "y ~ 0 + a + b + (0 + b | h)",
    "y ~ poly(x, 3) + center(z) + (scale(x) | g)",
    "y ~ bs(x, df=5) + (1 | g/h)",
    "y ~ cr(x, df=4) + (1 | g)",
    "y ~ standardize(x) * C(k) + (0 + C(k) || h)",
    "y ~ log(x):a + offset(log(e)) + (1 | g:h)",
    "y ~ x + I(2 * x) + z + (1 | g)",
    "y ~ 0 + (1 | g)",
    "y ~ C(a, contr.sum) + (z || g)",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("saved", [False, True], ids=["live", "pickled"])
def test_training_data_give_the_training_design(formula: str, saved: bool) -> None:
    data = frame()
    design, spec = build_design(parse(formula), data)
    if saved:
        spec = pickle.loads(pickle.dumps(spec))
    for rows in (np.arange(24), np.array([20, 3, 4])):
        new = spec.apply(data.iloc[rows].drop(columns="y"))
        np.testing.assert_array_equal(new.X, design.X[rows])
        np.testing.assert_array_equal(new.offset, design.offset[rows])
        assert new.index.tolist() == rows.tolist()
        assert new.unseen == {}
        for ours, theirs in zip(new.random, design.random, strict=True):
            np.testing.assert_array_equal(ours.Z, theirs.Z[rows])
            np.testing.assert_array_equal(ours.codes, theirs.codes[rows])
            assert ours.levels.equals(theirs.levels)
            assert (ours.names, ours.group) == (theirs.names, theirs.group)


def test_transforms_keep_the_state_of_training() -> None:
    data = frame()
    _, spec = build_design(parse("y ~ center(x) + scale(z) + (1 | g)"), data)
    X = spec.apply({"x": [0.0, 1.0], "z": [0.0, 1.0]}, random=False).X
    x, z = data["x"], data["z"]
    # A mean and a difference: a few roundings.
    np.testing.assert_allclose(X[:, 1], np.array([0.0, 1.0]) - x.mean(), rtol=1e-13)
    expected = (np.array([0.0, 1.0]) - z.mean()) / z.std()
    np.testing.assert_allclose(X[:, 2], expected, rtol=1e-13)


def test_sleepstudy_prediction_rows() -> None:
    data = datasets.load("sleepstudy")
    _, spec = build_design(parse("Reaction ~ Days + (Days | Subject)"), data)
    known = data["Subject"].iloc[0]
    new = spec.apply({"Days": [3, 4, 5], "Subject": [known, "new", "new"]})
    np.testing.assert_array_equal(new.X, [[1.0, 3.0], [1.0, 4.0], [1.0, 5.0]])
    assert new.random[0].codes.tolist() == [0, -1, -1]
    assert new.random[0].codes.dtype == np.int32
    assert new.unseen["Subject"].to_dict() == {"new": 2}
    assert spec.groups == ("Subject",)


def test_only_needed_columns_are_looked_at() -> None:
    _, spec = build_design(
        parse("y ~ x + (z | g) + (1 | h)"), frame(), weights="e", offset="k"
    )
    new = spec.apply({"x": [1.0], "k": [7]}, random=False)
    assert new.random == ()
    np.testing.assert_array_equal(new.offset, [7.0])
    new = spec.apply({"x": [1.0], "k": [7], "h": [5]}, random=["h"])
    assert [term.group for term in new.random] == ["h"]
    assert new.random[0].codes.tolist() == [2]
    new = spec.apply({"x": [1.0], "k": [7], "z": [2.0], "g": ["w"]}, random={"g"})
    assert new.random[0].Z.tolist() == [[1.0, 2.0]]
    with pytest.raises(NewDataError, match='"z" is not a column of newdata'):
        spec.apply({"x": [1.0], "k": [7], "g": ["w"]}, random=["g"])
    with pytest.raises(OptionError, match=r"'gg' is not a grouping factor.*factors: g"):
        spec.apply({"x": [1.0], "k": [7]}, random=["gg"])


def test_an_intercept_needs_no_column_but_a_length() -> None:
    _, spec = build_design(parse("y ~ 1 + (1 | g)"), frame())
    assert spec.apply({"unused": [1, 2, 3]}, random=False).X.shape == (3, 1)


def test_interaction_levels_need_the_observed_combination() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 3, 5], "a": list("ppqq"), "b": [1, 2, 1, 1]})
    design, spec = build_design(parse("y ~ 1 + (1 | a:b)"), data)
    assert list(design.random[0].levels) == ["p:1", "p:2", "q:1"]
    new = spec.apply({"a": ["q", "q", "r", "p"], "b": [1, 2, 1, 2]})
    assert new.random[0].codes.tolist() == [2, -1, -1, 1]
    assert new.unseen["a:b"].to_dict() == {"q:2": 1, "r:1": 1}


@pytest.mark.parametrize(
    ("train", "new"),
    [
        (list("abc"), pd.Categorical(["c", "a"], categories=["c", "a"])),
        (pd.Categorical(list("abc")), ["c", "a"]),
        (pd.array(list("abc"), dtype="string"), np.array(["c", "a"], dtype=object)),
        ([1, 2, 3], [3.0, 1.0]),
        (pd.array([1, 2, 3], dtype="Int64"), [3, 1]),
        ([1.0, 2.0, 3.0], pd.array([3, 1], dtype="Int64")),
        (pd.Categorical([1, 2, 3]), [3, 1]),
        (pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]), None),
    ],
    ids=[
        "str-cat",
        "cat-str",
        "string-object",
        "int-float",
        "Int64-int",
        "float-Int64",
        "cat-int",
        "dates",
    ],
)
def test_levels_match_over_dtypes(train: Any, new: Any) -> None:
    data = pd.DataFrame({"y": [1.0, 2, 4, 8, 9, 0], "g": pd.Series(train).repeat(2)})
    data = data.reset_index(drop=True)
    _, spec = build_design(parse("y ~ 1 + (1 | g)"), data)
    values = data["g"].iloc[[4, 0]].tolist() if new is None else new
    result = spec.apply(pd.DataFrame({"g": values}))
    assert result.random[0].codes.tolist() == [2, 0]


def test_a_number_does_not_match_the_text_of_it() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 4, 8], "g": ["1", "2", "1", "2"]})
    _, spec = build_design(parse("y ~ 1 + (1 | g)"), data)
    new = spec.apply({"g": [1, 2, 1]})
    assert new.random[0].codes.tolist() == [-1, -1, -1]
    assert new.unseen["g"].to_dict() == {1: 2, 2: 1}


NEW_DATA: list[tuple[str, dict[str, Any], Any, str]] = [
    (
        "y ~ x + (1 | g)",
        {},
        {"X": [1.0], "g": ["u"]},
        r'^"x" is not a column of newdata; did you mean "X"\? Columns: X, g\.',
    ),
    (
        "y ~ a + (1 | g)",
        {},
        {"a": ["p", "IB", "IB"], "g": ["u"] * 3},
        r"^'a' has level 'IB', not seen in training; there is no coefficient.*p, q, r",
    ),
    (
        "y ~ a:x + (1 | g)",
        {},
        {"a": ["s", "t"], "x": [1, 2], "g": ["u"] * 2},
        r"^'a' has levels 's', 't', not seen in training",
    ),
    (
        "y ~ C(k) + (1 | g)",
        {},
        {"k": [1, 5], "g": ["u"] * 2},
        r"^'k' has level '5', not seen in training.*Known levels: 1, 2, 3, 4",
    ),
    (
        "y ~ x + (1 | g)",
        {},
        {"x": [1.0, np.nan, 2.0], "g": ["u", "v", None]},
        r'^newdata has missing values: "x" in 1 row \(1\); "g" in 1 row \(2\)',
    ),
    (
        "y ~ x + (1 | g)",
        {},
        {"x": [1.0, np.inf], "g": ["u"] * 2},
        r'^column "x" is infinite in 1 row \(1\)',
    ),
    (
        "y ~ log(x) + (1 | g)",
        {},
        {"x": [1.0, 0.0], "g": ["u"] * 2},
        r'^term "log\(x\)" is infinite or undefined in 1 row \(1\)',
    ),
    (
        "y ~ x + (1 | g)",
        {},
        {"x": ["low", "high"], "g": ["u"] * 2},
        r'^column "x" of newdata is not numeric as it was in training: .*high, low',
    ),
    ("y ~ x + (1 | g)", {}, {"x": [], "g": []}, "^newdata has no rows"),
    ("y ~ x + (1 | g)", {}, [1.0, 2.0], "^newdata must be a data frame or a mapping"),
    (
        "y ~ x + (1 | g)",
        {"offset": np.zeros(24)},
        {"x": [1.0], "g": ["u"]},
        "^the model was fitted with offset= given as an array",
    ),
    (
        "y ~ x + offset(log(e)) + (1 | g)",
        {},
        {"x": [1.0], "g": ["u"], "e": [0.0]},
        r"^offset\(log\(e\)\) is infinite or undefined in 1 row \(0\)",
    ),
    (
        "y ~ bs(x, df=4) + (1 | g)",
        {},
        {"x": [100.0], "g": ["u"]},
        r'^cannot evaluate "bs\(x, df=4\)": .* beyond',
    ),
]


@pytest.mark.parametrize(("formula", "options", "newdata", "message"), NEW_DATA)
def test_bad_new_data(
    formula: str, options: dict[str, Any], newdata: Any, message: str
) -> None:
    _, spec = build_design(parse(formula), frame(), **options)
    with pytest.raises(NewDataError, match=message):
        spec.apply(newdata)


def test_booleans_are_numbers_where_training_had_numbers() -> None:
    data = frame()
    data["flag"] = data["b"].astype(int)
    _, spec = build_design(parse("y ~ flag + (1 | g)"), data)
    X = spec.apply({"flag": [True, False]}, random=False).X
    np.testing.assert_array_equal(X[:, 1], [1.0, 0.0])
