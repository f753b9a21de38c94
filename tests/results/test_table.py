from __future__ import annotations

import pickle
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngmm.results.columns import Count, Label, Number, PValue, Text
from ngmm.results.render import markdown_escape, one_line, wrap
from ngmm.results.table import Table
from ngmm.results.tables import coef_table, method_caption, varcorr_table

NAN = float("nan")


def coefs(n: int = 3) -> pd.DataFrame:
    """Coefficients whose exact values do not matter here."""
    estimate = np.linspace(-1.0, 2.0, n)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": 0.25,
            "df": 17.0,
            "statistic": estimate / 0.25,
            "p_value": 0.0449,
            "conf_low": estimate - 0.5,
            "conf_high": estimate + 0.5,
        },
        index=pd.Index([f"x{i}" for i in range(n)]),
    )


def wide(n_columns: int) -> Table:
    frame = pd.DataFrame({f"column_{j}": [1.5, 2.5] for j in range(n_columns)})
    frame.index = pd.Index(["first", "second"])
    return Table(frame)


def test_to_frame_is_a_copy_at_full_precision():
    table = coef_table(coefs())
    frame = table.to_frame()
    pd.testing.assert_frame_equal(frame, coefs())
    frame["estimate"] = 0.0
    pd.testing.assert_frame_equal(table.to_frame(), coefs())


def test_tables_are_frozen_and_picklable():
    table = coef_table(coefs(), "caption")
    with pytest.raises(FrozenInstanceError, match="caption"):
        table.caption = "other"  # pyright: ignore[reportAttributeAccessIssue]
    assert str(pickle.loads(pickle.dumps(table))) == str(table)


def test_text_aligns_decimals_and_bounds():
    assert str(coef_table(coefs(), "caption")).splitlines() == [
        "Fixed effects   estimate      se     df       t       p       95% CI",
        "  x0              -1.000   0.250   17.0   -4.00   0.045   [-1.50, -0.50]",
        "  x1               0.500   0.250   17.0    2.00   0.045   [ 0.00,  1.00]",
        "  x2               2.000   0.250   17.0    8.00   0.045   [ 1.50,  2.50]",
        "  caption",
    ]


def test_printing_and_repr_are_the_text():
    table = coef_table(coefs())
    assert repr(table) == str(table) == table.to_text(80)
    assert table._repr_html_() == table.to_html()


def test_the_level_names_the_interval():
    assert "90% CI" in str(coef_table(coefs(), level=0.9))
    assert "99.9% CI" in str(varcorr_table(VARCORR, level=0.999))


def test_wide_tables_wrap_columns_in_blocks():
    lines = str(wide(20)).splitlines()
    assert max(map(len, lines)) <= 80
    assert "" in lines
    blocks = str(wide(20)).split("\n\n")
    for block in blocks:
        assert [line.split()[0] for line in block.splitlines()[1:]] == [
            "first",
            "second",
        ]
    heads = [name for block in blocks for name in block.splitlines()[0].split()]
    assert heads == [f"column_{j}" for j in range(20)]


@given(st.integers(1, 25), st.integers(30, 120))
def test_text_never_exceeds_a_width_that_a_column_fits(n_columns, width):
    lines = wide(n_columns).to_text(width).splitlines()
    assert max(map(len, lines)) <= width


def test_default_columns_follow_the_types():
    frame = pd.DataFrame(
        {"n": [1200, 5], "x": [0.5, NAN], "ok": [True, False], "word": ["a", None]},
        index=pd.Index(["r", "s"], name="row"),
    )
    assert Table(frame).to_markdown().splitlines() == [
        "| row | n | x | ok | word |",
        "| :-- | --: | --: | :-- | :-- |",
        "| r | 1,200 | 0.500 | True | a |",
        "| s | 5 | - | False | - |",
    ]


def test_formats_of_single_columns():
    frame = pd.DataFrame({"k": [1e6, NAN], "p": [0.0001, 0.5], "w": ["a|b", "<c>"]})
    columns = (Text("w", "word"), Count("k", "k"), PValue("p"), Number("k", "k2"))
    text = str(Table(frame, columns=columns))
    assert "1,000,000" in text
    assert "<0.001" in text
    assert "nan" not in text


