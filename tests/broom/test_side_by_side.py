"""Several fits in one table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.results.table import Table
from tests.broom.examples_broom import fitted


def test_every_number_is_that_of_its_fit() -> None:
    fits = {"m0": fitted("smaller"), "m1": fitted("ml"), "m2": fitted("network")}
    frame = ngmm.side_by_side(*fits.values()).to_frame()
    for name, fit in fits.items():
        table = fit.coef_table().to_frame()
        own = frame[name]
        for term, row in table.iterrows():
            assert own.loc[("fixed", term), "std_error"] == row["std_error"]
            assert own.loc[("fixed", term), "p_value"] == row["p_value"]
        limits = fit.conf_int().to_frame()
        row = own.loc[("random", "sd(Intercept | Subject)")]
        expected = limits.loc["sd(Intercept | Subject)"]
        assert row[["conf_low", "conf_high"]].tolist() == expected.tolist()[1:]
        assert own.loc[("residual", "sigma"), "estimate"] == fit.sigma
        assert own.loc[("fit", "AIC"), "estimate"] == fit.aic
        assert own.loc[("size", "levels of Subject"), "estimate"] == 18
    absent = frame["m0"].loc[("random", "sd(Days | Subject)")].to_numpy(dtype=float)
    assert np.isnan(absent).all()
    edf = fits["m2"].nn_table().to_frame()["edf"].item()
    row = frame["m2"].loc[("networks", "edf of nn(Days)")]
    assert row["estimate"] == edf


def test_text() -> None:
    text = str(ngmm.side_by_side(fitted("smaller"), fitted("ml"), names=["one", "two"]))
    lines = text.split("\n")
    at = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert at["Models"] == ["one", "two"]
    assert at["Days"] == ["10.467", "10.467"]
    assert at["(0.802)"] == ["(1.502)"]
    assert at["rows"] == ["180", "180"]
    assert at["loglik"] == ["-897.04", "-875.97"]
    # A term that one fit does not have leaves its cells empty.
    assert at["sd(Days"] == ["|", "Subject)", "5.72"]
    assert "nan" not in text
    assert "standard errors in parentheses" in text


@pytest.mark.parametrize(
    ("statistic", "below"),
    [
        ("statistic", "(6.97)"),
        ("p_value", "<0.001"),
        ("conf_int", "[7.311, 13.623]"),
        (None, None),
    ],
)
def test_what_stands_below(statistic: str | None, below: str | None) -> None:
    table = ngmm.side_by_side(fitted("ml"), statistic=statistic).to_table()
    cells = table.frame["m0"]
    after = cells.iloc[list(cells.index).index("Days") + 1]
    assert str(after) == (below or str(cells["sd(Intercept | Subject)"]))


def test_any_heading() -> None:
    text = str(
        ngmm.side_by_side(fitted("ml"), fitted("smaller"), names=["term", "a b"])
    )
    assert text.partition("\n")[0].split() == ["Models", "term", "a", "b"]


def test_stars() -> None:
    cells = ngmm.side_by_side(fitted("ml"), stars=True).to_table().frame
    days = cells.loc["Days", "m0"]
    assert days == "10.467***"
    assert "*** p < 0.001" in str(ngmm.side_by_side(fitted("ml"), stars=True))


def test_ratios() -> None:
    fit = fitted("binomial")
    frame = ngmm.side_by_side(fit, exponentiate=True).to_frame()
    expected = np.exp(fit.fixef["period[T.2]"])
    assert frame["m0"].loc[("fixed", "period[T.2]"), "estimate"] == expected


def test_a_variance_of_zero_is_a_zero() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "x": rng.normal(size=60)})
    e = pd.Series(rng.normal(size=60))
    data["y"] = data["x"] + e - e.groupby(data["g"]).transform("mean")
    fit = ngmm.fit("y ~ x + (1 | g)", data)
    both = ngmm.side_by_side(fit, statistic="conf_int")
    cells = both.to_table().frame
    assert cells.loc[["sd(Intercept | g)"], "m0"].tolist() == ["0"]
    assert "nan" not in str(both)


def test_what_does_not_compare_is_said() -> None:
    smaller, ml, reml = fitted("smaller"), fitted("ml"), fitted("reml")
    assert "do not compare" not in str(ngmm.side_by_side(smaller, ml))
    half = ngmm.datasets.load("sleepstudy").iloc[:90]
    fewer = [smaller.update(data=half.set_axis(range(s, s + 90))) for s in (0, 90)]
    assert "different rows" in str(ngmm.side_by_side(smaller, fewer[0]))
    assert "different rows" in str(ngmm.side_by_side(*fewer))
    text = str(ngmm.side_by_side(ml, reml))
    assert "Restricted and full likelihoods do not compare" in text
    other = ngmm.side_by_side(ml, fitted("binomial")).caption
    assert "different rows or responses" in other
    assert "binomial(logit)" in other
    centred = reml.update(". ~ . + I(Days^2)")
    assert "fixed effects are the same" in ngmm.side_by_side(reml, centred).caption


def test_all_formats() -> None:
    both = ngmm.side_by_side(fitted("smaller"), fitted("ml"))
    assert "| Days | 10.467 | 10.467 |" in both.to_markdown()
    assert "10.467</td>" in both.to_html()
    latex = both.to_latex("tab:sleep")
    assert r"Days & 10.467 & 10.467 \\" in latex
    assert r"\label{tab:sleep}" in latex
    assert both.to_latex() == both.to_table().to_latex()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["a"]}, "names= must be a list of 2"),
        ({"names": "ab"}, "names= must be a list of 2"),
        ({"names": ["a", "a"]}, "differ from each other"),
        ({"statistic": "std.error"}, 'did you mean "std_error"'),
        ({"level": 2}, "2"),
    ],
    ids=str,
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ngmm.side_by_side(fitted("smaller"), fitted("ml"), **arguments)


def test_what_is_no_fit() -> None:
    with pytest.raises(OptionError, match="got str"):
        ngmm.side_by_side(fitted("ml"), "y ~ x")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="one fit or more"):
        ngmm.side_by_side()


def test_latex_shows_every_character_as_it_is() -> None:
    index = pd.Index(["a_b & c%", "x^2 {~} #1 $", r"back\slash", "[1, 2]"])
    frame = pd.DataFrame({"sd": [-1.5, 2.0, 3.0, 4.0]}, index=index)
    lines = Table(frame, caption="1 < 2\nnew", title="A & B").to_latex().split("\n")
    assert lines[2] == r"\caption{A \& B}"
    assert r"a\_b \& c\% & $-$1.500 \\" in lines
    assert r"x\textasciicircum{}2 \{\textasciitilde{}\} \#1 \$ & 2.000 \\" in lines
    assert r"back\textbackslash{}slash & 3.000 \\" in lines
    # After a line's end LaTeX would read [1, 2] as a distance.
    assert r"{[1, 2]} & 4.000 \\" in lines
    notes = [line for line in lines if line.startswith(r"\par")]
    assert notes == [
        r"\par{\footnotesize 1 \textless{} 2}",
        r"\par{\footnotesize new}",
    ]


def test_every_table_has_latex() -> None:
    text = fitted("ml").coef_table().to_latex("tab:coef")
    assert text.startswith("\\begin{table}")
    assert text.endswith("\\end{table}")
    assert r"\begin{tabular}{lrrrrrc}" in text
    assert r"Days & 10.467 & 1.502 & 18.0 & 6.97 & \textless{}0.001 &" in text
