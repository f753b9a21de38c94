"""Digits seen through a scanner of each cluster: codes that draw them again.

    python benchmarks/armed/autoencoder.py

The data are those of `digits.py`. All networks have a code of six numbers, from which
they draw the image again and tell the response.

``ngmm``            nn(image, net=cnn) + (1 + nn(net=cnn) || cluster), with scale and
                    shift of all channels of encoder and decoder by cluster, images
                    standardised one by one. Known clusters with random effects, new
                    ones without; ``images``: with those found from the images of the
                    new cluster.
``plain``           The same network without clusters, by the same steps and decay, all
                    images standardised alike.
``plain, code + 2`` Two numbers more in its code: as many as mean and standard deviation
                    of an image.
``plain by image``  Images standardised one by one, to tell what that does from what
                    random effects do.

Accuracy; mean squared error of images (of which 0.09 is noise that no code holds); and
scores of how far codes of the rows learnt from are clustered by cluster, Davies-Bouldin
(higher is less) and Calinski-Harabasz (lower is less). Five seeds, differences with
their standard errors.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import digits
import jax.numpy as jnp
import numpy as np
import pandas as pd
from digits import Plain, accuracy, fitted
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

import ngmm
from ngmm.networks import Autoencoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import RESULTS

RECORDS = RESULTS / "autoencoder.json"
CODE = 6
OTHERS = ("plain", "plain, code + 2", "plain by image")
HIGHER = ("seen", "new", "Davies-Bouldin")
LOWER = ("image, seen", "image, new", "Calinski-Harabasz")


def network(code: int = CODE, standardised: str = "rows") -> Autoencoder:
    """The architecture of all of them."""
    return Autoencoder(digits.CHANNELS, code, digits.HIDDEN, standardised=standardised)


def error(drawn: Any, data: dict[str, Any]) -> float:
    """Mean squared error of a pixel."""
    return float(((np.asarray(drawn) - data["image"]) ** 2).mean())


def scores(codes: Any, data: dict[str, Any]) -> dict[str, float]:
    """How far codes are clustered."""
    values, cluster = np.asarray(codes, dtype=float), data["cluster"]
    return {
        "Davies-Bouldin": float(davies_bouldin_score(values, cluster)),
        "Calinski-Harabasz": float(calinski_harabasz_score(values, cluster)),
    }


def mixed(
    train: dict[str, Any], ask: argparse.Namespace, seed: int, data: digits.Split
) -> dict[str, float]:
    """Of the mixed model."""
    formula = digits.FORMULAS["ngmm"]
    fit = fitted(formula, train, network(standardised="image"), ask, seed)
    draw = ngmm.clusters.reconstruct
    found = ngmm.clusters.latent_scores(fit).to_frame().iloc[0]
    return {
        "seen": accuracy(fit.predict(data.seen), data.seen),
        "new": accuracy(fit.predict(data.new, re="none"), data.new),
        "image, seen": error(draw(fit, data.seen), data.seen),
        "image, seen, without b": error(draw(fit, data.seen, re="none"), data.seen),
        "image, new": error(draw(fit, data.new, re="none"), data.new),
        "image, new, images": error(draw(fit, data.new, new_levels="images"), data.new),
        "Davies-Bouldin": float(found["davies_bouldin"]),
        "Calinski-Harabasz": float(found["calinski_harabasz"]),
    }


def plain(net: Plain, data: digits.Split) -> dict[str, float]:
    """Of a network without clusters."""

    def drawn(rows: dict[str, Any]) -> Any:
        return net.network.reconstruct(net.weights[0], net.inputs(rows))

    inputs = net.inputs(data.train)
    codes = net.network.activations(net.weights[0], inputs)[-1]
    return {
        "seen": accuracy(net.predict(data.seen), data.seen),
        "new": accuracy(net.predict(data.new), data.new),
        "image, seen": error(drawn(data.seen), data.seen),
        "image, new": error(drawn(data.new), data.new),
        **scores(jnp.asarray(codes), data.train),
    }


def one(seed: int, ask: argparse.Namespace) -> dict[str, float]:
    """All figures of one data set."""
    start = time.perf_counter()
    data = digits.split(ask, seed)
    kinds = (network(), network(CODE + 2), network(standardised="image"))
    found = {"ngmm": mixed(data.train, ask, seed, data)}
    for name, kind in zip(OTHERS, kinds, strict=True):
        found[name] = plain(Plain(data.train, kind, ask, seed), data)
    row = {f"{n}: {what}": v for n, of in found.items() for what, v in of.items()}
    return {"seconds": time.perf_counter() - start, **row}


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """How much better than the other networks: positive throughout if it is."""
    out = {}
    for other in OTHERS:
        for sign, names in ((1.0, HIGHER), (-1.0, LOWER)):
            for what in names:
                d = sign * (frame[f"ngmm: {what}"] - frame[f"{other}: {what}"])
                out[f"better than {other}: {what}"] = (d.mean(), d.sem())
    return pd.DataFrame(out, index=["mean", "error"]).T


if __name__ == "__main__":
    ask = digits.options(str(__doc__)).parse_args()
    digits.report(one, differences, ask, RECORDS)