def test_markdown_escapes_pipes_and_keeps_the_column_count():
    frame = coefs().rename(index={"x0": "s(a | b)", "x1": "`c|d`*"})
    table = coef_table(frame, "caption | of two parts")
    rows = [line for line in table.to_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert "| s(a \\| b) |" in rows[2]
    assert table.to_markdown().endswith("*caption \\| of two parts*")


@given(st.text(max_size=20))
def test_markdown_cells_never_end_a_cell(text):
    cell = markdown_escape(one_line(text))
    assert re.search(r"(?<!\\)(\\\\)*\|", cell) is None
    assert "\n" not in cell


def test_html_escapes_names_captions_and_titles():
    frame = coefs(1).rename(index={"x0": "<i>&"})
    html = Table(frame, "<b>", (), "<u>").to_html()
    assert "<th scope=" in html
    assert "&lt;i&gt;&amp;" in html
    assert re.search("<[ibu]>", html) is None


def test_labels_once_leave_out_repetitions():
    frame = pd.DataFrame({"g": ["a", "a", None, "b"]})
    assert Label("g", once=True).cells(frame) == ["a", "", "", "b"]


def test_line_breaks_in_names_do_not_break_the_table():
    frame = coefs(2).rename(index={"x0": "two\nlines\tand\x1b[31m"})
    assert "  two lines and [31m " in str(coef_table(frame))
    assert len(str(coef_table(frame)).splitlines()) == 3


def test_wide_characters_count_twice():
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["年齢", "abcd"]))
    assert str(Table(frame)).splitlines()[1:] == ["年齢   1.000", "abcd   2.000"]


def test_an_empty_table_is_its_head():
    assert str(coef_table(coefs(0))).split() == [
        "Fixed",
        "effects",
        "estimate",
        "se",
        "z",
        "p",
        "95%",
        "CI",
    ]


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("satterthwaite", "Satterthwaite"),
        ("kenward-roger", "Kenward-Roger"),
        ("none", "z tests"),
        ("residual", "t tests with residual degrees of freedom"),
    ],
)
def test_captions_name_the_method(method, words):
    assert words in method_caption(method)


VARCORR = pd.DataFrame(
    {
        "group": ["g", "g", "g", "Residual"],
        "name": ["Intercept", "x", "x", ""],
        "name2": [None, None, "Intercept", None],
        "variance": [4.0, 0.0, NAN, 1.0],
        "sd": [2.0, 0.0, NAN, 1.0],
        "corr": [NAN, NAN, -1.0, NAN],
        "conf_low": [1.25, NAN, NAN, 0.5],
        "conf_high": [3.75, NAN, NAN, 1.5],
    }
)


def test_varcorr_says_what_is_at_the_boundary():
    rows = varcorr_table(VARCORR).to_markdown().splitlines()[4:]
    assert rows == [
        "| g | Intercept |  | 4.000 | 2.000 |  | [1.25, 3.75] |",
        "|  | x |  | 0 | 0 |  | [at boundary] |",
        "|  | x | Intercept |  |  | -1.00 | [at boundary] |",
        "| Residual |  |  | 1.000 | 1.000 |  | [0.50, 1.50] |",
    ]


def test_an_interval_that_is_unknown_is_a_dash():
    frame = VARCORR.assign(sd=[2.0, 0.5, NAN, 1.0], conf_low=NAN, conf_high=NAN)
    cells = [
        row.split("|")[-2].strip()
        for row in varcorr_table(frame).to_markdown().splitlines()[4:]
    ]
    assert cells == ["-", "-", "[at boundary]", "-"]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (30, ["a + bb + (1 + x | g) + c"]),
        (19, ["a + bb", "  + (1 + x | g) + c"]),
        (16, ["a + bb", "  + (1 + x | g)", "  + c"]),
    ],
)
def test_wrap_keeps_parentheses_and_operators_together(width, lines):
    assert wrap("a + bb + (1 + x | g) + c", width, "", "  ") == lines


def test_wrap_breaks_a_term_that_fits_no_line():
    lines = wrap("a + (first + second + third | group)", 20, "", "  ")
    assert max(map(len, lines)) <= 20
    joined = " ".join(line.strip() for line in lines)
    assert joined == "a + (first + second + third | group)"
