"""Digits seen through a scanner of each cluster: networks with and without clusters.

    python benchmarks/armed/digits.py

Clusters differ in contrast, blur and shift, and in their share of the response, a digit
of five and more (`ngmm.datasets.digits`). With ``--confounding`` the shift tells that
share in 36 clusters, and not in twelve new ones. A fourth of the images is left out of
what is learnt from, in all clusters.

``ngmm``           nn(image, net=cnn) + (1 + nn(net=cnn) || cluster): with random
                   effects in known clusters, without them in new ones.
``plain``          The same network without clusters, by the same steps and decay.
``cluster input``  The cluster's indicators go into the dense layer of the network;
                   zeros in a new cluster.

Accuracies over five seeds, and differences with their standard errors.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import ngmm
from ngmm.networks import CNN, Inputs

RESULTS = Path(__file__).resolve().parents[1] / "results" / "digits.json"
FORMULA = "y ~ nn(image, net=cnn) + (1 + nn(net=cnn) || cluster)"
CHANNELS, HIDDEN = (4, 8), (8,)
CLUSTERS, NEW, RATE, BATCH = 48, 12, 3e-3, 128


def part(data: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """Some of the rows."""
    return {name: values[rows] for name, values in data.items()}


def accuracy(probability: Any, data: dict[str, Any]) -> float:
    """Share of rows on the right side of one half."""
    return float(((np.asarray(probability) > 0.5) == data["y"]).mean())


def balanced(probability: Any, data: dict[str, Any]) -> float:
    """Mean of the accuracies in both classes."""
    right = (np.asarray(probability) > 0.5) == data["y"]
    return float(np.mean([right[data["y"] == v].mean() for v in (0, 1)]))


class Plain:
    """A network by maximum likelihood, with the clusters as input or without."""

    def __init__(
        self, train: dict[str, Any], ask: argparse.Namespace, seed: int, *, told: bool
    ) -> None:
        epochs = ask.epochs
        self.levels = np.unique(train["cluster"]) if told else np.zeros(0)
        inputs = self._inputs(train)
        self.network = CNN(CHANNELS, HIDDEN).for_inputs(inputs)
        y, n = jnp.asarray(train["y"], jnp.float32), len(train["y"])
        weights = jax.tree.map(
            lambda a: jnp.asarray(a, jnp.float32),
            (self.network.init(jax.random.key(seed), inputs), jnp.zeros(())),
        )
        steps = n // BATCH
        optimizer = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adamw(
                optax.cosine_decay_schedule(RATE, epochs * steps),
                weight_decay=ask.decay,
                mask=lambda w: jax.tree.map(lambda a: a.ndim > 1, w),
            ),
        )

        def loss(w: Any, rows: Any) -> Any:
            some = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32)[rows], inputs)
            eta = self.network.apply(w[0], some) + w[1]
            return (jax.nn.softplus(eta) - y[rows] * eta).mean()

        def step(state: Any, rows: Any) -> Any:
            w, memory = state
            change, memory = optimizer.update(jax.grad(loss)(w, rows), memory, w)
            return (optax.apply_updates(w, change), memory), None

        rng = np.random.default_rng(seed)
        orders = [rng.permutation(n)[: steps * BATCH] for _ in range(epochs)]
        batches = jnp.asarray(np.concatenate(orders).reshape(-1, BATCH))
        run = jax.jit(lambda s, b: jax.lax.scan(step, s, b)[0])
        self.weights = run((weights, optimizer.init(weights)), batches)[0]

    def _inputs(self, data: dict[str, Any]) -> Inputs:
        x = (np.asarray(data["cluster"])[:, None] == self.levels).astype(float)
        return Inputs(x, arrays=(np.asarray(data["image"]),))

    def predict(self, data: dict[str, Any]) -> np.ndarray:
        """Probabilities."""
        eta = self.network.apply(self.weights[0], self._inputs(data)) + self.weights[1]
        return np.asarray(jax.nn.sigmoid(eta))


def one(seed: int, ask: argparse.Namespace) -> dict[str, float]:
    """One data set."""
    data = ngmm.datasets.digits(
        n_clusters=CLUSTERS,
        n_rows=ask.rows,
        contrast=ask.contrast,
        shift=ask.shift,
        sd_share=ask.sd_share,
        confounding=ask.confounding,
        n_unconfounded=NEW,
        reuse=True,
        noise=ask.noise,
        seed=seed,
    ).data
    rng, start = np.random.default_rng(seed), time.perf_counter()
    known = data["cluster"] < CLUSTERS - NEW
    # No image of the test rows is among those learnt from, in any cluster.
    held = (rng.random(data["source"].max() + 1) < 0.25)[data["source"]]
    place: Any = pd.Series(np.arange(len(known)))[known & ~held]
    few = place.groupby(data["cluster"][place]).head(ask.learn).to_numpy()
    train, seen = part(data, few), part(data, known & held)
    new = part(data, ~known & held)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
        fit = ngmm.fit(
            FORMULA,
            train,
            family="bernoulli",
            networks={"cnn": CNN(CHANNELS, HIDDEN, varying=tuple(ask.varying))},
            estimator=ngmm.Joint(
                epochs=ask.epochs,
                batch_rows=BATCH,
                population=ask.population,
                decay=ask.decay,
                held_out=ask.held_out,
            ),
            adversary=ngmm.Adversary(strength=ask.strength) if ask.strength else None,
            seed=seed,
            progress=False,
        )
    plain = Plain(train, ask, seed, told=False)
    told = Plain(train, ask, seed, told=True)
    found = {
        "ngmm": (fit.predict(seen), fit.predict(new, re="none")),
        "plain": (plain.predict(seen), plain.predict(new)),
        "cluster input": (told.predict(seen), told.predict(new)),
    }
    row: dict[str, float] = {"seconds": time.perf_counter() - start}
    for name, (p, q) in found.items():
        row[f"{name}, seen"] = accuracy(p, seen)
        row[f"{name}, new"] = accuracy(q, new)
        row[f"{name}, new, balanced"] = balanced(q, new)
    similar = fit.predict(new, new_levels="similar")
    row["similar, new"] = accuracy(similar, new)
    row["similar, new, balanced"] = balanced(similar, new)
    row["without b, seen"] = accuracy(fit.predict(seen, re="none"), seen)
    return row


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """How much better than the other networks, with standard errors over seeds."""
    out = {}
    for other in ("plain", "cluster input"):
        for where in ("seen", "new", "new, balanced"):
            d = frame[f"ngmm, {where}"] - frame[f"{other}, {where}"]
            out[f"ngmm - {other}, {where}"] = (d.mean(), d.sem())
    return pd.DataFrame(out, index=["mean", "error"]).T


def main() -> None:
    """Print and keep accuracies and differences."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--learn", type=int, default=30, help="rows of a cluster")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--contrast", type=float, default=0.8)
    parser.add_argument("--shift", type=float, default=0.5)
    parser.add_argument("--sd-share", type=float, default=0.3)
    parser.add_argument("--confounding", type=float, default=0.0)
    parser.add_argument("--noise", type=float, default=0.15)
    parser.add_argument("--population", type=float, default=1.0)
    parser.add_argument("--decay", type=float, default=0.3)
    parser.add_argument("--held-out", type=float, default=0.0)
    parser.add_argument("--strength", type=float, default=0.0)
    parser.add_argument("--varying", nargs="+", default=["channels"])
    parser.add_argument("--write", action="store_true")
    ask = parser.parse_args()
    rows = []
    for seed in range(ask.seeds):
        rows.append(one(seed, ask))
        print(seed, {k: round(v, 3) for k, v in rows[-1].items()}, flush=True)
    frame = pd.DataFrame(rows)
    table = pd.DataFrame({"mean": frame.mean(), "error": frame.sem()})
    print(pd.concat([table, differences(frame)]).round(4).to_string())
    if ask.write:
        kept = {"version": ngmm.__version__, "options": vars(ask), "rows": rows}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
