"""Images drawn again by a fit, where scale and shift of groups are known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.errors import NewDataError, OptionError
from ngmm.networks import Autoencoder

GROUPS, EACH = 20, 30
NOISE, SHIFT = 0.2, 0.8
# One number a row, which this pattern shows.
PATTERN = np.outer([1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0])
FORMULA = "y ~ nn(image, net=ae) + (1 + nn(net=ae) || g)"


def shifted(seed: int, first: int = 0) -> dict[str, Any]:
    """Images of a pattern, those of a group brighter or darker."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(GROUPS), EACH)
    c, shift = rng.normal(size=len(g)), SHIFT * rng.normal(size=GROUPS)[g]
    image = c[:, None, None] * PATTERN + shift[:, None, None]
    image += NOISE * rng.normal(size=image.shape)
    return {"y": c + 0.3 * rng.normal(size=len(g)), "image": image, "g": g + first}


@cache
def fitted() -> Any:
    """A code of one number, so that brightness has to be the group's."""
    ae = Autoencoder((4,), 1, (), activation="identity", reconstruction=16.0)
    return ngmm.fit(
        FORMULA,
        shifted(0),
        networks={"ae": ae},
        estimator=ngmm.Joint(epochs=150, population=0.1, held_out=0.0),
        progress=False,
    )


def squared_error(data: dict[str, Any], **options: Any) -> float:
    """Of a pixel."""
    drawn = ngmm.clusters.reconstruct(fitted(), data, **options)
    assert drawn.shape == data["image"].shape
    return float(((drawn - data["image"]) ** 2).mean())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_groups_explain_what_the_code_cannot() -> None:
    data = shifted(0)
    shift = np.array([data["image"][data["g"] == j].mean() for j in range(GROUPS)])
    with_groups = squared_error(data)
    # The noise, and what one number of 17 takes of it; within a fifth.
    assert with_groups == pytest.approx(NOISE**2, rel=0.2)
    # Without groups their brightness is missing.
    assert squared_error(data, re="none") > 0.5 * shift.var()
    np.testing.assert_array_equal(
        ngmm.clusters.reconstruct(fitted()), ngmm.clusters.reconstruct(fitted(), data)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_scale_and_shift_of_a_new_group_are_found_from_its_images() -> None:
    new = shifted(1, first=100)
    with pytest.raises(NewDataError, match='"images"'):
        squared_error(new)
    assert squared_error(new, new_levels="population") > 0.3
    # Another draw of groups of the same size has the same error, within a fourth.
    assert squared_error(new, new_levels="images") == pytest.approx(NOISE**2, rel=0.25)


def test_what_is_asked_for_is_checked() -> None:
    data = ngmm.datasets.load("sleepstudy")
    linear = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    with pytest.raises(OptionError, match='"all", "none"'):
        ngmm.clusters.reconstruct(linear, re="b")
    with pytest.raises(OptionError, match='"population"'):
        ngmm.clusters.reconstruct(linear, new_levels="marginal")
    with pytest.raises(OptionError, match="no network"):
        ngmm.clusters.reconstruct(linear)
