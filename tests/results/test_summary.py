from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from ngmm.results.document import Document
from ngmm.results.summary import brief, summarise
from ngmm.results.table import Table
from ngmm.results.tables import coef_table, varcorr_table

NAN = float("nan")


@dataclass(frozen=True)
class StubMessage:
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class StubVerdict:
    ok: bool = True
    messages: tuple[StubMessage, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StubFit:
    """What a summary reads of a fit, with values written down by hand."""

    formula: str
    nobs: int
    n_levels: dict[str, int]
    group_sizes: dict[str, tuple[float, float, float]]
    loglik: float
    aic: float
    bic: float
    df_model: float
    coefs: tuple[tuple[object, ...], ...]
    effects: tuple[tuple[object, ...], ...]
    family: str = "gaussian"
    link: str = "identity"
    response_name: str = "y"
    response_levels: tuple[str, str] | None = None
    reml: bool = True
    n_dropped: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    estimate_text: str = "converged in 6 Newton steps"
    integral_text: str = "exact"
    aliased: tuple[str, ...] = ()
    networks: None = None
    is_neural: bool = False
    df_method: str = "satterthwaite"
    verdict: StubVerdict = StubVerdict()

    def coef_table(self, level: float = 0.95) -> Table:
        names = ["name", "estimate", "std_error", "df", "statistic", "p_value"]
        frame = pd.DataFrame(list(self.coefs), columns=pd.Index(names))
        frame["conf_low"] = frame["estimate"] - 2 * frame["std_error"]
        frame["conf_high"] = frame["estimate"] + 2 * frame["std_error"]
        return coef_table(frame.set_index("name"), level=level)

    def varcorr(self, level: float = 0.95) -> Table:
        names = ["group", "name", "name2", "sd", "corr", "conf_low", "conf_high"]
        frame = pd.DataFrame(list(self.effects), columns=pd.Index(names))
        frame.insert(3, "variance", frame["sd"] ** 2)
        return varcorr_table(frame, level=level)

    def nn_table(self) -> Table:
        raise NotImplementedError

    def check(self) -> StubVerdict:
        return self.verdict


# Estimates of lme4 and lmerTest for sleepstudy, cake and Pastes; the intervals of the
# sds are profile likelihood intervals of the same fits.
SLEEPSTUDY = StubFit(
    formula="Reaction ~ 1 + Days + (1 + Days | Subject)",
    nobs=180,
    n_levels={"Subject": 18},
    group_sizes={"Subject": (10, 10.0, 10)},
    loglik=-875.969672231599,
    aic=1763.9393444632,
    bic=1783.09708556854,
    df_model=6,
    reml=False,
    coefs=(
        ("Intercept", 251.405104848486, 6.63227680681895, 18.0, 37.9063046, 1.27e-18),
        ("Days", 10.4672859595964, 1.50223678230093, 18.0, 6.96780034, 1.65e-06),
    ),
    effects=(
        ("Subject", "Intercept", None, 23.7805669981208, NAN, 14.3813846, 37.7160542),
        ("Subject", "Days", None, 5.71683454244271, NAN, 3.8011773, 8.7533920),
        ("Subject", "Days", "Intercept", NAN, 0.0813200754, -0.4814926, 0.6850190),
        ("Residual", "", None, 25.5918156268342, NAN, 22.8982565, 28.8579992),
    ),
)
QUADRATIC = replace(
    SLEEPSTUDY,
    formula="Reaction ~ 1 + Days + I(Days^2) + (1 + Days + I(Days^2) | Subject)",
    loglik=-864.635560076828,
    aic=1749.27112015366,
    bic=1781.20068866256,
    df_model=10,
    reml=True,
    coefs=(
        ("Intercept", 255.449372777777, 7.90738525677494, 17.0, 32.3051635, 1.06e-16),
        ("Days", 7.43408501262503, 4.07630284786145, 17.0, 1.82373223, 0.0858233),
        ("I(Days^2)", 0.337022327441159, 0.415879333866859, 17.0, 0.810385, 0.4289192),
    ),
    effects=(
        ("Subject", "Intercept", None, 28.3754379246336, NAN, 18.1, 44.4),
        ("Subject", "Days", None, 14.6055315915739, NAN, 9.8, 22.6),
        ("Subject", "I(Days^2)", None, 1.46008262302179, NAN, 0.95, 2.28),
        ("Subject", "Days", "Intercept", NAN, -0.410840867, -0.77, 0.16),
        ("Subject", "I(Days^2)", "Intercept", NAN, 0.455389698, -0.11, 0.79),
        ("Subject", "I(Days^2)", "Days", NAN, -0.909903416, -0.97, -0.74),
        ("Residual", "", None, 22.7630847473167, NAN, 20.3, 25.8),
    ),
)
PASTES = StubFit(
    formula="strength ~ 1 + (1 | batch) + (1 | cask:batch)",
    nobs=60,
    n_levels={"cask:batch": 30, "batch": 10},
    group_sizes={"cask:batch": (2, 2.0, 2), "batch": (6, 6.0, 6)},
    loglik=-123.495372926743,
    aic=254.990745853486,
    bic=263.368124102375,
    df_model=4,
    coefs=(("Intercept", 60.0533333333343, 0.676870066, 9.0, 88.7220995, 1.49e-14),),
    effects=(
        ("cask:batch", "Intercept", None, 2.9040775930961, NAN, 2.1579309, 4.0538051),
        ("batch", "Intercept", None, 1.28736499948033, NAN, 0.0, 2.9465971),
        ("Residual", "", None, 0.82340755400967, NAN, 0.6520229, 1.0854478),
    ),
)
SINGULAR = StubFit(
    formula="Yield ~ 1 + (1 | Batch)",
    nobs=30,
    n_levels={"Batch": 6},
    group_sizes={"Batch": (5, 5.0, 5)},
    loglik=-80.9141389061442,
    aic=167.828277812288,
    bic=172.031869957275,
    df_model=3,
    coefs=(("Intercept", 5.6656, 0.678388031232524, 29.0, 8.3515624, 3.3183e-09),),
    effects=(
        ("Batch", "Intercept", None, 0.0, NAN, NAN, NAN),
        ("Residual", "", None, 3.71568427447573, NAN, 2.98, 4.94),
    ),
    verdict=StubVerdict(notes=("the sd of Intercept in Batch is zero",)),
)
WARNED = replace(
    SLEEPSTUDY,
    n_dropped=3,
    nobs=177,
    missing={"Reaction": 3, "Days": 0},
    aliased=("hours", "I(2 * Days)"),
    verdict=StubVerdict(
        ok=False,
        messages=(
            StubMessage("the gradient is not zero: 0.02", "refit with more steps"),
            StubMessage("the Hessian is not positive definite"),
        ),
    ),
)
FITS = {
    "sleepstudy": SLEEPSTUDY,
    "quadratic": QUADRATIC,
    "pastes": PASTES,
    "singular": SINGULAR,
    "warned": WARNED,
}
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")


def line_with(page: Document, start: str) -> str:
    """The one line that begins with ``start``, indent apart."""
    found = [x for x in str(page).splitlines() if x.strip().startswith(start)]
    assert len(found) == 1, found
    return found[0]


def numbers_of(page: Document, start: str) -> list[float]:
    text = line_with(page, start).strip().removeprefix(start)
    return [float(x) for x in NUMBER.findall(text)]


@pytest.mark.parametrize("build", [summarise, brief])
@pytest.mark.parametrize("name", FITS)
def test_lines_fit_80_columns_and_hold_no_nan(name, build):
    text = str(build(FITS[name]))
    assert max(len(line) for line in text.splitlines()) == 80  # the tag ends there
    assert all(line == line.rstrip() for line in text.splitlines())
    for page in (text, build(FITS[name]).to_markdown(), build(FITS[name]).to_html()):
        assert re.search(r"\b(nan|inf)\b", page, re.IGNORECASE) is None
        assert "None" not in page


def test_words_and_order_of_the_summary():
    text = str(summarise(SLEEPSTUDY))
    labels = [line.strip().split("  ")[0] for line in text.splitlines() if line]
    assert labels == [
        "Linear mixed model",
        "formula",
        "family",
        "groups",
        "integral",
        "estimate",
        "loglik -875.97",
        "Random effects",
        "Subject",
        "Days",
        "Residual",
        "Fixed effects",
        "Intercept",
        "Days",
        "t tests with Satterthwaite degrees of freedom",
    ]
    assert text.splitlines()[0].endswith(" [OK]")
    for words in (
        "formula    Reaction ~ 1 + Days + (1 + Days | Subject)",
        "family     gaussian(identity)       data  180 rows used, 0 dropped",
        "groups     Subject 18 (10 to 10 rows, median 10)",
        "integral   exact",
        "estimate   maximum likelihood, converged in 6 Newton steps",
        " loglik -875.97    AIC 1763.9    BIC 1783.1    df 6",
    ):
        assert words in text.splitlines()


def test_printed_numbers_are_those_of_the_tables():
    page = summarise(SLEEPSTUDY)
    # Half a unit of the last printed decimal: 2 for sds, 1 for their intervals.
    printed = numbers_of(page, "Subject   Intercept")
    assert printed[0] == pytest.approx(23.7805670, abs=0.005)
    assert printed[1:] == pytest.approx([14.3813846, 37.7160542], abs=0.05)
    assert numbers_of(page, "Residual")[0] == pytest.approx(25.5918156, abs=0.005)
    slope = [line for line in str(page).splitlines() if line.strip()[:4] == "Days"]
    random, fixed = ([float(x) for x in NUMBER.findall(line)] for line in slope)
    assert random[3:] == pytest.approx([0.0813201, -0.4814926, 0.6850190], abs=0.005)
    assert fixed[:2] == pytest.approx([10.4672860, 1.5022368], abs=0.0005)
    assert fixed[2:4] == pytest.approx([18.0, 6.9678003], abs=0.005)
    assert "<0.001" in slope[1]


def test_reml_is_named_with_the_log_likelihood_and_the_method():
    page = summarise(PASTES)
    assert line_with(page, "REML loglik").startswith(" REML loglik -123.50")
    assert "restricted maximum likelihood (REML)" in line_with(page, "estimate")


def test_several_groups_stand_one_per_line():
    lines = str(summarise(PASTES)).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("groups"))
    assert lines[first] == "groups     cask:batch 30 (2 to 2 rows, median 2)"
    assert lines[first + 1] == "           batch 10 (6 to 6 rows, median 6)"
    # No correlations in the model, so no such column.
    assert "corr" not in str(summarise(PASTES))


