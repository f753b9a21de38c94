"""Run methods on the replicates of an experiment; keep the rows; print a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from methods import METHODS
from report import table
from task import Answer, Impossible, Task, first_groups

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from records import RESULTS, tabulate

OURS = ("ngmm", "linear")

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Experiment:
    """A problem of which there are several replicates: seeds or folds.

    Attributes
    ----------
    name
        Key of its rows in the result files.
    task
        Makes replicate number k.
    score
        Judges an answer.
    replicates
        How many there are unless the command line says otherwise.
    methods
        What runs unless the command line says otherwise.
    known
        Published figures, or a bound to meet: a line under the table.
    overrides
        Methods that this experiment runs in its own way.
    """

    name: str
    task: Callable[[int], Task]
    score: Callable[[Task, Answer], Scores]
    replicates: int
    methods: tuple[str, ...]
    known: str = ""
    overrides: Mapping[str, Callable[[Task, int], Answer]] | None = None

    def method(self, name: str) -> Callable[[Task, int], Answer]:
        """The function that answers under that name."""
        return {**METHODS, **(self.overrides or {})}[name]


def main(experiments: Sequence[Experiment], argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if one of our own methods failed."""
    options = _options(experiments, argv)
    failed = False
    for experiment in experiments:
        if options.only and experiment.name not in options.only:
            continue
        rows = run(experiment, options)
        failed |= any(r["status"] != "ok" for r in rows if r["method"] in OURS)
        kept = {key(row): row for row in [*load(experiment.name), *rows]}
        ordered = sorted(kept.values(), key=lambda r: list(METHODS).index(r["method"]))
        print(f"\n{experiment.name}\n\n{table(ordered)}")
        if experiment.known:
            print(f"\n{experiment.known}")
    return int(failed)


def run(experiment: Experiment, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each method and replicate."""
    rows = []
    for k in range(options.first, options.first + options.seeds_of(experiment)):
        task = experiment.task(k)
        if options.groups:
            task = first_groups(task, options.groups)
        for name in options.methods or experiment.methods:
            row = {"experiment": experiment.name, "method": name, "replicate": k}
            row |= answer(experiment, name, task, options.threads)
            rows.append(row)
            if options.write:
                store([row])
            print(f"{experiment.name} {k} {name}: {_brief(row)}", file=sys.stderr)
    return rows


def answer(
    experiment: Experiment, name: str, task: Task, threads: int
) -> dict[str, Any]:
    """Fit and score one method; why there are no numbers where there are none."""
    start, cpu = time.perf_counter(), time.process_time()
    try:
        found = experiment.method(name)(task, threads)
    except ImportError as error:
        return {"status": f"not installed: {error.name}"}
    except Impossible as error:
        return {"status": f"not possible: {error}"}
    seconds = time.perf_counter() - start
    return {
        "status": "ok",
        "version": found.version,
        "scores": dict(experiment.score(task, found)),
        "variances": list(found.variances),
        "edf": found.edf,
        # The whole call, tuning and prediction included, but not a second fit.
        "seconds": round(seconds - (found.again or 0.0), 3),
        "again": None if found.again is None else round(found.again, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "settings": dict(found.settings),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {threads} threads",
        "python": platform.python_version(),
    }


def key(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """What identifies a row."""
    return row["experiment"], row["method"], row["replicate"]


def load(experiment: str) -> list[dict[str, Any]]:
    """The rows that were kept, of peers and of ours."""
    paths = (RESULTS / name for name in ("neural_peers.json", "neural.json"))
    rows = [row for path in paths for row in _read(path)]
    return [row for row in rows if row["experiment"] == experiment]


def store(rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the rows; they replace those of the same method and replicate."""
    ours = [row for row in rows if row["method"] in OURS]
    peers = [row for row in rows if row["method"] not in OURS]
    for name, new in (("neural.json", ours), ("neural_peers.json", peers)):
        good = [row for row in new if row["status"] == "ok"]
        if good:
            path = RESULTS / name
            kept = {key(row): row for row in [*_read(path), *good]}
            lines = ",\n".join(json.dumps(kept[k]) for k in sorted(kept))
            path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
            tabulate(path)


def _read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _brief(row: Mapping[str, Any]) -> str:
    if row["status"] != "ok":
        return row["status"]
    scores = {k: v for k, v in row["scores"].items() if v is not None}
    text = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
    return f"{text} ({row['seconds']:.1f} s)"


class _Options(argparse.Namespace):
    seeds: int | None

    def seeds_of(self, experiment: Experiment) -> int:
        return experiment.replicates if self.seeds is None else self.seeds


def _options(
    experiments: Sequence[Experiment], argv: Sequence[str] | None
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="ngmm beside other programs.")
    names = [experiment.name for experiment in experiments]
    parser.add_argument("--only", nargs="+", choices=names, help="default: all")
    parser.add_argument("--seeds", type=int, help="number of replicates")
    parser.add_argument("--first", type=int, default=0, help="first replicate")
    parser.add_argument(
        "--methods",
        type=lambda text: tuple(text.split(",")),
        help=f"with commas between, of {', '.join(METHODS)}",
    )
    parser.add_argument("--groups", type=int, help="the first so many groups only")
    parser.add_argument("--threads", type=int, default=2, help="of the boosted trees")
    parser.add_argument(
        "--write", action="store_true", help="keep the rows in benchmarks/results/"
    )
    options = parser.parse_args(argv, namespace=_Options())
    unknown = set(options.methods or ()) - set(METHODS)
    if unknown:
        parser.error(f"no method {', '.join(sorted(unknown))}; {', '.join(METHODS)}")
    return options
