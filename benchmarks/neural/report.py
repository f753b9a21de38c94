"""Rows of results as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each method: means over the replicates, standard errors in brackets.

    Seconds are medians: the whole call, tuning included, and a fit after compiling.
    """
    methods = dict.fromkeys(row["method"] for row in rows)
    good = [row for row in rows if row["status"] == "ok"]
    scores = list(dict.fromkeys(name for row in good for name in row["scores"]))
    header = ("method", "n", *scores, "edf", "seconds", "later fits, s")
    lines: list[Sequence[str]] = [header]
    for method in methods:
        same = [row for row in good if row["method"] == method]
        if not same:
            status = next(r["status"] for r in rows if r["method"] == method)
            lines.append((method, status, *[""] * (len(header) - 2)))
            continue
        lines.append(
            (
                f"{method} {same[0]['version']}",
                str(len(same)),
                *(_mean([row["scores"].get(name) for row in same]) for name in scores),
                _mean([row["edf"] for row in same]),
                _median([row["seconds"] for row in same]),
                _median([row["again"] for row in same]),
            )
        )
    return markdown(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, the first of them the header, with aligned columns."""
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    if len(known) == 1:
        return f"{known[0]:.4g}"
    error = statistics.stdev(known) / len(known) ** 0.5
    return f"{statistics.mean(known):.4g} ({error:.2g})"


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.3g}" if known else ""
