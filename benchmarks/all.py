"""All comparisons by one command: ``python benchmarks/all.py``.

    python benchmarks/all.py --list                 # what there is, and what is missing
    python benchmarks/all.py --small                # all of it, a quarter of an hour
    python benchmarks/all.py --only agreement speed
    python benchmarks/all.py --keep-going           # hours

Every comparison is a script of this folder (`comparisons.py`) in a process of its own,
one after the other. Figures go to ``results/`` as JSON and as a CSV with one row a
figure, the pictures made of these to ``figures/`` in it. Programs that are not
installed are left out, and named. ``--small`` runs each comparison at a size that only
shows that it works, and keeps its figures elsewhere.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from comparisons import COMPARISONS, Comparison, parts
from peers import Peer, probe
from records import COMMITTED, machine

FOLDER = Path(__file__).resolve().parent
RUNS = "runs.csv"
COLUMNS: Sequence[str] = ("comparison", "date", "minutes", "ngmm", "peers", "machine")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 if a comparison failed."""
    ask = _options(argv)
    peers = probe()
    chosen = [COMPARISONS[name] for name in ask.only or COMPARISONS]
    if ask.list:
        print(listing(chosen, peers, ask.output or COMMITTED))
        return 0
    folder = _folder(ask)
    print(f"figures go to {folder}")
    print(_missing(chosen, peers))
    failed: list[str] = []
    for comparison in chosen:
        absent = [name for name in comparison.needs if not peers[name].version]
        if absent:
            how = ", ".join(peers[name].install for name in absent)
            print(f"\n{comparison.name}: left out, {', '.join(absent)} missing: {how}")
        elif not run(comparison, peers, folder, small=ask.small):
            failed.append(comparison.name)
            if not ask.keep_going:
                break
    drawn = peers["matplotlib"]
    print(draw(folder) if drawn.version else f"no pictures: {drawn.install}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


def run(
    comparison: Comparison, peers: Mapping[str, Peer], folder: Path, *, small: bool
) -> bool:
    """Run the commands of a comparison; whether all of them ended well."""
    print(f"\n{comparison.name}: {comparison.shows}", flush=True)
    start = time.perf_counter()
    for command in comparison.small if small else comparison.commands:
        print(f"$ python benchmarks/{command}", flush=True)
        script, *arguments = parts(command)
        ended = subprocess.run(
            [sys.executable, str(FOLDER / script), *arguments],
            cwd=FOLDER.parent,
            env={**os.environ, "NGMM_RESULTS": str(folder)},
            check=False,
        )
        if ended.returncode:
            print(f"{comparison.name}: {script} ended with {ended.returncode}")
            return False
    minutes = (time.perf_counter() - start) / 60.0
    print(f"{comparison.name}: {minutes:.1f} minutes", flush=True)
    _note(comparison, peers, folder, minutes)
    return True


def listing(
    chosen: Sequence[Comparison], peers: Mapping[str, Peer], folder: Path
) -> str:
    """A table of the comparisons, then of the programs."""
    dates = {name: row["date"] for name, row in _runs(folder).items()}
    rows = [("comparison", "minutes", "last record", "other programs", "shows")]
    rows += [
        (
            each.name,
            f"{each.minutes:g}",
            dates.get(each.name, "none"),
            ", ".join(str(peers[name]) for name in (*each.peers, *each.needs)) or "-",
            each.shows,
        )
        for each in chosen
    ]
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", _missing(chosen, peers)])


def draw(folder: Path) -> str:
    """Draw the pictures whose figures are on file, and say which."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from figures import FIGURES

    place = folder / "figures"
    place.mkdir(exist_ok=True)
    done: list[str] = []
    for name, function in FIGURES.items():
        try:
            picture = function(folder)
        except FileNotFoundError:
            continue
        picture.savefig(place / f"{name}.png", dpi=150)
        plt.close(picture)
        done.append(name)
    return f"\npictures in {place}: {', '.join(done) or 'none'}"


def _missing(chosen: Sequence[Comparison], peers: Mapping[str, Peer]) -> str:
    """The programs that take part, those that are missing with how to get them."""
    used = dict.fromkeys(name for c in chosen for name in (*c.peers, *c.needs))
    found = [str(peers[name]) for name in used if peers[name].version]
    lines = [f"installed: {', '.join(found) or 'none'}"]
    lines += [
        f"missing: {name}, {peers[name].install}"
        for name in used
        if not peers[name].version
    ]
    return "\n".join(lines)


def _note(
    comparison: Comparison, peers: Mapping[str, Peer], folder: Path, minutes: float
) -> None:
    """Write down when the comparison was run, and beside what."""
    runs = _runs(folder)
    named = [str(peers[name]) for name in comparison.peers]
    runs[comparison.name] = {
        "comparison": comparison.name,
        "date": date.today().isoformat(),
        "minutes": f"{minutes:.1f}",
        "ngmm": version("ngmm"),
        "peers": "; ".join(named),
        "machine": machine(),
    }
    with (folder / RUNS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(runs[name] for name in sorted(runs))


def _runs(folder: Path) -> dict[str, dict[str, str]]:
    """When each comparison was run last."""
    path = folder / RUNS
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["comparison"]: row for row in csv.DictReader(file)}


def _folder(ask: argparse.Namespace) -> Path:
    """Where the figures go; never to the committed ones from small runs."""
    if ask.output is None:
        return Path(tempfile.mkdtemp(prefix="ngmm-small-")) if ask.small else COMMITTED
    folder: Path = ask.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=list(COMPARISONS), metavar="NAME", help="of --list"
    )
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument(
        "--small", action="store_true", help="see that all runs, a minute each"
    )
    parser.add_argument(
        "--output", type=Path, help="folder of the figures; default: results/"
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="go on after a comparison that fails"
    )
    ask = parser.parse_args(argv)
    if ask.small and ask.output and ask.output.resolve() == COMMITTED:
        parser.error("--small would replace the committed figures; name another folder")
    return ask


if __name__ == "__main__":
    sys.exit(main())
