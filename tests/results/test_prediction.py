"""Predictions: which rows, which effects, in which form; what is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ngmm
from ngmm.errors import NewDataError, OptionError
from tests.results.examples import NAMES, fitted, load, model, panel

KNOWN = {"Days": [2.0, 10.0], "Subject": ["308", "309"]}
UNSEEN = {"Days": [2.0, 10.0, 1.0], "Subject": ["308", "new", "new"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_training_data_give_the_fitted_values(name: str) -> None:
    fit = fitted(name)
    used = model(name)[1].loc[fit.design.index]
    new = fit.predict(used)
    assert isinstance(new, pd.Series)
    assert new.name == "fit"
    # Splines and other stateful parts apart, the matrices are the same.
    np.testing.assert_allclose(new, fit.fitted(), rtol=1e-13, atol=1e-13)
    pd.testing.assert_index_equal(new.index, used.index)
    np.testing.assert_array_equal(fit.predict(), fit.fitted())


RE = ["all", "none", "marginal", ["Subject"], []]
LEVELS = ["error", "population", "marginal", "sample"]
INTERVALS = [None, "confidence", "prediction"]


@pytest.mark.parametrize(
    ("re", "new_levels", "se", "interval", "kind"),
    list(product(RE, LEVELS, [False, True], INTERVALS, ["response", "link"])),
)
def test_every_combination(
    re: Any, new_levels: str, se: bool, interval: str | None, kind: str
) -> None:
    fit = fitted("slope")
    got = fit.predict(
        KNOWN, re=re, new_levels=new_levels, se=se, interval=interval, kind=kind
    )
    b = fit.ranef()["Subject"].loc[KNOWN["Subject"]]
    days = np.array(KNOWN["Days"])
    mean = fit.fixef["Intercept"] + fit.fixef["Days"] * days
    if re in ("all", ["Subject"]):
        mean = mean + b["Intercept"].to_numpy() + b["Days"].to_numpy() * days
    value = got if isinstance(got, pd.Series) else got["fit"]
    # The same sum in another order.
    np.testing.assert_allclose(value, mean, rtol=1e-13)
    if not se and interval is None:
        assert isinstance(got, pd.Series)
        return
    assert isinstance(got, pd.DataFrame)
    bounds = [] if interval is None else ["lower", "upper"]
    assert got.columns.tolist() == ["fit", *["se"] * se, *bounds]
    assert (got.drop(columns="fit") > 0).to_numpy().all()
    if bounds:
        assert np.all(got["lower"] < got["fit"])
        assert np.all(got["fit"] < got["upper"])


@pytest.mark.parametrize("new_levels", LEVELS)
@pytest.mark.parametrize("re", RE)
def test_terms_sum_to_the_link(re: Any, new_levels: str) -> None:
    fit = fitted("slope")
    ask: dict[str, Any] = {"re": re, "new_levels": new_levels}
    new = KNOWN if new_levels == "error" else UNSEEN
    terms = fit.predict(new, kind="terms", **ask)
    assert isinstance(terms, pd.DataFrame)
    random = ["(1 + Days | Subject)"] if re in ("all", ["Subject"]) else []
    assert terms.columns.tolist() == ["Intercept", "Days", *random]
    link = fit.predict(new, kind="link", **ask)
    # One more rounding a term.
    np.testing.assert_allclose(terms.sum(axis=1), link, rtol=1e-13)


def test_terms_of_the_rows_of_the_fit() -> None:
    fit = fitted("rich")
    terms = fit.predict(kind="terms")
    assert isinstance(terms, pd.DataFrame)
    assert terms.columns.tolist() == [
        "Intercept",
        "x",
        "f",
        "(1 + x | h)",
        "(1 | g)",
        "(0 + z | g)",
        "offset",
    ]
    np.testing.assert_allclose(terms.sum(axis=1), fit.predict(), rtol=1e-12)
    pd.testing.assert_index_equal(terms.index, fit.design.index)
    np.testing.assert_array_equal(terms["offset"], panel().loc[fit.design.index, "o"])
    two = fit.fixef["f[T.b]"] * (panel()["f"] == "b") + fit.fixef["f[T.c]"] * (
        panel()["f"] == "c"
    )
    np.testing.assert_allclose(terms["f"], two[fit.design.index], rtol=1e-15)


def test_a_column_called_offset_is_not_the_offset() -> None:
    data = panel().dropna().rename(columns={"z": "offset"})
    fit = ngmm.fit("y ~ offset + offset(o) + (1 | g)", data)
    terms = fit.predict(kind="terms")
    assert isinstance(terms, pd.DataFrame)
    assert terms.columns.tolist() == ["Intercept", "offset", "(1 | g)", "(offset)"]
    np.testing.assert_allclose(terms.sum(axis=1), fit.predict(), rtol=1e-12)


def test_a_subset_of_the_factors() -> None:
    fit = fitted("rich")
    used = panel().loc[fit.design.index]
    b = fit.ranef()
    only = fit.predict(used, re=["g"]) - fit.predict(used, re="none")
    g = b["g"].loc[used["g"]].reset_index(drop=True)
    effect = g["Intercept"].to_numpy() + g["z"].to_numpy() * used["z"].to_numpy()
    # Differences of sums of size one.
    np.testing.assert_allclose(only, effect, atol=1e-12)
    np.testing.assert_allclose(
        fit.predict(used, re=["h", "g"]), fit.predict(used), rtol=1e-13
    )
    np.testing.assert_array_equal(
        fit.predict(used, re=[]), fit.predict(used, re="none")
    )
    no_h = used.drop(columns="h")
    np.testing.assert_array_equal(
        fit.predict(no_h, re=("g",)), fit.predict(used, re={"g"})
    )


def test_factors_that_do_not_enter_are_not_needed() -> None:
    fit = fitted("slope")
    got = fit.predict({"Days": [3]}, re="none", se=True, interval="prediction")
    assert isinstance(got, pd.DataFrame)
    assert got["fit"].tolist() == pytest.approx([fit.fixef @ [1, 3]], rel=1e-14)


def test_the_interaction_of_a_nested_factor() -> None:
    fit = fitted("nested")
    b = fit.ranef()
    new = {"batch": ["A", "A", "Z"], "cask": ["a", "z", "a"]}
    got = fit.predict(new, new_levels="population")
    mean = fit.fixef["Intercept"]
    batch, cask = b["batch"]["Intercept"]["A"], b["batch:cask"]["Intercept"]["A:a"]
    # Sums of three numbers.
    np.testing.assert_allclose(got, [mean + batch + cask, mean + batch, mean])
    with pytest.raises(
        NewDataError,
        match=r'^1 row has 1 unseen level of "batch" \(Z\); 2 rows have 2 unseen '
        r'levels of "batch:cask" \(A:z, Z:a\); pass new_levels="population"',
    ):
        fit.predict(new)


# Forms of new data --------------------------------------------------------------------

ROWS = panel().dropna().iloc[:8]
NEEDED = ["x", "copy", "z", "f", "o", "g", "h"]
FORMS = {
    "all columns": ROWS,
    "needed columns": ROWS[NEEDED],
    "another order of columns": ROWS[NEEDED[::-1]],
    "mapping of lists": {name: ROWS[name].tolist() for name in NEEDED},
    "mapping of arrays": {name: ROWS[name].to_numpy() for name in NEEDED},
    "mapping of series": {name: ROWS[name] for name in NEEDED},
    "polars": pl.DataFrame({name: ROWS[name].tolist() for name in NEEDED}),
    "categorical": ROWS.assign(
        g=pd.Categorical(ROWS["g"]),
        h=pd.Categorical(ROWS["h"]),
        f=pd.Categorical(ROWS["f"], categories=["c", "b", "a"]),
    ),
    "floats": ROWS.assign(h=ROWS["h"].astype(float)),
    "nullable": ROWS.convert_dtypes(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_new_data(form: str) -> None:
    fit = fitted("rich")
    new: Any = FORMS[form]
    got = fit.predict(new, interval="prediction", se=True)
    want = fit.predict(interval="prediction", se=True).loc[ROWS.index]
    # New rows have weight one: the prediction interval is another.
    np.testing.assert_allclose(
        got[["fit", "se"]], want[["fit", "se"]], rtol=1e-12, atol=1e-12
    )
    labels = new.index if isinstance(new, pd.DataFrame) else pd.RangeIndex(8)
    pd.testing.assert_index_equal(got.index, labels)


def test_a_polars_frame_is_fitted_like_a_pandas_one() -> None:
    data = load("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    polars = pl.DataFrame({name: data[name].tolist() for name in data})
    fit = ngmm.fit(formula, polars)
    assert fit.loglik == fitted("slope").loglik
    np.testing.assert_array_equal(fit.predict(polars), fitted("slope").fitted())
    mapping = {name: data[name].to_numpy() for name in data}
    assert ngmm.fit(formula, mapping).loglik == fit.loglik


def test_one_row_predicts_as_it_does_among_others() -> None:
    fit = fitted("rich")
    for row in (0, 3, 7):
        one = fit.predict(ROWS.iloc[[row]], se=True)
        # A sum of fewer rows at once.
        np.testing.assert_allclose(one, fit.predict(ROWS, se=True).iloc[[row]])


def test_the_offset_of_new_data_counts() -> None:
    fit = fitted("rich")
    shifted = ROWS.assign(o=ROWS["o"] + 3)
    np.testing.assert_allclose(fit.predict(shifted), fit.predict(ROWS) + 3)


def test_an_offset_column_is_needed_in_new_data() -> None:
    data = panel().dropna()
    fit = ngmm.fit("y ~ x + (1 | g)", data, offset="o")
    np.testing.assert_allclose(fit.predict(data), fit.fitted(), rtol=1e-12)
    with pytest.raises(NewDataError, match=r'^"o" is not a column of newdata'):
        fit.predict(data.drop(columns="o"))


def test_an_offset_array_has_no_values_for_new_data() -> None:
    data = panel().dropna()
    fit = ngmm.fit("y ~ x + (1 | g)", data, offset=data["o"].to_numpy())
    with pytest.raises(NewDataError, match=r"offset= given as an array.*column name$"):
        fit.predict(data)


def test_a_transformed_response_is_predicted_as_transformed() -> None:
    data = load("sleepstudy")
    fit = ngmm.fit("log(Reaction) ~ Days + (Days | Subject)", data)
    assert 5 < fit.predict({"Days": [1], "Subject": ["308"]}).iloc[0] < 6


# Draws for unseen levels --------------------------------------------------------------


def test_draws_depend_on_the_seed_of_the_fit_only() -> None:
    data, formula = load("sleepstudy"), "Reaction ~ Days + (Days | Subject)"
    fits = [ngmm.fit(formula, data, seed=seed) for seed in (0, 0, 1)]
    a, b, c = (f.predict(UNSEEN, new_levels="sample") for f in fits)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, fits[0].predict(UNSEEN, new_levels="sample"))
    # The row of a known subject is not drawn.
    np.testing.assert_array_equal(a == c, [True, False, False])


def test_rows_of_one_new_level_share_its_draw() -> None:
    fit = fitted("slope")
    days = [0.0, 1.0, 4.0]
    new = {"Days": days * 2, "Subject": ["u"] * 3 + ["v"] * 3}
    effect = fit.predict(new, new_levels="sample") - fit.predict(new, re="none")
    u, v = np.split(np.asarray(effect), 2)
    for line in (u, v):
        # A line in days: intercept and slope of the level.
        assert line[2] == pytest.approx(line[0] + 4 * (line[1] - line[0]))
    assert abs(u[0] - v[0]) > 1e-6


def test_draws_have_the_estimated_covariance() -> None:
    fit = fitted("slope")
    n = 4000
    levels = np.repeat([f"new{k}" for k in range(n)], 2)
    new = {"Days": np.tile([0.0, 1.0], n), "Subject": levels}
    drawn = fit.predict(new, new_levels="sample") - fit.predict(new, re="none")
    pairs = drawn.to_numpy().reshape(n, 2)
    effects = np.column_stack([pairs[:, 0], pairs[:, 1] - pairs[:, 0]])
    frame = fit.varcorr().to_frame()
    sds = frame["sd"].iloc[:2].to_numpy()
    # A sample sd of n normals has the relative standard error 1 / sqrt(2 n) = 0.011,
    # a correlation 1 / sqrt(n) = 0.016, a mean sd / sqrt(n); four of each.
    np.testing.assert_allclose(effects.std(0), sds, rtol=0.045)
    assert abs(effects.mean(0) / sds).max() < 0.064
    correlation = np.corrcoef(effects.T)[0, 1]
    assert correlation == pytest.approx(frame["corr"].iloc[2], abs=0.064)


def test_draws_of_two_terms_on_one_factor_are_independent() -> None:
    fit = fitted("independent")
    n = 4000
    new = {"Days": np.tile([0.0, 1.0], n), "Subject": np.repeat(np.arange(n), 2)}
    new["Subject"] = new["Subject"].astype(str)
    new["Subject"] = np.char.add("new", new["Subject"])
    drawn = fit.predict(new, new_levels="sample") - fit.predict(new, re="none")
    pairs = drawn.to_numpy().reshape(n, 2)
    slope = pairs[:, 1] - pairs[:, 0]
    # Standard error 1 / sqrt(n) = 0.016; four of them.
    assert abs(np.corrcoef(pairs[:, 0], slope)[0, 1]) < 0.064


# What is refused ----------------------------------------------------------------------

OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "probs"}, r"^kind must be one of 'response', 'link', 'terms'; got"),
    ({"kind": ["link"]}, r"^kind must be one of .*got \['link'\]$"),
    ({"kind": np.array(["link", "terms"])}, r"^kind must be one of"),
    ({"new_levels": "zero"}, r"^new_levels must be one of 'error', 'population', "),
    ({"interval": "credible"}, r"^interval must be one of None, 'confidence', 'pred"),
    ({"interval": True}, r"^interval must be one of .*; got True$"),
    ({"level": 95}, r"^level must be between 0 and 1, got 95; did you mean 0\.95\?$"),
    ({"kind": "terms", "se": True}, r'^kind="terms" gives contributions without se'),
    ({"kind": "terms", "interval": "confidence"}, r'^kind="terms" gives'),
    (
        {"re": "Subject"},
        r"or a list of grouping factors; got 'Subject' \(for one factor write a list\)",
    ),
    ({"re": "fixed"}, r'^re must be "all", "none", "marginal" or a list'),
    ({"re": None}, r'^re must be "all", "none", "marginal" or .*; got None$'),
    ({"re": 0}, r'^re must be "all", "none", "marginal" or .*; got 0$'),
    (
        {"re": ["subject"]},
        (
            r"^'subject' is not a grouping factor of the model; did you mean "
            r"\"Subject\"\? "
            r"Grouping factors: Subject$"
        ),
    ),
    ({"re": ["Subject", 3]}, r"^'3' is not a grouping factor of the model\. Group"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted("slope").predict(**options)


NEW: list[tuple[Any, str]] = [
    ({"Subject": ["308"]}, r'^"Days" is not a column of newdata\. Columns: Subject\.$'),
    (
        {"days": [1], "Subject": ["308"]},
        r'^"Days" is not a column of newdata; did you mean "days"\? Columns: days, ',
    ),
    ({"Days": [1]}, r'^"Subject" is not a column of newdata\. Columns: Days\.$'),
    (
        {"Days": [1, None], "Subject": ["308", "309"]},
        r'^newdata has missing values: "Days" in 1 row \(1\)\. Fill them or leave',
    ),
    ({"Days": [1], "Subject": [None]}, r'^newdata has missing values: "Subject" in 1'),
    (
        {"Days": [np.inf], "Subject": ["308"]},
        r'^column "Days" is infinite in 1 row \(0\)',
    ),
    (
        {"Days": ["x"], "Subject": ["308"]},
        r'^column "Days" of newdata is not numeric as it was in training: it has val',
    ),
    ({"Days": [], "Subject": []}, r"^newdata has no rows$"),
    ({"Days": [1, 2], "Subject": ["308"]}, r"^the columns of newdata differ in length"),
    ("new.csv", r"^newdata must be a data frame or a mapping .*; got str; read the"),
    ([1, 2], r"^newdata must be a data frame or a mapping .*; got list$"),
    (
        UNSEEN,
        (
            r'^2 rows have 1 unseen level of "Subject" \(new\); pass '
            r'new_levels="population" \(their effects are zero\), "marginal" .* or "s'
        ),
    ),
    (
        {"Days": range(7), "Subject": list("abcdefg")},
        r'^7 rows have 7 unseen levels of "Subject" \(a, b, c, d, e, \.\.\.\)',
    ),
]


@pytest.mark.parametrize(("new", "message"), NEW)
def test_bad_new_data(new: Any, message: str) -> None:
    with pytest.raises(NewDataError, match=message):
        fitted("slope").predict(new)


def test_an_unseen_category_of_a_fixed_factor() -> None:
    with pytest.raises(
        NewDataError,
        match=r"^'f' has level 'd', not seen in training; there is no coefficient for "
        r"it\. Known levels: a, b, c\. Recode it, or fit again",
    ):
        fitted("rich").predict(ROWS.assign(f="d"))
