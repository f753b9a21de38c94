"""Slopes: identities of linear models, differences, integrals, bands of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.effects import slopes
from ngmm.errors import OptionError


@pytest.fixture(scope="module")
def sleep() -> ngmm.MixedModelFit:
    data = ngmm.datasets.load("sleepstudy")
    return ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    r = np.random.default_rng(11)
    n, groups = 300, 30
    d = pd.DataFrame(
        {
            "x": r.uniform(0.5, 3.0, size=n),
            "z": r.normal(size=n),
            "f": r.choice(["a", "b"], n),
            "g": np.repeat(np.arange(groups), n // groups),
        }
    )
    b, slope = 0.8 * r.normal(size=groups), 0.7 * r.normal(size=groups)
    eta = np.log(d.x) + (slope[d.g] - 0.4) * d.z + 0.5 * (d.f == "b") + b[d.g]
    d["k"] = r.binomial(1, 1 / (1 + np.exp(-eta)))
    d["y"] = np.sin(2 * d.x) + 0.3 * d.z + b[d.g] + 0.3 * r.normal(size=n)
    return d


@pytest.fixture(scope="module")
def curve(data: pd.DataFrame) -> ngmm.MixedModelFit:
    formula = "k ~ log(x) + z * f + (1 + z | g)"
    return ngmm.fit(formula, data, family="bernoulli")


@pytest.fixture(scope="module")
def network(data: pd.DataFrame) -> ngmm.MixedModelFit:
    estimator = ngmm.Evidence(restarts=2, widths=(3, 4))
    return ngmm.fit("y ~ z + nn(x, f) + (1 | g)", data, estimator=estimator)


def test_the_slope_of_a_line_is_its_coefficient(sleep: ngmm.MixedModelFit) -> None:
    row: Any = slopes(sleep).to_frame().iloc[0]
    expected = sleep.coef_table().to_frame().loc["Days"]
    for name in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
        # Differences over steps of 1e-3 lose three of sixteen digits, p a few more.
        assert row[name] == pytest.approx(expected[name], rel=1e-9), name


def test_slopes_at_the_modes_are_those_of_the_levels(sleep: ngmm.MixedModelFit) -> None:
    found: Any = slopes(sleep, re="all", by="Subject").to_frame()
    levels: Any = sleep.coef()["Subject"]["Days"]
    np.testing.assert_allclose(found["estimate"], levels, rtol=1e-9)
    # The error of a difference of two predictions of a level ten days apart, from the
    # dense covariance of the coefficients and effects (Henderson 1975).
    X = np.column_stack([np.ones(180), np.tile(np.arange(10.0), 18)])
    Z = np.kron(np.eye(18), X[:10])
    cov: Any = sleep.ranef(cond_sd=True)["Subject"]
    assert list(cov.columns[:2]) == ["Intercept", "Days"]
    t0, t1, t2 = sleep.theta
    lam = np.array([[t0, 0.0], [t1, t2]])
    precision = np.linalg.inv(np.kron(np.eye(18), lam @ lam.T))
    wide = np.hstack([X, Z])
    C = wide.T @ wide
    C[2:, 2:] += precision
    inverse = sleep.sigma**2 * np.linalg.inv(C)
    for level in (0, 7):
        a = np.zeros(38)
        a[1], a[2 + 2 * level + 1] = 1.0, 1.0
        # A dense inverse of condition 1e6.
        assert found["std_error"][level] == pytest.approx(
            np.sqrt(a @ inverse @ a), rel=1e-7
        )


def test_the_average_at_the_modes_has_the_error_of_the_fixed_slope(
    sleep: ngmm.MixedModelFit,
) -> None:
    """In a balanced design the modes sum to zero, but they are not known."""
    found: Any = slopes(sleep, re="all").to_frame().iloc[0]
    assert found["estimate"] == pytest.approx(sleep.fixef["Days"], rel=1e-9)
    # The mean slope of these 18 people: only the residual is left of its error.
    x = np.arange(10.0)
    expected = sleep.sigma / np.sqrt(18 * ((x - x.mean()) ** 2).sum())
    assert found["std_error"] == pytest.approx(expected, rel=1e-8)


def test_transforms_count(curve: ngmm.MixedModelFit, data: pd.DataFrame) -> None:
    found: Any = slopes(curve, "x", scale="link").to_frame().iloc[0]
    factor = np.mean(1 / data["x"])
    # The rule's error at the ends of the data: h^3 f''''/4 = 1e-9 of 6/x^4.
    assert found["estimate"] == pytest.approx(factor * curve.fixef["log(x)"], rel=1e-7)
    assert found["std_error"] == pytest.approx(factor * curve.bse["log(x)"], rel=1e-7)


def test_an_average_slope_is_the_mean_of_slopes(
    curve: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    eta = curve.predict(kind="link", re="none").to_numpy()
    p = 1 / (1 + np.exp(-eta))
    own = curve.fixef["z"] + curve.fixef["z:f[T.b]"] * (data["f"] == "b")
    each: Any = p * (1 - p) * own
    rows: Any = slopes(curve, "z", average=False).to_frame()
    assert rows["row"].tolist() == data.index.tolist()
    np.testing.assert_allclose(rows["estimate"], each, rtol=1e-8, atol=1e-10)
    found: Any = slopes(curve, "z", by="f").to_frame()
    assert found["f"].tolist() == ["a", "b"]
    np.testing.assert_allclose(
        found["estimate"], each.groupby(data["f"]).mean(), rtol=1e-8
    )


def average_slope(fit: ngmm.MixedModelFit, data: pd.DataFrame, x: Any) -> float:
    """The mean over the rows and the random effects, from the parameters alone."""
    beta, theta = x[: len(fit.fixef)], x[len(fit.fixef) :]
    f = (data["f"] == "b").to_numpy(float)
    z = data["z"].to_numpy()
    lam = np.array([[theta[0], 0.0], [theta[1], theta[2]]])
    t = np.linspace(-8.0, 8.0, 161)
    weight = np.exp(-0.5 * t**2) / np.exp(-0.5 * t**2).sum()

    def mean(z: Any) -> Any:
        columns = np.column_stack([np.ones_like(z), np.log(data["x"]), z, f, z * f])
        sd = np.linalg.norm(np.column_stack([np.ones_like(z), z]) @ lam, axis=1)
        eta = (columns @ beta)[:, None] + sd[:, None] * t
        return 1 / (1 + np.exp(-eta)) @ weight

    h = 1e-4
    return float(np.mean(mean(z + h) - mean(z - h)) / (2 * h))


def test_the_error_of_a_marginal_slope_is_a_numerical_one(
    curve: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    names = ["Intercept", "log(x)", "z", "f[T.b]", "z:f[T.b]"]
    assert sorted(curve.fixef.index) == sorted(names)
    order = [list(curve.fixef.index).index(n) for n in names]
    at = [*order, 5, 6, 7]
    x = np.concatenate([curve.fixef[names], curve.theta])
    covariance = curve._analysis.covariance[np.ix_(at, at)]  # type: ignore[union-attr]
    gradient = np.empty(8)
    for i in range(8):
        step = 1e-4 * np.eye(8)[i]
        up, down = (average_slope(curve, data, x + s * step) for s in (1, -1))
        gradient[i] = (up - down) / 2e-4
    assert np.abs(gradient[5:]).max() > 0.01
    found: Any = slopes(curve, "z", re="marginal").to_frame().iloc[0]
    # Differences of differences over steps of 1e-4: seven digits of the first.
    assert found["estimate"] == pytest.approx(average_slope(curve, data, x), rel=1e-6)
    expected = np.sqrt(gradient @ covariance @ gradient)
    assert found["std_error"] == pytest.approx(expected, rel=1e-4)


def test_the_slope_of_a_network_is_that_of_its_partial_effect(
    network: ngmm.MixedModelFit,
) -> None:
    at = {"x": [1.0, 2.0], "f": "a"}
    found: Any = slopes(network, "x", at=at).to_frame()
    assert found["x"].tolist() == [1.0, 2.0]
    h = 1e-3
    for x, slope in zip(found["x"], found["estimate"], strict=True):
        near = ngmm.effects.partial(
            network, "nn(x, f)", "x", grid={"x": [x - h, x + h]}, at={"f": "a"}
        ).to_frame()["effect"]
        # Central differences: h^2 f'''/6.
        assert slope == pytest.approx((near[1] - near[0]) / (2 * h), rel=1e-4)


def test_lines_beside_a_network_keep_their_error(network: ngmm.MixedModelFit) -> None:
    assert len(network.networks.members) > 1  # type: ignore[union-attr]
    row: Any = slopes(network, "z").to_frame().iloc[0]
    assert row["estimate"] == pytest.approx(network.fixef["z"], rel=1e-8)
    assert row["std_error"] == pytest.approx(network.bse["z"], rel=1e-6)
    assert "errors allow for the networks" in slopes(network, "z").caption


def test_the_error_of_a_network_is_that_of_predictions(
    network: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    """A comparison with a row whose variance is small next to that of the other."""
    kept = data.iloc[:5]
    for re in ("none", "all"):
        table: Any = ngmm.effects.comparisons(
            network, "x", contrast=[1.0, 2.5], re=re, average=False
        ).to_frame()[:5]
        high, low = (network.predict(kept.assign(x=v), re=re) for v in (2.5, 1.0))
        # The same sums in other orders.
        np.testing.assert_allclose(table["estimate"], high - low, rtol=1e-8)
        assert (table["std_error"] > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variables": "Dais"}, r'did you mean "Days"\?'),
        ({"variables": "Subject"}, '"Subject" is a grouping factor only'),
        ({"variables": []}, "variables= is empty"),
        ({"by": "Subject", "average": False}, "by= makes averages"),
        ({"by": "Days", "at": {"Days": 1}}, "in by= and in at="),
        ({"at": [1]}, "at= maps variables to values"),
        ({"at": {"Days": []}}, "give Days one value"),
        ({"at": {"day": 1}}, "not a variable of the model"),
        ({"re": "mode"}, "re must be one of"),
        ({"level": 0}, "level must be between 0 and 1"),
    ],
)
def test_refused(
    sleep: ngmm.MixedModelFit, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        slopes(sleep, **arguments)


def test_a_factor_has_no_slope(curve: ngmm.MixedModelFit) -> None:
    with pytest.raises(OptionError, match=r"use effects\.comparisons\(fit, \"f\"\)"):
        slopes(curve, "f")
