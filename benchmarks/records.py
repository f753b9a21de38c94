"""Where figures are kept, and the one table that every file of them becomes.

Scripts keep JSON in `RESULTS`; `tabulate` puts a CSV beside it with one row a figure:
columns that say which one it is, then ``quantity``, ``value`` and, where the file has
one, its standard error ``error``. ``python benchmarks/records.py`` makes all of them
anew. The environment variable ``NGMM_RESULTS`` names another folder.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

COMMITTED = Path(__file__).resolve().parent / "results"
RESULTS = Path(os.environ.get("NGMM_RESULTS") or COMMITTED)

# Numbers that say which figure it is and are none themselves.
IDENTIFIERS = frozenset(
    {
        *("adversary", "curve", "draws", "groups", "items", "n_levels", "number"),
        *("radius", "replicate", "seed", "sets", "spacing", "students", "variance"),
    }
)
# Texts that would only repeat themselves in every row; the JSON has them.
LEFT_OUT = frozenset(
    {
        *("about", "estimate", "integral", "machine", "messages", "options"),
        *("python", "settings", "title", "why"),
    }
)


def tabulate(path: Path) -> Path:
    """Write the CSV of a JSON file beside it, and say where."""
    frame = tidy(json.loads(path.read_text(encoding="utf-8")))
    table = path.with_suffix(".csv")
    frame.to_csv(table, index=False, float_format="%.12g", lineterminator="\n")
    return table


def keep(
    name: str, rows: Sequence[Mapping[str, Any]], folder: Path | None = None
) -> Path:
    """Write rows with the date and the machine, a line each, and their table."""
    about = {
        "date": date.today().isoformat(),
        "ngmm": version("ngmm"),
        "jax": version("jax"),
        "python": platform.python_version(),
        "machine": machine(),
    }
    lines = ",\n".join(json.dumps(row) for row in rows)
    path = (folder or RESULTS) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f'{{"about": {json.dumps(about)}, "rows": [\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")
    return tabulate(path)


def kept(name: str, folder: Path | None = None) -> list[dict[str, Any]]:
    """The rows that `keep` wrote, none if there is no such file."""
    path = (folder or RESULTS) / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def machine() -> str:
    """What the figures were made on, in words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def tidy(content: Any) -> pd.DataFrame:
    """One row a figure of anything that the scripts keep."""
    found = [row for labels, entry in _entries(content) for row in _rows(labels, entry)]
    frame: Any = pd.DataFrame(found)
    last = [
        c for c in ("quantity", "value", "error") if c in frame and "value" in frame
    ]
    return frame[[*(c for c in frame if c not in last), *last]]


def _entries(
    content: Any, labels: Mapping[str, Any] | None = None
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Entries of a list, or of the parts of a file, with what names them."""
    labels = dict(labels or {})
    if isinstance(content, list):
        for k, entry in enumerate(content):
            yield labels | ({} if _named(entry) else {"replicate": k}), entry
    elif "rows" in content:
        known = {k: v for k, v in content.items() if isinstance(v, str)}
        yield from _entries(content["rows"], labels | known)
    elif any(isinstance(part, dict) for part in content.values()):
        for name, part in content.items():
            if isinstance(part, dict):
                yield from _entries(part, labels | {"part": name})
    else:
        yield labels, content


def _named(entry: Mapping[str, Any]) -> bool:
    """Whether something in the entry says which one it is."""
    return any(k in IDENTIFIERS or isinstance(v, str) for k, v in entry.items())


def _rows(
    labels: Mapping[str, Any], entry: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The figures of an entry; one that names its quantity is a row as it stands."""
    if "quantity" in entry:
        yield {**labels, **entry}
        return
    shown = {k: v for k, v in entry.items() if k not in LEFT_OUT}
    own = {k: v for k, v in shown.items() if isinstance(v, str) or k in IDENTIFIERS}
    for name, value in shown.items():
        if name not in own:
            for leaf in _leaves(name, value):
                yield {**labels, **own, **leaf}


def _leaves(name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Numbers in a value that may hold others."""
    if isinstance(value, dict) and {"rate", "error"} <= value.keys():
        yield {"quantity": name, "value": value["rate"], "error": value["error"]}
    elif isinstance(value, dict):
        for inner, one in value.items():
            yield from _leaves(inner, one)
    elif isinstance(value, list):
        for k, one in enumerate(value):
            yield from _leaves(f"{name}[{k}]", one)
    elif isinstance(value, (int, float)):
        yield {"quantity": name, "value": float(value)}


def main() -> None:
    """Write the tables of all files."""
    for path in sorted(RESULTS.glob("*.json")):
        print(tabulate(path))


if __name__ == "__main__":
    main()
