"""A network against linear terms in its inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.comparison.score import score_test
from ngmm.errors import OptionError

SEARCH = ngmm.Evidence(restarts=1)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    g = np.repeat(np.arange(15), 8)
    x1, x2 = generator.normal(size=120), np.exp(generator.normal(size=120))
    k = generator.choice(["a", "b", "c"], 120)
    y = x1 + np.log(x2) + (k == "b") + generator.normal(size=15)[g]
    y += generator.normal(size=120)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "k": k, "g": g})


@pytest.fixture(scope="module")
def fit(data):
    formula = "y ~ x1 + nn(x1, log(x2), k, hidden=(2,)) + (1 | g)"
    return ngmm.fit(formula, data, estimator=SEARCH)


def test_inputs_take_the_place_of_the_network(data, fit):
    table = fit.test_linear("nn(x1, log(x2), k)")
    row = table.to_frame().iloc[0]
    assert row["null"] == "y ~ 1 + x1 + log(x2) + k + (1 | g)"
    m0 = ngmm.fit("y ~ x1 + log(x2) + k + (1 | g)", data)
    assert row["p_value"] == score_test(m0, fit).p_value
    assert row["method"] == "score"
    assert row["p_value"] > 0.05
    assert "null model: y ~ 1 + x1 + log(x2) + k + (1 | g)" in str(table)


def test_the_term_may_be_written_with_its_options(fit):
    long = fit.test_linear("nn(x1, log(x2), k, hidden=(2,))").to_frame()
    short = fit.test_linear("nn(x1,log(x2),k)").to_frame()
    pd.testing.assert_frame_equal(long, short)


def test_a_refitted_response_is_tested_and_not_that_of_the_data(data, fit):
    y = data.y + 3.0 * np.sin(2.0 * data.x1)
    assert fit.refit(y).test_linear("nn(x1, log(x2), k)").frame.p_value.iloc[0] < 1e-3


def test_options_go_to_the_test(fit):
    frame = fit.test_linear(
        "nn(x1, log(x2), k)", method="score", calibrate="simulation", n=19
    ).frame
    assert (frame.p_value.iloc[0] * 20) == pytest.approx(
        round(frame.p_value.iloc[0] * 20), abs=1e-9
    )


@pytest.mark.slow
def test_bootstrap_and_split(fit):
    term = "nn(x1, log(x2), k)"
    found = fit.test_linear(term, method="bootstrap", n=2, progress=False).frame
    assert found["method"].iloc[0] == "bootstrap"
    assert 0.0 < found.p_value.iloc[0] <= 1.0
    found = fit.test_linear(term, method="split", n_splits=1).frame
    assert found.p_value.iloc[0] > 0.05


def test_unknown_term_names_the_closest(fit):
    with pytest.raises(OptionError, match=r'did you mean "nn\(x1, log\(x2\), k\)"'):
        fit.test_linear("nn(x1, log(x2))")


def test_unknown_method(fit):
    with pytest.raises(OptionError, match="method must be one of"):
        fit.test_linear("nn(x1, log(x2), k)", method="wald")


def test_a_fit_without_networks(data):
    with pytest.raises(OptionError, match="no network terms"):
        ngmm.fit("y ~ x1 + (1 | g)", data).test_linear("x1")


def test_a_linear_network_has_nothing_beyond(data):
    fit = ngmm.fit("y ~ nn(x1, hidden=()) + (1 | g)", data)
    with pytest.raises(OptionError, match="it is linear in its inputs"):
        fit.test_linear("nn(x1)")


@pytest.mark.slow
def test_other_networks_call_for_the_bootstrap(data):
    formula = "y ~ nn(x1, hidden=(2,)) + nn(x2, hidden=(2,)) + (1 | g)"
    fit = ngmm.fit(formula, data, estimator=SEARCH)
    row = fit.test_linear("nn(x1)", n=2, progress=False).to_frame().iloc[0]
    assert row["null"] == "y ~ 1 + x1 + nn(x2, hidden=(2,)) + (1 | g)"
    assert row["method"] == "bootstrap"
