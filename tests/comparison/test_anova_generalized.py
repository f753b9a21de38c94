"""Tests of terms of a generalized model, against lme4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "reference" / "anova.json").read_text()
)["glmm"]


@pytest.fixture(scope="module")
def fit() -> MixedModelFit:
    data = ngmm.datasets.load("cbpp")
    return ngmm.fit(REFERENCE["formula"], data, family="binomial", quad=25)


def test_terms_have_chi_square_tests(fit: MixedModelFit) -> None:
    row = fit.anova().to_frame().loc["period"]
    # lme4 approximates the Hessian by finite differences.
    assert row["statistic"] == pytest.approx(REFERENCE["chi2"], rel=1e-6)
    assert row["df"] == REFERENCE["df"]
    with pytest.raises(OptionError, match="for gaussian models without networks"):
        fit.anova(df="satterthwaite")
    with pytest.raises(OptionError, match="for gaussian models without networks"):
        fit.drop1(test="F")


def test_a_coefficient_has_a_chi_square_test(fit: MixedModelFit) -> None:
    row = fit.contest("period[T.2]").to_frame().iloc[0]
    expected = fit.coef_table().to_frame().loc["period[T.2]"]
    # The same arithmetic in another order.
    assert row["statistic"] == pytest.approx(expected["statistic"] ** 2, rel=1e-9)
    for name in ("p_value", "conf_low", "conf_high"):
        assert row[name] == pytest.approx(expected[name], rel=1e-9)


@pytest.mark.slow  # compiles again for a matrix of another shape
def test_a_term_is_left_out(fit: MixedModelFit) -> None:
    found = fit.drop1().to_frame().loc["period"]
    expected = REFERENCE["drop1"][1]
    # lme4's adaptive rule places its nodes by modes found to about 1e-6.
    assert found["statistic"] == pytest.approx(expected["LRT"], abs=1e-5)
    assert found["df"] == expected["npar"]


def test_the_last_random_effect_leaves_a_generalized_linear_model(
    fit: MixedModelFit,
) -> None:
    row = fit.ranova().to_frame().iloc[1]
    # R's glm stops at a relative change of the deviance of 1e-8.
    assert row["loglik"] == pytest.approx(REFERENCE["loglik_glm"], abs=1e-6)
    assert row["method"] == "chibar"
