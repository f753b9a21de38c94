"""Tables of a fit: coefficients, variances, intervals, collinearity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from ngmm.errors import OptionError
from ngmm.results import MixedModelFit
from tests.results.examples import NAMES, fitted


@pytest.fixture(params=NAMES)
def fit(request: pytest.FixtureRequest) -> MixedModelFit:
    return fitted(request.param)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_coefficient_table(fit: MixedModelFit, level: float) -> None:
    table = fit.coef_table(level).to_frame()
    assert table.columns.tolist() == [
        "estimate",
        "std_error",
        "df",
        "statistic",
        "p_value",
        "conf_low",
        "conf_high",
    ]
    assert table.index.tolist() == fit.fixef.index.tolist()
    np.testing.assert_array_equal(table["estimate"], fit.fixef)
    np.testing.assert_array_equal(table["std_error"], fit.bse)
    np.testing.assert_array_equal(table["p_value"], fit.pvalues)
    t = table["estimate"] / table["std_error"]
    np.testing.assert_array_equal(table["statistic"], t)
    # Two implementations of the t distribution.
    np.testing.assert_allclose(
        table["p_value"], 2 * stats.t.sf(t.abs(), table["df"]), rtol=1e-9
    )
    half = stats.t.ppf(0.5 + level / 2, table["df"]) * table["std_error"]
    np.testing.assert_allclose(table["conf_low"], table["estimate"] - half, rtol=1e-9)
    np.testing.assert_allclose(table["conf_high"], table["estimate"] + half, rtol=1e-9)


def test_degrees_of_freedom_follow_the_method() -> None:
    assert np.isinf(fitted("independent").coef_table().frame["df"]).all()
    df = fitted("slope").coef_table().frame["df"]
    # Balanced data of 18 subjects, by maximum likelihood: 18, not 17.
    np.testing.assert_allclose(df, 18, rtol=1e-6)
    assert "z tests" in str(fitted("independent").coef_table())
    assert "Satterthwaite" in str(fitted("slope").coef_table())


def test_variance_table_has_a_row_a_parameter_in_order() -> None:
    frame = fitted("rich").varcorr().to_frame()
    assert frame.columns.tolist() == [
        "group",
        "name",
        "name2",
        "variance",
        "sd",
        "corr",
        "conf_low",
        "conf_high",
    ]
    rows = frame[["group", "name", "name2"]].astype(object)
    rows = rows.where(rows.notna(), None)
    assert rows.to_numpy().tolist() == [
        ["h", "Intercept", None],
        ["h", "x", None],
        ["h", "x", "Intercept"],
        ["g", "Intercept", None],
        ["g", "z", None],
        ["Residual", None, None],
    ]


def test_variance_table_is_consistent(fit: MixedModelFit) -> None:
    frame = fit.varcorr().to_frame()
    is_sd = frame["name2"].isna()
    assert len(frame) == len(fit.theta) + 1
    # A square.
    np.testing.assert_allclose(
        frame["variance"][is_sd], frame["sd"][is_sd] ** 2, rtol=1e-15
    )
    assert np.isnan(frame["corr"][is_sd]).all()
    assert np.isnan(frame["sd"][~is_sd]).all()
    assert np.all(np.abs(frame["corr"][~is_sd]) <= 1)
    assert frame["sd"].iloc[-1] == fit.sigma
    value = frame["sd"].where(is_sd, frame["corr"])
    inside = frame["conf_low"].notna()
    assert np.all((frame["conf_low"] < value)[inside])
    assert np.all((value < frame["conf_high"])[inside])
    interior = frame["sd"].ne(0) & ~(frame["corr"].abs() > 1 - 1e-8)
    if not fit.is_singular:
        np.testing.assert_array_equal(inside, interior)


def test_a_boundary_has_no_interval() -> None:
    zero = fitted("zero").varcorr().to_frame().iloc[0]
    assert (zero["sd"], zero["variance"]) == (0, 0)
    assert np.isnan(zero["conf_low"])
    assert np.isnan(zero["conf_high"])
    perfect = fitted("perfect").varcorr().to_frame()
    row = perfect[perfect["name2"].notna()].iloc[0]
    # Set to the boundary by the fit, up to the rounding of a product.
    assert row["corr"] == pytest.approx(-1, abs=1e-12)
    assert np.isnan(row["conf_low"])


def test_intervals_of_variances_narrow_with_the_level() -> None:
    narrow = fitted("rich").varcorr(0.5).to_frame()
    wide = fitted("rich").varcorr(0.99).to_frame()
    assert np.all(wide["conf_low"] < narrow["conf_low"])
    assert np.all(wide["conf_high"] > narrow["conf_high"])


def test_interval_of_sigma() -> None:
    # Balanced one-way data: log sigma has the variance 1 / (2 (n - levels)).
    fit = fitted("no_fixed")
    row = fit.varcorr(0.9).to_frame().iloc[-1]
    centre = np.log(row["conf_high"] * row["conf_low"]) / 2
    se = np.log(row["conf_high"] / row["conf_low"]) / 2 / stats.norm.ppf(0.95)
    assert centre == pytest.approx(np.log(fit.sigma), rel=1e-12)
    # Levels of 19 or 20 rows: all but balanced.
    assert se == pytest.approx(1 / np.sqrt(2 * (fit.nobs - 12)), rel=1e-3)


def test_confidence_intervals_of_everything(fit: MixedModelFit) -> None:
    frame = fit.conf_int(0.8).to_frame()
    assert frame.columns.tolist() == ["estimate", "conf_low", "conf_high"]
    fixed = fit.coef_table(0.8).to_frame()[frame.columns]
    random = fit.varcorr(0.8).to_frame()
    np.testing.assert_array_equal(frame.iloc[: len(fixed)], fixed)
    bounds = ["conf_low", "conf_high"]
    np.testing.assert_array_equal(frame.iloc[len(fixed) :][bounds], random[bounds])
    value = random["sd"].where(random["name2"].isna(), random["corr"])
    np.testing.assert_array_equal(frame["estimate"].iloc[len(fixed) :], value)


def test_confidence_intervals_are_labelled() -> None:
    assert fitted("rich").conf_int().frame.index.tolist() == [
        "Intercept",
        "x",
        "f[T.b]",
        "f[T.c]",
        "sd(Intercept | h)",
        "sd(x | h)",
        "cor(Intercept, x | h)",
        "sd(Intercept | g)",
        "sd(z | g)",
        "sigma",
    ]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"level": 95}, OptionError, r"between 0 and 1, got 95; did you mean 0\.95\?$"),
        ({"level": 0}, OptionError, r"between 0 and 1, got 0$"),
        ({"level": 1.0}, OptionError, r"between 0 and 1, got 1\.0$"),
        ({"level": "95%"}, OptionError, r"a number between 0 and 1, got '95%'$"),
        ({"level": True}, OptionError, r"a number between 0 and 1, got True$"),
        ({"level": np.nan}, OptionError, r"between 0 and 1, got nan$"),
        ({"method": "wals"}, OptionError, r"'wald', got 'wals'; did you mean \"wald\""),
    ],
)
def test_bad_intervals(
    call: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted("slope").conf_int(**call)
    if "level" in call:
        for member in ("coef_table", "varcorr"):
            with pytest.raises(error, match=message):
                getattr(fitted("slope"), member)(**call)
        with pytest.raises(error, match=message):
            fitted("slope").predict(**call)


def test_collinearity_of_terms() -> None:
    fit = fitted("rich")
    table = fit.collinearity()
    frame = table.to_frame()
    assert frame.index.tolist() == ["x", "f"]
    assert frame["df"].tolist() == [1, 2]
    # Two terms overlap by the same generalised factor: both are
    # det(R11) det(R22) / det(R).
    vif, root = frame["vif"].to_dict(), frame["root"].to_dict()
    assert vif["x"] == pytest.approx(vif["f"], rel=1e-12)
    assert vif["x"] > 1
    assert root["f"] == pytest.approx(vif["f"] ** 0.25, rel=1e-12)
    unit = fit.design.X / np.linalg.norm(fit.design.X, axis=0)
    number = np.linalg.cond(unit)
    assert table.caption.endswith(f": {number:.4g}")


@pytest.mark.parametrize("name", ["crossed", "no_fixed"])
def test_collinearity_without_terms(name: str) -> None:
    table = fitted(name).collinearity()
    assert len(table.frame) == 0
    assert "condition number of X (columns of unit length): 1" in str(table)


def test_tables_are_copies() -> None:
    fit = fitted("slope")
    for table in (fit.coef_table(), fit.varcorr(), fit.conf_int(), fit.collinearity()):
        frame = table.to_frame()
        frame[frame.columns[0]] = "changed"
        assert not (table.frame == "changed").to_numpy().any()
        assert table._repr_html_().startswith("<")
    vcov, fixef = fit.vcov(), fit.fixef
    vcov.iloc[:, :] = 0.0
    fixef.iloc[:] = 0.0
    assert (fit.bse > 0).all()
    assert (fit.fixef > 0).all()
