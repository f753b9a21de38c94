"""Compare ngmm with other programs: ``python benchmarks/run.py``.

Every fit runs in a process of its own, one after the other, on the same CSV file. The
exit status is 1 if ngmm fails, if another program finds a higher log-likelihood by the
same integral, or if ngmm by its defaults misses an exact maximum.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from adapters import ADAPTERS
from measurement import Measurement
from problems import PROBLEMS
from records import keep, kept, machine
from startup import Startup, measure_startup
from table import AGREE, agrees, comparison, startup_table

FOLDER = Path(__file__).resolve().parent
STARTUP = "start-up"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for, print it and return the exit status."""
    options = _options(argv)
    problems = [name for name in options.problems if name != STARTUP]
    measurements = measure(problems, options.adapters, options.repeats)
    exact = {name: PROBLEMS[name].exact for name in problems}
    parts = [comparison(measurements, exact)] if measurements else []
    rows = [_record(m) for m in measurements]
    if STARTUP in options.problems:
        startup = measure_startup(options.repeats)
        parts.append(startup_table(startup))
        rows += _startup_records(startup)
    text = "\n\n".join([*parts, _machine()])
    print(text)
    if options.write:
        print(f"written to {_keep(rows)}", file=sys.stderr)
    return 0 if all(_ngmm_is_best(measurements, name) for name in problems) else 1


def measure(
    problems: Iterable[str], adapters: Sequence[str] | None, repeats: int
) -> list[Measurement]:
    """Run the programs on the problems, each pair in a process of its own."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ngmm-benchmarks-") as folder:
        for name in problems:
            csv = Path(folder) / f"{name}.csv"
            print(f"{name}: writing the data", file=sys.stderr)
            _worker("prepare", name, str(csv)).check_returncode()
            for adapter in adapters or PROBLEMS[name].adapters:
                print(f"{name}: {adapter}", file=sys.stderr)
                run = _worker("measure", name, str(csv), adapter, str(repeats))
                found.append(_measurement(name, adapter, run))
            csv.unlink()
    return found


def _worker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "worker.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def _measurement(
    problem: str, adapter: str, run: subprocess.CompletedProcess[str]
) -> Measurement:
    if run.returncode != 0:
        reason = (run.stderr.strip() or "no message").splitlines()[-1]
        return Measurement(problem, adapter, f"failed: {reason}")
    # Programs may print on their own; the measurement is the last line.
    record = json.loads(run.stdout.splitlines()[-1])
    return Measurement(**{**record, "later": tuple(record["later"])})


def _ngmm_is_best(measurements: Sequence[Measurement], problem: str) -> bool:
    same = [m for m in measurements if m.problem == problem]
    ours = [m for m in same if m.adapter.startswith("ngmm")]
    exact = PROBLEMS[problem].exact
    reached = all(
        m.loglik is not None and abs(m.loglik - exact) <= AGREE
        for m in ours
        if exact is not None and m.adapter == "ngmm"
    )
    return reached and all(agrees(m, same) for m in ours)


def _record(m: Measurement) -> dict[str, Any]:
    """A measurement as it is kept: with the median of the later fits."""
    return {**asdict(m), "later": list(m.later), "repeated": m.repeated}


def _startup_records(startup: Startup) -> list[dict[str, Any]]:
    return [
        {"problem": STARTUP, "adapter": name, "status": "ok", "first": seconds}
        for name, seconds in startup.seconds.items()
    ]


def _keep(rows: Sequence[dict[str, Any]]) -> Path:
    """Write the rows; those of other problems and programs on file are left there."""
    on_file = {(r["problem"], r["adapter"]): r for r in kept("speed")}
    for row in rows:
        if row["status"] == "ok" or (row["problem"], row["adapter"]) not in on_file:
            today = {"date": f"{date.today()}", "machine": machine()}
            on_file[row["problem"], row["adapter"]] = {**row, **today}
    return keep("speed", list(on_file.values()))


def _machine() -> str:
    return f"{machine()}, Python {platform.python_version()}"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [*PROBLEMS, STARTUP]
    parser = argparse.ArgumentParser(description="Compare ngmm with other programs.")
    parser.add_argument(
        "--problems",
        nargs="+",
        default=names,
        choices=names,
        metavar="PROBLEM",
        help=f"default: all of {', '.join(names)}",
    )
    parser.add_argument(
        "--adapters",
        nargs="+",
        choices=list(ADAPTERS),
        metavar="PROGRAM",
        help=f"of {', '.join(ADAPTERS)}; default: what each problem names",
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="fits after the first; default: 3"
    )
    parser.add_argument(
        "--write", action="store_true", help="keep the tables in benchmarks/results/"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
