"""Every warning of ngmm has a class to filter by, and points at the user's line."""

from __future__ import annotations

import ast
import inspect
import warnings
from pathlib import Path

import numpy as np
import pytest

import ngmm
from ngmm import errors

SOURCE = Path(inspect.getfile(ngmm)).parent
CLASSES = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type)
    and issubclass(value, errors.NgmmWarning)
    and value is not errors.NgmmWarning
}


def calls() -> list[tuple[str, ast.Call]]:
    """Every call of something called warn in the source, and where it is."""
    found: list[tuple[str, ast.Call]] = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in {"warn", "warnings.warn", "errors.warn", "warn_explicit"}:
                    place = f"{path.relative_to(SOURCE)}:{node.lineno}"
                    found.append((place, node))
    return found


def test_all_warnings_go_through_one_function_with_a_class_of_ours() -> None:
    found = calls()
    # Those of api.py, the profile and the score test.
    assert len(found) >= 6
    for place, call in found:
        if place.startswith("errors.py:"):
            continue
        assert ast.unparse(call.func) == "warn", f"{place}: use ngmm.errors.warn"
        category = ast.unparse(call.args[1])
        assert category in CLASSES, f"{place}: {category}"


def test_every_class_is_filtered_as_one_of_ngmm() -> None:
    assert {"ConvergenceWarning", "NetworkWarning", "RankDeficiencyWarning"} <= CLASSES
    for name in CLASSES:
        assert issubclass(getattr(errors, name), UserWarning)
        assert name in errors.__all__


@pytest.fixture(scope="module")
def fit() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("Dyestuff").assign(late=np.arange(30.0) % 5)
    return ngmm.fit("Yield ~ late + (1 | Batch)", data)


def test_a_warning_points_at_the_line_of_the_user(fit: ngmm.MixedModelFit) -> None:
    data = fit.call.data.assign(twice=lambda d: 2 * d["late"])
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        again = ngmm.fit("Yield ~ late + twice + (1 | Batch)", data)
        again.update(". ~ . + I(3 * late)")
    assert [(w.category, w.filename, w.lineno) for w in met] == [
        (errors.RankDeficiencyWarning, __file__, line),
        (errors.RankDeficiencyWarning, __file__, line + 1),
    ]


def test_one_class_can_be_silenced_alone(fit: ngmm.MixedModelFit) -> None:
    data = fit.call.data.assign(twice=lambda d: 2 * d["late"])
    formula = "Yield ~ late + twice + (1 | Batch)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", errors.RankDeficiencyWarning)
        assert ngmm.fit(formula, data).aliased == ("twice",)
        with pytest.raises(errors.ConvergenceWarning):
            ngmm.fit(formula, data, estimator=ngmm.Newton(max_steps=1))
