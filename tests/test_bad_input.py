"""Bad input to `fit`: the class of the error, and what its message says.

Each message says what came, what was expected and what to do; the formula parser and
the design have tables of their own for the details.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import numpy as np
import optax
import pandas as pd
import pytest

import ngmm
from ngmm.errors import (
    DataError,
    DesignError,
    FormulaError,
    NewDataError,
    NgmmError,
    OptionError,
)
from ngmm.model import Model


def frame(**changes: Any) -> pd.DataFrame:
    """Six subjects with five rows each."""
    rng = np.random.default_rng(4)
    days = np.tile(np.arange(5.0), 6)
    data = pd.DataFrame(
        {
            "reaction": 250 + 10 * days + rng.normal(size=30) * 20,
            "days": days,
            "dose": rng.normal(size=30),
            "arm": np.repeat(["a", "b", "c"], 10),
            "subj": np.repeat(list("uvwxyz"), 5),
        }
    )
    return data.assign(**changes)


def with_value(column: str, value: float, row: int = 3) -> pd.DataFrame:
    data = frame()
    data.loc[row, column] = value
    return data


GOOD = "reaction ~ days + (days | subj)"

# Formulas: (formula, what the carets underline, essential words)
MALFORMED = [
    ("reaction ~ days + days | subj", "|", "bar outside parentheses; write"),
    ("reaction ~ 1 | subj", "|", "bar outside parentheses; write (1 | subj)"),
    ("reaction ~ days + (days | subj | arm)", "|", "two bars in one random term"),
    ("reaction ~ days + (| subj)", "|", "nothing left of the bar; write (1 | subj)"),
    ("reaction ~ days + (days |)", "|", "nothing right of the bar; write (days | g)"),
    ("reaction ~ days + (days ||| subj)", "|||", "write | for correlated or ||"),
    ("reaction ~ days + (0 | subj)", "0", "no random effect left of the bar"),
    ("reaction ~ days + (days | subj", "(", "'(' is never closed; add ')'"),
    ("reaction ~ days * (1 | subj)", "days * (1 | subj)", "let it stand alone"),
    ("reaction ~ days + (1 | 2)", "2", "group '2' is not a column"),
    ("reaction days + (1 | subj)", None, "no '~' in the formula"),
    ("", None, "empty formula; write one such as y ~ x + (1 | g)"),
]

# Data, design and options: (error, formula, data, arguments, pattern)
Row = tuple[type[NgmmError], str, Any, dict[str, Any], str]
COLUMNS: list[Row] = [
    (
        DataError,
        "reaction ~ Day + (days | subj)",
        frame(),
        {},
        (
            r'^"Day" is not a column of data; did you mean "days"\? '
            r"Columns: reaction, days, dose, arm, subj\.$"
        ),
    ),
    (
        DataError,
        "reaction ~ days + (1 | subject)",
        frame(),
        {},
        r'^"subject" is not a column of data; did you mean "subj"\?',
    ),
    (DataError, "y ~ days + (1 | subj)", frame(), {}, r'^"y" is not a column of data'),
    (
        DataError,
        GOOD,
        pd.concat([frame(), frame()[["days"]]], axis=1),
        {},
        r'^data has more than one column named "days"; give each column its own name$',
    ),
    (DataError, GOOD, frame().iloc[:0], {}, r"^data has no rows$"),
    (DataError, GOOD, {"reaction": [], "days": [], "subj": []}, {}, "^data has no row"),
    (
        DataError,
        GOOD,
        frame(days=np.nan),
        {},
        (
            r"^no row of data is complete: of 30 rows each has a missing value "
            r'\(missing by column: "days" 30\)$'
        ),
    ),
    (
        DataError,
        GOOD,
        with_value("days", np.nan),
        {"na_action": "raise"},
        r'^data has missing values: "days" in 1 row \(3\)\. Fill them, or use',
    ),
    (
        DataError,
        GOOD,
        with_value("days", np.inf),
        {},
        r'^column "days" is infinite in 1 row \(3\); correct these values or set them',
    ),
    (
        DataError,
        GOOD,
        with_value("reaction", -np.inf),
        {},
        r'^column "reaction" is infinite in 1 row \(3\); correct these values',
    ),
    (
        DataError,
        "reaction ~ log(days) + (1 | subj)",
        frame(),
        {},
        r'^term "log\(days\)" is infinite or undefined in 6 rows',
    ),
    (
        DataError,
        GOOD,
        with_value("days", 1e200),
        {},
        (
            r'^the column "days" has values of size 1\.0e\+200, whose squares are '
            r"beyond the range of double precision; rescale it, or correct the values$"
        ),
    ),
    (
        DataError,
        "reaction ~ 1 + (0 + days | subj)",
        frame(days=np.arange(30) * 1e-100),
        {},
        r'^the column "days" of \(0 \+ days \| subj\) has values of size 2\.9e-99',
    ),
]

RESPONSES: list[Row] = [
    (
        DataError,
        GOOD,
        frame(reaction=3.0),
        {},
        r"^response reaction is constant: 30 rows with the value 3, so there is noth",
    ),
    (
        DataError,
        "arm ~ days + (1 | subj)",
        frame(),
        {},
        (
            r'^response "arm" is not numeric: it has values a, b, c\. Recode it, '
            r'e\.g\. data\["arm"\] == "c"$'
        ),
    ),
    (
        DataError,
        "cbind(days, dose) ~ 1 + (1 | subj)",
        frame(),
        {},
        r"^the response cbind\(days, dose\) is for the binomial family; a gaussian re",
    ),
    (
        DataError,
        "reaction ~ days + (1 | subj)",
        frame(reaction=2 + 3 * frame()["days"]),
        {},
        r"^the fixed effects reproduce the response exactly: no residual variance",
    ),
    (
        DataError,
        GOOD,
        frame(reaction=frame()["reaction"] * 1e200),
        {},
        r"^the response reaction has values of size 3\.\de\+202, whose squares",
    ),
]

IDENTIFIABILITY: list[Row] = [
    (
        DesignError,
        "reaction ~ days",
        frame(),
        {},
        (
            r"^no random effect in `reaction ~ 1 \+ days`; add one, such as \(1 \| g\) "
            r".* use statsmodels\.formula\.api\.ols$"
        ),
    ),
    (
        DesignError,
        GOOD,
        frame(subj="u"),
        {},
        (
            r"^grouping factor 'subj' has one level, 'u': a variance between levels "
            r"needs at least two\. Remove \(1 \+ days \| subj\)$"
        ),
    ),
    (
        DesignError,
        "reaction ~ days + (1 | subj)",
        frame(subj=np.arange(30)),
        {},
        r"^grouping factor 'subj' has 30 levels for 30 rows: .* Use a coarser group",
    ),
    (
        DesignError,
        "reaction ~ days + (days | subj)",
        frame(subj=np.arange(30) // 2),
        {},
        (
            r"^term \(1 \+ days \| subj\): 30 observations, 30 random effects in 15 "
            r"levels\. The number of observations \(=30\) is not above the number of "
            r"random effects \(=30\), .*unidentifiable\. Remove columns, e\.g\. "
            r"\(1 \| subj\)$"
        ),
    ),
    (
        DesignError,
        "reaction ~ C(k) + (1 | subj)",
        frame(k=np.arange(30)),
        {},
        r"^30 rows for 30 fixed effects: nothing is left to estimate a variance from",
    ),
    (
        DesignError,
        "reaction ~ days + (0 + zero | subj)",
        frame(zero=0.0),
        {},
        r"^'zero' in \(0 \+ zero \| subj\) is zero in all rows, so its variance",
    ),
]

ONES = np.ones(30)
WEIGHTS: list[Row] = [
    (
        DataError,
        GOOD,
        frame(),
        {"weights": np.r_[-1.0, ONES[1:]]},
        r"^weights is negative in 1 row \(0\); zero or more is needed$",
    ),
    (
        DataError,
        GOOD,
        frame(w=np.r_[-1.0, ONES[1:]]),
        {"weights": "w"},
        r'^weights="w" is negative in 1 row \(0\)',
    ),
    (
        DataError,
        GOOD,
        frame(),
        {"weights": np.r_[0.0, 0.0, ONES[2:]]},
        r"^2 rows have weight 0, which means an infinite residual variance; leave such",
    ),
    (DataError, GOOD, frame(), {"weights": 0 * ONES}, r"^weights is zero in all rows"),
    (
        DataError,
        GOOD,
        frame(),
        {"weights": ONES[1:]},
        r"^weights has 29 values but data has 30 rows$",
    ),
    (
        DataError,
        GOOD,
        frame(),
        {"weights": np.r_[np.inf, ONES[1:]]},
        r"^weights is infinite in 1 row \(0\)",
    ),
    (DataError, GOOD, frame(), {"weights": "arm"}, r'^weights="arm" is not numeric'),
    (
        DataError,
        GOOD,
        frame(),
        {"weights": "dos"},
        r'^"dos" is not a column of data; did you mean "dose"\?',
    ),
    (
        DataError,
        GOOD,
        frame(),
        {"weights": 1e300 * ONES},
        r"^the argument weights has values of size 1\.0e\+300, whose squares",
    ),
    (DataError, GOOD, frame(), {"offset": ONES[1:]}, r"^offset has 29 values but data"),
]

FRAMES: list[Row] = [
    (
        DataError,
        GOOD,
        [1, 2],
        {},
        r"^data must be a data frame or a mapping from column names to values; got li",
    ),
    (
        DataError,
        GOOD,
        "data.csv",
        {},
        r"^data must be a .*; got str; read the file first, e\.g\. with pandas\.read_c",
    ),
    (DataError, GOOD, None, {}, r"^data must be a data frame .*; got NoneType"),
    (DataError, GOOD, np.ones((3, 3)), {}, r"^data must be a .*; got ndarray"),
]

OPTIONS: list[tuple[type[NgmmError], dict[str, Any], str]] = [
    (OptionError, {"family": "gausian"}, r"no family 'gausian'; did you mean \"gaus"),
    (
        OptionError,
        {"family": ngmm.families.gaussian},
        r"^family must be a name such as",
    ),
    (OptionError, {"family": "Poisson"}, r"^there is no family 'Poisson'\. Write fami"),
    (
        OptionError,
        {"family": "poison"},
        r"^there is no family 'poison'; did you mean \"poisson\"\? Families: gaussian",
    ),
    (
        OptionError,
        {"link": "log"},
        r"^family 'gaussian' has no link 'log'\. Links: ide",
    ),
    (OptionError, {"df": "kr"}, r"^df must be one of 'auto', 'satterthwaite', 'none'"),
    (OptionError, {"df": 3}, r"^df must be one of .*; got 3$"),
    (OptionError, {"df": "kenward-roger"}, r"^df=\"kenward-roger\" .* add reml=True"),
    (
        OptionError,
        {"estimator": "newton"},
        r'^estimator must be "auto", ngmm\.Newton\(\) or an optax transformation; got',
    ),
    (
        OptionError,
        {"estimator": ngmm.Newton},
        r"^estimator is a class: call it, ngmm\.N",
    ),
    (
        OptionError,
        {"estimator": optax.adam},
        r"^estimator must be .*; call it, e\.g\. optax\.adam\(0\.01\)$",
    ),
    (OptionError, {"reml": "yes"}, r"^reml must be True or False, got 'yes'$"),
    (OptionError, {"reml": 1}, r"^reml must be True or False, got 1$"),
    (OptionError, {"quad": 9}, r"^quad=9: the random effects of a gaussian model are"),
    (OptionError, {"quad": "laplace"}, r"^quad='laplace': .*exactly; leave quad out$"),
    (OptionError, {"quad": np.ones(2)}, r"^quad=array.*leave quad out$"),
    (OptionError, {"seed": -1}, r"^seed must be a whole number from 0, got -1$"),
    (OptionError, {"seed": "today"}, r"^seed must be a whole number from 0, got 'tod"),
    (OptionError, {"na_action": "omit"}, r'^na_action must be "drop" or "raise"; got'),
    (OptionError, {"progress": "yes"}, r'^progress must be "auto", True or False; got'),
    (
        OptionError,
        {"contrasts": "sum"},
        r'^contrasts must map columns to codings.*"sum"',
    ),
    (
        OptionError,
        {"contrasts": {"days": "sum"}},
        r'^contrasts has "days", which is numeric; write C\(days\) in the formula',
    ),
    (
        OptionError,
        {"contrasts": {"amr": "sum"}},
        r'^contrasts has "amr", which is not a factor of the formula',
    ),
    (
        OptionError,
        {"trials": "days"},
        r"^trials= is for binomial responses; for precis",
    ),
    (
        OptionError,
        {"networks": {"f": 1}},
        r'^networks= has "f", which no term of the formula uses; write ',
    ),
    (
        OptionError,
        {"groups": "subj"},
        r'^unknown argument groups=\. In ngmm the grouping goes in the formula: "y ~ x',
    ),
    (
        OptionError,
        {"exposure": "days"},
        r"^unknown argument exposure=\. In ngmm a time of exposure is an offset: off",
    ),
    (OptionError, {"REML": True}, r"^unknown argument REML=\. In ngmm write reml=True"),
    (OptionError, {"nAGQ": 9}, r"^unknown argument nAGQ=\. In ngmm write quad="),
    (
        OptionError,
        {"wieghts": "days"},
        r"^unknown argument wieghts=; did you mean \"weights\"\? Arguments: formula",
    ),
    (
        OptionError,
        {"zzz": 1},
        r"^unknown argument zzz=\. Arguments: formula, data, fam",
    ),
]


# Generalized models -------------------------------------------------------------------


def counts(**changes: Any) -> pd.DataFrame:
    """Responses of every kind, for the six subjects."""
    hits = np.tile([0, 1, 2, 3, 1], 6)
    data = frame(
        hits=hits,
        size=4,
        share=(hits + 0.5) / 5,
        used=np.tile(["N", "Y", "Y", "N", "Y"], 6),
        passed=np.tile([0, 1, 1, 0, 1], 6),
        row=np.arange(30),
        item=np.tile(list("pqrst"), 6),
    )
    return data.assign(**changes)


def at_row(column: str, value: Any, row: int = 3) -> dict[str, Any]:
    values = counts()[column].to_numpy().astype(object)
    values[row] = value
    return {column: pd.array(values.tolist())}


RANDOM = "days + (1 | subj)"
# Family and options, response, changes to the data, message
Bad = tuple[type[NgmmError], dict[str, Any], str, dict[str, Any], str]
FAMILY_RESPONSES: list[Bad] = [
    (
        DataError,
        {"family": "poisson"},
        "hits",
        at_row("hits", -1),
        (
            r"^response hits is negative in 1 row \(3\); family poisson needs counts "
            r"0, "
            r"1, 2, \.\.\. Correct these rows or leave them out"
        ),
    ),
    (
        DataError,
        {"family": "negative_binomial"},
        "hits",
        at_row("hits", 2.5),
        (
            r"^response hits is not a whole number in 1 row \(3\); family "
            r"negative_binomial needs counts .* A rate is modelled as its count with "
            r"off"
        ),
    ),
    (
        DataError,
        {"family": "binomial"},
        "hits / size",
        {},
        (
            r"^response hits/size is a proportion in 24 rows \(1, 2, 3, 4, 6, "
            r"\.\.\.\), "
            r"and the number of trials is not given: .*, trials=\"n\" for a column n "
            r"of "
            r"data, or the response cbind\(successes, failures\)$"
        ),
    ),
    (
        DataError,
        {"family": "binomial"},
        "hits",
        {},
        r"^response hits is neither 0 nor 1 in 12 rows .* the number of trials is",
    ),
    (
        DataError,
        {"family": "binomial", "trials": "size"},
        "hits",
        at_row("hits", 5),
        (
            r"^response hits is larger than the number of trials in 1 row \(3\); "
            r"trials= "
            r"is successes and failures together: write cbind\(successes, failures\)"
        ),
    ),
    (
        DataError,
        {"family": "betabinomial", "trials": 2},
        "hits",
        {},
        r"^response hits is larger than the number of trials in 6 rows \(3, 8, 13,",
    ),
    (
        DataError,
        {"family": "binomial"},
        "cbind(hits, size - hits)",
        at_row("hits", 5),
        r"^size - hits in cbind\(hits, size - hits\) is negative in 1 row \(3\);",
    ),
    (
        DataError,
        {"family": "binomial", "trials": "size"},
        "hits",
        at_row("size", 0),
        (
            r'^trials="size" has zero trials in 1 row \(3\): nothing was observed '
            r"there; "
            r"leave these rows out of the data$"
        ),
    ),
    (
        DataError,
        {"family": "binomial"},
        "cbind(hits, 0 * size)",
        {},
        r"^cbind\(hits, 0 \* size\) has zero trials in 6 rows \(0, 5, 10, 15, 20,",
    ),
    (
        DataError,
        {"family": "binomial", "trials": "size"},
        "share",
        {},
        r"^response share times its trials is not whole in 24 rows .* e\.g\. 0\.1 of",
    ),
    (
        DataError,
        {"family": "beta"},
        "share",
        at_row("share", 1.0),
        (
            r"^response share is 0 or 1 in 1 row \(3\); family beta needs shares "
            r"strictly "
            r"between 0 and 1.* use family=\"betabinomial\" with trials=; if 0 and 1 "
            r"come "
            r"from rounding, squeeze the response: \(y \* \(n - 1\) \+ 0\.5\) / n"
        ),
    ),
    (
        DataError,
        {"family": "beta"},
        "hits",
        {},
        r"^response hits is outside 0 to 1 in 12 rows .*: divide by the total",
    ),
    (
        DataError,
        {"family": "gamma"},
        "hits",
        {},
        r"^response hits is zero in 6 rows \(0, 5, 10, 15, 20, \.\.\.\); family",
    ),
    (
        DataError,
        {"family": "inverse_gaussian"},
        "dose",
        {},
        r"^response dose is zero or negative in .* use family=\"gaussian\"",
    ),
    (
        DataError,
        {"family": "bernoulli"},
        "passed",
        {"passed": counts()["passed"] + 1},
        (
            r"^response passed is neither 0 nor 1 in 18 rows .*: it has values 1, 2\. "
            r'Recode it: data\["passed"\] = \(data\["passed"\] == 2\)\.astype\(int\)$'
        ),
    ),
    (
        DataError,
        {"family": "bernoulli"},
        "arm",
        {},
        (
            r'^response "arm" has 3 values, a, b, c; two are needed\. Recode it, '
            r"e\.g\. "
            r'data\["arm"\] == "c"$'
        ),
    ),
    (
        DataError,
        {"family": "bernoulli"},
        "passed",
        {"passed": 0},
        r"^response passed is constant: 30 rows with the value 0, so there is",
    ),
    (
        DataError,
        {"family": "bernoulli", "offset": "dose"},
        "passed",
        {"passed": 0},
        r"^response passed is 0 in all rows: with family bernoulli the likelihood",
    ),
    (
        DataError,
        {"family": "poisson", "offset": "dose"},
        "hits",
        {"hits": 0},
        r"^response hits is 0 in all rows: with family poisson the likelihood has no",
    ),
    (
        DataError,
        {"family": "binomial", "trials": "size"},
        "hits",
        {"hits": 4},
        r"^every trial of the response hits is a success, so there is nothing to",
    ),
    (
        DataError,
        {"family": "betabinomial", "trials": 1},
        "passed",
        {},
        r'^response passed has one trial in every row: .*, or use family="bernoulli"$',
    ),
    (
        DataError,
        {},
        "used",
        {},
        r'^response "used" is not numeric: .* == "Y", or use family="bernoulli"$',
    ),
    (
        DataError,
        {"family": "poisson"},
        "cbind(hits, size - hits)",
        {},
        r"^the response cbind\(.*\) is for the binomial family; a poisson response",
    ),
    (
        DataError,
        {"family": "poisson", "weights": np.r_[0.0, np.ones(29)]},
        "hits",
        {},
        r"^1 row has weight 0, which means nothing was observed there; leave such",
    ),
    (
        DataError,
        {"family": "poisson", "offset": "days"},
        "hits",
        {"days": counts()["days"] * 1000},
        r"^the offset spreads over 4\.0e\+03 .* log link can take; give the",
    ),
    (
        DesignError,
        {"family": "bernoulli"},
        "passed",
        {"subj": np.arange(30)},
        (
            r"^grouping factor 'subj' has 30 levels for 30 rows: one trial a level "
            r"says "
            r"nothing of a variance between levels with family bernoulli\. Use a "
            r"coarser"
        ),
    ),
    (
        DesignError,
        {"family": "binomial", "trials": 1},
        "passed",
        {"subj": np.arange(30)},
        r"^grouping factor 'subj' has 30 levels for 30 rows: one trial a level says",
    ),
]

FAMILY_OPTIONS: list[tuple[type[NgmmError], dict[str, Any], str]] = [
    (
        OptionError,
        {"family": "bernoulli", "link": "logti"},
        r"^family 'bernoulli' has no link 'logti'; did you mean \"logit\"\? Links:",
    ),
    (
        OptionError,
        {"family": "poisson", "link": "probit"},
        r"^family 'poisson' has no link 'probit'\. Links: log",
    ),
    (OptionError, {"family": "bernouli"}, r"'bernouli'; did you mean \"bernoulli\"\?"),
    (OptionError, {"family": "nbinom2"}, r'Write family="negative_binomial"$'),
    (
        OptionError,
        {"family": "poisson", "reml": True},
        (
            r"^reml=True is for gaussian models: with another family the fixed effects "
            r"cannot be integrated out exactly\. Leave reml out$"
        ),
    ),
    (
        OptionError,
        {"family": "poisson", "df": "satterthwaite"},
        (
            r"^df='satterthwaite' is for gaussian models: with family poisson the "
            r"coefficients have z tests\. Leave df out$"
        ),
    ),
    (
        OptionError,
        {"family": "poisson", "df": "kenward-roger"},
        r"^df='kenward-roger' is for gaussian models",
    ),
    (
        OptionError,
        {"family": "poisson", "trials": "size"},
        r"^trials= is for binomial responses; a poisson response has none$",
    ),
    (
        OptionError,
        {"family": "bernoulli", "trials": "size"},
        r"^trials= is for binomial responses; a bernoulli response has none$",
    ),
    (
        OptionError,
        {"family": "betabinomial"},
        (
            r"^family betabinomial needs the number of trials: write cbind\(successes, "
            r"failures\) ~ \.\.\. in the formula, or trials=$"
        ),
    ),
    (
        OptionError,
        {"family": "poisson", "quad": "lapalce"},
        r"did you mean \"laplace\"",
    ),
    (OptionError, {"family": "poisson", "quad": 0}, r"^n_nodes must be a whole number"),
    (OptionError, {"family": "poisson", "quad": 2.5}, r"^quad=2\.5"),
    (OptionError, {"family": "poisson", "quad": True}, r"^quad=True"),
    (OptionError, {"family": "poisson", "quad": None}, r"^quad=None"),
    (
        OptionError,
        {"quad": ngmm.Laplace()},
        r"^quad=Laplace\(\): the random effects of a",
    ),
]


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no model be made: errors come before anything is computed."""

    def refuse(_: Model) -> NoReturn:
        raise AssertionError("a model was made of bad input")

    monkeypatch.setattr(Model, "__post_init__", refuse)