def test_long_terms_show_the_lower_triangle_of_correlations():
    page = summarise(QUADRATIC)
    rows = {
        line.split()[0]: line
        for line in str(page).split("Random effects")[1].splitlines()[1:4]
    }
    row = rows["I(Days^2)"].split("]")[1]
    assert [float(x) for x in row.split()] == [0.46, -0.91]
    assert rows["Days"].split("]")[1].split() == ["-0.41"]
    assert rows["Subject"].split("]")[1] == ""
    assert "intervals in varcorr()" in str(page)


def test_a_zero_sd_says_that_it_is_at_the_boundary():
    page = summarise(SINGULAR)
    assert line_with(page, "Batch   ").split()[1:] == [
        "Intercept",
        "0",
        "[at",
        "boundary]",
    ]
    assert str(page).splitlines()[0].endswith("[OK]")
    assert str(page).endswith("\n\n  note: the sd of Intercept in Batch is zero")


@pytest.mark.parametrize("build", [summarise, brief])
def test_messages_follow_the_title_with_the_call_that_helps(build):
    lines = str(build(WARNED)).splitlines()
    assert lines[0].endswith("[WARN 2]")
    assert lines[1:4] == [
        "  ! the gradient is not zero: 0.02",
        "    -> refit with more steps",
        "  ! the Hessian is not positive definite",
    ]


