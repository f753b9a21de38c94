"""What a user gets back is shown in a notebook as the table that it is."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import typing
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

import ngmm
from ngmm.results.table import Tabled

MODULES = (
    "ngmm",
    "ngmm.broom",
    "ngmm.clusters",
    "ngmm.comparison",
    "ngmm.diagnostics",
    "ngmm.effects",
    "ngmm.intervals",
)
# Steps of the pipeline, what is given rather than got, and containers of arrays: there
# is no table to show.
NOT_TABLES = {
    "Adversary",
    "AdaptiveQuadrature",
    "Design",
    "DesignSpec",
    "Evidence",
    "Joint",
    "Laplace",
    "Model",
    "ModelFormula",
    "Newton",
    "Stochastic",
    "TruncatedQuadrature",
}


def returned(function: Any) -> set[type]:
    """Classes of ngmm that a function is annotated to return."""
    # What some modules import for the type checker alone.
    known = {"MixedModelFit": ngmm.MixedModelFit, "ArrayLike": Any, "pd": pd}
    hint = typing.get_type_hints(function, localns=known)
    found = hint.get("return")
    parts = {found, *typing.get_args(found)}
    return {p for p in parts if isinstance(p, type) and _is_ours(p)}


def _is_ours(value: Any) -> bool:
    return value.__module__.split(".")[0] == "ngmm"


def public_classes() -> set[type]:
    """Classes that public functions and methods of results return."""
    out: set[type] = {ngmm.MixedModelFit}
    for module in map(importlib.import_module, MODULES):
        for name, value in inspect.getmembers(module):
            if name.startswith("_") or not callable(value) or not _is_ours(value):
                continue
            out |= {value} if isinstance(value, type) else returned(value)
    for name, method in inspect.getmembers(ngmm.MixedModelFit, inspect.isfunction):
        if not name.startswith("_"):
            out |= returned(method)
    return out | set(Tabled.__subclasses__())


def test_every_result_has_html() -> None:
    found = public_classes()
    names = {c.__name__ for c in found}
    assert {"Table", "Document", "Verdict", "Adapted", "Profile", "R2"} <= names
    lacking = {c.__name__ for c in found if not hasattr(c, "_repr_html_")}
    assert lacking <= NOT_TABLES


class Balanced(HTMLParser):
    """Raises unless every element that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        if tag not in {"br", "hr", "meta", "col"}:
            self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(html: str) -> set[str]:
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.seen


@pytest.fixture(scope="module")
def fit() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("sleepstudy")
    return ngmm.fit("Reaction ~ Days + (Days | Subject)", data)


def test_results_of_a_fit(fit: ngmm.MixedModelFit) -> None:
    data = fit.call.data
    new = data[data["Subject"] == "308"].assign(Subject="new")
    shown = [
        fit,
        fit.summary(),
        fit.coef_table(),
        fit.conf_int(),
        fit.anova(),
        ngmm.diagnostics.r2(fit),
        fit.adapt(new),
    ]
    for result in shown:
        assert "table" in elements(result._repr_html_()), type(result)


def test_text_is_escaped(fit: ngmm.MixedModelFit) -> None:
    for result in (fit.check(), ngmm.datasets.describe("sleepstudy")):
        assert elements(result._repr_html_()) == {"pre"}
    odd = dataclasses.replace(fit.check(), notes=("sd < 0 & more",))
    assert "note: sd &lt; 0 &amp; more" in odd._repr_html_()
