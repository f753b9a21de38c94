"""How clustered hidden units are."""

from __future__ import annotations

from functools import cache
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import ngmm
from ngmm.clusters import latent_scores
from ngmm.errors import NotSupportedError, OptionError
from ngmm.networks import flatten
from tests.clusters.fits import sleep
from tests.joint.frames import curved, fitted

metrics = pytest.importorskip("sklearn.metrics")


@cache
def apart() -> Any:
    """A network of an input that tells the groups, and one that does not."""
    data = curved().assign(w=lambda d: d["z"] + 5 * d["g"].str[1:].astype(int))
    formula = "y ~ nn(x, hidden=(3,)) + nn(w, hidden=(2,)) + (1 | g)"
    return ngmm.fit(formula, data, estimator=ngmm.Evidence(restarts=1), seed=1)


def layers(fit: Any) -> np.ndarray:
    """Last hidden units of a network with two hidden layers, in plain numbers."""
    (network,), (design,) = fit.networks.stack.networks, fit.networks.designs
    unravel = flatten(network.init(jax.random.key(0), design.inputs))[1]
    w = unravel(fit.networks.weights(fit.networks.members[0]).astype(np.float32))
    h = np.asarray(design.inputs.x, dtype=np.float64)
    for matrix, constant in w["layers"]:
        h = np.tanh(h @ np.asarray(matrix) + np.asarray(constant))
    return h


def test_scores_are_those_of_the_last_layer() -> None:
    frame = latent_scores(fitted()).to_frame().set_index("name")
    h, g = layers(fitted()), curved()["g"]
    row = frame.loc["nn(x, z)"]
    assert row["units"] == 3
    # Weights in float32 here.
    assert row["davies_bouldin"] == pytest.approx(
        metrics.davies_bouldin_score(h, g), rel=1e-4
    )
    assert row["calinski_harabasz"] == pytest.approx(
        metrics.calinski_harabasz_score(h, g), rel=1e-4
    )
    x = curved()[["x", "z"]].apply(lambda c: (c - c.mean()) / c.std(ddof=0))
    raw = frame.loc["numeric inputs"]
    # The same numbers, standardised in another way.
    assert raw["davies_bouldin"] == pytest.approx(
        metrics.davies_bouldin_score(x, g), rel=1e-10
    )


@pytest.mark.slow
def test_an_input_that_tells_the_groups_is_more_clustered() -> None:
    frame = latent_scores(apart()).to_frame().set_index("name")
    assert list(frame.index) == ["nn(x)", "nn(w)", "numeric inputs"]
    assert frame.loc["nn(w)", "calinski_harabasz"] > 100
    assert frame.loc["nn(x)", "calinski_harabasz"] < 10
    assert frame.loc["nn(w)", "davies_bouldin"] < frame.loc["nn(x)", "davies_bouldin"]


def test_one_network_of_two() -> None:
    frame = latent_scores(apart(), network="nn(w)").to_frame()
    assert frame["name"].tolist() == ["nn(w)", "numeric inputs"]
    assert frame["units"].tolist() == [2, 1]
    with pytest.raises(OptionError, match='did you mean "nn'):
        latent_scores(apart(), network="nn(W)")


@pytest.mark.slow
def test_equal_centres_are_no_clusters() -> None:
    data = ngmm.datasets.load("sleepstudy")
    fit = ngmm.fit("Reaction ~ nn(Days, hidden=(2,)) + (1 | Subject)", data)
    table = latent_scores(fit)
    # Every subject has the same days.
    assert table.to_frame()["davies_bouldin"].tolist() == [np.inf, np.inf]
    assert table.to_frame()["calinski_harabasz"].tolist() == [0.0, 0.0]
    assert "a dash where two levels have the same mean: it is infinite" in table.caption


def test_networks_without_layers_are_refused() -> None:
    none = ngmm.fit("y ~ nn(x, hidden=()) + (1 | g)", curved())
    with pytest.raises(NotSupportedError, match="no hidden layers; give it some"):
        latent_scores(none)
    own = ngmm.fit(
        "y ~ nn(x, net=mine) + (1 | g)",
        curved(),
        networks={"mine": eqx.nn.Linear(1, "scalar", key=jax.random.key(0))},
        estimator=ngmm.Evidence(restarts=1),
    )
    with pytest.raises(NotSupportedError, match=r"layers of nn\(x.* cannot be seen"):
        latent_scores(own)
    with pytest.raises(OptionError, match="no network terms"):
        latent_scores(sleep())
