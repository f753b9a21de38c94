"""Simulated spirals: what was drawn, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ngmm.datasets import spirals
from ngmm.errors import OptionError

# Radii that were published for seed 48, to three digits.
RADII = [0.702, 0.681, 0.809, 1.318, 0.953, 1.328, 0.378, 1.210, 1.502, 0.881]


def test_radii_of_seed_48_are_those_published() -> None:
    assert spirals().effect.round(3).tolist() == RADII


def test_draws_come_in_the_stated_order() -> None:
    made = spirals("confounded", n_clusters=2, n_rows=10, n_probes=1, seed=3)
    rng = np.random.RandomState(3)
    r = rng.normal(1.0, 0.3, 2)
    q = np.clip(rng.normal(0.5, 0.3, 2), 0.1, 0.9)
    points, classes = [], []
    for j in range(2):
        for c in range(2):
            theta = np.pi / 180 * rng.randint(0, 360, 10)
            error = rng.normal(0.0, 0.1, (10, 2))
            turned = theta - np.pi * c
            length = theta * r[j] / theta.max()
            x = np.column_stack([-np.cos(turned) * length, np.sin(turned) * length])
            n = int(10 * q[j])
            kept = n if c == 0 else 10 - n
            points.append((x + error)[:kept])
            classes += [c] * kept
    probes = np.concatenate([rng.normal(share, 0.2, (10, 1)) for share in q])
    data = made.data
    np.testing.assert_allclose(data[["x1", "x2"]], np.concatenate(points), rtol=1e-14)
    assert data["y"].tolist() == classes
    np.testing.assert_array_equal(data[["probe1"]], probes)


def test_arms_start_in_the_middle_and_end_at_the_radius() -> None:
    made = spirals(noise=0.0, n_clusters=4)
    distance: Any = pd.Series(np.hypot(made.data["x1"], made.data["x2"]))
    by_cluster: Any = distance.groupby(made.data["cluster"]).max()
    np.testing.assert_allclose(by_cluster, made.effect, rtol=1e-12)
    # Angles are whole degrees of 360.
    assert (distance.groupby(made.data["cluster"]).min() < 0.02 * by_cluster).all()


def test_a_slope_stretches_one_coordinate() -> None:
    made = spirals("slope", sd=0.2, noise=0.0, n_clusters=3)
    x2 = made.data["x2"] * (1.0 + np.repeat(made.effect, 1000) + 1e-7)
    distance: Any = pd.Series(np.hypot(made.data["x1"], x2))
    by_cluster: Any = distance.groupby(made.data["cluster"]).max()
    np.testing.assert_allclose(by_cluster, 1.0, rtol=1e-12)


def test_classes_share_the_rows() -> None:
    made = spirals(n_classes=3, n_rows=100, n_clusters=2)
    counts = made.data.groupby(["cluster", "y"]).size().unstack()
    assert counts.to_numpy().tolist() == [[33, 33, 34]] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "round"}, "kind must be one of"),
        ({"kind": "confounded", "n_classes": 3}, "two classes, not 3"),
        ({"n_probes": 2}, "probes are for"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        spirals(**arguments)
