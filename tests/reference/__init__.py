"""Values from R, with the data and the call of ngmm that should give them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ngmm import datasets
from tests.reference.data import OWN, load_own
from tests.reference.names import (
    CONTRASTS,
    translate_family,
    translate_group,
    translate_level,
    translate_names,
)

__all__ = [
    "ReferenceCase",
    "case_ids",
    "generalized_call",
    "lattice_problems",
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
    engine
        What made the numbers: ``"glmer"``, ``"glmmTMB"``, ``"GLMMadaptive"``,
        ``"oracle"`` (exact maximum likelihood); ``"lmer"`` for Gaussian models.
    caution
        Why the numbers are no target, or empty.
    """

    id: str
    data: pd.DataFrame
    expected: dict[str, Any]
    call: dict[str, Any]
    engine: str = "lmer"
    caution: str = ""

    @property
    def formula(self) -> str:
        return self.call["formula"]

    @property
    def loglik(self) -> float:
        """The log-likelihood with all its constants."""
        return self.expected.get("logLik_full", self.expected["logLik"])

    @property
    def phi(self) -> float | None:
        """The dispersion parameter in the convention of ngmm."""
        if "dispersion" in self.expected:
            return self.expected["dispersion"]["phi"]
        family = self.call.get("family", "gaussian")
        if family in ("gaussian", "bernoulli", "binomial", "poisson"):
            return None
        sigma = self.expected["sigma"]
        # glmmTMB gives the coefficient of variation of a gamma response.
        return sigma**2 if family == "gamma" else sigma

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
    entry = load_entry(case_id, "models", "more", "glmm")
    if "family" in entry:
        return ReferenceCase(
            id=case_id,
            data=_rows(load_data(entry["dataset"]), entry.get("subset")),
            expected=entry["expected"],
            call=generalized_call(entry),
            engine=entry["engine"],
            caution=entry.get("caution", ""),
        )
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


def generalized_call(entry: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``ngmm.fit`` for an entry of ``glmm.json`` or the like."""
    call: dict[str, Any] = {"formula": entry["formula"]}
    trials = entry.get("weights")
    if trials is not None:
        call["trials"] = trials
    counted = trials is not None or entry["formula"].startswith("cbind(")
    call["family"] = translate_family(entry["family"], counted=counted)
    call["link"] = entry["link"]
    call["quad"] = _quad(entry)
    return call


def _quad(entry: dict[str, Any]) -> str | int:
    """The rule by which the entry was made; exact ones are a target of ``"auto"``."""
    oracle = entry.get("oracle", {})
    nodes = {"laplace": 1, "aghq": oracle.get("nodes")}.get(oracle.get("method"))
    if entry.get("engine") == "oracle" and nodes is None:
        return "auto"
    nodes = nodes or entry.get("nAGQ", 1)
    return "laplace" if nodes == 1 else nodes


def _rows(data: pd.DataFrame, subset: str | None) -> pd.DataFrame:
    """The rows that an R expression such as ``Experiment == 1`` selects."""
    return data if subset is None else data.query(subset).reset_index(drop=True)


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


def lattice_problems() -> list[dict[str, Any]]:
    """Log-likelihoods of models with two random effects, by lattices."""
    return _entries("aghq_vector")


def load_data(name: str) -> pd.DataFrame:
    """A data set with the columns that were derived for the reference fits."""
    data = load_own(name) if name in OWN else datasets.load(name)
    return data.assign(**_DERIVED.get(name, {}))


def _reaction_with_gaps(data: pd.DataFrame) -> Any:
    # R counts rows from 1: its rows 5, 50 and 100.
    return data["Reaction"].mask(data.reset_index().index.isin([4, 49, 99]))


_DERIVED: dict[str, dict[str, Callable[[pd.DataFrame], Any]]] = {
    "sleepstudy": {
        "w": lambda data: 1 + data["Days"] % 3,
        "Reaction_na": _reaction_with_gaps,
        "react_s": lambda data: data["Reaction"] / 1000,
    },
    "Orthodont": {"age_c": lambda data: data["age"] - 11},
    "cbpp": {
        "prop": lambda data: data["incidence"] / data["size"],
        "obs": lambda data: np.arange(1, len(data) + 1),
    },
    "bacteria": {"week2": lambda data: (data["week"] > 2).astype(int)},
    "Contraception": {
        "ch": lambda data: pd.Categorical(np.where(data["livch"] == "0", "N", "Y"))
    },
}


def _entries(file: str) -> list[dict[str, Any]]:
    return next(v for v in _read(file).values() if isinstance(v, list))


@cache
def _read(file: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{file}.json").read_text(encoding="utf-8"))
