"""Importance of inputs: what it is for linear functions, and for inputs not read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.results import Table


def by_input(table: Table) -> Any:
    return table.to_frame().set_index("input")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    r = np.random.default_rng(5)
    n, groups = 240, 24
    d = pd.DataFrame(
        {
            "x1": 2.0 * r.normal(size=n),
            "x2": r.uniform(1.0, 5.0, size=n),
            "f": r.choice(["a", "b"], n),
            "g": np.repeat(np.arange(groups), n // groups),
        }
    )
    b = 0.5 * r.normal(size=groups)
    d["y"] = 0.3 * d.x1 + np.log(d.x2) + b[d.g] + 0.5 * r.normal(size=n)
    return d


@pytest.fixture(scope="module")
def linear(data: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit("y ~ nn(x1, log(x2), f, hidden=()) + (1 | g)", data)


@pytest.fixture(scope="module")
def own(data: pd.DataFrame) -> ngmm.MixedModelFit:
    """A network that reads the first of its two inputs only."""
    network = (lambda _, x: {"w": 0.1 + 0 * x[0, :1]}, lambda w, x: x[:, 0] * w["w"])
    return ngmm.fit(
        "y ~ nn(x1, x2, net=own) + (1 | g)", data, networks={"own": network}
    )


def test_the_gradient_of_a_line_is_its_coefficient(
    linear: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    plain = ngmm.fit("y ~ x1 + log(x2) + f + (1 | g)", data)
    found = ngmm.effects.importance(linear, "nn(x1, log(x2), f)")
    gradient = by_input(found)["gradient"]
    for name, values in (("x1", data.x1), ("log(x2)", np.log(data.x2))):
        expected = abs(plain.fixef[name]) * np.std(values)
        # Differences over steps of 1e-4 lose eight of sixteen digits.
        assert gradient[name] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(gradient["f"])


def test_permutation_is_the_change_of_the_line_and_of_the_likelihood(
    linear: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    plain = ngmm.fit("y ~ x1 + log(x2) + f + (1 | g)", data)
    table = ngmm.effects.importance(linear, n=3, seed=8)
    row = by_input(table).loc["x1"]
    x = data["x1"].to_numpy()
    residual = data["y"] - plain.predict()
    r = np.random.default_rng(8)
    squares, drops = [], []
    for _ in range(3):
        change = plain.fixef["x1"] * (x[r.permutation(len(x))] - x)
        squares.append(np.mean(change**2) / 2)
        rise = np.sum((residual - change) ** 2 - residual**2)
        drops.append(rise / (2 * plain.sigma**2))
    # One model in two parametrisations, maximised to a gain of 1e-6 at most.
    assert row["permutation"] == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-5)
    assert row["loglik"] == pytest.approx(np.mean(drops), rel=1e-4)


def test_an_input_that_is_not_read_has_no_importance(own: ngmm.MixedModelFit) -> None:
    table = ngmm.effects.importance(own)
    found = by_input(table)
    assert found.index.tolist() == ["x1", "x2"]
    assert found.loc["x2", ["permutation", "gradient", "loglik"]].eq(0.0).all()
    assert found.loc["x1", "permutation"] > 0.3
    assert found.loc["x1", "loglik"] > 10.0
    # Weights of a network of one's own are not known by input.
    assert found["edf"].isna().all()
    assert "edf" not in str(table)


def test_the_same_line_beside_a_network_is_not_the_networks(data: pd.DataFrame) -> None:
    """The term is orthogonal to its linear inputs, and so is their importance."""
    fit = ngmm.fit("y ~ x1 + nn(x1, x2, hidden=()) + (1 | g)", data)
    found = by_input(ngmm.effects.importance(fit))
    slope = np.polyfit(data.x1, data.x2, 1)[0]
    weight = ngmm.fit("y ~ x1 + x2 + (1 | g)", data).fixef["x2"]
    # f = w (x2 - a - s x1); differences over steps of 1e-4 lose eight digits.
    expected = abs(weight * slope) * np.std(data.x1)
    assert found.loc["x1", "gradient"] == pytest.approx(expected, rel=1e-5)


def test_inputs_are_ordered_and_carry_effective_weights(
    linear: ngmm.MixedModelFit,
) -> None:
    table = ngmm.effects.importance(linear, method="gradient")
    found = table.to_frame()
    assert found["input"].tolist() == ["x1", "log(x2)", "f"]
    # Slopes of two numbers, and one difference of two levels.
    assert found["edf"].tolist() == [1.0, 1.0, 1.0]
    assert str(table).splitlines()[1].split()[0] == "x1"


def test_the_seed_decides(linear: ngmm.MixedModelFit) -> None:
    one, same, other = (
        ngmm.effects.importance(linear, seed=s).to_frame() for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not one["permutation"].equals(other["permutation"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "permute"}, r'no importance .* did you mean "permutation"'),
        ({"term": "nn(x2)"}, "is not a network term"),
        ({"n": 0}, "n must be a positive whole number"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_refused(
    linear: ngmm.MixedModelFit, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        ngmm.effects.importance(linear, **arguments)  # type: ignore[arg-type]
