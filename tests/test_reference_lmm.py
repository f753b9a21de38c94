"""Every fit against lme4 and lmerTest.

The reference optimisers agree to 1e-12 in the objective, hence to about 1e-6 in the
parameters (4e-6 for the largest model of ``more.json``). The tolerances below leave
room for that and for nothing else.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

import ngmm
from ngmm.results import MixedModelFit
from tests.reference import ReferenceCase, case_ids, load_entry, load_reference_case

pytestmark = pytest.mark.reference

ZERO_SD = 1e-6  # of a singular fit, whose likelihood is flat to first order in the sd

ALL = case_ids("models", "more")
# lmerTest needs too long for one of the large models.
WITH_DF = [
    i for i in ALL if load_entry(i, "models", "more")["expected"]["df_satterthwaite"]
]


@pytest.fixture(scope="module", params=ALL)
def case(request: pytest.FixtureRequest) -> ReferenceCase:
    return load_reference_case(request.param)


@pytest.fixture(scope="module")
def fit(case: ReferenceCase) -> MixedModelFit:
    return ngmm.fit(data=case.data, **case.call)


def assert_series_close(
    actual: pd.Series,
    expected: pd.Series,
    rtol: float,
    atol: float | NDArray[np.float64] = 0.0,
) -> None:
    """The same names in any order and the same numbers; ``atol`` may be one each."""
    assert sorted(actual.index) == sorted(expected.index)
    error = np.abs(actual.reindex(expected.index).to_numpy() - expected.to_numpy())
    assert (error <= rtol * np.abs(expected.to_numpy()) + atol).all(), error


def test_log_likelihood(case: ReferenceCase, fit: MixedModelFit) -> None:
    # The objective is flat at its maximum: 1e-6 is 1e-11 of the largest model.
    assert fit.loglik == pytest.approx(case.expected["logLik"], rel=0, abs=1e-6)


def test_information_criteria(case: ReferenceCase, fit: MixedModelFit) -> None:
    assert fit.df_model == case.expected["npar"]
    assert fit.nobs == case.expected["nobs"]
    # Twice the tolerance of the log-likelihood.
    assert fit.aic == pytest.approx(case.expected["AIC"], rel=0, abs=2e-6)
    assert fit.bic == pytest.approx(case.expected["BIC"], rel=0, abs=2e-6)


def test_numbers_of_levels(case: ReferenceCase, fit: MixedModelFit) -> None:
    expected = {case.group(g): n for g, n in case.expected["ngroups"].items()}
    assert dict(fit.n_levels) == expected


def test_fixed_effects(case: ReferenceCase, fit: MixedModelFit) -> None:
    # Relative, with 1e-6 of a standard error for coefficients that are zero.
    expected = case.series("fixef")
    atol = 1e-6 * case.series("se").to_numpy()
    assert_series_close(fit.fixef, expected, rtol=1e-5, atol=atol)


def test_standard_errors(case: ReferenceCase, fit: MixedModelFit) -> None:
    assert_series_close(fit.bse, case.series("se"), rtol=1e-5)


def test_covariance_of_the_fixed_effects(
    case: ReferenceCase, fit: MixedModelFit
) -> None:
    names = case.names(case.expected["vcov_order"])
    vcov = np.array(case.expected["vcov"])
    se = np.sqrt(np.diag(vcov))
    actual = fit.vcov().loc[names, names].to_numpy()
    # Covariances as correlations: twice the tolerance of the standard errors.
    np.testing.assert_allclose(
        actual / se / se[:, None], vcov / se / se[:, None], rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("case", WITH_DF, indirect=True)
def test_satterthwaite_degrees_of_freedom(
    case: ReferenceCase, fit: MixedModelFit
) -> None:
    # Derivatives of variances: lmerTest takes them numerically, good to about 1e-6.
    df = fit.coef_table().to_frame().loc[:, "df"]
    assert_series_close(df, case.series("df_satterthwaite"), rtol=1e-4)


def test_coefficient_table_is_consistent(fit: MixedModelFit) -> None:
    table = fit.coef_table().to_frame()
    # Identities in double precision.
    np.testing.assert_allclose(table["estimate"], fit.fixef, rtol=1e-12)
    np.testing.assert_allclose(table["std_error"], fit.bse, rtol=1e-12)
    statistic = table["estimate"] / table["std_error"]
    np.testing.assert_allclose(table["statistic"], statistic, rtol=1e-12)
    p = 2 * stats.t.sf(statistic.abs(), table["df"])
    np.testing.assert_allclose(table["p_value"], p, rtol=1e-9, atol=1e-300)
    half = stats.t.ppf(0.975, table["df"]) * table["std_error"]
    np.testing.assert_allclose(table["conf_low"], table["estimate"] - half, rtol=1e-9)
    np.testing.assert_allclose(table["conf_high"], table["estimate"] + half, rtol=1e-9)


def test_standard_deviations(case: ReferenceCase, fit: MixedModelFit) -> None:
    table = fit.varcorr().to_frame()
    sds = table.loc[table["name2"].isna()].iloc[:-1]
    actual = {(r["group"], r["name"]): r["sd"] for r in sds.to_dict("records")}
    expected = {
        (case.group(term["group"]), name): sd
        for term in case.expected["varcorr"]
        for name, sd in zip(case.names(term["terms"]), term["sd"], strict=True)
    }
    assert actual.keys() == expected.keys()
    for key, sd in expected.items():
        assert actual[key] == pytest.approx(sd, rel=1e-5, abs=ZERO_SD), key


def test_correlations(case: ReferenceCase, fit: MixedModelFit) -> None:
    table = fit.varcorr().to_frame()
    actual = {
        (r["group"], frozenset((r["name"], r["name2"]))): r["corr"]
        for r in table.loc[table["name2"].notna()].to_dict("records")
    }
    expected = {}
    for term in case.expected["varcorr"]:
        names = case.names(term["terms"])
        for i, j in zip(*np.tril_indices(len(names), -1), strict=True):
            key = case.group(term["group"]), frozenset((names[i], names[j]))
            expected[key] = term["corr"][i][j]
    assert actual.keys() == expected.keys()
    for key, corr in expected.items():
        assert actual[key] == pytest.approx(corr, rel=1e-4), key


def test_residual_standard_deviation(case: ReferenceCase, fit: MixedModelFit) -> None:
    assert fit.sigma == pytest.approx(case.expected["sigma"], rel=1e-6)
    residual = fit.varcorr().to_frame().to_dict("records")[-1]
    assert residual["group"] == "Residual"
    assert residual["sd"] == fit.sigma


def test_singular_fits_are_reported(case: ReferenceCase, fit: MixedModelFit) -> None:
    assert fit.is_singular == case.expected["singular"]


@pytest.mark.parametrize(
    "test_id",
    [
        "lrt_sleep_days",
        "lrt_sleep_slopes_ml",
        "lrt_sleep_slopes_reml",
        "lrt_cake_interaction",
    ],
)
def test_nested_models(test_id: str) -> None:
    entry = load_entry(test_id, "lrt")
    data = ngmm.datasets.load(entry["dataset"])
    fits = [
        ngmm.fit(row["formula"], data, reml=entry["REML"]) for row in entry["table"]
    ]
    for fit, row in zip(fits, entry["table"], strict=True):
        assert fit.loglik == pytest.approx(row["logLik"], rel=0, abs=1e-6)
        assert fit.df_model == row["npar"]
    for small, large, row in zip(fits, fits[1:], entry["table"][1:], strict=False):
        # Twice the error of two log-likelihoods.
        chi2 = 2 * (large.loglik - small.loglik)
        assert chi2 == pytest.approx(row["chisq"], rel=0, abs=4e-6)


@pytest.mark.parametrize(
    "test_id", ["df_sleep_corr", "df_sleep_ri", "df_oats", "df_orthodont"]
)
def test_tests_of_the_coefficients(test_id: str) -> None:
    entry = load_entry(test_id, "tests")
    case = load_reference_case(
        {
            "df_sleep_corr": "lmm_sleep_corr_reml",
            "df_sleep_ri": "lmm_sleep_ri_reml",
            "df_oats": "lmm_oats_nested_reml",
            "df_orthodont": "lmm_orthodont_age_reml",
        }[test_id]
    )
    table = ngmm.fit(data=case.data, **case.call).coef_table().to_frame()
    rows = entry["expected"]["coef_satterthwaite"]
    for name, row in zip(case.names([r["term"] for r in rows]), rows, strict=True):
        # lmerTest's df are good to 1e-6 here; p follows t and df.
        assert table.loc[name, "df"] == pytest.approx(row["df"], rel=1e-4)
        assert table.loc[name, "statistic"] == pytest.approx(row["t"], rel=1e-4)
        assert table.loc[name, "p_value"] == pytest.approx(row["p"], rel=1e-2)
