"""New groups as a mixture of those that their rows look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.training.classify import Examples


def apart() -> pd.DataFrame:
    """Three groups far apart in x, and of different level."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(3), 40)
    x = 10.0 * g + rng.normal(size=120)
    y = np.array([0.0, 5.0, -3.0])[g] + 0.1 * rng.normal(size=120)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g]})


def test_a_group_like_a_known_one_is_predicted_as_that_one() -> None:
    data = apart()
    fit = ngmm.fit("y ~ x + (1 | g)", data)
    copy = data.assign(g="new")
    known = fit.predict(data, kind="link")
    similar = fit.predict(copy, new_levels="similar", kind="link")
    # Levels of 0, 5 and -3, ten standard deviations apart in x; a ridge keeps the
    # memberships a few percent from zero and one.
    np.testing.assert_allclose(similar, known, rtol=0, atol=0.5)
    population = fit.predict(copy, new_levels="population", kind="link")
    assert np.abs(population - known).max() > 1.0


def test_known_groups_keep_their_own_effects() -> None:
    data = apart()
    fit = ngmm.fit("y ~ x + (1 | g)", data)
    mixed = data.assign(g=np.where(np.arange(120) % 2, data["g"], "new"))
    found = fit.predict(mixed, new_levels="similar").to_numpy()
    np.testing.assert_array_equal(found[1::2], fit.predict(data).to_numpy()[1::2])


def test_without_anything_to_compare_it_is_refused() -> None:
    data = apart()
    fit = ngmm.fit("y ~ 1 + (1 | g)", data)
    with pytest.raises(ngmm.errors.NotSupportedError, match="there is nothing"):
        fit.predict(data.assign(g="new"), new_levels="similar")


def test_accuracy_is_that_of_rows_that_were_not_learnt_from() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, 400).astype(np.int32)
    noise = Examples(rng.normal(size=(400, 30)), codes, 4).fit()
    # Guessing, give or take three standard errors of 200 rows.
    assert noise.accuracy == pytest.approx(0.25, abs=0.1)
    told = Examples(np.eye(4)[codes] + 0.1 * rng.normal(size=(400, 4)), codes, 4).fit()
    assert told.accuracy > 0.97
    p = told.probabilities(np.eye(4))
    np.testing.assert_allclose(p.sum(1), 1.0, rtol=1e-12)
    assert (p.argmax(1) == np.arange(4)).all()


@pytest.mark.slow
# A short training is enough here.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_images_are_compared_by_their_pixels() -> None:
    rng = np.random.default_rng(0)
    g, image = np.arange(160) % 4, 0.1 * rng.normal(size=(160, 4, 4))
    image[:, 0, 0] += g  # one pixel tells the group
    y = np.array([0.0, 5.0, -3.0, 2.0])[g] + 0.1 * rng.normal(size=160)
    data = {"y": y, "image": image, "g": g}
    fit = ngmm.fit(
        "y ~ nn(image, net=cnn) + (1 | g)",
        data,
        networks={"cnn": ngmm.networks.CNN((2,), (2,))},
        estimator=ngmm.Joint(epochs=20),
        progress=False,
    )
    new = {**data, "g": np.full(160, "new")}
    similar = fit.predict(new, new_levels="similar")
    # Levels two and more apart, pixels ten standard deviations; as above.
    np.testing.assert_allclose(similar, fit.fitted(), rtol=0, atol=0.5)