def test_dropped_rows_and_columns_are_named():
    text = str(summarise(WARNED))
    assert "data  177 rows used, 3 dropped (Reaction: 3)" in text
    assert "  dropped, linear combinations of others: hours, I(2 * Days)" in text


def test_without_degrees_of_freedom_the_tests_are_z_tests():
    coefs = tuple((*row[:3], np.inf, *row[4:]) for row in SLEEPSTUDY.coefs)
    page = summarise(replace(SLEEPSTUDY, coefs=coefs, df_method="none"))
    head = line_with(page, "Fixed effects").split()
    assert head[2:] == ["estimate", "se", "z", "p", "95%", "CI"]
    assert "z tests (normal approximation)" in str(page)


def test_a_model_without_fixed_effects_has_no_such_table():
    frame = SLEEPSTUDY.coef_table().to_frame().iloc[:0]
    fit = replace(SLEEPSTUDY, coefs=())
    assert frame.empty
    assert "Fixed effects" not in str(summarise(fit))


def test_two_terms_of_one_factor_keep_their_correlations_apart():
    effects = (
        ("g", "Intercept", None, 2.0, NAN, 1.0, 3.0),
        ("g", "x", None, 1.5, NAN, 1.0, 2.0),
        ("g", "z", None, 0.5, NAN, 0.2, 0.9),
        ("g", "w", None, 0.7, NAN, 0.2, 0.9),
        ("g", "x", "Intercept", NAN, 0.25, 0.0, 0.5),
        ("g", "w", "z", NAN, -0.75, -0.9, -0.5),
        ("Residual", "", None, 1.0, NAN, 0.9, 1.1),
    )
    page = summarise(replace(SLEEPSTUDY, effects=effects))
    assert numbers_of(page, "x ")[-3:] == [0.25, 0.0, 0.5]
    assert numbers_of(page, "w ")[-3:] == [-0.75, -0.9, -0.5]
    assert len(numbers_of(page, "z ")) == 3


