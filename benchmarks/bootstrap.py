"""Bootstrap and profile intervals beside lme4 and mixedlm, one after the other.

Run ``python benchmarks/bootstrap.py``; ``--write`` keeps the seconds. R with lme4, and
mixedlm, are left out where they are not installed. The first time of ngmm includes
compiling; the second does not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import ngmm
from records import keep

# Task, program, seconds of the first run, median seconds of later ones.
Row = tuple[str, str, float, float | None]

FOLDER = Path(__file__).resolve().parent


class Problem(NamedTuple):
    """A model, and how many draws to make."""

    name: str
    formula: str
    family: str
    factors: tuple[str, ...]
    draws: int


PROBLEMS = (
    Problem(
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject)",
        "gaussian",
        ("Subject",),
        1000,
    ),
    Problem(
        "cbpp",
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        "binomial",
        ("herd", "period"),
        999,
    ),
)


def main() -> None:
    """Run the problems, print a table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    names = [problem.name for problem in PROBLEMS]
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    parser.add_argument("--draws", type=int, help="default: what the problem says")
    parser.add_argument("--write", action="store_true", help="keep the seconds")
    ask = parser.parse_args()
    rows = []
    print(f"{'problem':12}{'task':12}{'program':16}{'first s':>9}{'later s':>9}")
    chosen = [problem for problem in PROBLEMS if problem.name in ask.problems]
    for problem in (p._replace(draws=ask.draws or p.draws) for p in chosen):
        data = ngmm.datasets.load(problem.name)
        for task, program, first, later in measure(problem, data):
            print(
                f"{problem.name:12}{task:12}{program:16}{first:9.2f}"
                + ("" if later is None else f"{later:9.2f}"),
                flush=True,
            )
            rows.append(
                {
                    "problem": problem.name,
                    "task": task,
                    "program": program,
                    "draws": problem.draws,
                    "first": first,
                    "later": later,
                }
            )
    if ask.write:
        print(keep("bootstrap", rows))


def measure(problem: Problem, data: pd.DataFrame) -> list[Row]:
    """Task, program, seconds of the first run, and of later ones."""
    fit = ngmm.fit(problem.formula, data, family=problem.family)
    draws = problem.draws
    gaussian = problem.family == "gaussian"
    out: list[Row] = [
        ("bootstrap", "ngmm", *timed(lambda: fit.bootstrap(draws, seed=1)))
    ]
    if gaussian:
        out.append(("profile", "ngmm", *timed(lambda: fit.conf_int(method="profile"))))
    found = lme4(problem, data)
    if found is not None:
        program = f"lme4 {found['version']}"
        out.append(("bootstrap", program, found["bootstrap"], None))
        if gaussian:
            out.append(("profile", program, found["profile"], None))
    if gaussian:
        out += mixedlm(problem, data)
    return out


def timed(action: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """Seconds of the first run, and the median of later ones."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds[0], median(seconds[1:])


def lme4(problem: Problem, data: pd.DataFrame) -> dict[str, Any] | None:
    """What the script in R says; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        data.to_csv(csv, index=False)
        arguments = [
            str(csv),
            problem.formula,
            ",".join(problem.factors),
            str(problem.draws),
            problem.family,
        ]
        script = str(FOLDER / "bootstrap_lme4.R")
        run = subprocess.run(
            ["Rscript", script, *arguments], check=False, capture_output=True, text=True
        )
    return json.loads(run.stdout.splitlines()[-1]) if run.returncode == 0 else None


def mixedlm(problem: Problem, data: pd.DataFrame) -> list[Row]:
    """The same by mixedlm, if it is installed."""
    try:
        other: Any = importlib.import_module("mixedlm")
    except ImportError:
        return []
    frame = data.assign(**{f: data[f].astype(str) for f in problem.factors})
    fit = other.lmer(problem.formula, frame, REML=False)
    start = time.perf_counter()
    found = other.bootMer(fit, nsim=problem.draws, seed=1)
    seconds = time.perf_counter() - start
    assert np.isfinite(found.beta_samples).any()
    return [("bootstrap", f"mixedlm {other.__version__}", seconds, None)]


if __name__ == "__main__":
    main()