def test_a_good_call_reaches_the_model(no_model: None) -> None:  # noqa: ARG001
    with pytest.raises(AssertionError, match="a model was made"):
        ngmm.fit(GOOD, frame())


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(("formula", "marked", "words"), MALFORMED)
def test_malformed_formulas(formula: str, marked: str | None, words: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(words)) as caught:
        ngmm.fit(formula, frame())
    lines = str(caught.value).splitlines()
    if marked is None:
        assert "^" not in str(caught.value)
        return
    assert lines[-2] == f"    {formula}"
    start = lines[-1].index("^")
    width = lines[-1].count("^")
    assert lines[-2][start : start + width] == marked


# Found by the likelihood's own arithmetic, when it standardises the columns.
LATE = "the fixed effects reproduce"


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("error", "formula", "data", "arguments", "pattern"),
    [
        row
        for row in COLUMNS + RESPONSES + IDENTIFIABILITY + WEIGHTS + FRAMES
        if LATE not in row[-1]
    ],
)
def test_data_and_design(
    error: type[NgmmError],
    formula: str,
    data: Any,
    arguments: dict[str, Any],
    pattern: str,
) -> None:
    with pytest.raises(error, match=pattern) as caught:
        ngmm.fit(formula, data, **arguments)
    assert type(caught.value) is error
    assert isinstance(caught.value, (ValueError, NotImplementedError))


