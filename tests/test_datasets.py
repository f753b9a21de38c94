"""The embedded data sets hold what their descriptions say."""

from __future__ import annotations

import pandas as pd
import pytest

from ngmm import datasets, families
from ngmm.design import build_design
from ngmm.errors import OptionError
from ngmm.formula import parse

# Sum of one column: a file that was changed by accident cannot pass.
CHECKSUMS = {
    "sleepstudy": ("Reaction", 53731.42),
    "Penicillin": ("diameter", 3308),
    "Pastes": ("strength", 3603.2),
    "Dyestuff": ("Yield", 45825),
    "Dyestuff2": ("Yield", 169.968),
    "cake": ("angle", 8673),
    "cbpp": ("incidence", 99),
    "Contraception": ("age", 4.25),
    "toenail": ("visit", 7434),
    "Exam": ("normexam", -0.4622),
    "InstEval": ("y", 235369),
    "VerbAgg": ("Anger", 151704),
    "Orthodont": ("distance", 2594.5),
    "Machines": ("score", 3221.1),
    "Oats": ("yield", 7486),
    "schizophrenia": ("SqrtWeek", 1956.3116),
    "epil": ("y", 1948),
    "Owls": ("ArrivalTime", 14829.82),
    "Salamanders": ("count", 852),
    "grouseticks": ("TICKS", 2567),
    "bacteria": ("week", 980),
    "Arabidopsis": ("total.fruits", 18727),
}


def test_every_data_set_has_a_checksum() -> None:
    assert set(CHECKSUMS) == set(datasets.names())


@pytest.mark.parametrize("name", datasets.names())
def test_contents(name: str) -> None:
    data = datasets.load(name)
    about = datasets.describe(name)
    assert list(data.columns) == [column.name for column in about.columns]
    assert len(data) == about.rows
    assert not data.isna().to_numpy().any()
    column, total = CHECKSUMS[name]
    # The sums above are rounded to the last digit shown.
    assert data[column].to_numpy().sum() == pytest.approx(total, rel=0, abs=6e-3)


@pytest.mark.parametrize("name", datasets.names())
def test_column_types(name: str) -> None:
    data = datasets.load(name)
    for column in datasets.describe(name).columns:
        values = data[column.name]
        if column.kind == "factor":
            assert isinstance(values.dtype, pd.CategoricalDtype)
            assert not values.cat.ordered
            # Every level occurs, and its label is text.
            assert set(values.cat.categories) == set(values)
            assert all(isinstance(level, str) for level in values.cat.categories)
        else:
            kind = {"integer": "int64", "number": "float64"}[column.kind]
            assert values.dtype == kind


@pytest.mark.parametrize("name", datasets.names())
def test_description(name: str) -> None:
    about = datasets.describe(name)
    text = str(about)
    assert about.title in text
    assert about.formula in text
    assert all(f"  {column.name} " in text for column in about.columns)
    assert all(column.text for column in about.columns)
    # A publication: someone, in some year.
    assert any(f"({year})" in about.source for year in range(1900, 2030))


@pytest.mark.parametrize("name", datasets.names())
def test_the_model_to_try(name: str) -> None:
    about = datasets.describe(name)
    family = families.get(about.family)
    design, _ = build_design(
        parse(about.formula),
        datasets.load(name),
        binary_response=about.family == "bernoulli",
    )
    family.check(design.y, design.trials, design.response_name, design.index)
    assert design.n_rows == about.rows
    assert design.aliased == ()


@pytest.mark.parametrize(
    ("name", "column", "levels"),
    [
        ("sleepstudy", "Subject", ["308", "309", "310"]),
        ("cake", "replicate", ["1", "2", "3"]),
        ("cake", "temperature", ["175", "185", "195"]),
        ("InstEval", "dept", ["15", "5", "10"]),
        ("Exam", "schgend", ["mixed", "boys", "girls"]),
        ("Orthodont", "Sex", ["Male", "Female"]),
        ("Contraception", "livch", ["0", "1", "2"]),
        ("Salamanders", "spp", ["GP", "PR", "DM"]),
        ("Arabidopsis", "gen", ["4", "5", "6"]),
        ("schizophrenia", "id", ["1103", "1104", "1105"]),
        ("bacteria", "trt", ["placebo", "drug", "drug+"]),
    ],
)
def test_order_of_levels(name: str, column: str, levels: list[str]) -> None:
    categories = datasets.load(name)[column].cat.categories
    assert list(categories[: len(levels)]) == levels


def test_each_load_is_a_new_frame() -> None:
    first = datasets.load("Dyestuff")
    first["Yield"] = 0
    assert datasets.load("Dyestuff")["Yield"].to_numpy().sum() == 45825


@pytest.mark.parametrize("function", [datasets.load, datasets.describe])
def test_unknown_name(function: object) -> None:
    assert callable(function)
    with pytest.raises(
        OptionError,
        match=r'no data set "sleepstdy"; did you mean "sleepstudy"\? Data sets: sleep',
    ):
        function("sleepstdy")
    with pytest.raises(
        OptionError, match=r'no data set "qqq"\. Data sets: sleepstudy,'
    ):
        function("qqq")
