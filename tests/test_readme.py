"""The README says what the package does: its code runs and its output is the output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import ngmm

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the README's Python blocks define, run in their order."""
    defined: dict[str, Any] = {}
    for code in blocks("python"):
        exec(compile(code, str(README), "exec"), defined)
    return defined


def test_summary_is_the_one_shown(names: dict[str, Any]) -> None:
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", names["data"])
    # Rounding may cost or save a step on another machine.
    shown, found = (
        re.sub(r"in \d+ Newton", "in some Newton", text).rstrip()
        for text in (blocks("text")[0], str(fit.summary()))
    )
    assert shown == found


def test_error_is_the_one_shown(names: dict[str, Any]) -> None:
    call, shown = blocks("text")[1].strip().split("\n")
    with pytest.raises(ngmm.errors.DataError) as found:
        eval(call.removeprefix(">>> "), {"ngmm": ngmm, "data": names["data"]})
    assert shown == f"DataError: {found.value}"


def test_every_formula_of_the_table_parses() -> None:
    rows = re.findall(r"^\| [^|]+ \| `(.+)` \|$", README.read_text(), re.MULTILINE)
    assert len(rows) == 8
    for formula in rows:
        parsed = ngmm.parse(formula.replace("\\|", "|"))
        assert ngmm.parse(str(parsed)) == parsed
