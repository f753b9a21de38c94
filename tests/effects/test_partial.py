"""Partial dependence: the identities that define it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import OptionError


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    r = np.random.default_rng(3)
    n, groups = 240, 24
    d = pd.DataFrame(
        {
            "x1": r.uniform(1.0, 3.0, size=n),
            "x2": r.normal(size=n),
            "f": r.choice(["low", "mid", "top"], n),
            "g": np.repeat(np.arange(groups), n // groups),
        }
    )
    b = 0.5 * r.normal(size=groups)
    eta = d.x1 + np.sin(2 * d.x2) * (d.f == "low") + b[d.g]
    d["y"] = eta + 0.5 * r.normal(size=n)
    d["k"] = r.binomial(1, 1 / (1 + np.exp(-eta + 1.5)))
    return d


@pytest.fixture(scope="module")
def linear(data: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit("y ~ nn(x1, x2, f, hidden=()) + (1 | g)", data)


@pytest.fixture(scope="module")
def curved(data: pd.DataFrame) -> ngmm.MixedModelFit:
    estimator = ngmm.Evidence(restarts=1, widths=(3,))
    return ngmm.fit("y ~ x1 + nn(x1, x2, f) + (1 | g)", data, estimator=estimator)


def test_a_linear_network_gives_the_line_of_the_linear_model(
    linear: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    plain = ngmm.fit("y ~ x1 + x2 + f + (1 | g)", data)
    found = ngmm.effects.partial(linear, "nn(x1, x2, f)", "x1").to_frame()
    away = found["x1"] - data["x1"].mean()
    # One model in two parametrisations, maximised to a gain of 1e-6 at most.
    np.testing.assert_allclose(found["effect"], away * plain.fixef["x1"], rtol=1e-5)
    np.testing.assert_allclose(
        found["std_error"], np.abs(away) * plain.bse["x1"], rtol=1e-5
    )
    margin = found["conf_high"] - found["effect"]
    # The quantile to four digits.
    np.testing.assert_allclose(margin, 1.95996 * found["std_error"], rtol=1e-5)


def test_levels_differ_as_the_contrasts_of_the_linear_model(
    linear: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    plain = ngmm.fit("y ~ x1 + x2 + f + (1 | g)", data)
    found = ngmm.effects.partial(linear, "nn(x1, x2, f)", "f").to_frame()
    effect: Any = found.set_index("f")["effect"]
    for level in ("mid", "top"):
        # As above.
        assert effect[level] - effect["low"] == pytest.approx(
            plain.fixef[f"f[T.{level}]"], rel=1e-5
        )


@pytest.mark.slow
def test_a_linear_network_gives_the_line_of_the_generalized_model(
    data: pd.DataFrame,
) -> None:
    fit = ngmm.fit("k ~ nn(x1, hidden=()) + (1 | g)", data, family="bernoulli")
    plain = ngmm.fit("k ~ x1 + (1 | g)", data, family="bernoulli")
    found = ngmm.effects.partial(fit, "nn(x1)").to_frame()
    away = found["value"].astype(float) - data["x1"].mean()
    # One model in two parametrisations, maximised to a gain of 1e-6 at most.
    np.testing.assert_allclose(found["effect"], away * plain.fixef["x1"], rtol=1e-4)
    np.testing.assert_allclose(
        found["std_error"], np.abs(away) * plain.bse["x1"], rtol=1e-4
    )
    assert str(fit.summary()).startswith("Neural generalized mixed model")


def brute_force(fit: ngmm.MixedModelFit, data: pd.DataFrame, **values: object) -> float:
    """The mean of the term over all rows with these values, less its mean."""
    label = "nn(x1, x2, f)"
    changed: Any = fit.predict(data.assign(**values), kind="terms", re="none")
    return float(np.mean(changed[label]) - np.mean(fit.predict(kind="terms")[label]))


def test_it_is_the_mean_over_the_rows_with_other_values(
    curved: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    found = ngmm.effects.partial(
        curved, "nn(x1, x2, f)", ["x2", "f"], grid={"x2": [-1.0, 0.5]}
    ).to_frame()
    assert found["x2"].tolist() == [-1.0] * 3 + [0.5] * 3
    for x2, f, effect in zip(found["x2"], found["f"], found["effect"], strict=True):
        expected = brute_force(curved, data, x2=x2, f=f)
        # The same numbers added in two orders.
        assert effect == pytest.approx(expected, abs=1e-10)


def test_inputs_can_be_held(curved: ngmm.MixedModelFit, data: pd.DataFrame) -> None:
    found = ngmm.effects.partial(
        curved, "nn(x1, x2, f)", "x2", grid={"x2": [0.3]}, at={"f": "low", "x1": 2}
    ).to_frame()
    expected = brute_force(curved, data, x2=0.3, f="low", x1=2.0)
    # The same numbers added in two orders.
    assert found["effect"].item() == pytest.approx(expected, abs=1e-10)


def test_the_error_is_that_of_the_delta_method(curved: ngmm.MixedModelFit) -> None:
    """Slopes by moving one weight after the other."""
    networks = curved.networks
    assert networks is not None
    (member,) = networks.members
    assert member.covariance is not None
    first = networks.n_beta
    at = np.arange(first, first + networks.stack.n_weights)

    def effect(x: np.ndarray) -> tuple[float, float]:
        moved = replace(networks, members=(replace(member, x=x),))
        fit = replace(curved, networks=moved.with_coefficients())
        table = ngmm.effects.partial(fit, "nn(x1,x2,f)", "x2", grid={"x2": [0.3]})
        row: Any = table.to_frame().iloc[0]
        return float(row["effect"]), float(row["std_error"])

    step, slopes = 1e-5, []
    for i in at:
        e = step * (np.arange(len(member.x)) == i)
        slopes.append((effect(member.x + e)[0] - effect(member.x - e)[0]) / (2 * step))
    variance = slopes @ member.covariance[np.ix_(at, at)] @ slopes
    # Central differences: 1e-10 from the step and as much from rounding, magnified by
    # weights that the data hardly determine.
    assert effect(member.x)[1] == pytest.approx(np.sqrt(variance), rel=1e-5)


def test_without_variables_every_input_is_shown(
    curved: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    table = ngmm.effects.partial(curved, "nn(x1,x2,f)", grid=5)
    found = table.to_frame()
    assert found["variable"].value_counts().to_dict() == {"x1": 5, "x2": 5, "f": 3}
    own = found.loc[found["variable"] == "x1", "value"].astype(float)
    quantiles = np.quantile(data["x1"], [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(own, quantiles)
    assert "95% band" in str(table)
    assert table._repr_html_().count("<tr") == 13 + 2  # a header and a caption


def test_more_rows_than_are_needed_are_drawn_by_the_seed() -> None:
    r = np.random.default_rng(4)
    n = 1200
    d = pd.DataFrame({"x1": r.normal(size=n), "x2": r.normal(size=n)})
    d["g"] = np.arange(n) % 30
    d["y"] = d.x1 + r.normal(size=n)
    fit = ngmm.fit("y ~ nn(x1, x2, hidden=()) + (1 | g)", d)
    one, two = (ngmm.effects.partial(fit, "nn(x1, x2)").to_frame() for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    # A line is a line over any rows; it is zero at the mean of those drawn.
    x = one.loc[one["variable"] == "x1"]
    slope = np.diff(x["effect"]) / np.diff(x["value"].astype(float))
    # Differences of numbers about one over steps of about 0.1.
    np.testing.assert_allclose(slope, slope[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"term": "nn(x1, x2)"}, r'did you mean "nn\(x1, x2, f\)"'),
        ({"term": "x1"}, "is not a network term"),
        ({"variables": "x3"}, r'"x3" is not an input .* Inputs: x1, x2, f'),
        ({"variables": ["x1", "x2", "f"]}, "one input or two; got 3"),
        ({"variables": "x1", "at": {"x1": 2}}, "x1 is in variables= and in at="),
        ({"at": {"f": "none"}}, "'none' is not a level of f. Levels: low, mid, top"),
        ({"at": {"x2": "low"}}, "x2 is a number"),
        ({"at": {"x1": [1, 2]}}, "holds x1 at one value; got 2"),
        ({"grid": 1}, "number of quantiles from 2"),
        ({"grid": {"x2": [np.nan]}, "variables": "x2"}, "x2 is a number"),
        ({"level": 95}, "level"),
    ],
)
def test_refused(
    linear: ngmm.MixedModelFit, arguments: dict[str, object], message: str
) -> None:
    given = {"term": "nn(x1, x2, f)", **arguments}
    with pytest.raises(OptionError, match=message):
        ngmm.effects.partial(linear, **given)  # type: ignore[arg-type]


def test_a_model_without_networks_is_refused(data: pd.DataFrame) -> None:
    fit = ngmm.fit("y ~ x1 + (1 | g)", data)
    with pytest.raises(OptionError, match=r"no network terms; .* fit.coef_table"):
        ngmm.effects.partial(fit, "nn(x1)")