@pytest.mark.parametrize(
    ("error", "formula", "data", "arguments", "pattern"),
    [row for row in RESPONSES if LATE in row[-1]],
)
def test_responses_without_a_residual(
    error: type[NgmmError],
    formula: str,
    data: Any,
    arguments: dict[str, Any],
    pattern: str,
) -> None:
    with pytest.raises(error, match=pattern):
        ngmm.fit(formula, data, **arguments)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(("error", "arguments", "pattern"), OPTIONS)
def test_options(
    error: type[NgmmError], arguments: dict[str, Any], pattern: str
) -> None:
    with pytest.raises(error, match=pattern):
        ngmm.fit(GOOD, frame(), **arguments)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("error", "options", "response", "changes", "pattern"), FAMILY_RESPONSES
)
def test_responses_of_the_families(
    error: type[NgmmError],
    options: dict[str, Any],
    response: str,
    changes: dict[str, Any],
    pattern: str,
) -> None:
    with pytest.raises(error, match=pattern) as caught:
        ngmm.fit(f"{response} ~ {RANDOM}", counts(**changes), **options)
    assert type(caught.value) is error


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(("error", "arguments", "pattern"), FAMILY_OPTIONS)
def test_options_of_the_families(
    error: type[NgmmError], arguments: dict[str, Any], pattern: str
) -> None:
    with pytest.raises(error, match=pattern):
        ngmm.fit(f"hits ~ {RANDOM}", counts(), **arguments)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("hits", {"family": "poisson"}),
        ("hits", {"family": "poisson", "weights": "size"}),
        ("hits", {"family": "negative_binomial", "quad": 5}),
        ("hits", {"family": "negative_binomial", "link": "sqrt", "quad": "laplace"}),
        ("hits", {"family": "binomial", "trials": "size"}),
        ("hits", {"family": "binomial", "trials": 4}),
        ("hits / size", {"family": "binomial", "trials": "size", "df": "none"}),
        ("cbind(hits, size - hits)", {"family": "betabinomial", "reml": False}),
        ("used", {"family": "bernoulli"}),
        ("used", {"family": "binomial", "link": "probit"}),
        ("used == 'Y'", {"family": "bernoulli", "link": "cloglog"}),
        ("passed", {"family": "bernoulli", "quad": 25}),
        ("share", {"family": "beta"}),
        ("share", {"family": "gamma", "link": "inverse"}),
        ("share", {"family": "inverse_gaussian", "offset": "dose"}),
        ("1 + 0 * hits", {"family": "poisson", "offset": "dose"}),
    ],
    ids=str,
)
def test_good_calls_of_the_families(response: str, options: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="a model was made"):
        ngmm.fit(f"{response} ~ {RANDOM}", counts(), **options)


