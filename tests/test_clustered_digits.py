"""Digits in clusters: what is done to an image, and what is drawn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from ngmm.datasets import digits
from ngmm.errors import OptionError


def originals() -> dict[bytes, int]:
    """Each image of the source, and how often it is there."""
    found: dict[bytes, int] = {}
    for image in load_digits(return_X_y=True)[0].reshape(-1, 8, 8) / 16.0:
        key = image.round(9).tobytes()
        found[key] = found.get(key, 0) + 1
    return found


def test_without_effects_they_are_the_digits_themselves() -> None:
    found = digits(contrast=0.0, blur=0.0, shift=0.0, noise=0.0)
    there = originals()
    for image in found.data["image"]:
        # Once for each time it is there: no image is in two clusters.
        there[image.round(9).tobytes()] -= 1
    assert min(there.values()) == 0
    assert sum(there.values()) == 1797 - len(found.data["y"])
    np.testing.assert_array_equal(found.data["y"], found.data["digit"] >= 5)


def test_a_cluster_is_blurred_scaled_and_moved() -> None:
    plain = digits(contrast=0.0, blur=0.0, shift=0.0, noise=0.0, n_clusters=4)
    seen = digits(noise=0.0, n_clusters=4)
    for j, effect in enumerate(seen.effects.to_dict("records")):
        own = seen.data["cluster"] == j
        expected = effect["shift"] + effect["contrast"] * np.array(
            [
                gaussian_filter(
                    image, max(effect["blur"], 1e-3), mode="constant", radius=2
                )
                for image in plain.data["image"][own]
            ]
        )
        np.testing.assert_allclose(seen.data["image"][own], expected, atol=1e-12)


def test_shares_are_those_drawn_and_told_by_the_shift() -> None:
    found = digits(n_clusters=20, n_rows=50, confounding=1.0)
    y, cluster = found.data["y"], found.data["cluster"]
    share = np.array([y[cluster == j].mean() for j in range(20)])
    # Rows are whole numbers: half a row of fifty.
    np.testing.assert_allclose(share, found.effects["share"], atol=0.01)
    ordered = found.effects.sort_values("shift")["share"]
    assert all(a <= b for a, b in pairwise(ordered))


def test_the_same_seed_gives_the_same_images() -> None:
    a, b, c = digits(seed=3), digits(seed=3), digits(seed=4)
    np.testing.assert_array_equal(a.data["image"], b.data["image"])
    assert not np.array_equal(a.data["image"], c.data["image"])


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(OptionError, match="more digits than the 1797"):
        digits(n_clusters=20, n_rows=100)


def test_images_are_used_again_but_not_within_a_cluster() -> None:
    found = digits(n_clusters=20, n_rows=200, reuse=True).data
    assert len(set(found["source"])) < 20 * 200
    for j in range(20):
        source = found["source"][found["cluster"] == j]
        assert len(set(source)) == len(source)
    digit = load_digits(return_X_y=True)[1]
    np.testing.assert_array_equal(found["digit"], digit[found["source"]])


def test_the_shift_of_the_last_clusters_tells_nothing() -> None:
    found = digits(
        n_clusters=600, n_rows=2, confounding=1.0, n_unconfounded=300, reuse=True
    ).effects
    told, not_told = (
        np.corrcoef(part["share"], part["shift"])[0, 1]
        for part in (found[:300], found[300:])
    )
    assert told > 0.9  # less than one where shares are cut off at 0.1 and 0.9
    # Four standard errors of a correlation of zero.
    assert abs(not_told) < 4 / np.sqrt(300)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 0}, "at least 1"),
        ({"confounding": 1.5}, "from -1 to 1"),
        ({"noise": -0.1}, "standard deviations"),
        ({"blur": float("nan")}, "standard deviations"),
    ],
)
def test_numbers_out_of_range_are_refused(options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        digits(**options)
