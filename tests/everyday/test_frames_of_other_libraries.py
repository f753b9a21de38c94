"""Frames of polars and tables of pyarrow give what a pandas frame gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import ngmm

FORMULA = "Reaction ~ Days + C(half) + (Days | Subject)"


def _polars(frame: pd.DataFrame) -> Any:
    polars = pytest.importorskip("polars")
    return polars.DataFrame(
        {name: frame[name].astype(object).tolist() for name in frame.columns}
    )


def _polars_categories(frame: pd.DataFrame) -> Any:
    polars = pytest.importorskip("polars")
    data = _polars(frame)
    return data.with_columns(data["Subject"].cast(polars.Categorical))


def _arrow(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)


MAKERS = {
    "polars": _polars,
    "polars with categories": _polars_categories,
    "pyarrow": _arrow,
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    data = ngmm.datasets.load("sleepstudy")
    half = data["Days"].map(lambda day: "early" if day < 5 else "late")
    return data.assign(half=half, Subject=data["Subject"].astype(str))


@pytest.fixture(scope="module")
def expected(frame: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit(FORMULA, frame)


@pytest.fixture(scope="module", params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    return MAKERS[request.param]


@pytest.fixture(scope="module")
def fit(frame: pd.DataFrame, make: Callable[[pd.DataFrame], Any]) -> ngmm.MixedModelFit:
    return ngmm.fit(FORMULA, make(frame))


# Everything below is the same computation on the same numbers: equal to the last bit.


def test_fit(fit: ngmm.MixedModelFit, expected: ngmm.MixedModelFit) -> None:
    assert fit.loglik == expected.loglik
    pd.testing.assert_series_equal(fit.fixef, expected.fixef, check_exact=True)
    assert str(fit.summary()) == str(expected.summary())
    modes = fit.ranef()["Subject"]
    pd.testing.assert_frame_equal(
        modes, expected.ranef()["Subject"], check_exact=True, check_index_type=False
    )


def test_weights_and_offset_by_name(
    frame: pd.DataFrame, make: Callable[[pd.DataFrame], Any]
) -> None:
    data = frame.assign(w=1.0 + frame["Days"] % 3, shift=frame["Days"] / 10)
    options: dict[str, Any] = {"weights": "w", "offset": "shift"}
    formula = "Reaction ~ Days + (1 | Subject)"
    found = ngmm.fit(formula, make(data), **options)
    assert found.loglik == ngmm.fit(formula, data, **options).loglik


def test_predictions_for_new_rows(
    frame: pd.DataFrame,
    fit: ngmm.MixedModelFit,
    expected: ngmm.MixedModelFit,
    make: Callable[[pd.DataFrame], Any],
) -> None:
    new = frame.iloc[[3, 40, 100]].reset_index(drop=True)
    found = fit.predict(make(new), interval="prediction", se=True)
    known = expected.predict(new, interval="prediction", se=True)
    pd.testing.assert_frame_equal(
        pd.DataFrame(found), pd.DataFrame(known), check_exact=True
    )
    adapted = fit.adapt(make(new.assign(Subject="new")))
    other = expected.adapt(new.assign(Subject="new"))
    pd.testing.assert_frame_equal(
        adapted.ranef(), other.ranef(), check_exact=True, check_index_type=False
    )


def test_effects(fit: ngmm.MixedModelFit, expected: ngmm.MixedModelFit) -> None:
    for found, known in (
        (ngmm.effects.means(fit, "half"), ngmm.effects.means(expected, "half")),
        (ngmm.effects.slopes(fit, "Days"), ngmm.effects.slopes(expected, "Days")),
        (
            ngmm.effects.comparisons(fit, "half", by="Days"),
            ngmm.effects.comparisons(expected, "half", by="Days"),
        ),
    ):
        pd.testing.assert_frame_equal(
            found.to_frame(), known.to_frame(), check_exact=True, check_index_type=False
        )


def test_comparison_and_update(
    fit: ngmm.MixedModelFit, expected: ngmm.MixedModelFit
) -> None:
    change = ". ~ . - C(half)"
    found = ngmm.compare(fit, fit.update(change), folds=2).to_frame()
    known = ngmm.compare(expected, expected.update(change), folds=2).to_frame()
    pd.testing.assert_frame_equal(found, known, check_exact=True)


def test_a_lazy_frame_says_what_to_do(frame: pd.DataFrame) -> None:
    with pytest.raises(ngmm.errors.DataError, match="collect the lazy frame first"):
        ngmm.fit(FORMULA, _polars(frame).lazy())
