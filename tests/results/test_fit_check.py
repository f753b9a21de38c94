"""The verdict on a fit: good, not converged, at a boundary, without a residual."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import ConvergenceWarning, RankDeficiencyWarning
from ngmm.estimation.status import Status
from ngmm.inference.verdict import (
    Message,
    Verdict,
    boundary_notes,
    optimum_messages,
    residual_messages,
)
from ngmm.results import MixedModelFit
from tests.results.examples import (
    SLEEP,
    crossing_lines,
    fitted,
    load,
    no_variance,
    panel,
)


@pytest.mark.parametrize(
    "name", ["slope", "slope_reml", "independent", "crossed", "nested", "rich"]
)
def test_good_fits_are_ok(name: str) -> None:
    verdict = fitted(name).check()
    assert verdict.ok
    assert (verdict.tag, verdict.messages, verdict.notes) == ("[OK]", (), ())
    assert str(verdict) == "[OK]"
    assert fitted(name).check() is verdict


def test_a_good_fit_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ngmm.fit(SLEEP, load("sleepstudy")).converged


@pytest.fixture
def hasty() -> MixedModelFit:
    with pytest.warns(ConvergenceWarning) as caught:
        fit = ngmm.fit(SLEEP, load("sleepstudy"), estimator=ngmm.Newton(max_steps=2))
    assert len(caught) == 1
    # The line to look at is that of the user's call.
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert text.startswith("the optimiser used all its steps before the gain became")
    assert text.endswith(
        "(2): parameters are not estimates, the log-likelihood can still rise by about "
        f"{fit.estimate.gain:.1g}. Try "
        "ngmm.fit(..., estimator=ngmm.Newton(max_steps=20))"
    )
    return fit


def test_a_fit_that_was_stopped_warns_and_says_so(hasty: MixedModelFit) -> None:
    verdict = hasty.check()
    assert not verdict.ok
    assert not hasty.converged
    assert verdict.tag == "[WARN 1]"
    assert hasty.estimate_text == verdict.messages[0].text.split(" (2)")[0]
    for page in (str(hasty.summary()), str(hasty)):
        first = page.splitlines()[0]
        assert first.endswith("[WARN 1]")
        assert "ngmm.Newton(max_steps=20)" in page
        assert "parameters are not estimates" in " ".join(page.split())
    assert str(verdict).startswith("[WARN 1]\n! the optimiser used all its steps")
    assert "\n  -> ngmm.fit(..., estimator=" in str(verdict)


def test_the_remedy_helps(hasty: MixedModelFit) -> None:
    # The gain it announced is what the remedy brings, to first order.
    cured = hasty.update(estimator=ngmm.Newton(max_steps=20))
    assert cured.check().ok
    assert cured.loglik > hasty.loglik
    assert cured.loglik == pytest.approx(fitted("slope").loglik, rel=1e-12)


def test_a_zero_variance_is_a_note() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = ngmm.fit("y ~ x + (1 | g)", no_variance())
    assert fit.check().ok
    assert fit.is_singular
    (note,) = fit.check().notes
    assert note.startswith("the variance of Intercept | g is estimated at 0 (boundary)")
    page = " ".join(str(fit.summary()).split())
    assert f"note: {note}" in page
    # The note says that the model without the term is as good: least squares.
    X, y = fit.design.X, fit.design.y
    beta = np.linalg.lstsq(X, y)[0]
    np.testing.assert_allclose(fit.fixef, beta, rtol=1e-10)
    s2 = ((y - X @ beta) ** 2).mean()
    ols = -0.5 * len(y) * (np.log(2 * np.pi * s2) + 1)
    assert fit.loglik == pytest.approx(ols, rel=1e-12)


def test_a_perfect_correlation_is_a_note() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = ngmm.fit("y ~ x + (x | g)", crossing_lines())
    assert fit.check().ok
    (note,) = fit.check().notes
    assert note.startswith(
        "the correlation of Intercept and x | g is estimated at -1 (boundary)"
    )
    assert note.endswith("compare with the same term written with ||")
    assert "note: the correlation" in str(fit.summary())
    assert str(fit.check()).startswith("[OK]\nnote: ")


def test_dropped_columns_are_named_in_a_warning() -> None:
    data = panel().dropna().assign(sum=lambda d: d["x"] + d["z"])
    with pytest.warns(RankDeficiencyWarning) as caught:
        fit = ngmm.fit("y ~ x + z + copy + sum + (1 | g)", data)
    assert str(caught[0].message) == (
        "dropped copy, sum: linear combinations of earlier fixed-effect columns, "
        "without a coefficient of their own"
    )
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert fit.aliased == ("copy", "sum")
    assert fit.check().ok
    less = ngmm.fit("y ~ x + z + (1 | g)", data)
    assert fit.loglik == less.loglik


def test_random_effects_that_leave_no_residual_are_a_warning() -> None:
    data = pd.DataFrame({"g": np.tile(range(4), 6), "x": np.arange(24.0) % 5})
    data["y"] = np.array([0.3, 1.0, -2.0, 4.0])[data["g"]]
    with pytest.warns(ConvergenceWarning):
        fit = ngmm.fit("y ~ x + (1 | g)", data)
    assert not fit.check().ok
    last = fit.check().messages[-1]
    assert "the random effects all but reproduce the response" in last.text
    assert "varies within the levels of every grouping factor" in last.remedy


def test_a_small_residual_is_no_warning() -> None:
    # Measurements a thousand times as precise as the levels are far apart.
    rng = np.random.default_rng(1)
    g = np.tile(range(4), 6)
    e = rng.normal(size=24)
    data = pd.DataFrame({"g": g, "y": np.array([3.0, 10, -20, 40])[g] + 0.01 * e})
    fit = ngmm.fit("y ~ 1 + (1 | g)", data)
    assert fit.check().ok
    within = e - pd.Series(e).groupby(g).transform("mean")
    # Balanced one-way data: sigma^2 is the mean square within.
    expected = 0.01 * np.sqrt((within**2).sum() / 20)
    assert fit.sigma == pytest.approx(expected, rel=1e-8)


# The parts of a verdict ---------------------------------------------------------------

CONVEX = np.diag([2.0, 1.0])


def test_a_good_optimum_has_no_message() -> None:
    assert optimum_messages(Status.CONVERGED, 1e-12, 7, CONVEX) == []
    # A flat direction is none that goes down.
    assert optimum_messages(Status.CONVERGED, 0, 7, np.diag([1.0, 0.0])) == []


@pytest.mark.parametrize(
    ("status", "gain", "hessian", "text", "remedy"),
    [
        (Status.NOT_FINITE, np.nan, CONVEX, "not finite at the starting", "describe()"),
        (Status.MAX_STEPS, 0.3, CONVEX, r"can still rise by about 0.3", "max_steps=70"),
        (Status.STALLED, 0.02, CONVEX, "no step, however short", "rescale columns"),
        (Status.CONVERGED, np.nan, CONVEX, "approximate", "simplify"),
        (Status.CONVERGED, 0.0, np.diag([1, -1e-3]), "saddle", "(x || g) for (x | g)"),
        (Status.CONVERGED, 0.0, np.diag([1, np.nan]), "saddle", "simplify"),
    ],
)
def test_messages_on_the_optimum(
    status: Status, gain: float, hessian: np.ndarray, text: str, remedy: str
) -> None:
    (message,) = optimum_messages(status, gain, 7, hessian)
    assert text in message.text
    assert remedy in message.remedy


def test_a_search_that_stops_at_a_saddle_has_two_messages() -> None:
    found = optimum_messages(Status.MAX_STEPS, 1.0, 3, np.diag([1.0, -1.0]))
    assert Verdict(tuple(found), ()).tag == "[WARN 2]"


def test_notes_on_boundaries() -> None:
    sd = np.array([1.0, 2.0, 0.0])
    correlation = np.array([[1, 1, np.nan], [1, 1, np.nan], [np.nan] * 3])
    notes = boundary_notes("g", ("a", "b", "c"), sd, correlation, 1)
    assert [note.split(" is estimated")[0] for note in notes] == [
        "the variance of c | g",
        "the correlation of a and b | g",
    ]
    assert "at +1 (boundary)" in notes[1]
    assert boundary_notes("g", ("a", "b"), sd[:2], np.eye(2), 2) == []


def test_residual_messages() -> None:
    assert residual_messages(1e-3) == []
    assert "1e-09 of what" in residual_messages(1e-9)[0].text


def test_a_verdict_prints_messages_then_notes() -> None:
    verdict = Verdict((Message("it failed", "try again"),), ("by the way",))
    assert str(verdict) == "[WARN 1]\n! it failed\n  -> try again\nnote: by the way"


def test_a_covariance_matrix_of_less_than_full_rank_is_noted() -> None:
    # Known to have rank 2 with no variance at zero and no correlation at one.
    fit = ngmm.fit(
        "angle ~ recipe + temp + (0 + recipe | replicate)",
        ngmm.datasets.load("cake"),
        reml=True,
    )
    assert fit.is_singular
    assert fit.check().ok
    (note,) = fit.check().notes
    names = "recipe[A], recipe[B], recipe[C] | replicate"
    assert f"covariance matrix of {names} has rank 2 of 3 (boundary)" in note
    assert "rank 2 of 3" in " ".join(str(fit.summary()).split())
