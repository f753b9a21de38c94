"""Random slopes on hidden units: one model with those units as columns."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import ngmm
from ngmm.linalg import precise
from tests.joint.frames import SHORT, SLOPES, curved, fitted

FAMILIES = ("gaussian", "bernoulli")


@pytest.mark.parametrize(
    "family", ["gaussian", pytest.param("bernoulli", marks=pytest.mark.slow)]
)
def test_it_is_the_mixed_model_with_the_units_as_columns(family: str) -> None:
    fit = fitted(family)
    (term,) = fit._analysis.model.design.random
    assert term.names == ("Intercept", "nn[1]", "nn[2]", "nn[3]")
    data = curved(family).assign(f=fit.predict(kind="terms").iloc[:, 1])
    for i in range(3):
        data[f"u{i}"] = term.Z[:, 1 + i]
    same = ngmm.fit("y ~ 1 + offset(f) + (u0 + u1 + u2 || g)", data, family=family)
    # Two searches for one maximum, each within 1e-8 of it.
    assert fit.loglik == pytest.approx(same.loglik, rel=0, abs=1e-6)
    np.testing.assert_allclose(
        fit.varcorr().to_frame()["sd"].dropna(),
        same.varcorr().to_frame()["sd"].dropna(),
        rtol=0,
        atol=2e-3,  # of standard deviations of order one, where the maximum is flat
    )


def test_units_are_hidden_units_of_mean_zero_and_unit_spread() -> None:
    fit = fitted()
    (term,) = fit._analysis.model.design.random
    networks = fit.networks
    (network,), (design,) = networks.stack.networks, networks.designs
    with precise():
        blank = network.init(jax.random.key(0), design.inputs)
        from ngmm.networks import flatten

        unravel = flatten(blank)[1]
        w = unravel(networks.weights(networks.members[0]))
        h = np.asarray(network.activations(w, design.inputs)[-1])
    u = term.Z[:, 1:]
    np.testing.assert_allclose(u.mean(0), 0.0, atol=1e-6)  # float32 in training
    np.testing.assert_allclose(u.std(0), 1.0, atol=1e-5)
    np.testing.assert_allclose(
        np.corrcoef(u.T, h.T)[:3, 3:].diagonal(), 1.0, atol=1e-12
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_new_data_have_the_same_units(family: str) -> None:
    fit, data = fitted(family), curved(family)
    np.testing.assert_allclose(fit.predict(data), fit.fitted(), rtol=0, atol=1e-12)
    part = data.iloc[[3, 50, 7]]
    np.testing.assert_allclose(
        fit.predict(part), fit.fitted().iloc[[3, 50, 7]], rtol=0, atol=1e-12
    )
    terms = fit.predict(part, kind="terms")
    assert list(terms)[-1] == "(1 + nn || g)"
    np.testing.assert_allclose(
        terms.sum(axis=1), fit.predict(part, kind="link"), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_effects_of_an_input_pass_through_the_units(family: str) -> None:
    fit, data = fitted(family), curved(family)
    found = ngmm.effects.slopes(fit, "x", re="all", scale="link").to_frame()
    step = 1e-4
    up, down = (
        fit.predict(data.assign(x=data["x"] + s), kind="link") for s in (step, -step)
    )
    # Central differences: their error is of the order of the step squared.
    expected = float(((up - down) / (2 * step)).mean())
    assert float(found["estimate"].iloc[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_the_slopes_are_worth_having() -> None:
    whole = [
        ngmm.fit(f"y ~ nn(x, z, hidden=(8, 3)) + {random}", curved(), progress=False)
        for random in ("(1 + nn || g)", "(1 | g)")
    ]
    assert whole[0].loglik > whole[1].loglik + 20.0
    # The sd of the errors drawn; 200 residual degrees of freedom leave it 5 % each way.
    assert whole[0].sigma == pytest.approx(0.3, rel=0.15)


def test_the_seed_is_all_there_is_to_chance() -> None:
    again = ngmm.fit(SLOPES, curved(), estimator=SHORT, progress=False)
    assert again.loglik == fitted().loglik
    other = ngmm.fit(SLOPES, curved(), estimator=SHORT, seed=1, progress=False)
    assert other.loglik != fitted().loglik


def test_refit_to_the_same_response_is_the_same_fit() -> None:
    fit = fitted()
    assert fit.refit(curved()["y"]).loglik == fit.loglik


def test_summary_says_what_was_done() -> None:
    text = str(fitted().summary())
    assert "nn[3]" in text
    assert "40 epochs" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": ngmm.Evidence()}, r"\(1 \+ nn \| g\)"),
        ({"estimator": ngmm.Joint(batch_rows=10_000)}, "more than the 240 rows"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ngmm.errors.OptionError, match=message):
        ngmm.fit(SLOPES, curved(), progress=False, **arguments)


def test_a_network_without_hidden_units_has_no_slopes() -> None:
    with pytest.raises(ngmm.errors.OptionError, match="no hidden units"):
        ngmm.fit("y ~ nn(x, hidden=()) + (1 + nn | g)", curved(), estimator=SHORT)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"epochs": "many"},
        {"population": -1.0},
        {"population": True},
        {"precision": "float16"},
        {"optimizer": 1e-3},
    ],
)
def test_options_are_checked(options: dict) -> None:
    with pytest.raises(ngmm.errors.OptionError, match=next(iter(options))):
        ngmm.Joint(**options)


# One epoch is enough here, and is no training.
@pytest.mark.filterwarnings("ignore:the training of the networks did not settle")
def test_units_that_do_not_vary_have_no_slopes() -> None:
    # Random first layers of relu units leave some at zero in all rows.
    fit = ngmm.fit(
        "y ~ nn(x, z, hidden=(4, 24), activation='relu') + (1 + nn || g)",
        curved(),
        estimator=ngmm.Joint(epochs=1, batch_rows=60),
        progress=False,
    )
    (term,) = fit.design.random
    assert 1 <= term.n_units < 24
    assert (np.ptp(term.Z[:, term.n_own :], axis=0) > 0).all()
    assert np.isfinite(fit.loglik)
    np.testing.assert_allclose(fit.predict(curved()), fit.fitted(), rtol=1e-9)


@pytest.mark.slow
def test_units_of_two_networks_have_names_of_their_own() -> None:
    fit = ngmm.fit(
        "y ~ nn(x, net=first) + nn(z, net=second) "
        "+ (1 + nn(net=first) || g) + (0 + nn(net=second) || g)",
        curved(),
        networks={
            "first": ngmm.networks.MLP(hidden=(3,)),
            "second": ngmm.networks.MLP(hidden=(2,)),
        },
        estimator=SHORT,
        progress=False,
    )
    names = list(fit.ranef()["g"].columns)
    assert len(set(names)) == len(names)
    assert {name.split("[")[0] for name in names} == {"Intercept", "first", "second"}
    assert "nn(net=first)" in fit.design.random[0].label
