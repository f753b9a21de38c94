"""What is said of the network terms of a fit: numbers, and the page they stand on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import ConvergenceWarning, OptionError
from ngmm.estimation.status import Status
from ngmm.results.networks import linear_share, network_frame

QUICK = ngmm.Evidence(restarts=1, widths=(3,))
FORMULA = "y ~ z + nn(x1, x2, f) + (1 | g)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    r = np.random.default_rng(1)
    n, groups = 240, 24
    d = pd.DataFrame(
        {
            "x1": r.uniform(size=n),
            "x2": r.uniform(size=n),
            "z": r.normal(size=n),
            "f": r.choice(list("abc"), n),
            "g": np.repeat(np.arange(groups), n // groups),
        }
    )
    b = 0.7 * r.normal(size=groups)
    noise = 0.5 * r.normal(size=n)
    d["y"] = np.sin(6 * d.x1) + 2 * d.x2 * (d.f == "a") + b[d.g] + noise
    return d


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit(FORMULA, data, estimator=QUICK)


@pytest.fixture(scope="module")
def linear(data: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit("y ~ z + nn(x1, x2, f, hidden=()) + (1 | g)", data)


@pytest.fixture(scope="module")
def averaged(data: pd.DataFrame) -> ngmm.MixedModelFit:
    estimator = ngmm.Evidence(restarts=2, widths=(2, 3))
    return ngmm.fit("y ~ nn(x1) + (1 | g)", data, estimator=estimator)


def test_effective_weights_are_what_the_model_counts(fit: ngmm.MixedModelFit) -> None:
    table: Any = fit.nn_table().to_frame()
    edf = float(table["edf"].sum())
    # Two fixed effects, one theta, sigma.
    assert edf == pytest.approx(fit.df_model - 2 - 2, abs=1e-12)  # sums of doubles
    assert 5.0 < edf < float(table["weights"].sum())


def test_a_linear_network_is_all_linear(linear: ngmm.MixedModelFit) -> None:
    row = linear.nn_table().to_frame().loc["nn(x1, x2, f)"]
    # Two slopes, and two differences of three levels.
    assert (row["layout"], row["weights"], row["edf"]) == ("5-1", 4, 4.0)
    assert row["penalty"] == 0.0
    assert row["linear"] == pytest.approx(1.0, abs=1e-12)  # squares of rounding errors


def test_the_sd_is_that_of_the_terms_contribution(fit: ngmm.MixedModelFit) -> None:
    f = fit.predict(kind="terms")["nn(x1, x2, f)"]
    sd = fit.nn_table().to_frame().loc["nn(x1, x2, f)", "sd"]
    assert sd == pytest.approx(np.std(f), rel=1e-12)  # two orders of summation


def test_the_linear_share_is_an_r_squared(
    fit: ngmm.MixedModelFit, data: pd.DataFrame
) -> None:
    f = np.asarray(fit.predict(kind="terms")["nn(x1, x2, f)"])
    levels = pd.get_dummies(data["f"]).to_numpy(float)
    columns = np.column_stack([levels, data[["x1", "x2"]]])
    left = f - columns @ np.linalg.lstsq(columns, f, rcond=None)[0]
    share = fit.nn_table().to_frame()["linear"].iloc[0]
    # The same projection from other columns of the same span.
    assert share == pytest.approx(1.0 - left.var() / f.var(), abs=1e-10)
    assert 0.3 < share < 0.95


def test_the_linear_share_counts_levels_that_are_embedded(data: pd.DataFrame) -> None:
    r = np.random.default_rng(2)
    h = r.integers(0, 12, len(data))
    effect = r.normal(size=12)
    labels = np.array([f"h{i:02}" for i in range(12)])
    terms = ngmm.parse("y ~ nn(x1, h) + (1 | g)")
    built, _ = ngmm.build_design(terms, data.assign(h=labels[h]))
    design = built.networks[0]
    assert design.levels == (12,)
    f = effect[h] + 3.0 * data["x1"].to_numpy()
    # lsqr stops at a relative 1e-8, and the share is one less a square of it.
    assert linear_share(f, design) == pytest.approx(1.0, abs=1e-8)
    assert linear_share(np.sin(20 * f), design) < 0.5


def test_the_spread_is_that_between_the_members(averaged: ngmm.MixedModelFit) -> None:
    networks = averaged.networks
    assert networks is not None
    assert len(networks.members) > 1
    by_member = networks.member_outputs(
        [d.inputs for d in networks.designs], networks.X
    )
    shares = np.array([m.share for m in networks.members])
    mean = sum(s * f for s, f in zip(shares, by_member, strict=True))
    square = sum(
        s * np.mean((f - mean) ** 2) for s, f in zip(shares, by_member, strict=True)
    )
    row = averaged.nn_table().to_frame().iloc[0]
    # Two orders of summation.
    assert row["spread"] == pytest.approx(np.sqrt(square) / row["sd"], rel=1e-10)
    assert f"average of {len(shares)} networks" in averaged.nn_table().caption


def test_the_layout_is_that_of_the_best_member(averaged: ngmm.MixedModelFit) -> None:
    assert averaged.networks is not None
    best = averaged.networks.members[0]
    row = network_frame(averaged.networks).iloc[0]
    assert best.width is not None
    assert row["layout"] == f"1-{best.width}-1"
    # Weights and biases of the layer, output weights, linear path.
    assert row["weights"] == 3 * best.width + 1


def test_the_penalty_is_a_weighted_mean(fit: ngmm.MixedModelFit) -> None:
    assert fit.networks is not None
    (member,) = fit.networks.members
    log_mean = np.average(member.log_penalty, weights=member.edf)
    penalty = fit.nn_table().to_frame()["penalty"].iloc[0]
    assert np.log(penalty) == pytest.approx(log_mean, abs=1e-10)  # two sums


def test_terms_add_up_to_the_linear_predictor(data: pd.DataFrame) -> None:
    fit = ngmm.fit(
        "y ~ z + nn(x1, f, hidden=()) + nn(x2, hidden=()) + offset(z) + (z | g)",
        data,
        weights=np.linspace(0.5, 2.0, len(data)),
    )
    networks = ["nn(x1, f)", "nn(x2)"]
    new = data.iloc[:7].assign(x1=0.5, g=[0, 1, 2, 3, 99, 99, 0])
    asked = [
        {},
        {"re": "none"},
        {"newdata": new, "new_levels": "population"},
        {"newdata": new, "new_levels": "sample"},
        {"newdata": new.drop(columns="g"), "re": "none"},
    ]
    for ask in asked:
        terms = fit.predict(kind="terms", **ask)
        link = fit.predict(kind="link", **ask)
        assert set(networks) <= set(terms.columns)
        # One sum in two orders, of numbers about one.
        np.testing.assert_allclose(terms.sum(axis=1), link, rtol=0, atol=1e-12)
    f = fit.predict(kind="terms")[networks]
    # Centred over the rows: rounding of 240 numbers about one.
    np.testing.assert_allclose(f.mean(), 0.0, rtol=0, atol=1e-12)


def test_the_summary_has_the_network_terms_last(fit: ngmm.MixedModelFit) -> None:
    text = str(fit.summary())
    titles = ["Neural mixed model", "Random effects", "Fixed effects", "Network terms"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert text.startswith(titles[0])
    flat = " ".join(text.split())
    assert "maximum likelihood; networks penalised by evidence, 1 start" in flat
    assert "z tests (normal approximation); standard errors allow for the n" in flat
    last = text.splitlines()[-1].split()
    assert last[-4] == "5-3-1"
    assert re.fullmatch(r"\d+%", last[-1])
    assert "nn(x1, x2, f)" in str(fit)
    assert "Network terms" in fit.summary().to_html()
    assert max(map(len, text.splitlines())) <= 80


def test_the_estimate_line_says_how_networks_were_found(
    linear: ngmm.MixedModelFit, averaged: ngmm.MixedModelFit
) -> None:
    assert linear.estimate_text == "linear networks, unpenalised"
    assert averaged.networks is not None
    n = len(averaged.networks.members)
    assert averaged.estimate_text == (
        f"networks penalised by evidence, {n} of 4 starts averaged"
    )


def test_a_search_that_did_not_settle_has_its_own_remedy(
    fit: ngmm.MixedModelFit,
) -> None:
    stopped = replace(fit, estimate=replace(fit.estimate, status=Status.MAX_STEPS))
    (message,) = stopped.check().messages
    assert "ngmm.Evidence(max_steps=" in message.remedy
    assert "Newton" not in str(stopped.summary())


def test_minibatches_have_neither_effective_weights_nor_covariance(
    data: pd.DataFrame,
) -> None:
    formula = "y ~ nn(x1, hidden=(4,)) + (1 | g)"
    with pytest.warns(ConvergenceWarning, match=r"Stochastic\(epochs"):
        fit = ngmm.fit(formula, data, estimator=ngmm.Stochastic(epochs=2))
    assert fit.networks is not None
    row = fit.nn_table().to_frame().iloc[0]
    assert np.isnan(row["edf"])
    assert np.isnan(row["penalty"])
    assert row["weights"] == 3 * 4 + 1
    assert fit.estimate_text.startswith("networks by minibatches (optax), 2 epochs")
    assert "take the networks as known" in fit.coef_table().caption
    partial = ngmm.effects.partial(fit, "nn(x1)", grid=3)
    assert np.isnan(np.asarray(partial.to_frame()["std_error"])).all()
    assert "band" not in str(partial)


def test_a_model_without_networks_has_no_table_of_them(data: pd.DataFrame) -> None:
    fit = ngmm.fit("y ~ x1 + (1 | g)", data)
    with pytest.raises(OptionError, match="no network terms"):
        fit.nn_table()
    assert "Network" not in str(fit.summary())
