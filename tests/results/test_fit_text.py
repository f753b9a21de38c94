"""What a fit prints: no line too long, never a nan, everything said."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import ngmm
from ngmm.results import MixedModelFit
from tests.results.examples import NAMES, SLEEP, fitted, load, panel


@pytest.fixture(params=NAMES)
def fit(request: pytest.FixtureRequest) -> MixedModelFit:
    return fitted(request.param)


class Balanced(HTMLParser):
    """Fails on a tag that is closed in the wrong order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def pages(fit: MixedModelFit) -> dict[str, str]:
    """Everything the fit prints, in every form."""
    page = fit.summary()
    out = {
        "summary": str(page),
        "str": str(fit),
        "repr": repr(fit),
        "markdown": page.to_markdown(),
        "html": page.to_html(),
        "notebook": fit._repr_html_(),
        "check": str(fit.check()),
    }
    for name in ("coef_table", "varcorr", "conf_int", "collinearity"):
        table = getattr(fit, name)()
        out[name] = str(table)
        out[f"{name} markdown"] = table.to_markdown()
        out[f"{name} html"] = table.to_html()
    return out


def test_nothing_prints_nan_or_none(fit: MixedModelFit) -> None:
    for name, page in pages(fit).items():
        # Styles in HTML tags may say none.
        text = re.sub(r"<[^>]*>", " ", page) if page.startswith("<") else page
        assert not re.search(r"\b(nan|none|nat|<na>)\b", text, re.IGNORECASE), name


def test_no_line_is_longer_than_80_characters(fit: MixedModelFit) -> None:
    for name in ("summary", "str", "coef_table", "varcorr", "conf_int", "collinearity"):
        lines = pages(fit)[name].splitlines()
        assert max(map(len, lines)) <= 80, name


def test_html_is_balanced(fit: MixedModelFit) -> None:
    for name in ("html", "notebook", "coef_table html", "varcorr html"):
        parser = Balanced()
        parser.feed(pages(fit)[name])
        assert parser.open == [], name


def test_every_parameter_is_in_the_summary(fit: MixedModelFit) -> None:
    page = fit.summary()
    for text in (str(page), page.to_markdown(), page.to_html()):
        for name in [*fit.fixef.index, *fit.n_levels, "Residual"]:
            assert name in text.replace("\\", "")
        assert f"{fit.loglik:.2f}" in text
        assert f"{fit.aic:.1f}" in text
        assert f"{fit.bic:.1f}" in text


def test_the_header_says_what_was_fitted(fit: MixedModelFit) -> None:
    text = str(fit.summary())
    lines = text.splitlines()
    assert lines[0].startswith("Linear mixed model")
    assert lines[0].endswith("[OK]")
    flat = " ".join(text.split())
    assert fit.formula in flat
    method = "restricted maximum likelihood (REML)" if fit.reml else "maximum likelih"
    assert method in flat
    assert ("REML loglik" in text) == fit.reml
    assert f"{fit.nobs} rows used, {fit.n_dropped} dropped" in flat
    for group, n in fit.n_levels.items():
        assert f"{group} {n} (" in flat


def test_dropped_rows_and_columns_are_named() -> None:
    text = " ".join(str(fitted("rich").summary()).split())
    assert "236 rows used, 4 dropped (x: 2, z: 3)" in text
    assert "dropped, linear combinations of others: copy" in text


def test_a_model_without_fixed_effects_prints_none() -> None:
    text = str(fitted("no_fixed").summary())
    assert "Fixed effects" not in text
    assert "Random effects" in text


def test_three_correlated_effects_show_a_triangle() -> None:
    text = str(fitted("triple").summary())
    rows = [
        line for line in text.splitlines() if re.search(r"^\s+(g\s+)?\S+\s+\d", line)
    ]
    numbers = [len(re.findall(r"-?\d+\.\d+", re.sub(r"\[.*?\]", "", r))) for r in rows]
    assert numbers[:3] == [1, 2, 3]


def test_singular_fits_show_zero_and_one() -> None:
    zero = str(fitted("zero").summary())
    assert re.search(r"Intercept\s+0(\.0*)?\s", zero)
    assert re.search(r"x\s+\S+\s+\[.*?\]\s+-1\.00", str(fitted("perfect").summary()))


def test_independent_effects_show_no_correlation() -> None:
    assert "corr" not in str(fitted("independent").summary())
    assert "z tests" in str(fitted("independent").summary())


def test_print_is_shorter_than_the_summary(fit: MixedModelFit) -> None:
    assert len(str(fit)) < len(str(fit.summary()))
    assert repr(fit) == str(fit)


def test_a_long_formula_is_wrapped() -> None:
    formula = (
        "y ~ x + z + f + x:z + x:f + z:f + I(x^2) + I(z^2) + I(x^3) + I(z^3) "
        "+ offset(o) + (1 + x | g) + (1 | h)"
    )
    fit = ngmm.fit(formula, panel())
    for text in (str(fit.summary()), str(fit)):
        assert max(map(len, text.splitlines())) <= 80
        assert formula in " ".join(text.split())


@pytest.mark.parametrize("power", [-20, -6, 6, 20])
def test_numbers_of_any_size_fit_the_page(power: int) -> None:
    data = load("sleepstudy")
    data["Reaction"] = data["Reaction"] * 10.0**power
    fit = ngmm.fit(SLEEP, data)
    assert fit.check().ok
    lines = str(fit.summary()).splitlines()
    assert max(map(len, lines)) <= 80
    # Rescaling the response changes estimates by that factor and nothing else.
    expected = fitted("slope").fixef * 10.0**power
    np.testing.assert_allclose(fit.fixef, expected, rtol=1e-8)
