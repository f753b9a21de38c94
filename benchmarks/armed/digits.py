"""Digits seen through a scanner of each cluster: networks with and without clusters.

    python benchmarks/armed/digits.py

Clusters differ in contrast, blur and brightness, and in their share of the response, a
digit of five and more (`ngmm.datasets.digits`). In 200 known clusters of 20 images to
learn from, brightness goes with that share (correlation 0.7); in 50 new ones it does
not. A fourth of the images is left out of what is learnt from, in all clusters.

``ngmm``           nn(image, net=cnn) + (1 + nn(net=cnn) || cluster), with scale and
                   shift of the channels by cluster, images standardised one by one:
                   with random effects in known clusters, without them in new ones.
``intercepts``     The same with (1 | cluster).
``plain``          The same network without clusters, by the same steps and decay, all
                   images standardised alike.
``cluster input``  The cluster's indicators go into the dense layer of that network;
                   zeros in a new cluster.
``.. by image``    These two with images standardised one by one, to tell what that does
                   from what random effects do.

Accuracies over five seeds, and differences with their standard errors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import ngmm
from ngmm.networks import CNN, Autoencoder, Inputs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import RESULTS, tabulate

RECORDS = RESULTS / "digits.json"
FORMULAS = {
    "ngmm": "y ~ nn(image, net=cnn) + (1 + nn(net=cnn) || cluster)",
    "intercepts": "y ~ nn(image, net=cnn) + (1 | cluster)",
}
OTHERS = ("plain", "plain by image", "cluster input", "cluster input by image")
CHANNELS, HIDDEN = (4, 8), (8,)
CLUSTERS, NEW, RATE, BATCH = 250, 50, 3e-3, 128


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
        self,
        train: dict[str, Any],
        kind: CNN | Autoencoder,
        ask: argparse.Namespace,
        seed: int,
        *,
        told: bool = False,
    ) -> None:
        epochs = ask.epochs
        self.levels = np.unique(train["cluster"]) if told else np.zeros(0)
        inputs = self.inputs(train)
        self.network: Any = kind.for_inputs(inputs)
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
            out = (jax.nn.softplus(eta) - y[rows] * eta).mean()
            if isinstance(self.network, Autoencoder):
                out += self.network.own_loss(w[0], some).mean()
            return out

        def step(state: Any, rows: Any) -> Any:
            w, memory = state
            change, memory = optimizer.update(jax.grad(loss)(w, rows), memory, w)
            return (optax.apply_updates(w, change), memory), None

        rng = np.random.default_rng(seed)
        orders = [rng.permutation(n)[: steps * BATCH] for _ in range(epochs)]
        batches = jnp.asarray(np.concatenate(orders).reshape(-1, BATCH))
        run = jax.jit(lambda s, b: jax.lax.scan(step, s, b)[0])
        self.weights = run((weights, optimizer.init(weights)), batches)[0]

    def inputs(self, data: dict[str, Any]) -> Inputs:
        """What the network reads."""
        x = (np.asarray(data["cluster"])[:, None] == self.levels).astype(float)
        return Inputs(x, arrays=(np.asarray(data["image"]),))

    def predict(self, data: dict[str, Any]) -> np.ndarray:
        """Probabilities."""
        eta = self.network.apply(self.weights[0], self.inputs(data)) + self.weights[1]
        return np.asarray(jax.nn.sigmoid(eta))


class Split(NamedTuple):
    """Rows to learn from, other rows of the same clusters, and rows of new ones."""

    train: dict[str, Any]
    seen: dict[str, Any]
    new: dict[str, Any]


def split(ask: argparse.Namespace, seed: int) -> Split:
    """One data set."""
    data = ngmm.datasets.digits(
        n_clusters=ask.clusters,
        n_rows=ask.rows,
        contrast=ask.contrast,
        shift=ask.shift,
        sd_share=ask.sd_share,
        confounding=ask.confounding,
        n_unconfounded=ask.new,
        reuse=True,
        noise=ask.noise,
        seed=seed,
    ).data
    rng = np.random.default_rng(seed)
    known = data["cluster"] < ask.clusters - ask.new
    # No image of the test rows is among those learnt from, in any cluster.
    held = (rng.random(data["source"].max() + 1) < 0.25)[data["source"]]
    place: Any = pd.Series(np.arange(len(known)))[known & ~held]
    few = place.groupby(data["cluster"][place]).head(ask.learn).to_numpy()
    return Split(part(data, few), part(data, known & held), part(data, ~known & held))


def one(seed: int, ask: argparse.Namespace) -> dict[str, float]:
    """Accuracies of all networks in one data set."""
    start = time.perf_counter()
    train, seen, new = split(ask, seed)
    found = {}
    mixed = CNN(CHANNELS, HIDDEN, varying="channels", standardised="image")
    for name, formula in FORMULAS.items():
        fit = fitted(formula, train, mixed, ask, seed)
        found[name] = (fit.predict(seen), fit.predict(new, re="none"))
    for told, name in ((False, "plain"), (True, "cluster input")):
        for by, suffix in (("rows", ""), ("image", " by image")):
            kind = CNN(CHANNELS, HIDDEN, standardised=by)
            net = Plain(train, kind, ask, seed, told=told)
            found[name + suffix] = (net.predict(seen), net.predict(new))
    row: dict[str, float] = {"seconds": time.perf_counter() - start}
    for name, (p, q) in found.items():
        row[f"{name}, seen"] = accuracy(p, seen)
        row[f"{name}, new"] = accuracy(q, new)
        row[f"{name}, new, balanced"] = balanced(q, new)
    return row


def fitted(
    formula: str,
    train: dict[str, Any],
    network: CNN | Autoencoder,
    ask: argparse.Namespace,
    seed: int,
) -> ngmm.MixedModelFit:
    """The mixed model with a network that the formula calls cnn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
        return ngmm.fit(
            formula,
            train,
            family="bernoulli",
            networks={"cnn": network},
            estimator=ngmm.Joint(
                epochs=ask.epochs,
                batch_rows=BATCH,
                population=ask.population,
                decay=ask.decay,
            ),
            adversary=ngmm.Adversary(strength=ask.strength) if ask.strength else None,
            seed=seed,
            progress=False,
        )


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """How much better than the other networks, with standard errors over seeds."""
    out = {}
    for other in OTHERS:
        for where in ("seen", "new", "new, balanced"):
            d = frame[f"ngmm, {where}"] - frame[f"{other}, {where}"]
            out[f"ngmm - {other}, {where}"] = (d.mean(), d.sem())
    return pd.DataFrame(out, index=["mean", "error"]).T


