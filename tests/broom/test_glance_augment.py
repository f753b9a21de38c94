"""`fit.glance` and `fit.augment` against broom.mixed, and of other models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import DataError, NewDataError
from tests.broom.examples_broom import SLEEP, fitted, reference

# Two optimisers: modes and leverages agree to about 1e-5 of their size.
CLOSE: dict[str, Any] = {"rtol": 2e-5, "atol": 2e-5}


@pytest.mark.parametrize("name", ["reml", "ml", "binomial"])
def test_glance_is_that_of_broom_mixed(name: str) -> None:
    frame, theirs = fitted(name).glance(), reference()[name]["glance"]
    assert frame.columns.tolist() == list(theirs)
    assert len(frame) == 1
    for column in frame:
        # The conditional deviance moves with the modes, by about 1e-5.
        np.testing.assert_allclose(frame[column], theirs[column], rtol=1e-5)


def test_a_network_counts_by_its_effective_weights() -> None:
    fit = fitted("network")
    assert fit.glance()["df.residual"].item() == fit.nobs - fit.df_model


@pytest.mark.parametrize("name", ["reml", "binomial"])
def test_augment_is_that_of_broom_mixed(name: str) -> None:
    frame, theirs = fitted(name).augment(), reference()[name]["augment"]
    shared = [c for c in frame if c.startswith(".")]
    assert shared == [
        *(".fitted", ".fixed", ".mu", ".resid", ".hat", ".cooksd"),
        *(".offset", ".weights", ".wtres"),
    ]
    assert set(shared) == set(theirs)
    for column in shared:
        if name == "binomial" and column in (".hat", ".cooksd"):
            # Of lme4 they make no sense, as it says.
            continue
        np.testing.assert_allclose(frame[column], theirs[column], **CLOSE)


def test_the_data_stand_beside() -> None:
    data: Any = ngmm.datasets.load("sleepstudy")
    frame = fitted("reml").augment()
    beside: Any = frame[data.columns]
    pd.testing.assert_frame_equal(beside, data)


def test_leverage_of_a_generalized_model_is_a_share() -> None:
    hat = fitted("binomial").augment()[".hat"].to_numpy()
    assert hat.min() > 0
    assert hat.max() < 1


@pytest.mark.slow
def test_cooks_distance_is_scaled_by_the_dispersion() -> None:
    fit = fitted("gamma")
    row = fit.augment().iloc[0]
    r, h = row[".wtres"], row[".hat"]
    assert fit.phi is not None
    # One formula, rounded.
    expected = (r / (1 - h)) ** 2 * h / (fit.phi * 2)
    assert row[".cooksd"] == pytest.approx(expected, rel=1e-12)


def test_rows_with_missing_values_are_left_out_and_labels_kept() -> None:
    data = ngmm.datasets.load("sleepstudy").iloc[:60]
    data.index = pd.Index([f"r{i}" for i in range(60)])
    data = data.assign(note=range(60))
    data.loc["r3", "Days"] = np.nan
    frame = ngmm.fit(SLEEP.replace("(Days", "(1"), data).augment()
    assert "r3" not in frame.index
    assert frame.loc["r10", "note"] == 10


def test_mappings_and_other_frames() -> None:
    polars = pytest.importorskip("polars")
    data = ngmm.datasets.load("sleepstudy")
    # Series of a mapping go by position, whatever their labels.
    mapping = {c: data[c] for c in data} | {
        "Days": data["Days"].set_axis(data.index + 7)
    }
    mapping["image"] = np.zeros((180, 2, 2))
    expected = fitted("ml").augment()
    for given in (mapping, polars.from_pandas(data.astype({"Subject": str}))):
        frame = ngmm.fit(SLEEP, given).augment()
        assert "image" not in frame
        assert frame["Days"].tolist() == data["Days"].tolist()
        # The same fit.
        np.testing.assert_allclose(frame[".hat"], expected[".hat"], rtol=1e-10)


def test_new_data() -> None:
    fit = fitted("ml")
    new = {"Days": [1, 2], "Subject": ["308", "nobody"], "photo": np.zeros((2, 3, 3))}
    with pytest.raises(NewDataError, match="nobody"):
        fit.augment(new)
    frame = fit.augment(new, new_levels="population")
    assert frame.columns.tolist() == ["Days", "Subject", ".fitted", ".fixed", ".mu"]
    assert frame[".mu"].tolist() == fit.predict(new, new_levels="population").tolist()
    assert frame.loc[1, ".fitted"] == frame.loc[1, ".fixed"]


def test_new_data_of_a_generalized_model_are_on_the_scale_of_the_link() -> None:
    frame = fitted("binomial").augment({"period": ["1"], "herd": ["1"]})
    eta, mu = frame[".fitted"].item(), frame[".mu"].item()
    assert np.log(mu / (1 - mu)) == pytest.approx(eta, rel=1e-12)  # the logit, rounded


@pytest.mark.slow
def test_a_latent_input_has_no_leverage() -> None:
    frame = fitted("latent").augment()
    assert not {".hat", ".cooksd"} & set(frame)
    assert np.isfinite(frame[[".fitted", ".mu", ".resid"]]).all(axis=None)


def test_without_fixed_effects_there_is_no_cooks_distance() -> None:
    data = ngmm.datasets.load("sleepstudy")
    frame = ngmm.fit("Reaction ~ 0 + (1 | Subject)", data).augment()
    assert ".hat" in frame
    assert ".cooksd" not in frame


def test_a_column_that_is_there_already() -> None:
    data = ngmm.datasets.load("sleepstudy").assign(**{".fitted": 0.0})
    fit = ngmm.fit(SLEEP, data)
    with pytest.raises(DataError, match=r'"\.fitted" already'):
        fit.augment()
