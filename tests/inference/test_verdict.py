"""What is said of a fit: one rule at a time."""

from __future__ import annotations

import numpy as np
import pytest

from ngmm.inference.verdict import (
    LIMITS,
    dispersion_notes,
    importance_note,
    integral_messages,
    integral_notes,
    mode_messages,
    runaway_messages,
)


@pytest.mark.parametrize("error", [None, 0.0, 3e-5, 1e-3])
def test_a_good_integral_is_not_worth_a_word(error: float | None) -> None:
    assert integral_messages(error) == []
    assert integral_notes(error) == []


@pytest.mark.parametrize("error", [2e-3, 0.1])
def test_a_rough_integral_is_a_note(error: float) -> None:
    assert integral_messages(error) == []
    (note,) = integral_notes(error)
    assert f"error of about {error:.1g} from integrating" in note
    assert 'quad="auto"' in note


@pytest.mark.parametrize("error", [0.11, 3.0])
def test_a_wrong_integral_is_a_message(error: float) -> None:
    (message,) = integral_messages(error)
    assert f"error of about {error:.2g} from integrating" in message.text
    assert 'quad="auto"' in message.remedy
    assert integral_notes(error) == []


def test_modes_that_did_not_settle() -> None:
    assert mode_messages(0) == []
    (one,), (two,) = mode_messages(1), mode_messages(2)
    assert one.text.startswith("the random effects of 1 level have no settled")
    assert two.text.startswith("the random effects of 2 levels have no settled")
    assert "ngmm.TruncatedQuadrature()" in two.remedy


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_a_variance_that_runs_away(link: str) -> None:
    sd = np.array([20.1, 3.0])
    (message,) = runaway_messages(link, "a:b", ("Intercept", "x"), sd)
    assert message.text.startswith(
        f"sd(Intercept | a:b) = 20.1 on the {link} scale: the variance runs away"
    )
    assert "data.groupby(['a', 'b'])" in message.remedy
    assert message.remedy.endswith("or remove (Intercept | a:b)")


def test_a_large_variance_on_another_scale_is_none() -> None:
    for link in ("log", "identity", "inverse", "sqrt"):
        assert runaway_messages(link, "g", ("Intercept",), np.array([1e4])) == []
    assert runaway_messages("logit", "g", ("Intercept",), np.array([19.9])) == []


@pytest.mark.parametrize(
    ("family", "start", "end"),
    [
        ("negative_binomial", "size = 2e+06 (boundary)", 'family="poisson" has the'),
        ("betabinomial", "phi = 2e+06 (boundary)", 'family="binomial" has the'),
    ],
)
def test_no_overdispersion(family: str, start: str, end: str) -> None:
    (note,) = dispersion_notes(family, 2e6)
    assert note.startswith(start)
    assert "no overdispersion beyond" in note
    assert end in note
    assert dispersion_notes(family, LIMITS[family].largest) == []


@pytest.mark.parametrize(
    ("family", "phi"), [("poisson", None), ("gamma", 1e9), ("beta", 1e9)]
)
def test_other_families_have_no_such_limit(family: str, phi: float | None) -> None:
    assert dispersion_notes(family, phi) == []


def test_importance_sampling_in_words() -> None:
    note = importance_note(-10.0, -9.5, 0.02, 1000, 700.0)
    assert note.startswith(
        "importance sampling with 1,000 draws puts the log-likelihood at -9.500 "
        "(standard error 0.02): the value of the fit, -10.000, is off by -0.5."
    )
    assert "few draws" not in note
    rough = importance_note(-10.0, -9.5, 0.02, 1000, 12.0)
    assert "A few draws decide (they are worth 12 equal ones)" in rough
