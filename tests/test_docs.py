"""The code of the documentation runs, and its output is the output."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/generalized-models.md",
    "docs/neural-terms.md",
    "docs/clusters.md",
    "docs/cluster-reports.md",
    "docs/item-response.md",
    "docs/likelihood-ratio-tests.md",
    "docs/tests-of-terms.md",
    "docs/tests-of-networks.md",
    "docs/intervals.md",
    "docs/effects.md",
    "docs/diagnostics.md",
    "docs/plots.md",
    "docs/persistence.md",
    "docs/arviz.md",
    "docs/tables.md",
    "docs/scikit-learn.md",
)
# Networks trained in single precision end elsewhere on another number of cores: the
# words are those of the page, the numbers nearly so.
TRAINED = {"docs/clusters.md", "docs/cluster-reports.md", "docs/item-response.md"}
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and contents of the fenced blocks of a page."""
    return re.findall(r"```(\w+)\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def comparable(text: str) -> str:
    """Without what rounding may change on another machine."""
    text = re.sub(r"in \d+ Newton", "in some Newton", text)
    return re.sub(r"error \d+e-\d+", "error of some size", text).strip()


def numbers(text: str) -> tuple[list[str], list[float]]:
    """Words between the numbers of a text, and the numbers."""
    words = [" ".join(w.split()) for w in NUMBER.split(text)]
    return words, [float(n.replace(",", "")) for n in NUMBER.findall(text)]


def same(page: str, expected: str, printed: str) -> None:
    """Raise unless this is what the page shows."""
    if page not in TRAINED:
        assert comparable(expected) == comparable(printed)
        return
    (words, here), (others, there) = numbers(expected), numbers(printed)
    assert words == others
    assert there == pytest.approx(here, rel=0.25, abs=0.1)


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_code_runs_and_shows_what_is_printed(page: str) -> None:
    defined: dict[str, Any] = {}
    printed = ""
    for language, block in blocks(page):
        if language == "python":
            out = StringIO()
            with redirect_stdout(out):
                exec(compile(block, page, "exec"), defined)
            printed = out.getvalue() or printed
        elif language == "text" and not block.startswith(">>>"):
            same(page, block, printed)