@pytest.mark.usefixtures("no_model")
def test_an_effect_of_each_row_is_overdispersion() -> None:
    formula = "hits ~ days + (1 | subj) + (1 | row)"
    for family, trials in (
        ("poisson", None),
        ("negative_binomial", None),
        ("binomial", "size"),
    ):
        with pytest.raises(AssertionError, match="a model was made"):
            ngmm.fit(formula, counts(), family=family, trials=trials)


def test_nodes_for_crossed_factors() -> None:
    with pytest.raises(OptionError, match=r'one grouping factor.*Use quad="laplace"'):
        ngmm.fit(
            "hits ~ days + (1 | subj) + (1 | item)", counts(), family="poisson", quad=9
        )


def test_more_nodes_than_memory() -> None:
    with pytest.raises(OptionError, match=r"^n_nodes=10000000 is beyond the limit of"):
        ngmm.fit(f"hits ~ {RANDOM}", counts(), family="poisson", quad=10**7)
    formula = "hits ~ days + (1 + days + dose | arm)"
    with pytest.raises(OptionError, match=r"nodes|memory"):
        ngmm.fit(formula, counts(), family="poisson", quad=1001)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("formula", [frame(), None, 3, ["y ~ x"]])
def test_swapped_arguments(formula: Any) -> None:
    kind = type(formula).__name__
    with pytest.raises(
        FormulaError,
        match=rf'^expected a formula as a string, such as "y ~ x \+ \(1 \| g\)"; got '
        rf"{kind}\. The formula comes first, then the data$",
    ):
        ngmm.fit(formula, GOOD)


