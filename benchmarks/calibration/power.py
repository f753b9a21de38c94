"""Power of the test of a network against linear terms, beside mgcv's smooth test.

``python benchmarks/calibration/power.py --sets 500``. The linear predictor is that of
`simulate.linear` with a curve of growing size; size is the row with a curve of zero.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

import ngmm
import simulate
from ngmm.comparison.score import score_test

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


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Power against linear terms")
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--groups", type=int, default=30)
    parser.add_argument("--family", default="gaussian")
    parser.add_argument("--curves", type=float, nargs="+", default=[0.0, 0.15, 0.3])
    ask = parser.parse_args()
    seeds = range(ask.sets)
    context = get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for curve in ask.curves:
            one = partial(ours, groups=ask.groups, family=ask.family, curve=curve)
            p = list(pool.map(one, seeds, chunksize=10))
            q = theirs(seeds, ask.groups, ask.family, curve)
            rates = [np.mean(np.array(v) < 0.05) if v else np.nan for v in (p, q)]
            print(
                f"{ask.family} {ask.groups} groups, curve {curve:g}: "
                f"ngmm {rates[0]:.3f}, mgcv {rates[1]:.3f} ({ask.sets} sets)",
                flush=True,
            )


if __name__ == "__main__":
    main()
