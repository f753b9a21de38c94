"""Random effects of new groups from some of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import ngmm
from ngmm.errors import NewDataError, NotSupportedError, OptionError
from tests.joint.frames import curved, fitted

SLEEP = "Reaction ~ Days + (Days | Subject)"


def sleep() -> tuple[Any, Any]:
    """A fit to all subjects but one, and the rows of that one."""
    data = ngmm.datasets.load("sleepstudy")
    own = data["Subject"] == "308"
    return ngmm.fit(SLEEP, data[~own]), data[own]


def test_gaussian_effects_by_their_formula() -> None:
    fit, rows = sleep()
    few = rows.iloc[[0, 2, 5]]
    found = fit.adapt(few)
    Z = np.column_stack([np.ones(3), few["Days"]])
    residual = few["Reaction"] - Z @ fit.fixef.to_numpy()
    v = fit.varcorr().to_frame()
    sd = v["sd"].to_numpy()
    r = float(v["corr"].dropna().iloc[0])
    Sigma = np.array([[sd[0] ** 2, r * sd[0] * sd[1]], [r * sd[0] * sd[1], sd[1] ** 2]])
    inside = Z @ Sigma @ Z.T + fit.sigma**2 * np.eye(3)
    b = Sigma @ Z.T @ np.linalg.solve(inside, residual)
    left = Sigma - Sigma @ Z.T @ np.linalg.solve(inside, Z @ Sigma)
    frame = found.ranef(cond_sd=True)
    # Solved by another decomposition: rounding alone.
    np.testing.assert_allclose(frame.iloc[0, :2], b, rtol=1e-8)
    np.testing.assert_allclose(frame.iloc[0, 2:], np.sqrt(np.diag(left)), rtol=1e-8)
    at = np.array([1.0, 9.0])
    new = pd.DataFrame({"Days": [9.0], "Subject": ["308"]})
    predicted = found.predict(new, kind="link", se=True).iloc[0]
    assert predicted["fit"] == pytest.approx(at @ (fit.fixef + b), rel=1e-10)
    assert predicted["se"] == pytest.approx(np.sqrt(at @ left @ at), rel=1e-8)


def test_groups_of_the_fit_are_predicted_as_before() -> None:
    fit, rows = sleep()
    found = fit.adapt(rows.iloc[:2])
    seen = ngmm.datasets.load("sleepstudy").iloc[15:30]
    np.testing.assert_array_equal(found.predict(seen), fit.predict(seen))
    np.testing.assert_array_equal(
        found.predict(seen, kind="link", se=True), fit.predict(seen, se=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("slopes", [False, True])
def test_modes_maximise_the_joint_density(slopes: bool) -> None:
    data = curved("bernoulli")
    if slopes:
        fit = fitted("bernoulli")
    else:
        fit = ngmm.fit("y ~ x + (1 + z || g)", data, family="bernoulli")
    rows = curved("bernoulli", 5).iloc[:40].assign(g=["new", "newer"] * 20)
    found = fit.adapt(rows)
    term = found._own.model.design.random[0]
    eta0 = fit.predict(rows, re="none", kind="link").to_numpy()
    sd = fit.varcorr().to_frame()["sd"].to_numpy()
    for level, b in found.ranef().iterrows():
        own = (rows["g"] == level).to_numpy()
        y, Z = rows["y"].to_numpy()[own], term.Z[own]

        def against(u: Any, y: Any = y, Z: Any = Z, own: Any = own) -> float:
            eta = eta0[own] + Z @ (sd * u)
            return float(np.logaddexp(0.0, eta).sum() - y @ eta + 0.5 * u @ u)

        exact = optimize.minimize(against, np.zeros(len(sd)), options={"gtol": 1e-9})
        # The search for the modes ends at a relative step of 1e-8.
        np.testing.assert_allclose(b, sd * exact.x, rtol=0, atol=1e-5)


def test_rows_without_a_response_are_left_out() -> None:
    fit, rows = sleep()
    whole = rows.copy()
    whole.loc[rows.index[4:], "Reaction"] = np.nan
    pd.testing.assert_frame_equal(
        fit.adapt(whole).ranef(), fit.adapt(rows.iloc[:4]).ranef()
    )


def test_labels_are_those_of_the_fit() -> None:
    data = curved("bernoulli").assign(
        y=lambda d: np.where(d["y"] == 1, "yes", "no"), m=2
    )
    fit = ngmm.fit("y ~ x + (1 | g)", data, family="bernoulli")
    rows = data.iloc[:5].assign(g="new", y="no")
    assert fit.adapt(rows).ranef().iloc[0, 0] < 0.0
    with pytest.raises(NewDataError, match="maybe"):
        fit.adapt(rows.assign(y="maybe"))


@pytest.mark.slow
def test_trials_and_weights_are_found_by_their_names() -> None:
    data = ngmm.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    seen = data["herd"].astype(str) != "1"
    fit = ngmm.fit(formula, data[seen], family="binomial")
    by_name = ngmm.fit(
        "incidence ~ period + (1 | herd)", data[seen], family="binomial", trials="size"
    )
    pd.testing.assert_frame_equal(
        fit.adapt(data[~seen]).ranef(), by_name.adapt(data[~seen]).ranef(), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Subject": "309"}, "309, which the model knows"),
        ({"Reaction": np.nan}, "missing in all rows"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(change: dict, message: str) -> None:
    fit, rows = sleep()
    with pytest.raises(NewDataError, match=message):
        fit.adapt(rows.assign(**change))


def test_groups_that_nothing_is_known_of_are_refused() -> None:
    fit, rows = sleep()
    found = fit.adapt(rows.iloc[:3])
    with pytest.raises(NewDataError, match=r"neither in the data.*: 999"):
        found.predict(rows.assign(Subject="999"))
    with pytest.raises(OptionError, match="kind"):
        found.predict(rows, kind="terms")
    with pytest.raises(OptionError, match="link"):
        found.predict(rows, se=True)


def test_weights_of_new_rows_are_checked() -> None:
    data = curved().assign(w=1.0)
    fit = ngmm.fit("y ~ x + (1 | g)", data, weights="w")
    with pytest.raises(NewDataError, match="positive numbers"):
        fit.adapt(data.assign(g="new", w=np.nan))


def test_several_factors_are_refused() -> None:
    data = curved().assign(h=lambda d: d.index % 7)
    fit = ngmm.fit("y ~ x + (1 | g) + (1 | h)", data)
    with pytest.raises(NotSupportedError, match="one grouping factor"):
        fit.adapt(data.assign(g="new"))


def test_weights_given_as_an_array_are_not_known_for_new_rows() -> None:
    data = curved()
    fit = ngmm.fit("y ~ x + (1 | g)", data, weights=np.ones(len(data)))
    with pytest.raises(OptionError, match="weights= given as an array"):
        fit.adapt(data.assign(g="new"))
