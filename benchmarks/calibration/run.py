"""How often tests reject a true null, and intervals hold the truth.

``python benchmarks/calibration/run.py --cells "random slope: gaussian, 30 groups"``;
without ``--cells`` all of them, which takes hours. Rates are kept, with the number of
data sets, in benchmarks/results/calibration.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from cells import CELLS, Counts

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import COMMITTED, RESULTS, tabulate

RECORDS = RESULTS / "calibration.json"


def one(task: tuple[str, int]) -> Counts | str:
    """What happened in one data set, or why nothing did."""
    name, seed = task
    warnings.simplefilter("ignore")
    try:
        return CELLS[name].run(seed)
    except Exception as error:  # noqa: BLE001, every failure is counted and shown
        return f"{type(error).__name__}: {error}"


def run(name: str, sets: int, first: int, workers: int) -> dict[str, Any]:
    """Rates of one cell."""
    start = time.perf_counter()
    tasks = [(name, seed) for seed in range(first, first + sets)]
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        found = list(pool.map(one, tasks, chunksize=max(1, sets // (8 * workers))))
    failures = [f for f in found if isinstance(f, str)]
    counted = [f for f in found if not isinstance(f, str)]
    rates = {}
    for key in counted[0] if counted else ():
        each = np.array([float(f[key]) for f in counted])
        rates[key] = {
            "rate": round(float(each.mean()), 4),
            "error": round(float(each.std() / len(each) ** 0.5), 4),
        }
    return {
        "cell": name,
        "kind": CELLS[name].kind,
        "sets": len(counted),
        "failed": len(failures),
        "why": sorted(set(failures))[:3],
        "rates": rates,
        "seconds": round(time.perf_counter() - start, 1),
    }


def save(record: dict[str, Any]) -> None:
    """Keep the rates of a cell in place of earlier ones."""
    old = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    kept = [r for r in old if r["cell"] != record["cell"]]
    RECORDS.write_text(json.dumps([*kept, record], indent=1) + "\n")
    tabulate(RECORDS)


def main() -> None:
    """Run the cells asked for."""
    parser = argparse.ArgumentParser(description="Size of tests, coverage of intervals")
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--sets", type=int, help="default: what the cell says")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    ask = parser.parse_args()
    for name in ask.cells:
        sets = ask.sets or CELLS[name].sets
        record = run(name, sets, ask.first, ask.workers)
        print(f"{name}: {record['sets']} sets, {record['seconds']} s", flush=True)
        for key, found in record["rates"].items():
            print(
                f"    {key:32} {found['rate']:.4f} ({found['error']:.4f})", flush=True
            )
        if record["failed"]:
            print(f"    failed {record['failed']}: {record['why']}", flush=True)
        # Fewer data sets than the cell is worth do not replace those on file.
        if ask.sets is None or RESULTS != COMMITTED:
            save(record)


if __name__ == "__main__":
    main()