def test_one_effect_in_two_terms_of_a_factor() -> None:
    formula = "Reaction ~ Days + (1 | Subject) + (1 + Days | Subject)"
    told = (
        r"^'Intercept' varies between the levels of 'Subject' in both \(1 \| Subject\) "
        r"and \(1 \+ Days \| Subject\): their variances cannot be told apart; "
        r"write 0 \+ in one of them$"
    )
    with pytest.raises(DesignError, match=told):
        ngmm.fit(formula, ngmm.datasets.load("sleepstudy"))


@pytest.mark.parametrize("max_steps", [0, -3, 2.0, "10", None, True])
def test_steps_of_the_estimator(max_steps: Any) -> None:
    with pytest.raises(OptionError, match=r"^max_steps must be a positive whole numb"):
        ngmm.Newton(max_steps=max_steps)


# What only looks bad ------------------------------------------------------------------


def test_an_unused_level_is_dropped() -> None:
    kind = pd.CategoricalDtype(["c", "z", "b", "a"])
    fit = ngmm.fit(
        "reaction ~ arm + (1 | subj)", frame(arm=frame()["arm"].astype(kind))
    )
    assert fit.fixef.index.tolist() == ["Intercept", "arm[T.b]", "arm[T.a]"]
    groups = pd.CategoricalDtype([*"zyxwvu", "nobody"])
    fit = ngmm.fit(
        "reaction ~ days + (1 | subj)", frame(subj=frame()["subj"].astype(groups))
    )
    assert fit.ranef()["subj"].index.tolist() == list("zyxwvu")