def options(text: str) -> argparse.ArgumentParser:
    """What both scripts ask for."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clusters", type=int, default=CLUSTERS)
    parser.add_argument("--new", type=int, default=NEW, help="of them, new ones")
    parser.add_argument("--rows", type=int, default=200, help="rows of a cluster")
    parser.add_argument("--learn", type=int, default=20, help="to learn from")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--contrast", type=float, default=0.8)
    parser.add_argument("--shift", type=float, default=0.5)
    parser.add_argument("--sd-share", type=float, default=0.3)
    parser.add_argument("--confounding", type=float, default=0.7)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--population", type=float, default=1.0)
    parser.add_argument("--decay", type=float, default=0.1)
    parser.add_argument("--strength", type=float, default=0.0)
    parser.add_argument("--write", action="store_true")
    return parser


def report(
    one: Callable[[int, argparse.Namespace], dict[str, float]],
    differences: Callable[[pd.DataFrame], pd.DataFrame],
    ask: argparse.Namespace,
    path: Path,
) -> None:
    """Print and keep what is found in several data sets."""
    rows = []
    for seed in range(ask.seeds):
        rows.append(one(seed, ask))
        print(seed, {k: round(v, 3) for k, v in rows[-1].items()}, flush=True)
    frame = pd.DataFrame(rows)
    table = pd.DataFrame({"mean": frame.mean(), "error": frame.sem()})
    print(pd.concat([table, differences(frame)]).round(4).to_string())
    if ask.write:
        kept = {"version": ngmm.__version__, "options": vars(ask), "rows": rows}
        path.write_text(json.dumps(kept, indent=1) + "\n")
        tabulate(path)


if __name__ == "__main__":
    report(one, differences, options(str(__doc__)).parse_args(), RECORDS)
