"""Columns that are confounded with the group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ngmm.clusters import with_probes
from ngmm.errors import DataError, OptionError

TRAIN = pd.DataFrame(
    {"y": [0.0, 1.0, 1.0, 1.0, 0.0, 1.0], "g": list("aabbcc"), "x": range(6)},
    index=[10, 11, 12, 13, 14, 15],
)
MEANS = np.array([0.5, 0.5, 1.0, 1.0, 0.5, 0.5])
NEW = pd.DataFrame({"g": ["b", "zzz", "a"], "y": [np.nan, 5.0, 7.0]})


def test_probes_are_functions_of_the_means() -> None:
    (train,) = with_probes(TRAIN, response="y", group="g", noise_sd=0.0)
    expected = [MEANS, MEANS**2, 1 / MEANS, np.cos(MEANS), np.sin(MEANS)]
    for i, values in enumerate(expected):
        np.testing.assert_array_equal(train[f"probe{i + 1}"], values)
    pd.testing.assert_frame_equal(train.loc[:, list(TRAIN)], TRAIN)


def test_other_frames_have_the_means_of_the_training_rows() -> None:
    _, new = with_probes(
        TRAIN, NEW, response="y", group="g", transforms=["identity"], noise_sd=0.0
    )
    # Of the group that is not there the mean over all rows, four of six.
    np.testing.assert_allclose(new["probe1"], [1.0, 4 / 6, 0.5], rtol=1e-15)


def test_arguments_stay_what_they_were() -> None:
    train, new = TRAIN.copy(), NEW.copy()
    with_probes(train, new, response="y", group="g", seed=1)
    pd.testing.assert_frame_equal(train, TRAIN)
    pd.testing.assert_frame_equal(new, NEW)


def test_noise_has_the_standard_deviation_and_differs_between_rows() -> None:
    data = pd.DataFrame({"y": np.arange(4000) % 2, "g": np.arange(4000) % 5})
    options: dict[str, Any] = {"response": "y", "group": "g", "seed": 7}
    (noisy,) = with_probes(data, **options)
    (clean,) = with_probes(data, **options, noise_sd=0.0)
    noise = (noisy - clean)[[f"probe{i + 1}" for i in range(5)]].to_numpy()
    # Standard error of the sd of 20,000 numbers: 0.5 %; five of them.
    assert noise.std() == pytest.approx(0.05, rel=0.025)
    # Correlations between 4,000 pairs have a standard error of 0.016; five of them.
    off = np.corrcoef(noise.T)[np.triu_indices(5, 1)]
    np.testing.assert_allclose(off, 0.0, atol=0.08)
    (again,) = with_probes(data, **options)
    pd.testing.assert_frame_equal(noisy, again)


def test_groups_may_be_numbers_or_categories_that_differ() -> None:
    train = TRAIN.assign(g=pd.Categorical(TRAIN["g"], categories=list("cba")))
    new = NEW.assign(g=pd.Categorical(NEW["g"]))
    _, found = with_probes(
        train, new, response="y", group="g", transforms=["square"], noise_sd=0.0
    )
    np.testing.assert_allclose(found["probe1"], [1.0, (4 / 6) ** 2, 0.25], rtol=1e-15)


@pytest.mark.parametrize(
    ("train", "changes", "error", "message"),
    [
        (TRAIN, {"response": "Y"}, DataError, 'did you mean "y"'),
        (TRAIN, {"group": "G"}, DataError, '"G" is not a column of train'),
        (TRAIN.assign(probe2=1), {}, DataError, 'a column "probe2" already'),
        (TRAIN.assign(y=list("ababab")), {}, DataError, "data\\[\"y\"\\] == 'a'"),
        (TRAIN.assign(y=np.inf), {}, DataError, "infinite"),
        (TRAIN.assign(y=[np.nan] * 6), {}, DataError, "missing in 6 rows of train"),
        (TRAIN.assign(g=[None] * 6), {}, DataError, '"g" is missing in 6 rows'),
        (TRAIN.assign(y=0.0), {}, DataError, '"reciprocal" out of transforms='),
        (TRAIN.iloc[:0], {}, DataError, "train has no rows"),
        (TRAIN.to_dict("list"), {}, DataError, "DataFrame; got dict"),
        (TRAIN, {"transforms": ["sine"]}, OptionError, 'did you mean "sin"'),
        (TRAIN, {"transforms": "sin"}, OptionError, "takes a list"),
        (TRAIN, {"transforms": []}, OptionError, "empty"),
        (TRAIN, {"noise_sd": -1.0}, OptionError, "noise_sd= must be a number"),
        (TRAIN, {"noise_sd": True}, OptionError, "noise_sd= must be a number"),
        (TRAIN, {"seed": 1.5}, OptionError, "seed must be"),
    ],
)
def test_what_cannot_have_probes_is_refused(
    train: Any, changes: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        with_probes(train, **{"response": "y", "group": "g", **changes})


def test_messages_name_the_frame() -> None:
    with pytest.raises(DataError, match='"g" is not a column of frame 2 after train'):
        with_probes(TRAIN, NEW, pd.DataFrame({"x": [1]}), response="y", group="g")