def test_columns_that_are_not_used_may_be_anything() -> None:
    plain = ngmm.fit("reaction ~ days + (1 | subj)", frame())
    odd = frame(dose=np.inf, arm=np.nan)
    odd = pd.concat([odd, odd[["dose"]]], axis=1)
    fit = ngmm.fit("reaction ~ days + (1 | subj)", odd)
    assert (fit.loglik, fit.n_dropped) == (plain.loglik, 0)


# New data -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "pattern"),
    [
        (
            frame().drop(columns="days"),
            r'^"days" is not a column of newdata\. Columns: ',
        ),
        (frame().drop(columns="subj"), r'^"subj" is not a column of newdata\.'),
        (
            frame().rename(columns={"days": "Days"}),
            r'^"days" is not a column of newdata; did you mean "Days"\?',
        ),
        (
            frame(arm="d"),
            (
                r"^'arm' has level 'd', not seen in training; there is no coefficient "
                r"for it\. Known levels: a, b, c\. Recode it, or fit again with such"
            ),
        ),
        (
            frame(subj="new"),
            (
                r'^30 rows have 1 unseen level of "subj" \(new\); pass '
                r'new_levels="population"'
            ),
        ),
        (frame(days=np.nan), r'^newdata has missing values: "days" in 30 rows'),
    ],
)
def test_new_data(new: pd.DataFrame, pattern: str) -> None:
    fit = ngmm.fit("reaction ~ days + arm + (1 | subj)", frame())
    with pytest.raises(NewDataError, match=pattern):
        fit.predict(new)
