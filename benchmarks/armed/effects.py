"""The sd of cluster effects by joint training, and what an adversary costs.

    python benchmarks/armed/effects.py sd --sets 20
    python benchmarks/armed/effects.py cost

``sd``    Groups with a random intercept (sd 0.6) and a random slope of x1 (sd 0.4),

              eta = sin(2 x1) + x1 x2 / 2 + b0 + b1 x1,

          fitted by ``y ~ nn(x1, x2) + (1 + x1 || g)`` with `ngmm.Joint`, with an
          adversary and without: mean of the estimated sds over the data sets, over the
          truth. ARMED sets these by hand.
``cost``  Seconds of a fit against an adversary over those of one without, compiled, in
          turns: the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ngmm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import RESULTS, tabulate

RECORDS = RESULTS / "cluster_effects.json"
FORMULA, SDS = "y ~ nn(x1, x2) + (1 + x1 || g)", (0.6, 0.4)
FAMILIES = ("gaussian", "bernoulli")
STRENGTH = 0.3


def simulate(family: str, groups: int, rows: int, seed: int) -> pd.DataFrame:
    """One data set."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x1, x2 = rng.normal(size=(2, len(g)))
    b = rng.normal(size=(groups, 2)) * SDS
    eta = np.sin(2 * x1) + 0.5 * x1 * x2 + b[g, 0] + b[g, 1] * x1
    y = eta + 0.5 * rng.normal(size=len(g))
    if family == "bernoulli":
        y = (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g": g})


def fit(data: pd.DataFrame, family: str, strength: float) -> Any:
    """One fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
        return ngmm.fit(
            FORMULA,
            data,
            family=family,
            estimator=ngmm.Joint(),
            adversary=ngmm.Adversary(strength=strength) if strength else None,
            progress=False,
        )


def sds(sets: int, families: Sequence[str], rows_each: int) -> list[dict[str, Any]]:
    """Estimates over the truth."""
    rows: list[dict[str, Any]] = []
    for family in families:
        for strength in (0.0, STRENGTH):
            found = []
            for seed in range(sets):
                data = simulate(family, 50, rows_each, seed)
                v = fit(data, family, strength).varcorr().to_frame()
                found.append(v["sd"].to_numpy()[:2] / SDS)
            ratio = np.array(found)
            error = ratio.std(0, ddof=1) / np.sqrt(sets)
            rows.append(
                {
                    "family": family,
                    "adversary": strength,
                    "intercept": ratio[:, 0].mean(),
                    "its error": error[0],
                    "slope": ratio[:, 1].mean(),
                    "slope's error": error[1],
                    "sets": sets,
                }
            )
            print(rows[-1], flush=True)
    return rows


def cost(repeats: int = 5) -> list[dict[str, Any]]:
    """Seconds with an adversary over seconds without."""
    rows: list[dict[str, Any]] = []
    for name, data, formula in (
        ("50 groups of 100", simulate("bernoulli", 50, 100, 0), FORMULA),
        (
            "spirals",
            ngmm.datasets.spirals(n_rows=400).data,
            "y ~ nn(x1, x2) + (1 + nn || cluster)",
        ),
    ):
        taken: dict[float, list[float]] = {0.0: [], STRENGTH: []}
        for repeat in range(repeats + 1):
            for strength, seconds in taken.items():
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
                    ngmm.fit(
                        formula,
                        data,
                        family="bernoulli",
                        estimator=ngmm.Joint(epochs=60),
                        adversary=ngmm.Adversary(strength=strength),
                        progress=False,
                    )
                if repeat:  # the first one compiles
                    seconds.append(time.perf_counter() - start)
        with_one, without = np.array(taken[STRENGTH]), np.array(taken[0.0])
        rows.append(
            {
                "data": name,
                "seconds without": float(np.median(without)),
                "seconds with": float(np.median(with_one)),
                "ratio": float(np.median(with_one / without)),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Print, and keep what is asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("what", choices=["sd", "cost"])
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--rows", type=int, default=100, help="rows of a group")
    parser.add_argument("--repeats", type=int, default=5, help="for the cost")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--write", action="store_true")
    ask = parser.parse_args()
    if ask.what == "sd":
        rows = sds(ask.sets, ask.families, ask.rows)
    else:
        rows = cost(ask.repeats)
    print(pd.DataFrame(rows).round(3).to_string(index=False))
    if ask.write:
        kept = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
        kept[ask.what] = {"version": ngmm.__version__, "rows": rows}
        RECORDS.write_text(json.dumps(kept, indent=1) + "\n")
        tabulate(RECORDS)


if __name__ == "__main__":
    main()
