"""Power of the test of a network against linear terms, beside mgcv's smooth test.

``python benchmarks/calibration/power.py --sets 300 --write``. The linear predictor is
that of `simulate.linear` with a curve of growing size; size is the row with a curve of
zero.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ngmm
import simulate
from ngmm.comparison.score import score_test

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import keep, kept

LEVEL = 0.05
SCRIPT = Path(__file__).resolve().parent / "smooth_mgcv.R"


def ours(seed: int, groups: int, family: str, curve: float) -> float:
    """The p-value of the score test, which `ngmm.lrt` and `test_linear` take."""
    warnings.simplefilter("ignore")
    data = simulate.linear(seed, groups, family, curve=curve)
    m0 = ngmm.fit("y ~ x + z + (1 | g)", data, family=family)
    return float(score_test(m0, "nn(x, z)", seed=seed).p_value)


def theirs(seeds: range, groups: int, family: str, curve: float) -> list[float]:
    """The p-values of mgcv; none where R is not installed."""
    if shutil.which("Rscript") is None:
        return []
    sets = [
        simulate.linear(s, groups, family, curve=curve).assign(set=s) for s in seeds
    ]
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        pd.concat(sets).to_csv(csv, index=False)
        run = subprocess.run(
            ["Rscript", str(SCRIPT), str(csv), family],
            check=False,
            capture_output=True,
            text=True,
        )
    return [float(x) for x in run.stdout.split()]


def rates(
    family: str, groups: int, curve: float, p: Mapping[str, Sequence[float]]
) -> Iterator[dict[str, Any]]:
    """Rejections of each program, as they are kept."""
    for method, values in p.items():
        if values:
            rejected = np.array(values) < LEVEL
            yield {
                "family": family,
                "groups": groups,
                "curve": curve,
                "sets": len(values),
                "method": method,
                "rejected": {
                    "rate": float(rejected.mean()),
                    "error": float(rejected.std() / len(values) ** 0.5),
                },
            }


def main() -> None:
    """Print a table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description="Power against linear terms")
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--groups", type=int, default=30)
    parser.add_argument("--family", default="gaussian")
    parser.add_argument("--curves", type=float, nargs="+", default=[0.0, 0.15, 0.3])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true")
    ask = parser.parse_args()
    seeds = range(ask.sets)
    context = get_context("spawn")
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor(ask.workers, mp_context=context) as pool:
        for curve in ask.curves:
            one = partial(ours, groups=ask.groups, family=ask.family, curve=curve)
            p = {
                "ngmm": list(pool.map(one, seeds, chunksize=10)),
                "mgcv": theirs(seeds, ask.groups, ask.family, curve),
            }
            found += rates(ask.family, ask.groups, curve, p)
            each = [r for r in found if r["curve"] == curve]
            text = ", ".join(
                f"{r['method']} {r['rejected']['rate']:.3f} "
                f"({r['rejected']['error']:.3f})"
                for r in each
            )
            print(
                f"{ask.family} {ask.groups} groups, curve {curve:g}: {text} "
                f"({ask.sets} sets)",
                flush=True,
            )
    if ask.write:
        names = ("family", "groups", "curve", "method")
        rows = {tuple(r[k] for k in names): r for r in [*kept("power"), *found]}
        print(keep("power", list(rows.values())))


if __name__ == "__main__":
    main()
