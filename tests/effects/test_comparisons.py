"""Comparisons: identities of log and logit links, ratios, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.effects import comparisons, means
from ngmm.errors import NotSupportedError, OptionError


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    r = np.random.default_rng(4)
    n, groups = 240, 24
    d = pd.DataFrame(
        {
            "x": r.normal(size=n),
            "treated": r.integers(0, 2, n),
            "f": r.choice(["a", "b", "c"], n),
            "g": np.repeat(np.arange(groups), n // groups),
            "hours": r.uniform(1.0, 4.0, size=n),
        }
    )
    b = 0.5 * r.normal(size=groups)
    eta = 0.3 * d.x + 0.4 * d.treated + 0.3 * (d.f == "c") + b[d.g]
    d["k"] = r.poisson(d.hours * np.exp(eta))
    return d


@pytest.fixture(scope="module")
def counts(data: pd.DataFrame) -> ngmm.MixedModelFit:
    formula = "k ~ x + treated + f + offset(log(hours)) + (1 | g)"
    return ngmm.fit(formula, data, family="poisson", quad="laplace")


@pytest.fixture(scope="module")
def cbpp() -> ngmm.MixedModelFit:
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    data = ngmm.datasets.load("cbpp")
    return ngmm.fit(formula, data, family="binomial", quad="laplace")


@pytest.mark.parametrize("re", ["none", "all", "marginal"])
def test_ratios_of_a_log_link_are_exponentiated_coefficients(
    counts: ngmm.MixedModelFit, re: str
) -> None:
    found: Any = comparisons(
        counts, ["x", "treated", "f"], kind="ratio", re=re
    ).to_frame()
    assert found["contrast"].tolist() == ["+1", "1 / 0", "b / a", "c / a"]
    table: Any = counts.coef_table().to_frame()
    expected = table.loc[["x", "treated", "f[T.b]", "f[T.c]"]]
    # Sums over the rows of the same factors.
    np.testing.assert_allclose(found["estimate"], np.exp(expected["estimate"]), 1e-10)
    np.testing.assert_allclose(found["conf_low"], np.exp(expected["conf_low"]), 1e-7)
    np.testing.assert_allclose(found["statistic"], expected["statistic"], 1e-7)


def test_differences_average_over_the_rows(
    counts: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    for re in ("none", "all", "marginal"):
        high, low = (
            counts.predict(data.assign(treated=v), re=re).mean() for v in (1, 0)
        )
        found: Any = comparisons(counts, "treated", re=re).to_frame()
        assert found["contrast"].tolist() == ["1 - 0"]
        assert found["estimate"][0] == pytest.approx(high - low, rel=1e-10)


def test_sizes_of_the_change_of_a_number(
    counts: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    slope, se = counts.fixef["x"], counts.bse["x"]
    for contrast, size in ((2, 2.0), ("sd", data["x"].std()), ([-1, 0.5], 1.5)):
        row = (
            comparisons(counts, "x", contrast=contrast, scale="link").to_frame().loc[0]
        )
        # Differences of sums over 240 rows.
        assert row["estimate"] == pytest.approx(size * slope, rel=1e-10)
        assert row["std_error"] == pytest.approx(size * se, rel=1e-10)
    found: Any = comparisons(counts, ["x", "f"], contrast={"x": -1, "f": "sequential"})
    assert found.to_frame()["contrast"].tolist() == ["-1", "b - a", "c - b"]


def test_odds_ratios_of_a_logit_link(cbpp: ngmm.MixedModelFit) -> None:
    found: Any = comparisons(
        cbpp, "period", contrast="pairwise", kind="odds ratio"
    ).to_frame()
    assert found["contrast"].tolist()[:3] == ["2 / 1", "3 / 1", "4 / 1"]
    expected: Any = cbpp.coef_table().to_frame().iloc[1:]
    np.testing.assert_allclose(
        found["estimate"][:3], np.exp(expected["estimate"]), rtol=1e-10
    )
    np.testing.assert_allclose(found["p_value"][:3], expected["p_value"], rtol=1e-7)
    # Averaged over herds, probabilities are nearer to each other on the logit scale.
    marginal: Any = comparisons(
        cbpp, "period", kind="odds ratio", re="marginal"
    ).to_frame()
    assert (marginal["estimate"] > found["estimate"][:3]).all()


def test_means_and_comparisons_agree_where_nothing_else_varies(
    cbpp: ngmm.MixedModelFit,
) -> None:
    for re in ("none", "marginal"):
        one: Any = comparisons(cbpp, "period", re=re).to_frame()
        other: Any = means(cbpp, "period", re=re, contrasts="reference").to_frame()
        for name in ("estimate", "std_error", "p_value"):
            # One function by two routes; tails of p lose digits.
            np.testing.assert_allclose(one[name], other[name], rtol=1e-7)


def test_subsets_and_values_held(
    counts: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    found: Any = comparisons(counts, "treated", by="f", at={"x": [0, 1]}).to_frame()
    assert found["x"].tolist() == [0, 0, 0, 1, 1, 1]
    assert found["f"].tolist() == ["a", "b", "c"] * 2
    at = data.assign(x=1.0)[data["f"] == "b"]
    expected = [counts.predict(at.assign(treated=v), re="none") for v in (1, 0)]
    assert found["estimate"][4] == pytest.approx(
        (expected[0] - expected[1]).mean(), rel=1e-10
    )


def test_rows_of_their_own(counts: ngmm.MixedModelFit, data: pd.DataFrame) -> None:
    found: Any = comparisons(counts, "treated", average=False).to_frame()
    assert len(found) == len(data)
    average: Any = comparisons(counts, "treated").to_frame()
    assert found["estimate"].mean() == pytest.approx(average["estimate"][0], rel=1e-10)


@pytest.mark.slow
def test_the_error_is_that_of_a_bootstrap(counts: ngmm.MixedModelFit) -> None:
    """Refits to simulated responses: 200 of them know an error to 5 percent."""
    draws = counts.simulate(200, seed=1)
    values = []
    for column in draws:
        again = counts.refit(draws[column])
        found: Any = comparisons(again, "treated", re="marginal").to_frame()
        values.append(found["estimate"][0])
    se = comparisons(counts, "treated", re="marginal").to_frame()["std_error"][0]
    # Three standard errors of a standard deviation.
    assert np.std(values) == pytest.approx(se, rel=0.16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variables": "treat"}, r'did you mean "treated"\?'),
        ({"variables": "g"}, '"g" is a grouping factor only'),
        ({"variables": "x", "contrast": "pairwise"}, "x is a number"),
        ({"variables": "x", "contrast": 0}, "nothing changes"),
        ({"variables": "x", "contrast": [1]}, "has 1 values; give two"),
        ({"variables": "f", "contrast": "parwise"}, 'did you mean "pairwise"'),
        ({"variables": "f", "contrast": ["a", "d"]}, "'d' is not a level of f"),
        ({"variables": "f", "contrast": {"y": 1}}, "contrast: 'y' is not a variable"),
        ({"kind": "ratios"}, 'did you mean "ratio"'),
        ({"kind": "ratio", "scale": "link"}, "is one of means"),
        ({"kind": "odds ratio"}, "no probability"),
        ({"level": 95}, "did you mean 0.95"),
    ],
)
def test_refused(
    counts: ngmm.MixedModelFit, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        comparisons(counts, **arguments)


def test_a_ratio_needs_positive_means() -> None:
    data = ngmm.datasets.load("sleepstudy").assign(
        Reaction=lambda d: d["Reaction"] - d["Reaction"].mean()
    )
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    with pytest.raises(OptionError, match="needs positive means"):
        comparisons(fit, "Days", kind="ratio", contrast=[0, 9])


def test_arrays_cannot_be_varied() -> None:
    r = np.random.default_rng(2)
    n = 60
    image = r.normal(size=(n, 2, 2))
    x, g = r.normal(size=n), np.repeat(np.arange(12), 5)
    y = image.sum((1, 2)) + x + r.normal(size=12)[g] + 0.5 * r.normal(size=n)
    network = (
        lambda _, a: {"w": np.zeros(a[0].size)},
        lambda w, a: a.reshape(len(a), -1) @ w["w"],
    )
    fit = ngmm.fit(
        "y ~ x + nn(image, net=own) + (1 | g)",
        {"y": y, "x": x, "g": g, "image": image},
        networks={"own": network},
    )
    found: Any = comparisons(fit, "x").to_frame()
    assert found["estimate"][0] == pytest.approx(fit.fixef["x"], rel=1e-8)
    with pytest.raises(OptionError, match='"image" is an array a row'):
        comparisons(fit, "image")
    with pytest.raises(OptionError, match="no typical value"):
        means(fit, "x", at={"x": 0})


def test_neural_random_effects_are_not_offered() -> None:
    r = np.random.default_rng(3)
    item = np.tile(np.arange(4), 40)
    student = np.repeat(np.arange(40), 4)
    v = r.normal(size=40)
    y = r.binomial(1, 1 / (1 + np.exp(-v[student] - 0.3 * item)))
    data = pd.DataFrame({"y": y, "item": item.astype(str), "student": student})
    formula = "y ~ item + (nn(item, hidden=(), shared=True) | student)"
    fit = ngmm.fit(formula, data, family="bernoulli")
    with pytest.raises(NotSupportedError, match="effects are not available with"):
        comparisons(fit, "item")
