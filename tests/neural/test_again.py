"""Fits with networks fitted again, and what else is asked of any fit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import ngmm
from ngmm.errors import ConvergenceWarning, NotSupportedError, OptionError
from ngmm.estimation import stochastic_loop
from ngmm.estimation.status import Status
from tests.neural.frames import frame

ONE = ngmm.Evidence(restarts=1, widths=(3,))
FEW = ngmm.Stochastic(epochs=3, validation=0.1)
FORMULA = "y ~ x1 + nn(x1, x2) + (1 | g)"


@cache
def fitted() -> Any:
    return ngmm.fit(FORMULA, frame(), estimator=ONE)


def test_refit_to_the_same_response_is_the_same_fit() -> None:
    again: Any = fitted().refit(frame()["y"])
    assert_array_equal(again.networks.members[0].x, fitted().networks.members[0].x)
    assert again.loglik == fitted().loglik


def test_simulated_responses_are_fitted_by_the_same_function() -> None:
    fit = fitted()
    draws = fit.simulate(4, seed=1)
    assert draws.shape == (160, 4)
    again = fit.refit(draws.iloc[:, 0])
    a, b = (k.predict(re="none", se=True) for k in (fit, again))
    # Both errors are of one fit: the mean square of the difference in units of their
    # standard errors is about one, here the fixed part's random intercepts included.
    assert np.mean(((a["fit"] - b["fit"]) / a["se"]) ** 2) < 4.0
    # Residual noise and group effects are simulated.
    spread = (draws.to_numpy() - a["fit"].to_numpy()[:, None]).std()
    expected = np.hypot(fit.sigma, fit.sigma * fit.theta[0])
    # 80 group effects: a tenth of their standard deviation.
    assert spread == pytest.approx(expected, rel=0.25)


def test_update_changes_the_formula_and_keeps_the_rest() -> None:
    fit: Any = fitted().update(". ~ . - x1")
    assert list(fit.fixef.index) == ["Intercept"]
    assert fit.networks.labels == ("nn(x1, x2)",)
    # The network now has what the linear term had.
    assert fit.networks.edf[0] > fitted().networks.edf[0]
    assert fit.loglik == pytest.approx(fitted().loglik, abs=5.0)
    with pytest.raises(OptionError, match=r'estimator="auto" in update'):
        fitted().update(". ~ . - nn(x1, x2)")
    linear: Any = fitted().update(". ~ . - nn(x1, x2)", estimator="auto")
    assert linear.loglik < fitted().loglik - 20.0


def test_fitted_values_and_residuals_belong_together() -> None:
    fit, data = fitted(), frame()
    terms = fit.predict(kind="terms")
    assert_allclose(terms.sum(axis=1), fit.fitted(), rtol=1e-12)
    assert_allclose(data["y"] - fit.fitted(), fit.resid("response"), atol=1e-12)
    assert fit.check().ok
    assert "nn(x1, x2)" in str(fit.summary())
    # What the penalties leave of the weights counts as parameters.
    assert fit.df_model == pytest.approx(4 + fit.networks.edf.sum(), rel=1e-12)
    assert fit.aic == pytest.approx(2 * fit.df_model - 2 * fit.loglik, rel=1e-12)


def stochastic(**options: Any) -> Any:
    formula = "y ~ x1 + nn(x1, x2, hidden=(8,)) + (1 | g)"
    return ngmm.fit(formula, frame(), **{"estimator": FEW, **options})


def test_minibatches_give_a_whole_result() -> None:
    options = ngmm.Stochastic(epochs=40, validation=0)
    fit: Any = stochastic(estimator=options)
    # The weights have no covariance and count for no parameters: no criterion.
    assert np.isnan(fit.aic)
    assert np.isnan(fit.df_model)
    assert np.isfinite([fit.loglik, fit.sigma, *fit.theta, *fit.bse]).all()
    assert np.isfinite(fit.predict(se=True)).all(axis=None)
    assert fit.loglik > ngmm.fit("y ~ x1 + (1 | g)", frame()).loglik
    assert "minibatches" in str(fit.summary())
    same: Any = stochastic(estimator=options)
    assert_array_equal(same.networks.members[0].x, fit.networks.members[0].x)


def test_an_interrupt_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupt(*args: Any, **kwargs: Any) -> None:
        del args, kwargs
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(stochastic_loop.ProgressLine, "update", interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        fit: Any = stochastic(estimator=ngmm.Stochastic(epochs=50))
    assert fit.networks.statuses == (Status.INTERRUPTED,)
    assert fit.networks.n_epochs < 5
    assert np.isfinite(fit.loglik)


def test_minibatches_refuse_what_they_cannot_do() -> None:
    with pytest.raises(
        OptionError, match="batch_groups=100 is more than the 18 groups"
    ):
        stochastic(estimator=ngmm.Stochastic(batch_groups=100))
    with pytest.raises(NotSupportedError, match=r"takes one grouping factor.*\(g, h\)"):
        ngmm.fit("y ~ nn(x1) + (1 | g) + (1 | h)", frame(), estimator=FEW)


def test_auto_never_takes_minibatches_for_crossed_factors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ngmm.neural import fitting

    monkeypatch.setattr(fitting, "MOST_WEIGHTS", 0)
    design = ngmm.build_design(ngmm.parse("y ~ nn(x1) + (1 | g) + (1 | h)"), frame())[0]
    network = fitting.network_for(design.networks[0], {})
    family = ngmm.families.gaussian()
    assert isinstance(fitting._choose(design, family, (network,)), ngmm.Evidence)


def test_a_training_that_diverged_is_no_good_fit() -> None:
    options = ngmm.Stochastic(optimizer=optax.sgd(1e6), epochs=3)
    with pytest.warns(ConvergenceWarning):
        stochastic(estimator=options)
