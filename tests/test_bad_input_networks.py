"""Bad input to fits with networks: the class of the error, and what its message says.

The formula parser, the design and the networks have tables of their own; here are the
messages as a user of `fit` meets them, and what only `fit` can refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import ngmm
from ngmm.errors import (
    DataError,
    DesignError,
    FormulaError,
    NetworkWarning,
    NewDataError,
    NgmmError,
    NotSupportedError,
    OptionError,
)
from tests.neural.frames import frame

ONE = ngmm.Evidence(restarts=1, widths=(3,))
TINY = "nn(x1, hidden=())"


def data() -> pd.DataFrame:
    n = len(frame())
    return frame().assign(
        one=1.0,
        missing=np.nan,
        infinite=lambda d: d["x1"].where(d.index != 4, np.inf),
        label=[f"row {i}" for i in range(n)],
        level=2.0,
    )


def linear(output: Callable[..., Any]) -> dict[str, Any]:
    """A mapping with one network of a weight a column."""
    return {"net1": (lambda _, x: {"a": jnp.ones(x.shape[1])}, output)}


# Formulas: (the network, class, essential words)
NETWORKS: list[tuple[str, type[NgmmError], str]] = [
    ("nn()", FormulaError, "nn() without inputs; name the columns it reads"),
    ("nn(x1, x1)", FormulaError, "input x1 is given twice"),
    ("nn(x1):x2", FormulaError, "nn(...) inside another term; let it stand alone"),
    ("log(nn(x1))", FormulaError, "nn(...) inside another term; let it stand alone"),
    ("nn(x3)", DataError, '"x3" is not a column of data'),
    ("nn(X1)", DataError, 'did you mean "x1"?'),
    ("nn(log(xx1))", DataError, 'did you mean "x1"?'),
    (
        "nn(x1, hiden=(3,))",
        OptionError,
        "hiden= is not an option of nn(); did you mean",
    ),
    ("nn(x1, hidden=(0,))", OptionError, "hidden=(0,) is not a tuple of widths"),
    ("nn(x1, activation='tan')", OptionError, 'did you mean "tanh"?'),
    ("nn(x1, latent=2)", OptionError, "stands left of a bar only"),
    ("nn(x1, net=cnn)", OptionError, 'net=cnn, but networks= has no "cnn"'),
    ("nn(one)", DesignError, "input one of nn(one) is the same in all rows (1)"),
    ("nn(missing)", DataError, 'missing by column: "missing" 160'),
    ("nn(infinite)", DataError, 'column "infinite" is infinite in 1 row (4)'),
    ("nn(label)", DataError, "160 levels in 160 rows"),
]


@pytest.mark.parametrize(("network", "error", "words"), NETWORKS)
def test_networks(network: str, error: type[NgmmError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        ngmm.fit(f"y ~ {network} + (1 | g)", data(), estimator=ONE)


# Arguments beside the formula: (arguments, class, essential words)
ARGUMENTS: list[tuple[dict[str, Any], type[NgmmError], str]] = [
    ({"reml": True}, OptionError, "Leave reml out"),
    ({"df": "satterthwaite"}, OptionError, "Leave df out"),
    ({"quad": 5}, OptionError, "integrated out exactly; leave quad out"),
    ({"estimator": ngmm.Newton()}, OptionError, "does not fit networks; use ngmm.Ev"),
    ({"estimator": "evidence"}, OptionError, "does not fit networks; use ngmm.Eviden"),
    ({"estimator": ngmm.Evidence}, OptionError, "call it, ngmm.Evidence()"),
    ({"estimator": ngmm.Stochastic}, OptionError, "call it, ngmm.Stochastic()"),
    ({"estimator": optax.adam(0.1)}, OptionError, "ngmm.Stochastic(optimizer=...)"),
    ({"networks": {"cnn": ngmm}}, OptionError, 'networks= has "cnn", which no term'),
    ({"networks": [1]}, OptionError, "networks= is a mapping from names to networks"),
    ({"seed": -1}, OptionError, "seed must be a whole number from 0, got -1"),
    ({"progress": "yes"}, OptionError, 'progress must be "auto", True or False'),
]


@pytest.mark.parametrize(("arguments", "error", "words"), ARGUMENTS)
def test_arguments(
    arguments: dict[str, Any], error: type[NgmmError], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        ngmm.fit("y ~ nn(x1) + (1 | g)", data(), **arguments)


@pytest.mark.parametrize("estimator", [ONE, ngmm.Stochastic(epochs=2)])
def test_estimators_of_networks_need_one(estimator: Any) -> None:
    with pytest.raises(OptionError, match="fits networks, and the formula has none"):
        ngmm.fit("y ~ x1 + (1 | g)", data(), estimator=estimator)


@pytest.mark.parametrize("quad", ["laplace", 3])
def test_rules_with_too_few_nodes(quad: Any) -> None:
    with pytest.raises(NotSupportedError, match="5 nodes or more: leave quad out"):
        ngmm.fit("z ~ nn(x1) + (1 | g)", data(), "bernoulli", quad=quad)


# Networks of the user: (output, essential words)
OUTPUTS: list[tuple[Callable[..., Any], str]] = [
    (lambda w, x: (x @ w["a"]).sum(), "gives shape () for 160 rows"),
    (lambda w, x: x * w["a"], "gives shape (160, 2) for 160 rows"),
    (lambda w, x: (x @ w["a"])[1:], "gives shape (159,) for 160 rows"),
    (lambda w, x: (x @ w["a"]) / 0.0, "is not finite in 160 of 160 rows"),
]


@pytest.mark.parametrize(("output", "words"), OUTPUTS)
def test_outputs_of_networks(output: Callable[..., Any], words: str) -> None:
    with pytest.raises(OptionError, match=re.escape(words)):
        ngmm.fit(
            "y ~ nn(x1, x2, net=net1) + (1 | g)",
            data(),
            networks=linear(output),
            estimator=ONE,
        )


# Rows: (response, rows, class, essential words)
ROWS: list[tuple[str, slice, type[NgmmError], str]] = [
    ("level", slice(None), DataError, "response level is constant"),
    ("y", slice(0, None, 8), DesignError, "has 20 levels for 20 rows"),
    ("y", slice(0, 8), DesignError, "has one level, 'g0'"),
]


@pytest.mark.parametrize(("response", "rows", "error", "words"), ROWS)
def test_rows(response: str, rows: slice, error: type[NgmmError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        ngmm.fit(f"{response} ~ nn(x1) + (1 | g)", data().iloc[rows], estimator=ONE)


def test_inputs_that_tell_the_groups_apart() -> None:
    size = data().assign(size=lambda d: d["x1"].groupby(d["g"]).transform("mean"))
    with pytest.warns(NetworkWarning, match=r"let it enter as a linear term, \+ size"):
        ngmm.fit("y ~ nn(x1, size, hidden=()) + (1 | g)", size)


def test_copies_of_inputs() -> None:
    copied = data().assign(copy=lambda d: 3.0 - 2.0 * d["x1"])
    with pytest.warns(NetworkWarning, match="copy .* is a linear function of x1"):
        fit = ngmm.fit("y ~ nn(x1, copy, hidden=()) + (1 | g)", copied)
    # The copy adds nothing: the fit is that without it.
    alone = ngmm.fit(f"y ~ {TINY} + (1 | g)", copied)
    assert fit.loglik == pytest.approx(alone.loglik, abs=1e-8)
    assert fit.df_model == alone.df_model


@cache
def fitted() -> Any:
    return ngmm.fit("y ~ nn(x1, c, hidden=()) + (1 | g)", data())


NEW: list[tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = [
    (lambda d: d.assign(c="z"), "'c' has level 'z', not seen in training"),
    (lambda d: d.drop(columns="x1"), '"x1" is not a column of newdata'),
    (lambda d: d.assign(x1=np.nan).iloc[:3], 'missing values: "x1" in 3 rows'),
    (lambda d: d.assign(x1=np.inf).iloc[:3], 'column "x1" is infinite in 3 rows'),
    (lambda d: d.assign(x1="a"), 'column "x1" of newdata is not numeric'),
]


@pytest.mark.parametrize(("change", "words"), NEW)
def test_new_data(change: Callable[[pd.DataFrame], pd.DataFrame], words: str) -> None:
    with pytest.raises(NewDataError, match=re.escape(words)):
        fitted().predict(change(data()))


def test_one_new_row_is_enough() -> None:
    alone = fitted().predict(data().iloc[[7]], se=True)
    # The same row among others: the same products.
    np.testing.assert_allclose(alone, fitted().predict(se=True).iloc[[7]], rtol=1e-9)


def test_seeds_of_any_size() -> None:
    fit = ngmm.fit("y ~ nn(x1) + (1 | g)", data(), estimator=ONE, seed=2**70 + 1)
    assert np.isfinite(fit.loglik)
