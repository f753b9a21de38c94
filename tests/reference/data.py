"""Data sets that only the reference values need, beside those of `ngmm.datasets`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "data"

# Factors and the order of their levels, None for that of the numbers or the alphabet.
OWN: Mapping[str, Mapping[str, Sequence[str] | None]] = {
    "salamander": dict.fromkeys(
        ("Season", "TypeM", "TypeF", "Cross", "Male", "Female")
    ),
    "culcitalogreg": {
        "block": None,
        "ttt.1": (
            "No Symbionts",
            "Pair of Shrimp",
            "Pair of Crabs",
            "Pair of Shrimp and Crabs",
        ),
        "crab": ("C-", "C+"),
        "shrimp": ("S-", "S+"),
    },
    "gopherdat2": {"Site": None, "year": None},
}


def load_own(name: str) -> pd.DataFrame:
    """One of the data sets in ``OWN``: its factors as categories of text."""
    factors = OWN[name]
    data = pd.read_csv(FOLDER / f"{name}.csv", dtype=dict.fromkeys(factors, str))
    for column, levels in factors.items():
        labels = levels or sorted(data[column].unique(), key=_order)
        data[column] = pd.Categorical(data[column], categories=labels)
    return data


def _order(label: str) -> tuple[int, str]:
    return (int(label) if label.isdigit() else 0, label)
