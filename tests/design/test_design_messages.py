"""Bad input -> the error and its text, one row each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ngmm.design import build_design, check_identifiable
from ngmm.errors import (
    DataError,
    DesignError,
    FormulaError,
    NgmmError,
    OptionError,
)
from ngmm.formula import parse


def frame(**changes: Any) -> pd.DataFrame:
    data = pd.DataFrame(
        {
            "reaction": [1.0, 2.0, 4.0, 3.0, 5.0, 9.0],
            "days": [0, 1, 2, 0, 1, 2],
            "subj": ["u", "u", "u", "v", "v", "v"],
            "a": ["p", "q", "p", "q", "p", "q"],
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    return data.assign(**changes)


def ses_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"y": rng.normal(size=60), "ses": rng.normal(size=60), "school": [1, 2, 3] * 20}
    )


BASE = "reaction ~ days + (1 | subj)"
ROWS: list[tuple[type[NgmmError], str, Any, dict[str, Any], str]] = [
    # Frames and columns
    (
        DataError,
        "reaction ~ Days + (1 | subj)",
        frame(),
        {},
        (
            r'^"Days" is not a column of data; did you mean "days"\? '
            r"Columns: reaction, days, subj, a\.$"
        ),
    ),
    (
        DataError,
        "reaction ~ zzz + (1 | subj)",
        frame(),
        {},
        r'^"zzz" is not a column of data\. Columns: reaction, days, subj, a\.$',
    ),
    (
        DataError,
        BASE,
        frame().set_index("subj"),
        {},
        r'^"subj" is not a column of data; it is in the index: use data\.reset_index',
    ),
    (DataError, BASE, 3.0, {}, r"^data must be a data frame or a mapping.*got float"),
    (DataError, BASE, "data.csv", {}, r"got str; read the file first"),
    (DataError, BASE, frame()["days"], {}, r"^data must be a data frame.*got Series"),
    (DataError, BASE, pl.DataFrame({"x": [1]}).lazy(), {}, r"collect the lazy frame"),
    (
        DataError,
        BASE,
        pl.DataFrame({"reaction": [1.0], "subj": ["a"]}),
        {},
        r'^"days" is not a column of data\. Columns: reaction, subj\.',
    ),
    (
        DataError,
        BASE,
        pd.concat([frame(), frame()[["days", "subj"]]], axis=1),
        {},
        r'^data has more than one column named "days", "subj"; give each',
    ),
    (DataError, BASE, frame().iloc[:0], {}, r"^data has no rows"),
    (DataError, BASE, {"reaction": [], "days": [], "subj": []}, {}, r"has no rows"),
    (
        DataError,
        BASE,
        {"reaction": [1.0, 2.0], "days": [1], "subj": [1, 2]},
        {},
        r'^the columns of data differ in length: "reaction" 2, "days" 1, "subj" 2',
    ),
    (
        DataError,
        BASE,
        {"reaction": np.ones((3, 2)), "days": [1, 2, 3], "subj": [1, 2, 3]},
        {},
        r'^column "reaction" of data is of shape \(3, 2\); a column has one',
    ),
    (
        DataError,
        BASE,
        {"reaction": [[1, 2], [3]], "days": [1, 2], "subj": [1, 2]},
        {},
        r'^column "reaction" of data is nested',
    ),
    (
        DataError,
        BASE,
        {"reaction": [1.0], "days": 3, "subj": ["a"]},
        {},
        r'^column "days" of data is a single int; give one value a row',
    ),
    # Missing values
    (
        DataError,
        BASE,
        frame(days=np.nan, subj=["u", None, "u", "v", "v", "v"]),
        {},
        (
            r"^no row of data is complete: of 6 rows each has a missing value "
            r'\(missing by column: "days" 6, "subj" 1\)'
        ),
    ),
    (
        DataError,
        BASE,
        frame(days=[1, 2, None, 4, None, 5]),
        {"na_action": "raise"},
        r'^data has missing values: "days" in 2 rows \(12, 14\)',
    ),
    (
        OptionError,
        BASE,
        frame(),
        {"na_action": "omit"},
        r'^na_action must be "drop" or',
    ),
    # Values of columns
    (
        DataError,
        BASE,
        frame(days=[1, np.inf, 2, -np.inf, 4, 5]),
        {},
        r'^column "days" is infinite in 2 rows \(11, 13\)',
    ),
    (
        DataError,
        BASE,
        frame(days=[1j, 2, 3, 4, 5, 6]),
        {},
        r'^column "days" is complex',
    ),
    (
        DataError,
        BASE,
        frame(days=pd.date_range("2020-01-01", periods=6)),
        {},
        r'^column "days" holds dates or times .*Timedelta\("1D"\)',
    ),
    (
        DataError,
        BASE,
        frame(days=pd.Series([1, "a", 2, "b", 3, 4], dtype=object).to_numpy()),
        {},
        r'^column "days" mixes values of types int, str',
    ),
    (
        DataError,
        "reaction ~ a + (1 | subj)",
        frame(a="p"),
        {},
        r"^factor 'a' has one level, 'p': remove it from the formula",
    ),
    (
        DataError,
        "reaction ~ 1 + (a | subj)",
        frame(a="p"),
        {},
        r"^factor 'a' has one level, 'p': remove it from the formula",
    ),
    (
        DataError,
        "reaction ~ C(days) + (1 | subj)",
        frame(days=2),
        {},
        r"^factor 'days' has one level, '2'",
    ),
    (
        DataError,
        "reaction ~ C(a, contr.sum) + (1 | subj)",
        frame(a="p"),
        {},
        r"^factor 'a' has one level, 'p'",
    ),
    (
        DataError,
        "reaction ~ C(a, levels=['q']) + (1 | subj)",
        frame(),
        {},
        r"^levels= of C\(a\) lacks 'p'",
    ),
    # Responses
    (
        DataError,
        "a ~ days + (1 | subj)",
        frame(),
        {},
        (
            r'^response "a" is not numeric: it has values p, q\. Recode it, e\.g\. '
            r'data\["a"\] == "q"'
        ),
    ),
    (
        DataError,
        BASE,
        frame(reaction=4),
        {},
        r"^response reaction is constant: 6 rows with the value 4, so there is",
    ),
    (
        DataError,
        "log(days) ~ a + (1 | subj)",
        frame(),
        {},
        r"^response log\(days\) is infinite or undefined in 2 rows \(10, 13\)",
    ),
    (
        DataError,
        "cbind(days, days - 1) ~ a + (1 | subj)",
        frame(),
        {},
        r"^days - 1 in cbind\(days, days - 1\) is negative in 2 rows \(10, 13\)",
    ),
    (
        DataError,
        "cbind(days, days) ~ a + (1 | subj)",
        frame(),
        {"trials": "days"},
        r"gives the trials already",
    ),
    (
        DataError,
        "log(a) ~ days + (1 | subj)",
        frame(),
        {},
        r'^cannot evaluate "log\(a\)": "a" is not numeric, it has p, q',
    ),
    (
        FormulaError,
        "lag(reaction) ~ days + (1 | subj)",
        frame(),
        {},
        r'^unknown function "lag"; did you mean "log"\?',
    ),
    # Transforms
    (
        DataError,
        "reaction ~ log(days) + (1 | subj)",
        frame(),
        {},
        r'^term "log\(days\)" is infinite or undefined in 2 rows \(10, 13\)',
    ),
    (
        DataError,
        "reaction ~ 1 + (log(days) | subj)",
        frame(),
        {},
        r'^term "log\(days\)" is infinite or undefined in 2 rows \(10, 13\)',
    ),
    (
        FormulaError,
        "reaction ~ sqr(days) + (1 | subj)",
        frame(),
        {},
        r'^unknown function "sqr"; did you mean "sqrt"\?(.|\n)*\^\^\^',
    ),
    (
        FormulaError,
        "reaction ~ as_factor(days) + (1 | subj)",
        frame(),
        {},
        r'^unknown function "as_factor"; use C\(\.\.\.\)',
    ),
    (
        FormulaError,
        "reaction ~ np.linalg(days) + (1 | subj)",
        frame(),
        {},
        r'^unknown function "np\.linalg"',
    ),
    (
        FormulaError,
        "reaction ~ np.save(days) + (1 | subj)",
        frame(),
        {},
        r'^unknown function "np\.save"',
    ),
    (
        DataError,
        "reaction ~ log(a) + (1 | subj)",
        frame(),
        {},
        r'^cannot evaluate "log\(a\)": "a" is not numeric, it has p, q',
    ),
    (
        DataError,
        "reaction ~ C + C(days) + (1 | subj)",
        frame(C=1),
        {},
        r'^column "C" has the name of the function in "C\(days\)"; rename the column',
    ),
    # Weights, trials, offsets
    (
        DataError,
        BASE,
        frame(),
        {"weights": [1.0, 2.0]},
        r"^weights has 2 values but data has 6 rows",
    ),
    (
        DataError,
        BASE,
        frame(),
        {"weights": [1, 1, -1, 1, 1, -2]},
        r"^weights is negative in 2 rows \(12, 15\)",
    ),
    (
        DataError,
        BASE,
        frame(),
        {"weights": np.zeros(6)},
        r"^weights is zero in all rows",
    ),
    (
        DataError,
        BASE,
        frame(),
        {"offset": [0, 0, np.inf, 0, 0, 0]},
        r"^offset is infinite in 1 row \(12\)",
    ),
    (
        DataError,
        BASE,
        frame(),
        {"weights": "a"},
        r'^weights="a" is not numeric',
    ),
    (
        DataError,
        BASE,
        frame(),
        {"weights": "dayz"},
        r'^"dayz" is not a column of data; did you mean "days"',
    ),
    (
        DataError,
        BASE,
        frame(),
        {"weights": np.ones((6, 2))},
        r"^weights must be a column name or one value a row; got shape \(6, 2\)",
    ),
    (
        DataError,
        BASE,
        frame(),
        {"weights": pd.Series(np.ones(6))},
        r"^weights is a Series whose index differs from that of data",
    ),
    (
        DataError,
        BASE,
        frame().reset_index(drop=True),
        {"weights": pd.Series(np.ones(6), index=[5, 4, 3, 2, 1, 0])},
        r"^weights is a Series whose index differs from that of data",
    ),
    (
        DataError,
        "reaction ~ days + offset(a) + (1 | subj)",
        frame(),
        {},
        r"^offset\(a\) is not numeric",
    ),
    (
        DataError,
        "reaction ~ days + offset(log(days)) + (1 | subj)",
        frame(),
        {},
        r"^offset\(log\(days\)\) is infinite or undefined in 2 rows \(10, 13\)",
    ),
    # Contrasts
    (
        OptionError,
        "reaction ~ a + (1 | subj)",
        frame(),
        {"contrasts": {"a": "treatmant"}},
        r'^contrasts=\{"a": "treatmant"\} is unknown; did you mean "treatment"\?',
    ),
    (
        OptionError,
        BASE,
        frame(),
        {"contrasts": {"days": "sum"}},
        r'^contrasts has "days", which is numeric; write C\(days\)',
    ),
    (
        OptionError,
        "reaction ~ a + (1 | subj)",
        frame(),
        {"contrasts": {"b": "sum"}},
        r'^contrasts has "b", which is not a factor of the formula.*Factors: a',
    ),
    (
        OptionError,
        "reaction ~ a + (1 | subj)",
        frame(),
        {"contrasts": {"a": np.eye(3)}},
        r'^contrasts\["a"\] has shape \(3, 3\); 2 rows, one for each level \(p, q\)',
    ),
    # Grouping factors
    (
        DesignError,
        BASE,
        frame(subj="u"),
        {},
        r"^grouping factor 'subj' has one level, 'u': .* Remove \(1 \| subj\)",
    ),
    (
        DesignError,
        "reaction ~ days + (1 + days + zero | subj)",
        frame(zero=0.0),
        {},
        r"^'zero' in \(1 \+ days \+ zero \| subj\) is zero in all rows",
    ),
    (
        DesignError,
        "reaction ~ days + (1 + one | subj)",
        frame(one=1.0),
        {},
        r"^'one' in \(1 \+ one \| subj\) is equal to 'Intercept' in all rows",
    ),
    (
        DesignError,
        "y ~ 1 + (school | ses)",
        ses_frame(),
        {},
        (
            r"^`\(school \| ses\)`: 'ses' is numeric with 60 distinct values; "
            r"did you mean `\(ses \| school\)`\?"
        ),
    ),
]


@pytest.mark.parametrize(
    ("error", "formula", "data", "options", "message"),
    ROWS,
)
def test_bad_input(
    error: type[NgmmError],
    formula: str,
    data: Any,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        build_design(parse(formula), data, **options)


def test_float_labels_are_fine() -> None:
    data = ses_frame().assign(dose=np.tile([0.5, 1.0, 1.5], 20))
    design, _ = build_design(parse("y ~ 1 + (1 | dose)"), data)
    assert design.random[0].levels.tolist() == [0.5, 1.0, 1.5]


def test_one_level_for_each_row() -> None:
    design, _ = build_design(
        parse("reaction ~ days + (1 | row)"), frame(row=np.arange(6))
    )
    with pytest.raises(
        DesignError,
        match=r"^grouping factor 'row' has 6 levels for 6 rows: with family gaussian "
        r"its variance cannot be told from the residual\. Use a coarser group",
    ):
        check_identifiable(design)


def test_as_many_random_effects_as_rows() -> None:
    data = frame(subj=list("uuvvww"), days=[0, 1, 2, 0, 1, 2])
    design, _ = build_design(parse("reaction ~ days + (1 + days | subj)"), data)
    with pytest.raises(
        DesignError,
        match=r"^term \(1 \+ days \| subj\): 6 observations, 6 random effects in 3 "
        r"levels\. The number of observations \(=6\) is not above the number of "
        r"random effects \(=6\)",
    ):
        check_identifiable(design)
    # Independent columns are counted one by one, as lme4 does.
    independent = replace(design, random=(replace(design.random[0], correlated=False),))
    check_identifiable(independent)
