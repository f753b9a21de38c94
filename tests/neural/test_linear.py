"""Networks without hidden layers are linear models."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ngmm
from tests.neural.frames import frame

# The network; the linear model with the same columns; family; other arguments. The
# linear model is centred where the network is: the intercept is that of mean inputs.
MODELS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "gaussian": (
        "y ~ nn(x1, x2, hidden=()) + (1 | g)",
        "y ~ center(x1) + center(x2) + (1 | g)",
        "gaussian",
        {},
    ),
    "weights and offset": (
        "y ~ x1 + nn(x1, x2, hidden=()) + offset(known) + (1 + x1 | g)",
        "y ~ x1 + RESIDUAL + offset(known) + (1 + x1 | g)",
        "gaussian",
        {"weights": "w"},
    ),
    "factor": (
        "y ~ nn(x1, c, hidden=()) + (1 | g)",
        "y ~ center(x1) + C(c, contr.sum) + (1 | g)",
        "gaussian",
        {},
    ),
    "trials": (
        "s ~ nn(x1, x2, hidden=()) + (1 | g)",
        "s ~ center(x1) + center(x2) + (1 | g)",
        "binomial",
        {"trials": "trials"},
    ),
    "poisson": (
        "k ~ nn(x1, hidden=()) + nn(x2, hidden=()) + (1 | g)",
        "k ~ center(x1) + center(x2) + (1 | g)",
        "poisson",
        {},
    ),
}


@cache
def both(name: str) -> tuple[Any, Any]:
    """The fit with the network, and the linear one."""
    formula, linear, family, arguments = MODELS[name]
    data = frame()
    # What the network adds to the linear term beside it: the rest of x2.
    shared = np.column_stack([np.ones(len(data)), data["x1"]])
    fitted = shared @ np.linalg.lstsq(shared, data["x2"], rcond=None)[0]
    data["RESIDUAL"] = data["x2"] - fitted
    return (
        ngmm.fit(formula, data, family, **arguments),
        ngmm.fit(linear, data, family, **arguments),
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_maximum_is_that_of_the_linear_model(name: str) -> None:
    fit, linear = both(name)
    # Newton's steps end at a gain of 1e-10 or so: values agree to it, parameters to
    # its root times a standard error.
    assert fit.loglik == pytest.approx(linear.loglik, abs=1e-7)
    assert fit.df_model == pytest.approx(linear.df_model)
    assert fit.aic == pytest.approx(linear.aic, abs=1e-6)
    assert fit.sigma == pytest.approx(linear.sigma, rel=1e-5)
    assert_allclose(fit.theta, linear.theta, rtol=1e-4, atol=1e-5)
    assert_allclose(fit.fitted(), linear.fitted(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [m for m in MODELS if m != "factor"])
def test_linear_terms_have_the_same_coefficients_and_errors(name: str) -> None:
    fit, linear = both(name)
    names = list(fit.fixef.index)
    # As above; standard errors come from the same information.
    assert_allclose(fit.fixef, linear.fixef[names], rtol=1e-4, atol=1e-5)
    assert_allclose(fit.bse, linear.bse[names], rtol=1e-4)
    frame_of = [f.varcorr().to_frame().select_dtypes("number") for f in (fit, linear)]
    assert_allclose(frame_of[0], frame_of[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("re", ["none", "all"])
@pytest.mark.parametrize("name", ["gaussian", "trials"])
def test_predictions_have_the_same_errors(name: str, re: str) -> None:
    fit, linear = both(name)
    new = frame(seed=5).iloc[:30]
    ask: dict[str, Any] = {"kind": "link", "re": re, "se": True}
    a, b = fit.predict(new, **ask), linear.predict(new, **ask)
    # As above.
    assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_separation_is_seen_through_the_network() -> None:
    data = frame().assign(z=lambda d: (d["x1"] > 0).astype(int))
    with pytest.warns(ngmm.errors.ConvergenceWarning, match=r"x1 of nn\(x1\)"):
        fit: Any = ngmm.fit("z ~ nn(x1, hidden=()) + (1 | g)", data, "bernoulli")
    assert not fit.check().ok
