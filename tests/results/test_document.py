from __future__ import annotations

import pandas as pd
import pytest

from ngmm.results.document import (
    Document,
    Field,
    Fields,
    Line,
    Notes,
    Section,
    Title,
)
from ngmm.results.table import Table

TABLE = Table(pd.DataFrame({"x": [1.0]}, index=pd.Index(["row"])), caption="note")
PAGE = Document(
    (
        Title("Model", "[WARN 1]"),
        Notes(("it failed\n-> try again",)),
        Fields((Field("formula", "y ~ (1 | g)"), Field("data", "3 rows", beside=True))),
        Line((("loglik", "-1.00"), ("AIC", "4.0"))),
        Section("Numbers", TABLE),
        Notes(("by the way",), mark="note:", apart=True),
    )
)


def test_text_of_a_page():
    assert PAGE.to_text(width=48).splitlines() == [
        "Model                                   [WARN 1]",
        "  ! it failed",
        "    -> try again",
        "formula   y ~ (1 | g)       data  3 rows",
        "",
        " loglik -1.00    AIC 4.0",
        "",
        "Numbers       x",
        "  row     1.000",
        "  note",
        "",
        "  note: by the way",
    ]


def test_markdown_of_a_page():
    assert PAGE.to_markdown().splitlines() == [
        "## Model [WARN 1]",
        "",
        "- **!** it failed -\\> try again",
        "",
        "- **formula**: y \\~ (1 \\| g)",
        "- **data**: 3 rows",
        "",
        "**loglik** -1.00, **AIC** 4.0",
        "",
        "### Numbers",
        "",
        "|  | x |",
        "| :-- | --: |",
        "| row | 1.000 |",
        "",
        "*note*",
        "",
        "- **note:** by the way",
    ]


def test_html_of_a_page_is_semantic():
    html = PAGE.to_html()
    for element in (
        "<article",
        "<h3",
        "<ul",
        "<dl",
        "<dt",
        "<dd",
        "<caption",
        "<tfoot",
    ):
        assert element in html
    assert html.startswith("<article")
    assert html.endswith("</article>")
    assert "it failed<br>-&gt; try again" in html


def test_printing_and_repr_are_the_text():
    assert str(PAGE) == repr(PAGE) == PAGE.to_text(80)
    assert PAGE._repr_html_() == PAGE.to_html()


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_lines_keep_to_the_width(width):
    words = " ".join(["word"] * 60)
    page = Document(
        (
            Title("Model", "[OK]"),
            Notes((words,)),
            Fields((Field("long", words), Field("other", words, beside=True))),
            Line(tuple((f"figure{i}", "1.0") for i in range(20))),
            Section("Table", Table(TABLE.frame, caption=words)),
        )
    )
    lines = page.to_text(width).splitlines()
    assert max(map(len, lines)) == width  # the tag ends there
    assert lines[0].endswith("[OK]")


def test_a_field_that_does_not_fit_beside_takes_its_own_line():
    fields = Fields((Field("a", "x" * 30), Field("b", "y" * 30, beside=True)))
    assert len(fields.to_text(60).splitlines()) == 2
    assert len(fields.to_text(90).splitlines()) == 1


def test_fields_of_several_lines_are_below_one_another():
    fields = Fields((Field("groups", "a 1\nb 2"),))
    assert fields.to_text(80).splitlines() == ["groups   a 1", "         b 2"]
    assert fields.to_markdown() == "- **groups**: a 1; b 2"
    assert "a 1<br>b 2" in fields.to_html()


def test_a_word_longer_than_the_line_stays_whole():
    fields = Fields((Field("f", "x" * 50),))
    assert "x" * 50 in fields.to_text(30)
    assert Title("long title", "[OK]").to_text(5) == "long title [OK]"
