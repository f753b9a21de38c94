"""Rows under every level of a grouping factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ngmm.clusters import counterfactuals
from ngmm.errors import NewDataError
from tests.clusters.fits import counts, crossed, nested, sleep
from tests.joint.frames import curved, fitted

# Sums of the same numbers in another order.
SAME: Any = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize(
    ("fit", "group"),
    [
        (sleep, "Subject"),
        (crossed, "plate"),
        (counts, "g"),
        (fitted, "g"),
        (lambda: fitted("bernoulli"), "g"),
    ],
)
def test_they_are_predictions_with_the_level_changed(
    fit: Callable[[], Any], group: str
) -> None:
    rows = fit().call.data.iloc[[4, 30, 31]]
    found = counterfactuals(fit(), rows, group)
    for i, level in enumerate(found.levels):
        expected = fit().predict(rows.assign(**{group: level}))
        np.testing.assert_allclose(found.means[:, i], expected, **SAME)
    others = [g for g in fit().n_levels if g != group]
    np.testing.assert_allclose(found.population, fit().predict(rows, re=others), **SAME)
    own = found.to_frame().query("own")
    assert own["row"].tolist() == rows.index.tolist()
    assert own["level"].tolist() == rows[group].tolist()
    np.testing.assert_allclose(own["mean"], fit().predict(rows), **SAME)


def test_nested_factors_change_one_at_a_time() -> None:
    fit, rows = nested(), nested().call.data.iloc[:3]
    block = counterfactuals(fit, rows, "Block")
    inner = fit.predict(rows, re=["Block:Variety"])
    b = fit.ranef()["Block"]
    for i, level in enumerate(block.levels):
        own = b.loc[level, "Intercept"] + b.loc[level, "nitro"] * rows["nitro"]
        np.testing.assert_allclose(block.means[:, i], inner + own, **SAME)
    plots = counterfactuals(fit, rows, "Block:Variety")
    assert plots.means.shape == (3, 18)
    np.testing.assert_allclose(
        plots.population, fit.predict(rows, re=["Block"]), **SAME
    )


def test_spread_is_the_standard_deviation_over_levels() -> None:
    found = counterfactuals(crossed(), crossed().call.data.iloc[:2], "sample")
    sd = crossed().ranef()["sample"]["Intercept"].std()
    np.testing.assert_allclose(found.spread, [sd, sd], **SAME)
    frame = found.to_frame()
    np.testing.assert_allclose(frame.groupby("row")["mean"].std(), sd, **SAME)


def test_a_row_of_an_unknown_level_has_none_of_its_own() -> None:
    rows = curved().iloc[:2].assign(g=["new", "g03"])
    found = counterfactuals(fitted(), rows)
    assert found.own.tolist() == [-1, 3]
    frame = found.to_frame()
    assert [frame.loc[frame["row"] == i, "own"].sum() for i in (0, 1)] == [0, 1]
    assert np.isfinite(found.means).all()
    assert "does not know the row's g" in str(found)
    assert "does not know" not in str(counterfactuals(fitted(), curved().iloc[:2]))


def test_the_table_has_the_extremes() -> None:
    frame = counterfactuals(sleep(), sleep().call.data.iloc[[9]]).to_table().to_frame()
    days = 9.0
    b = sleep().ranef()["Subject"]
    total = b["Intercept"] + days * b["Days"]
    assert frame["high_in"].tolist() == [total.idxmax()]
    assert frame["low_in"].tolist() == [total.idxmin()]
    assert float((frame["highest"] - frame["lowest"]).iloc[0]) == pytest.approx(
        np.ptp(total),
        rel=1e-12,  # as above
    )


def test_unknown_levels_of_other_factors_are_refused() -> None:
    rows = crossed().call.data.iloc[:2].assign(sample="Z")
    with pytest.raises(NewDataError, match='unseen level of "sample"'):
        counterfactuals(crossed(), rows, "plate")
