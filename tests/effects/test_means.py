"""Marginal means: identities, agreement with emmeans, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.effects import means
from ngmm.errors import OptionError

EMMEANS = json.loads(
    (Path(__file__).parents[1] / "reference" / "emmeans.json").read_text()
)
# Columns of ours -> what emmeans calls them.
NAMES = {
    "estimate": ("emmean", "estimate", "prob", "rate"),
    "std_error": ("SE", "se"),
    "df": ("df",),
    "conf_low": ("lower.CL", "asymp.LCL", "lower"),
    "conf_high": ("upper.CL", "asymp.UCL", "upper"),
    "statistic": ("t.ratio", "z"),
    "p_value": ("p.value", "p_tukey"),
}


def agree(found: pd.DataFrame, key: str, rtol: float, p: float = 1e-4) -> None:
    """Every number that both have."""
    expected = pd.DataFrame(EMMEANS[key])
    compared = 0
    for ours, theirs in NAMES.items():
        for name in theirs:
            if name in expected and expected[name].dtype.kind == "f":
                tolerance = p if ours == "p_value" else rtol
                # Some differences are zero but for rounding.
                np.testing.assert_allclose(
                    found[ours], expected[name], tolerance, 1e-10, err_msg=ours
                )
                compared += 1
    assert compared >= 4


@pytest.fixture(scope="module")
def cake() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("cake")
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    return ngmm.fit(formula, data, reml=True)


@pytest.fixture(scope="module")
def oats() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("Oats")
    return ngmm.fit("yield ~ nitro + Variety + (1 | Block/Variety)", data, reml=True)


@pytest.fixture(scope="module")
def cbpp() -> ngmm.MixedModelFit:
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    data = ngmm.datasets.load("cbpp")
    return ngmm.fit(formula, data, family="binomial", quad="laplace")


def test_balanced_means_are_those_of_the_cells(cake: ngmm.MixedModelFit) -> None:
    data = ngmm.datasets.load("cake")
    found: Any = means(cake, "temperature", by="recipe").to_frame()
    assert found.columns[:2].tolist() == ["recipe", "temperature"]
    cells: Any = data.groupby(["recipe", "temperature"], observed=True)["angle"].mean()
    # Exact in a balanced design, up to the rounding of the solve.
    np.testing.assert_allclose(found["estimate"], cells, rtol=1e-10)
    overall: Any = means(cake, "recipe").to_frame()["estimate"]
    averages: Any = data.groupby("recipe", observed=True)["angle"].mean()
    np.testing.assert_allclose(overall, averages, rtol=1e-10)


# Two optimisers, each stopped at a relative change of about 1e-10 in the objective,
# so of 1e-5 in variances, errors and degrees of freedom.
@pytest.mark.reference
def test_means_of_a_factorial_experiment(cake: ngmm.MixedModelFit) -> None:
    agree(means(cake, "recipe").to_frame(), "cake_means", 2e-5)
    pairs: Any = means(
        cake, "recipe", by="temperature", contrasts="pairwise", adjust="tukey"
    )
    agree(pairs.to_frame(), "cake_pairs_by", 2e-5)
    assert "Tukey's adjustment for all pairs of 3 comparisons" in pairs.caption


@pytest.mark.reference
def test_means_with_a_covariate(oats: ngmm.MixedModelFit) -> None:
    agree(means(oats, "Variety").to_frame(), "oats_means", 2e-5)
    at = means(oats, "nitro", at={"nitro": [0, 0.5]})
    agree(at.to_frame(), "oats_at", 2e-5)
    for adjust in ("tukey", "holm", "sidak", "bonferroni", "fdr"):
        found: Any = means(oats, "Variety", contrasts="pairwise", adjust=adjust)
        agree(found.to_frame(), f"oats_{adjust}", 2e-5)
    for contrasts in ("reference", "sequential"):
        found: Any = means(oats, "Variety", contrasts=contrasts)
        agree(found.to_frame(), f"oats_{contrasts}", 2e-5)


@pytest.mark.reference
def test_weights_of_an_unbalanced_experiment() -> None:
    left_out = np.array([1, 2, 3, 5, 8, 13, 21, 34, 55]) - 1
    data = ngmm.datasets.load("Oats").drop(index=left_out)
    data["N"] = data["nitro"].astype(str)
    formula = "yield ~ N * Variety + (1 | Block/Variety)"
    fit = ngmm.fit(formula, data, reml=True)
    for weights in ("equal", "observed"):
        found: Any = means(fit, "Variety", weights=weights).to_frame()
        agree(found, f"oats_unbalanced_{weights}", 2e-5)


@pytest.mark.reference
def test_means_of_a_binomial_response(cbpp: ngmm.MixedModelFit) -> None:
    agree(means(cbpp, "period").to_frame(), "cbpp_means", 1e-5)
    pairs: Any = means(
        cbpp, "period", scale="link", contrasts="pairwise", adjust="tukey"
    ).to_frame()
    agree(pairs, "cbpp_pairs", 1e-5)


@pytest.mark.reference
def test_means_and_ratios_of_counts() -> None:
    data = ngmm.datasets.load("grouseticks")
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD)"
    fit = ngmm.fit(formula, data, family="poisson", quad="laplace")
    # lme4's covariance comes from rough finite differences.
    agree(means(fit, "YEAR").to_frame(), "ticks_response", 5e-3)
    pairs: Any = means(fit, "YEAR", scale="link", contrasts="pairwise").to_frame()
    expected = pd.DataFrame(EMMEANS["ticks_ratio"])
    np.testing.assert_allclose(np.exp(pairs["estimate"]), expected["ratio"], rtol=5e-3)


def test_marginal_means_are_integrals(cbpp: ngmm.MixedModelFit) -> None:
    found: Any = means(cbpp, "period", re="marginal").to_frame()
    eta = means(cbpp, "period", scale="link").to_frame()["estimate"].to_numpy()
    sd = cbpp.varcorr().to_frame()["sd"].iloc[0]
    b = np.linspace(-9 * sd, 9 * sd, 4001)
    density = np.exp(-0.5 * (b / sd) ** 2)
    p = 1 / (1 + np.exp(-(eta[:, None] + b)))
    # A trapezoid sum of an analytic function that vanishes at the ends.
    expected = p @ density / density.sum()
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-10)


def test_a_single_mean_is_a_prediction(cbpp: ngmm.MixedModelFit) -> None:
    found: Any = means(cbpp, "period", level=0.9).to_frame()
    new = {"period": ["1", "2", "3", "4"]}
    expected: Any = cbpp.predict(
        new, re="none", se=True, interval="confidence", level=0.9
    )
    pairs = zip(
        ["estimate", "std_error", "conf_low", "conf_high"], expected, strict=True
    )
    for ours, theirs in pairs:
        # One formula in two orders of summation.
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=1e-9)


def test_contrasts_of_ones_own(oats: ngmm.MixedModelFit) -> None:
    row = [-1.0, 0.5, 0.5]
    named: Any = means(oats, "Variety", contrasts={"others": row}).to_frame()
    plain: Any = means(oats, "Variety", contrasts=[row]).to_frame()
    values: Any = means(oats, "Variety").to_frame()["estimate"]
    assert named["contrast"].tolist() == ["others"]
    assert plain["contrast"].tolist() == [
        "- Golden Rain + 0.5 Marvellous + 0.5 Victory"
    ]
    assert named["estimate"][0] == pytest.approx(row @ values, rel=1e-12)
    pd.testing.assert_series_equal(named["std_error"], plain["std_error"])


def test_what_is_averaged_and_held_is_said(oats: ngmm.MixedModelFit) -> None:
    table: Any = means(oats, "nitro", at={"nitro": [0.1]})
    assert table.caption.endswith("averaged over Variety with equal weights")
    assert means(oats, "Variety").caption.endswith("at nitro = 0.3")
    assert str(table).split()[:3] == ["nitro", "estimate", "se"]


def test_a_cell_without_rows_has_no_mean() -> None:
    r = np.random.default_rng(0)
    a = np.repeat(["x", "y", "z"], 20)
    b = np.tile(["u", "v"], 30)
    data = pd.DataFrame({"a": a, "b": b, "g": np.tile(np.arange(10), 6)})
    data["y"] = r.normal(size=60) + (data.a == "y")
    data = data[~((data.a == "z") & (data.b == "v"))]
    with pytest.warns(ngmm.errors.RankDeficiencyWarning):
        fit = ngmm.fit("y ~ a * b + (1 | g)", data)
    table: Any = means(fit, "a")
    found = table.to_frame().set_index("a")
    assert found["estimate"].isna().tolist() == [False, False, True]
    assert "the data do not determine" in table.caption
    pairs: Any = means(fit, "a", contrasts="pairwise").to_frame().set_index("contrast")
    assert pairs["p_value"].notna().tolist() == [True, False, False]
    cells: Any = means(fit, ["a", "b"]).to_frame()
    assert cells["estimate"].isna().sum() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variables": "Varety"}, r'did you mean "Variety"\?'),
        ({"variables": "Block"}, '"Block" is a grouping factor only'),
        ({"variables": "Variety", "by": "Variety"}, "in variables= and in by="),
        ({"variables": []}, "names what a mean is wanted for"),
        ({"variables": 3}, "takes the name of a column"),
        ({"variables": "Variety", "level": 1.5}, "level must be between 0 and 1"),
        ({"variables": "Variety", "at": {"Variety": "Victori"}}, "not a level of"),
        ({"variables": "Variety", "at": {"nitro": "low"}}, "nitro is a number"),
        ({"variables": "Variety", "re": "all"}, 're must be one of "none"'),
        ({"variables": "Variety", "scale": "respons"}, 'did you mean "response"'),
        ({"variables": "Variety", "weights": "cells"}, "weights must be one of"),
        ({"variables": "Variety", "adjust": "tukey"}, "is for contrasts"),
        (
            {"variables": "Variety", "contrasts": "pairwise", "adjust": "tuckey"},
            'did you mean "tukey"',
        ),
        (
            {"variables": "Variety", "contrasts": "reference", "adjust": "tukey"},
            'is for contrasts="pairwise"',
        ),
        ({"variables": "Variety", "contrasts": "pairs"}, "there are no contrasts"),
        (
            {"variables": "Variety", "contrasts": [[1, -1]]},
            "2 coefficients for 3 means, which are in this order: Golden Rain, Marv",
        ),
        (
            {"variables": "Variety", "contrasts": {"odd": [1, -1, 0, 0]}},
            "contrast odd has 4 coefficients for 3 means",
        ),
        (
            {"variables": "Variety", "contrasts": [[1, np.nan, 0]]},
            "coefficients that are not finite",
        ),
    ],
)
def test_refused(
    oats: ngmm.MixedModelFit, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        means(oats, **arguments)
