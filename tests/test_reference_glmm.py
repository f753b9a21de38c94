"""Every generalized fit against lme4, glmmTMB, GLMMadaptive and exact likelihoods.

The rule and its nodes are those of the reference, so that both programs maximise the
same function; its optimisers agree to 1e-12 in the objective. Estimates by quadrature
then differ by what is left of rounding and of the mode search: the tolerances are those
that a user needs, and far above that.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.model import GeneralizedEstimate
from ngmm.results import MixedModelFit
from tests.engine.derivatives import differences
from tests.reference import ReferenceCase, case_ids, load_entry, load_reference_case

pytestmark = pytest.mark.reference

# Exact maxima are compared with the default settings, below.
EXACT = {
    # Identifier -> how near the log-likelihood must come.
    "oracle_toenail_ri": 5e-4,
    "oracle_schizo_ri": 5e-4,
    "oracle_contra_urbanslope": 2e-3,
    "oracle_schizo_slope": 2e-3,
    "oracle_toenail_slope": 0.02,
}
# Maxima of Laplace's approximation that are artefacts of it.
SPURIOUS = ("glmm_toenail_slope", "glmm_schizo_slope_laplace")
# Families, links and structures once, each with the rule of its reference. All other
# entries are slow, as each combination of family, rule and shape has to be compiled.
QUICK = (
    "glmm_cbpp_weights",
    "glmm_contra_slope",
    "glmm_verbagg_crossed",
    "glmm_gopher_offset_agq1",
)

ALL = [
    pytest.param(i, marks=() if i in QUICK else pytest.mark.slow)
    for i in case_ids("glmm")
    if i not in EXACT and i not in SPURIOUS
]

# glmmTMB takes the Hessian by differences of the gradient, in steps that do not suit a
# column of this size and leave 3e-3: see `test_standard_errors_by_differences`.
ROUGH_SE = {"tmb_contra_cloglog": ["I(age^2)"]}

ZERO_SD = 1e-3  # the likelihood of a singular fit is flat in the sd


@pytest.fixture(scope="module", params=ALL)
def case(request: pytest.FixtureRequest) -> ReferenceCase:
    return load_reference_case(request.param)


@pytest.fixture(scope="module")
def fit(case: ReferenceCase) -> MixedModelFit:
    return fitted(case)


def fitted(case: ReferenceCase) -> MixedModelFit:
    with warnings.catch_warnings():
        # The rules are those of the reference, however poor: ngmm says that they are.
        warnings.filterwarnings("ignore", "the log-likelihood carries an error")
        return ngmm.fit(data=case.data, **case.call)


def tolerance(case: ReferenceCase, quantity: str, usual: float) -> float:
    """What a quantity is good to; GLMMadaptive stops early and says how far it is."""
    if case.engine != "GLMMadaptive":
        return usual
    return load_entry(case.id, "glmm")["tol"][quantity]


def assert_series_close(
    actual: pd.Series, expected: pd.Series, rtol: float, atol: pd.Series | float
) -> None:
    assert sorted(actual.index) == sorted(expected.index)
    error = (actual - expected).abs()
    allowed = rtol * expected.abs() + atol
    assert (error <= allowed).all(), pd.DataFrame({"error": error, "allowed": allowed})


def sds(fit: MixedModelFit) -> dict[tuple[str, str], float]:
    table = fit.varcorr().to_frame()
    # The row of the dispersion has no sd.
    rows = table.loc[table["name2"].isna() & table["sd"].notna()]
    return {(r["group"], r["name"]): r["sd"] for r in rows.to_dict("records")}


def reference_sds(case: ReferenceCase) -> dict[tuple[str, str], float]:
    return {
        (case.group(term["group"]), name): sd
        for term in case.expected["varcorr"]
        for name, sd in zip(case.names(term["terms"]), term["sd"], strict=True)
    }


def correlations(fit: MixedModelFit) -> dict[tuple[str, frozenset[str]], float]:
    table = fit.varcorr().to_frame()
    rows = table.loc[table["name2"].notna()].to_dict("records")
    return {(r["group"], frozenset((r["name"], r["name2"]))): r["corr"] for r in rows}


def reference_correlations(
    case: ReferenceCase,
) -> dict[tuple[str, frozenset[str]], float]:
    found = {}
    for term in case.expected["varcorr"]:
        names = case.names(term["terms"])
        for i, j in zip(*np.tril_indices(len(names), -1), strict=True):
            key = case.group(term["group"]), frozenset((names[i], names[j]))
            found[key] = term["corr"][i][j]
    return found


def test_log_likelihood(case: ReferenceCase, fit: MixedModelFit) -> None:
    atol = tolerance(case, "logLik_abs", 1e-4)
    assert fit.loglik == pytest.approx(case.loglik, rel=0, abs=atol)


def test_size(case: ReferenceCase, fit: MixedModelFit) -> None:
    assert fit.df_model == case.expected["npar"]
    assert fit.nobs == case.expected["nobs"]
    expected = {case.group(g): n for g, n in case.expected["ngroups"].items()}
    assert dict(fit.n_levels) == expected


def test_fixed_effects(case: ReferenceCase, fit: MixedModelFit) -> None:
    expected = case.series("fixef")
    # A coefficient near zero is known to a part of its standard error only.
    in_se = tolerance(case, "fixef_se", 1e-4)
    assert_series_close(fit.fixef, expected, 1e-3, in_se * case.series("se"))


def test_standard_errors(case: ReferenceCase, fit: MixedModelFit) -> None:
    rtol = tolerance(case, "se_rel", 1e-3)
    rough = ROUGH_SE.get(case.id, [])
    assert_series_close(fit.bse.drop(rough), case.series("se").drop(rough), rtol, 0.0)


@pytest.mark.slow
def test_standard_errors_by_differences() -> None:
    case = load_reference_case("tmb_contra_cloglog")
    fit = fitted(case)
    p, scale = len(fit.fixef), np.append(0.3 * fit.bse, 0.03)
    best = np.append(fit.estimate.beta, fit.estimate.theta)

    def loglik(x: Any) -> float:
        at = best + scale * x
        return fit.model.loglik(at[p:], beta=at[:p])

    hessian = differences(lambda x: differences(loglik, x, 0.2), np.zeros(p + 1), 0.2)
    se = np.sqrt(np.diag(np.linalg.inv(-hessian)))[:p] * scale[:p]
    # Differences of order four in steps of 0.06 standard errors.
    np.testing.assert_allclose(fit.bse, se, rtol=1e-6)


def test_standard_deviations(case: ReferenceCase, fit: MixedModelFit) -> None:
    actual, expected = sds(fit), reference_sds(case)
    assert actual.keys() == expected.keys()
    rtol = tolerance(case, "sd_rel", 2e-3)
    for key, sd in expected.items():
        assert actual[key] == pytest.approx(sd, rel=rtol, abs=ZERO_SD), key


def test_correlations(case: ReferenceCase, fit: MixedModelFit) -> None:
    actual, expected = correlations(fit), reference_correlations(case)
    assert actual.keys() == expected.keys()
    for key, corr in expected.items():
        # As well determined as the standard deviations.
        assert actual[key] == pytest.approx(corr, rel=0, abs=5e-3), key


def test_dispersion(case: ReferenceCase, fit: MixedModelFit) -> None:
    phi = fit.estimate.phi
    table = fit.varcorr().to_frame()
    printed = table.loc[table["group"] == "Dispersion"]
    if case.phi is None:
        assert phi is None
        assert printed.empty
    else:
        assert phi == pytest.approx(case.phi, rel=2e-3)
        assert printed["dispersion"].item() == phi


def test_singular_fits_are_reported(case: ReferenceCase, fit: MixedModelFit) -> None:
    smallest = min(reference_sds(case).values())
    # glmmTMB estimates a logarithm, which never comes to the end of its way.
    assert fit.is_singular == (smallest < ZERO_SD)


# Default settings against the exact likelihood ----------------------------------------


@pytest.fixture(
    scope="module",
    params=[
        # Several effects of a level compile and run the longest.
        pytest.param(i, marks=pytest.mark.slow) if i.endswith("slope") else i
        for i in EXACT
    ],
)
def exact(request: pytest.FixtureRequest) -> ReferenceCase:
    return load_reference_case(request.param)


@pytest.fixture(scope="module")
def default(exact: ReferenceCase) -> MixedModelFit:
    call = {k: v for k, v in exact.call.items() if k != "quad"}
    return ngmm.fit(data=exact.data, **call)


def test_defaults_reach_the_exact_maximum(
    exact: ReferenceCase, default: MixedModelFit
) -> None:
    assert default.loglik == pytest.approx(exact.loglik, rel=0, abs=EXACT[exact.id])
    assert default.check().ok


def test_the_reported_error_covers_the_true_one(
    exact: ReferenceCase, default: MixedModelFit
) -> None:
    assert isinstance(default.estimate, GeneralizedEstimate)
    error = default.estimate.integral.error
    assert error is not None
    # The stored maximum itself is good to 3e-10 only: see its second grid.
    assert abs(default.loglik - exact.loglik) <= error + 1e-9


def test_estimates_by_default_settings(
    exact: ReferenceCase, default: MixedModelFit
) -> None:
    se = exact.series("se")
    # A log-likelihood short by d moves an estimate by sqrt(2 d) se at most.
    atol = min(np.sqrt(2 * EXACT[exact.id]), 0.05)
    assert_series_close(default.fixef, exact.series("fixef"), 1e-3, atol * se)
    assert_series_close(default.bse, se, 0.02, 0.0)
    for key, sd in reference_sds(exact).items():
        assert sds(default)[key] == pytest.approx(sd, rel=0.02), key


def test_the_toenail_data() -> None:
    case = load_reference_case("oracle_toenail_ri")
    fit = ngmm.fit(case.formula, case.data, family="bernoulli")
    # By 4,001 equally spaced nodes.
    assert fit.loglik == pytest.approx(-625.397515660, rel=0, abs=5e-4)
    expected = [-1.6183, -0.1608, -0.3910, -0.1368]
    np.testing.assert_allclose(fit.fixef, expected, rtol=0, atol=1e-3)
    assert fit.varcorr().to_frame()["sd"].iloc[0] == pytest.approx(4.0066, abs=1e-3)


@pytest.mark.parametrize("case_id", SPURIOUS)
def test_a_spurious_maximum_is_not_called_good(case_id: str) -> None:
    case = load_reference_case(case_id)
    with pytest.warns(ngmm.errors.ConvergenceWarning):
        fit = ngmm.fit(data=case.data, **case.call)
    assert not fit.check().ok
