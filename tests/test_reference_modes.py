"""Conditional modes, fitted values and predictions against lme4.

They depend on the variances, which the reference optimisers know to about 1e-6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.results import MixedModelFit
from tests.reference import ReferenceCase, case_ids, load_entry, load_reference_case

pytestmark = pytest.mark.reference

WITH_MODES = [i for i in case_ids() if "ranef" in load_entry(i, "models")["expected"]]


@pytest.fixture(scope="module", params=WITH_MODES)
def case(request: pytest.FixtureRequest) -> ReferenceCase:
    return load_reference_case(request.param)


@pytest.fixture(scope="module")
def fit(case: ReferenceCase) -> MixedModelFit:
    return ngmm.fit(data=case.data, **case.call)


def expected_modes(case: ReferenceCase, term: dict[str, Any]) -> pd.DataFrame:
    """Modes of one grouping factor, under our names."""
    return pd.DataFrame(
        term["modes"],
        index=case.levels(term["levels"], term["group"]),
        columns=case.names(term["terms"]),
    )


def expected_sds(case: ReferenceCase, term: dict[str, Any]) -> pd.DataFrame:
    """Conditional standard deviations, in the layout of `expected_modes`."""
    blocks = term["condVar"]
    # One block a term, named if one factor has several: `(Days || Subject)`.
    blocks = blocks.values() if isinstance(blocks, dict) else blocks
    variances = [np.diagonal(np.array(b), axis1=1, axis2=2) for b in blocks]
    modes = expected_modes(case, term)
    return pd.DataFrame(
        np.sqrt(np.hstack(variances)), index=modes.index, columns=modes.columns
    )


def test_conditional_modes(case: ReferenceCase, fit: MixedModelFit) -> None:
    modes = fit.ranef()
    assert len(modes) == len(case.expected["ranef"])
    for term in case.expected["ranef"]:
        expected = expected_modes(case, term)
        actual = modes[case.group(term["group"])]
        assert sorted(actual.index) == sorted(expected.index)
        assert list(actual.columns) == list(expected.columns)
        # Relative, and for modes that happen to be near zero relative to their spread.
        np.testing.assert_allclose(
            actual.loc[expected.index],
            expected,
            rtol=1e-5,
            atol=1e-6 * float(expected.to_numpy().std()),
        )


def test_conditional_standard_deviations(
    case: ReferenceCase, fit: MixedModelFit
) -> None:
    modes = fit.ranef(cond_sd=True)
    for term in case.expected["ranef"]:
        expected = expected_sds(case, term).add_suffix("_sd")
        actual = modes[case.group(term["group"])]
        np.testing.assert_allclose(
            actual.loc[expected.index, expected.columns], expected, rtol=1e-5
        )


def test_fitted_values_and_residuals(case: ReferenceCase, fit: MixedModelFit) -> None:
    expected = case.expected
    fitted = fit.fitted().iloc[:20]
    np.testing.assert_allclose(fitted, expected["fitted_first20"], rtol=1e-5)
    residuals = fit.resid("response").iloc[:20]
    # A residual is a difference: its error is that of the fitted value.
    np.testing.assert_allclose(
        residuals,
        expected["residuals_first20"]["response"],
        rtol=0,
        atol=1e-6 * float(fitted.abs().max()),
    )


def test_predictions_for_new_data(case: ReferenceCase, fit: MixedModelFit) -> None:
    newdata = pd.DataFrame(case.expected["newdata"])
    expected = case.expected["predict"]
    with_modes = fit.predict(newdata, re="all", new_levels="population")
    np.testing.assert_allclose(with_modes, expected["response_re_NULL"], rtol=1e-5)
    without = fit.predict(newdata, re="none")
    np.testing.assert_allclose(without, expected["response_re_NA"], rtol=1e-5)


def test_conditional_covariance_is_that_of_the_sds() -> None:
    entry = load_entry("ranef_sleep_308", "tests")["expected"]
    case = load_reference_case("lmm_sleep_corr_reml")
    fit = ngmm.fit(data=case.data, **case.call)
    row = fit.ranef(cond_sd=True)["Subject"].loc["308"]
    # The reference fit is lme4's own, good to 1e-6.
    assert row["Intercept"] == pytest.approx(entry["modes"]["(Intercept)"], rel=1e-6)
    assert row["Days"] == pytest.approx(entry["modes"]["Days"], rel=1e-6)
    variances = row[["Intercept_sd", "Days_sd"]].to_numpy(float) ** 2
    np.testing.assert_allclose(variances, np.diag(entry["cond_cov"]), rtol=1e-5)
