"""The public names, and what `fit` passes on."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.estimation.status import Status
from ngmm.model import GeneralizedEstimate
from ngmm.results import MixedModelFit

SLEEP = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return ngmm.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> MixedModelFit:
    return ngmm.fit(SLEEP, data)


def test_public_names() -> None:
    for name in ngmm.__all__:
        thing = getattr(ngmm, name)
        assert inspect.getdoc(thing), name
    assert set(ngmm.__all__) >= {"fit", "parse", "build_design", "Model", "Newton"}


def test_the_signature_is_that_of_the_contract() -> None:
    parameters = inspect.signature(ngmm.fit).parameters
    assert list(parameters) == [
        "formula",
        "data",
        "family",
        "link",
        "weights",
        "trials",
        "offset",
        "reml",
        "quad",
        "networks",
        "estimator",
        "adversary",
        "df",
        "contrasts",
        "na_action",
        "seed",
        "progress",
        "unknown",
    ]
    keyword = [p for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert {p.name: p.default for p in keyword} == {
        "link": None,
        "weights": None,
        "trials": None,
        "offset": None,
        "reml": False,
        "quad": "auto",
        "networks": None,
        "estimator": "auto",
        "adversary": None,
        "df": "auto",
        "contrasts": None,
        "na_action": "drop",
        "seed": 0,
        "progress": "auto",
    }


@pytest.mark.parametrize("member", [m for m in dir(MixedModelFit) if m[0] != "_"])
def test_every_member_is_documented(member: str) -> None:
    assert inspect.getdoc(getattr(MixedModelFit, member)), member


@pytest.mark.parametrize(
    "arguments",
    [
        {"family": "gaussian"},
        {"family": ngmm.families.gaussian()},
        {"link": "identity"},
        {"quad": "exact"},
        {"networks": {}},
        {"estimator": ngmm.Newton()},
        {"df": "satterthwaite"},
        {"contrasts": {}},
        {"progress": False},
        {"progress": True},
        {"reml": np.False_},
        {"seed": np.int64(0)},
        {"weights": np.ones(180)},
        {"offset": np.zeros(180)},
    ],
    ids=str,
)
def test_spellings_of_the_default(
    data: pd.DataFrame, fit: MixedModelFit, arguments: dict[str, Any]
) -> None:
    same = ngmm.fit(SLEEP, data, **arguments)
    # Unit weights are multiplied in: one rounding.
    assert same.loglik == pytest.approx(fit.loglik, rel=1e-14)
    np.testing.assert_allclose(same.bse, fit.bse, rtol=1e-12)


SEIZURES = "y ~ lbase * trt + lage + V4 + (1 | subject)"


@pytest.fixture(scope="module")
def seizures() -> pd.DataFrame:
    return ngmm.datasets.load("epil")


@pytest.fixture(scope="module")
def counts(seizures: pd.DataFrame) -> MixedModelFit:
    return ngmm.fit(SEIZURES, seizures, family="poisson", quad=9)


@pytest.mark.parametrize(
    "arguments",
    [
        {"family": ngmm.families.poisson()},
        {"link": "log"},
        {"quad": ngmm.AdaptiveQuadrature(9)},
        {"estimator": ngmm.Newton()},
        {"df": "none"},
        {"reml": False},
        {"weights": np.ones(236)},
        {"offset": np.zeros(236)},
    ],
    ids=str,
)
def test_spellings_of_a_generalized_model(
    seizures: pd.DataFrame, counts: MixedModelFit, arguments: dict[str, Any]
) -> None:
    same = ngmm.fit(SEIZURES, seizures, **{"family": "poisson", "quad": 9, **arguments})
    # The same computation.
    assert same.loglik == pytest.approx(counts.loglik, rel=1e-13)
    np.testing.assert_allclose(same.bse, counts.bse, rtol=1e-9)
    assert same.df_method == "none"


def test_one_node_is_laplace(seizures: pd.DataFrame) -> None:
    fits = [
        ngmm.fit(SEIZURES, seizures, family="poisson", quad=quad)
        for quad in (1, "laplace", ngmm.Laplace(), ngmm.AdaptiveQuadrature(1))
    ]
    for fit in fits[1:]:
        # One function, whichever way it was asked for.
        assert fit.loglik == pytest.approx(fits[0].loglik, rel=1e-10)
        np.testing.assert_allclose(fit.fixef, fits[0].fixef, rtol=1e-6, atol=1e-8)


def test_the_rule_is_part_of_the_model(counts: MixedModelFit) -> None:
    assert isinstance(counts.estimate, GeneralizedEstimate)
    assert counts.estimate.integral.n_nodes == 9
    assert counts.model.family is ngmm.families.get("poisson")


@pytest.mark.slow
def test_an_optax_transformation(seizures: pd.DataFrame, counts: MixedModelFit) -> None:
    optax = pytest.importorskip("optax")
    fit = ngmm.fit(
        SEIZURES, seizures, family="poisson", quad=9, estimator=optax.lbfgs()
    )
    # The same optimum, to what a gradient of 1e-6 leaves.
    assert fit.loglik == pytest.approx(counts.loglik, rel=0, abs=1e-8)
    np.testing.assert_allclose(fit.fixef, counts.fixef, rtol=1e-4, atol=1e-6)


def test_a_response_of_two_labels() -> None:
    data = ngmm.datasets.load("bacteria")
    formula = "y ~ trt + I(week > 2) + (1 | ID)"
    labels = ngmm.fit(formula, data, family="bernoulli")
    assert labels.design.response_levels == ("n", "y")
    for response, family in (("y == 'y'", "bernoulli"), ("y == 'y'", "binomial")):
        numbers = ngmm.fit(formula.replace("y ~", f"{response} ~"), data, family=family)
        assert numbers.design.response_levels is None
        # The same numbers from here on; a binomial of one trial has one more constant.
        assert numbers.loglik == pytest.approx(labels.loglik, rel=1e-12)


def test_spellings_of_successes_and_trials() -> None:
    data = ngmm.datasets.load("cbpp").assign(share=lambda d: d["incidence"] / d["size"])
    arguments: dict[str, Any] = {"family": "binomial", "quad": "laplace"}
    both = ngmm.fit(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", data, **arguments
    )
    for response in ("incidence", "share", "incidence / size"):
        formula = f"{response} ~ period + (1 | herd)"
        fit = ngmm.fit(formula, data, trials="size", **arguments)
        # The same counts.
        assert fit.loglik == pytest.approx(both.loglik, rel=1e-14)


def test_the_family_may_stand_third(data: pd.DataFrame, fit: MixedModelFit) -> None:
    assert ngmm.fit(SLEEP, data, "gaussian").loglik == fit.loglik


def test_nothing_is_printed(
    data: pd.DataFrame, capfd: pytest.CaptureFixture[str]
) -> None:
    ngmm.fit(SLEEP, data).summary()
    assert capfd.readouterr() == ("", "")


def test_the_data_are_left_alone(data: pd.DataFrame) -> None:
    before = data.copy()
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    fit.predict(data, se=True)
    pd.testing.assert_frame_equal(data, before)


def test_the_pipeline_line_by_line(data: pd.DataFrame, fit: MixedModelFit) -> None:
    terms = ngmm.parse(SLEEP)
    design, spec = ngmm.build_design(terms, data)
    model = ngmm.Model(design)
    estimate = ngmm.Newton()(model)
    assert estimate.loglik == fit.loglik
    assert estimate.status is Status.CONVERGED
    np.testing.assert_array_equal(estimate.beta, fit.fixef)
    np.testing.assert_array_equal(spec.apply(data).X, fit.design.X)
    by_hand = MixedModelFit(
        terms=terms,
        spec=spec,
        model=model,
        estimate=estimate,
        call=fit.call,
        estimator=fit.estimator,
    )
    assert str(by_hand.summary()) == str(fit.summary())


def test_estimates_do_not_depend_on_the_start(fit: MixedModelFit) -> None:
    for start in ([1.0, 0.0, 1.0], [0.1, 0.3, 0.1], [5.0, -1.0, 0.01]):
        again = fit.model.maximise(start)
        # One maximum: the objective is flat there to second order.
        assert again.loglik == pytest.approx(fit.loglik, rel=1e-12)
        np.testing.assert_allclose(again.theta, fit.theta, rtol=1e-5)


def test_order_of_rows_and_columns_and_names_of_levels(
    data: pd.DataFrame, fit: MixedModelFit
) -> None:
    mixed = data.sample(frac=1, random_state=3)[["Subject", "Reaction", "Days"]]
    names = {s: f"p{int(s) * 7 % 1000}" for s in data["Subject"].unique()}
    mixed["Subject"] = [names[s] for s in mixed["Subject"]]
    other = ngmm.fit(SLEEP, mixed)
    # Sums in another order.
    assert other.loglik == pytest.approx(fit.loglik, rel=1e-12)
    np.testing.assert_allclose(other.fixef, fit.fixef, rtol=1e-9)
    moved = other.ranef()["Subject"].loc[
        [names[s] for s in fit.ranef()["Subject"].index]
    ]
    np.testing.assert_allclose(moved, fit.ranef()["Subject"], rtol=1e-6, atol=1e-8)
