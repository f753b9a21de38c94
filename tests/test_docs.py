"""The code of the documentation runs, and its output is the output."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import executed

DOCS = Path(executed.__file__).parent
PAGES = [
    page
    for page in (executed.ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
    if "_build" not in page.parts and executed.has_code(page.read_text("utf-8"))
]


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.parametrize(
    "page", PAGES, ids=lambda p: p.relative_to(executed.ROOT).as_posix()
)
def test_code_runs_and_shows_what_is_printed(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(executed.ROOT)
    assert executed.run(page).problems == ()


def a_page(folder: Path, text: str) -> Path:
    """A page with the given text."""
    page = folder / "page.md"
    page.write_text(text)
    return page


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md:5: the page shows"),
        ("\n```python\n1 / 0\n```\n", "page.md:2: ZeroDivisionError: division by zero"),
        (
            "```python\n1\n```\n<!-- figure: none -->\n",
            "page.md:4: no figure was drawn",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    (said,) = executed.run(a_page(tmp_path, text)).problems
    assert said.startswith(problem)


def test_figures_go_where_the_page_says(tmp_path: Path) -> None:
    draw = "import matplotlib.pyplot as p\np.figure(); p.figure()"
    text = f"```python\n{draw}\n```\n<!-- figure: two -->\n"
    ran = executed.run(a_page(tmp_path, text), tmp_path)
    assert ran.problems == ()
    assert ran.figures == (("page-1-1.png", "page-1-2.png"),)
    assert all((tmp_path / name).stat().st_size > 0 for name in ran.figures[0])


def test_a_figure_that_is_not_shown_is_reported(tmp_path: Path) -> None:
    draw = "import matplotlib.pyplot as p\np.figure()"
    block = f"```python\n{draw}\n```\n"
    ran = executed.run(a_page(tmp_path, f"{block}<!-- figure: one -->\n{block}"))
    assert ran.problems == ("page.md: 1 figures are drawn and not shown",)


def test_a_decimal_may_be_rounded_the_other_way() -> None:
    assert executed.same("6.88 of 3", "6.87 of 3", nearly=False)
    assert executed.same("1.5e-06", "1.6e-06", nearly=False)
    assert not executed.same("6.88 of 3", "6.86 of 3", nearly=False)
    assert not executed.same("6.88 of 3", "6.88 of 4", nearly=False)


def test_numbers_of_trained_networks_may_differ_a_little() -> None:
    assert executed.same("error 0.50 in 3", "error 0.55  in 3", nearly=True)
    assert not executed.same("error 0.50 in 3", "error 0.55 in 3", nearly=False)
    assert not executed.same("error 0.50 in 3", "loss 0.50 in 3", nearly=True)
    assert not executed.same("error 0.50 in 3", "error 0.70 in 3", nearly=True)
