"""Spirals in clusters: with random effects and without, seen clusters and unseen ones.

    python benchmarks/armed/spirals.py seen
    python benchmarks/armed/spirals.py unseen
    python benchmarks/armed/spirals.py probes

``seen``    Radii differ. Ten folds within cluster and class, unshuffled; accuracy with
            the random effects, without them, and with those of randomised clusters.
            The Bayes classifier that knows each radius has 0.908, the one that knows
            none 0.820.
``unseen``  The same data, each cluster left out once: without random effects (the best
            possible is 0.800), and after `adapt` to 20 of its rows, the other rows
            predicted.
``probes``  Confounded, two probes: each cluster left out once, nine tenths of the other
            rows to learn from. Balanced accuracy in the cluster left out, without
            random effects; accuracy in the rest of the seen ones; the share of the
            probes in the importance of the inputs, mean absolute slope of the
            probability times the standard deviation.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ngmm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import RESULTS, tabulate

RECORDS = RESULTS / "spirals.json"
SLOPES = "y ~ nn(x1, x2) + (1 + nn || cluster)"
PROBES = "y ~ nn(x1, x2, probe1, probe2) + (1 + nn || cluster)"
FOLDS, LABELLED = 10, 20


def fit(formula: str, data: Any, **options: Any) -> Any:
    """A bernoulli model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
        return ngmm.fit(formula, data, family="bernoulli", progress=False, **options)


def accuracy(probability: Any, data: Any) -> float:
    """Share of rows on the right side of one half."""
    return float(((np.asarray(probability) > 0.5) == data["y"]).mean())


def balanced(probability: Any, data: Any) -> float:
    """Mean of the accuracies in both classes."""
    right = (np.asarray(probability) > 0.5) == data["y"]
    return float(right.groupby(data["y"]).mean().mean())


def seen(ask: argparse.Namespace) -> list[dict[str, float]]:
    """Ten folds within cluster and class."""
    data: Any = ngmm.datasets.spirals(n_rows=ask.rows).data
    each = data.groupby(["cluster", "y"])
    fold = each.cumcount() * FOLDS // each["y"].transform("size")
    rng = np.random.default_rng(0)
    rows: list[dict[str, float]] = []
    for k in range(ask.folds):
        test, start = data[fold == k], time.perf_counter()
        found = fit(SLOPES, data[fold != k])
        mixed = test.assign(cluster=rng.permutation(test["cluster"]))
        rows.append(
            {
                "with b": accuracy(found.predict(test), test),
                "without b": accuracy(found.predict(test, re="none"), test),
                "clusters at random": accuracy(found.predict(mixed), test),
                "seconds": time.perf_counter() - start,
            }
        )
        print(k, rows[-1], flush=True)
    return rows


def unseen(ask: argparse.Namespace) -> list[dict[str, float]]:
    """Each cluster left out once."""
    data: Any = ngmm.datasets.spirals(n_rows=ask.rows).data
    rows: list[dict[str, float]] = []
    for j in range(ask.folds):
        start, held = time.perf_counter(), data[data["cluster"] == j]
        found = fit(SLOPES, data[data["cluster"] != j])
        shuffled = held.sample(frac=1.0, random_state=j)
        few, rest = shuffled[:LABELLED], shuffled[LABELLED:]
        adapted = found.adapt(few)
        similar = found.predict(held, new_levels="similar")
        rows.append(
            {
                "without b": accuracy(found.predict(held, re="none"), held),
                "adapted to 20 rows": accuracy(adapted.predict(rest), rest),
                "similar clusters": accuracy(similar, held),
                "seconds": time.perf_counter() - start,
            }
        )
        print(j, rows[-1], flush=True)
    return rows


def probes(ask: argparse.Namespace) -> list[dict[str, float]]:
    """Confounded data with two probes, each cluster left out once."""
    made = ngmm.datasets.spirals("confounded", n_probes=2, n_rows=ask.rows)
    data: Any = made.data
    rows: list[dict[str, float]] = []
    inputs = ["x1", "x2", "probe1", "probe2"]
    for j in range(ask.folds):
        start = time.perf_counter()
        rng, held = np.random.default_rng(j), data[data["cluster"] == j]
        others = data[data["cluster"] != j]
        learn = rng.random(len(others)) < 0.9
        train, test = others[learn], others[~learn]
        found = fit(
            PROBES,
            train,
            adversary=ngmm.Adversary(strength=ask.strength),
            estimator=ngmm.Joint(
                population=ask.population, epochs=ask.epochs, decay=ask.decay
            ),
        )
        importance = _importance(found, train, inputs)
        faced = found.networks.adversary
        rows.append(
            {
                "balanced, unseen": balanced(found.predict(held, re="none"), held),
                "unseen": accuracy(found.predict(held, re="none"), held),
                "seen": accuracy(found.predict(test), test),
                "probes": float(importance[2:].sum() / importance.sum()),
                "group told": np.nan if faced is None else faced.fresh,
                "seconds": time.perf_counter() - start,
            }
        )
        print(j, rows[-1], flush=True)
    return rows


def _importance(found: Any, data: Any, inputs: list[str]) -> np.ndarray:
    """Mean absolute slope of the population probability times the sd of an input."""
    out, step = [], 1e-4
    for name in inputs:
        up, down = (data.assign(**{name: data[name] + s}) for s in (step, -step))
        slope = found.predict(up, re="none") - found.predict(down, re="none")
        out.append(np.abs(slope / (2 * step)).mean() * data[name].std())
    return np.array(out)


def main() -> None:
    """Print and keep the means, with their standard errors over folds or clusters."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("what", choices=["seen", "unseen", "probes"])
    parser.add_argument("--strength", type=float, default=0.3)
    parser.add_argument("--population", type=float, default=0.0)
    parser.add_argument("--decay", type=float, default=0.3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=1000, help="rows of a cluster")
    parser.add_argument("--folds", type=int, default=FOLDS, help="folds, or clusters")
    parser.add_argument("--write", action="store_true")
    ask = parser.parse_args()
    if ask.what == "probes":
        rows = probes(ask)
        name = f"probes, strength {ask.strength:g}, decay {ask.decay:g}"
    else:
        rows, name = {"seen": seen, "unseen": unseen}[ask.what](ask), ask.what
    frame = pd.DataFrame(rows)
    table = pd.DataFrame({"mean": frame.mean(), "error": frame.sem()}).round(4)
    print(f"{name}\n{table}")
    if ask.write:
        kept = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
        kept[name] = {"version": ngmm.__version__, "rows": rows}
        RECORDS.write_text(json.dumps(kept, indent=1) + "\n")
        tabulate(RECORDS)


if __name__ == "__main__":
    main()
