"""Fits with an autoencoder, through `ngmm.fit`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.errors import ConvergenceWarning, OptionError
from ngmm.networks import Autoencoder

FORMULA = "y ~ nn(image, net=ae) + (1 + nn(net=ae) || g)"
NETWORKS = {"ae": Autoencoder((2,), 2, (2,))}


def small() -> dict[str, Any]:
    """Images in four groups."""
    rng = np.random.default_rng(0)
    n = 48
    return {
        "y": rng.normal(size=n),
        "image": rng.normal(size=(n, 4, 4)),
        "g": np.arange(n) % 4,
    }


@cache
def fitted() -> Any:
    """A few steps: what is tested is what follows from them."""
    with pytest.warns(ConvergenceWarning, match="did not settle"):
        return ngmm.fit(
            FORMULA,
            small(),
            networks=NETWORKS,
            estimator=ngmm.Joint(epochs=1, batch_rows=8),
            progress=False,
        )


@pytest.mark.slow
def test_images_have_a_loss_of_their_own() -> None:
    history = fitted().networks.history.to_frame()
    for name in ("reconstruction with b", "reconstruction without b"):
        assert np.isfinite(history[name]).all()


def test_units_of_the_response_are_those_of_the_encoder() -> None:
    names = [n for n in fitted().ranef()["g"].columns if n != "Intercept"]
    # Two channels, a scale and a shift each; the decoder does not see the response.
    assert names == ["ae.scale[1,1]", "ae.scale[1,2]", "ae.shift[1,1]", "ae.shift[1,2]"]
    ((modulation,),) = fitted().networks.modulations
    # And one scale and one shift of the image that is drawn.
    assert modulation.mean.shape == (4, 6)


def test_new_rows_are_drawn_and_predicted_as_those_of_the_fit() -> None:
    data = small()
    fit = fitted()
    # Rounding in blocks of other sizes.
    np.testing.assert_allclose(fit.predict(data), fit.fitted(), rtol=1e-8)
    draw = ngmm.clusters.reconstruct
    np.testing.assert_allclose(draw(fit, data), draw(fit), rtol=1e-8)
    other = data | {"g": (data["g"] + 1) % 4}
    assert np.abs(draw(fit, other) - draw(fit)).max() > 0.0
    np.testing.assert_allclose(draw(fit, other, re="none"), draw(fit, re="none"))


@pytest.mark.parametrize("estimator", [ngmm.Evidence(), ngmm.Stochastic()])
def test_other_estimators_are_refused(estimator: Any) -> None:
    with pytest.raises(OptionError, match=r"ngmm\.Joint"):
        ngmm.fit(
            "y ~ nn(image, net=ae) + (1 | g)",
            small(),
            networks=NETWORKS,
            estimator=estimator,
        )


def test_it_is_no_network_with_a_latent_input() -> None:
    with pytest.raises(OptionError, match="Autoencoder"):
        ngmm.fit("y ~ 1 + (nn(image, net=ae) | g)", small(), networks=NETWORKS)