def test_a_generalized_model_is_called_so():
    page = summarise(replace(SLEEPSTUDY, family="bernoulli", link="logit"))
    assert str(page).startswith("Generalized linear mixed model ")
    assert "bernoulli(logit)" in str(page)


def test_brief_is_shorter_and_has_no_intervals():
    text = str(brief(SLEEPSTUDY))
    assert len(text.splitlines()) < len(str(summarise(SLEEPSTUDY)).splitlines())
    assert "CI" not in text
    assert "180 rows; Subject 18" in text
    assert " loglik -875.97    AIC 1763.9" in text.splitlines()


def test_long_formulas_wrap_before_an_operator_and_keep_terms_whole():
    terms = [f"measurement_{i:02d}" for i in range(12)]
    formula = f"y ~ 1 + {' + '.join(terms)} + (1 + measurement_00 | laboratory)"
    text = str(summarise(replace(SLEEPSTUDY, formula=formula)))
    start = text.index("formula")
    lines = text[start : text.index("family")].rstrip().splitlines()
    assert len(lines) == 4
    assert all(line.startswith("           + ") for line in lines[1:])
    assert "(1 + measurement_00 | laboratory)" in lines[-1]
    assert " ".join(line.strip() for line in lines) == f"formula    {formula}"


class Balanced(HTMLParser):
    """Counts tags and refuses one that is closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        del attrs
        self.seen[tag] += 1
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("build", [summarise, brief])
def test_html_is_balanced_and_escapes_what_the_user_wrote(build):
    formula = "y ~ I(a < b) + `<script>` + (1 | g)"
    fit = replace(WARNED, formula=formula, n_levels={"<b>": 18}, nobs=5)
    fit = replace(fit, group_sizes={"<b>": (1, 2.5, 3)}, aliased=("a<b>c",))
    parser = Balanced()
    parser.feed(build(fit).to_html())
    parser.close()
    assert parser.open == []
    assert parser.seen["table"] == 2
    assert {"script", "b"}.isdisjoint(parser.seen)
    assert formula in parser.words
    assert build(fit)._repr_html_() == build(fit).to_html()


@pytest.mark.parametrize("name", FITS)
def test_markdown_tables_have_as_many_cells_in_every_row(name):
    coefs = (("s(x | y)", 1.0, 0.5, 9.0, 2.0, 0.05), *FITS[name].coefs)
    fit = replace(FITS[name], coefs=coefs)
    tables = re.findall(r"(?:^\|.*\n?)+", summarise(fit).to_markdown(), re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        counts = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(counts) == 1
