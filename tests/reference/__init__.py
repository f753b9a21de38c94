"""Values from lme4 and lmerTest, with the data and the call that should give them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ngmm import datasets
from tests.reference.names import (
    CONTRASTS,
    translate_group,
    translate_level,
    translate_names,
)

__all__ = [
    "ReferenceCase",
    "case_ids",
    "load_data",
    "load_entry",
    "load_reference_case",
    "pointwise_cases",
    "translate_group",
    "translate_level",
    "translate_names",
]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ReferenceCase:
    """One fitted model.

    Attributes
    ----------
    id
        Identifier in the files.
    data
        Data frame with the derived columns.
    expected
        What R gives, under R's names.
    call
        Arguments of ``ngmm.fit`` other than the data.
    """

    id: str
    data: pd.DataFrame
    expected: dict[str, Any]
    call: dict[str, Any]

    @property
    def formula(self) -> str:
        return self.call["formula"]

    def names(self, r_names: list[str]) -> list[str]:
        return translate_names(r_names, self.data, self.call.get("contrasts"))

    def series(self, key: str) -> pd.Series:
        """A table of one number a coefficient, under our names."""
        values = self.expected[key]
        return pd.Series(list(values.values()), index=self.names(list(values)))

    def group(self, r_group: str) -> str:
        return translate_group(r_group, self.formula)

    def levels(self, r_levels: list[str], r_group: str) -> list[str]:
        return [translate_level(level, r_group, self.formula) for level in r_levels]


def case_ids(*files: str) -> list[str]:
    """Identifiers of the fitted models of ``models.json`` or of the files named."""
    return [m["id"] for f in files or ("models",) for m in _read(f)["models"]]


def load_reference_case(case_id: str) -> ReferenceCase:
    """A fitted model by its identifier."""
    entry = load_entry(case_id, "models", "more")
    contrasts = {
        column: CONTRASTS.get(coding, coding)
        for column, coding in entry.get("contrasts", {}).items()
    }
    call: dict[str, Any] = {"formula": entry["formula"], "reml": entry["REML"]}
    if contrasts:
        call["contrasts"] = contrasts
    if "weights" in entry:
        call["weights"] = entry["weights"]
    data = load_data(entry["dataset"])
    return ReferenceCase(case_id, data, entry["expected"], call)


def load_entry(entry_id: str, *files: str) -> dict[str, Any]:
    """An entry as it stands in one of the files."""
    for file in files:
        for entry in _entries(file):
            if entry["id"] == entry_id:
                return entry
    raise KeyError(entry_id)


def pointwise_cases() -> list[dict[str, Any]]:
    """Likelihoods at given parameters, as they stand in the file."""
    return _entries("pointwise")


def load_data(name: str) -> pd.DataFrame:
    """A data set with the columns that were derived for the reference fits."""
    return datasets.load(name).assign(**_DERIVED.get(name, {}))


def _reaction_with_gaps(data: pd.DataFrame) -> Any:
    # R counts rows from 1: its rows 5, 50 and 100.
    return data["Reaction"].mask(data.reset_index().index.isin([4, 49, 99]))


_DERIVED: dict[str, dict[str, Callable[[pd.DataFrame], Any]]] = {
    "sleepstudy": {
        "w": lambda data: 1 + data["Days"] % 3,
        "Reaction_na": _reaction_with_gaps,
    },
    "Orthodont": {"age_c": lambda data: data["age"] - 11},
}


def _entries(file: str) -> list[dict[str, Any]]:
    return next(v for v in _read(file).values() if isinstance(v, list))


@cache
def _read(file: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{file}.json").read_text(encoding="utf-8"))
