"""Small fits of every kind, each made once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import ngmm
from ngmm.networks import CNN, Autoencoder
from ngmm.results import MixedModelFit

N = 96


@cache
def data() -> pd.DataFrame:
    """Rows with numbers, factors, two groupings and responses of every kind."""
    rng = np.random.default_rng(7)
    g = rng.permutation(np.arange(N) % 12)
    x, z = rng.normal(size=N), rng.uniform(0.5, 2.0, size=N)
    eta = 0.4 * x + rng.normal(0.0, 0.7, 12)[g] + 0.3 * np.sin(2.0 * z)
    frame = pd.DataFrame(
        {
            "x": x,
            "z": z,
            "c": pd.Categorical(
                rng.choice(["lo", "mid", "hi"], N), ["lo", "mid", "hi"]
            ),
            "f": [f"item{i:02d}" for i in rng.permutation(np.arange(N) % 12)],
            "g": [f"g{i}" for i in g],
            "h": rng.permutation(np.arange(N) % 8),
            "w": rng.uniform(0.5, 2.0, N),
            "m": 5,
            "y": eta + rng.normal(0.0, 0.6, N),
        },
        index=pd.Index(np.arange(N) * 10, name="row"),
    )
    mu = 1.0 / (1.0 + np.exp(-eta))
    frame["k"] = (rng.uniform(size=N) < mu).astype(float)
    frame["answer"] = np.where(frame["k"] > 0, "yes", "no")
    frame["u"] = frame["x"].where(~np.isin(np.arange(N), [20, 40, 41]))
    frame["s"] = rng.binomial(5, mu)
    frame["cnt"] = rng.poisson(np.exp(0.5 + eta))
    frame["pos"] = np.exp(eta + rng.normal(0.0, 0.3, N))
    frame["share"] = rng.beta(8.0 * mu, 8.0 * (1.0 - mu))
    return frame


@cache
def images() -> dict[str, Any]:
    """The rows with an image each."""
    rng = np.random.default_rng(1)
    rows = {name: data()[name].to_numpy() for name in ("y", "x", "g")}
    return {
        **rows,
        "img": rng.normal(size=(N, 4, 4)) + data()["x"].to_numpy()[:, None, None],
    }


def curve(weights: Any, x: jax.Array) -> jax.Array:
    """A user's network of plain functions."""
    return jnp.tanh(x @ weights["in"]) @ weights["out"]


def weights(width: int) -> dict[str, Any]:
    """Weights of it to start from."""
    rng = np.random.default_rng(0)
    return {"in": rng.normal(size=(2, width)), "out": rng.normal(size=width)}


USER = (weights(3), curve)
SHORT = ngmm.Stochastic(epochs=2, validation=0)

CASES: dict[str, Callable[[], MixedModelFit]] = {
    "gaussian": lambda: ngmm.fit(
        "y ~ x * c + (1 + x | g)", data(), reml=True, df="kenward-roger", weights="w"
    ),
    "transforms": lambda: ngmm.fit(
        "y ~ poly(x, 2) + bs(z, df=4) * c + C(h, contr.sum) + (scale(x) || g)"
        " + (1 | f)",
        data(),
        contrasts={"c": "helmert"},
        offset="w",
    ),
    "nested": lambda: ngmm.fit("y ~ x + offset(w) + (1 | c/h)", data()),
    "crossed": lambda: ngmm.fit(
        "answer ~ u + (1 | g) + (1 | h)", data(), family="bernoulli"
    ),
}
SLOW: dict[str, Callable[[], MixedModelFit]] = {
    "user": lambda: ngmm.fit(
        "y ~ nn(x, z, net=curve) + (1 | g)",
        data(),
        networks={"curve": USER},
        estimator=ngmm.Evidence(restarts=1, max_steps=4),
    ),
    "dispersed": lambda: ngmm.fit(
        "cnt ~ center(x) + (1 | g)", data(), family="negative_binomial", quad="laplace"
    ),
    "linear": lambda: ngmm.fit("y ~ nn(x, z, hidden=()) + (1 | g)", data()),
    "binomial": lambda: ngmm.fit(
        "s ~ x + (1 + x | g)", data(), family="binomial", trials="m", quad=5
    ),
    "network": lambda: ngmm.fit(
        "y ~ x + nn(x, scale(z), f, hidden=(2,)) + (1 | g)",
        data(),
        estimator=ngmm.Evidence(restarts=2, max_steps=8),
    ),
    "latent": lambda: ngmm.fit(
        "k ~ x + (nn(f, hidden=()) | g)", data(), family="bernoulli"
    ),
    "stochastic": lambda: ngmm.fit(
        "y ~ nn(x, z, hidden=(3,)) + (1 | g)",
        data(),
        estimator=SHORT,
    ),
    "images": lambda: ngmm.fit(
        "y ~ nn(img, net=cnn) + (1 | g)",
        images(),
        networks={"cnn": CNN(channels=(2,), hidden=(3,))},
        estimator=SHORT,
    ),
    "autoencoder": lambda: ngmm.fit(
        "y ~ nn(img, net=ae) + (1 + nn(net=ae) || g)",
        images(),
        networks={"ae": Autoencoder(channels=(2,), code=2, hidden=(2,))},
        estimator=ngmm.Joint(epochs=2, held_out=0),
    ),
    "joint": lambda: ngmm.fit(
        "y ~ nn(x, z, hidden=(3,)) + (1 + nn | g)",
        data(),
        estimator=ngmm.Joint(epochs=2, held_out=0),
        adversary=ngmm.Adversary(group="g", strength=0.1),
    ),
    "curves": lambda: ngmm.fit("y ~ (nn(x, hidden=(2,)) | g)", data(), seed=1),
    "user latent": lambda: ngmm.fit(
        "y ~ (nn(x, net=curve) | g)", data(), networks={"curve": USER}
    ),
}


@cache
def made(case: str) -> MixedModelFit:
    """A fit; whether it converged does not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {**CASES, **SLOW}[case]()


def networks_of(case: str) -> dict[str, Any] | None:
    """What `ngmm.load` has to be given."""
    return {"curve": USER} if case.startswith("user") else None
