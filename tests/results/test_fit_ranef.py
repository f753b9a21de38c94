"""Conditional modes, their standard deviations, and coefficients by level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.results import MixedModelFit
from tests.results.dense import solve
from tests.results.examples import NAMES, fitted, panel


@pytest.fixture(params=NAMES)
def fit(request: pytest.FixtureRequest) -> MixedModelFit:
    return fitted(request.param)


def by_term(fit: MixedModelFit, values: np.ndarray) -> list[np.ndarray]:
    """Values of all random effects as one (levels, k) array a term."""
    out, at = [], 0
    for term in fit.design.random:
        size = term.n_levels * len(term.names)
        out.append(values[at : at + size].reshape(term.n_levels, -1))
        at += size
    return out


def test_modes_solve_the_mixed_model_equations(fit: MixedModelFit) -> None:
    modes = fit.ranef()
    expected = by_term(fit, solve(fit).b)
    for term, b in zip(fit.design.random, expected, strict=True):
        frame = modes[term.group]
        pd.testing.assert_index_equal(frame.index, term.levels)
        # The dense solution loses digits to its condition number.
        scale = max(float(np.abs(b).max()), 1e-12)
        actual = frame[list(term.names)].to_numpy()
        np.testing.assert_allclose(actual, b, rtol=0, atol=1e-7 * scale)


def test_conditional_sds_are_those_given_beta(fit: MixedModelFit) -> None:
    # With beta known the equations lose their first rows and columns.
    dense = solve(fit)
    p = len(fit.fixef)
    whole = dense.covariance
    among = whole[p:, p:] - whole[p:, :p] @ np.linalg.solve(
        whole[:p, :p], whole[:p, p:]
    )
    expected = by_term(fit, np.sqrt(np.maximum(np.diag(among), 0)))
    modes = fit.ranef(cond_sd=True)
    for term, sd in zip(fit.design.random, expected, strict=True):
        names = [f"{name}_sd" for name in term.names]
        scale = max(float(sd.max()), 1e-12)
        # A root of a difference.
        np.testing.assert_allclose(
            modes[term.group][names], sd, rtol=1e-6, atol=1e-7 * scale
        )


def test_layout_of_the_frames() -> None:
    fit = fitted("rich")
    modes = fit.ranef()
    assert list(modes) == ["h", "g"]
    assert modes["h"].columns.tolist() == ["Intercept", "x"]
    assert modes["g"].columns.tolist() == ["Intercept", "z"]
    assert modes["h"].index.tolist() == [0, 10, 20, 30, 40, 50]
    assert modes["g"].index.tolist() == sorted(panel()["g"].unique())
    sds = fit.ranef(cond_sd=True)
    assert sds["g"].columns.tolist() == ["Intercept", "z", "Intercept_sd", "z_sd"]
    np.testing.assert_array_equal(sds["g"].iloc[:, :2], modes["g"])


def test_levels_of_a_nested_factor_are_labelled_by_both() -> None:
    index = fitted("nested").ranef()["batch:cask"].index
    assert index[:4].tolist() == ["A:a", "A:b", "A:c", "B:a"]


def test_coefficients_are_the_sum(fit: MixedModelFit) -> None:
    modes, fixef = fit.ranef(), fit.fixef
    for group, frame in fit.coef().items():
        names = frame.columns.tolist()
        extra = [name for name in modes[group] if name not in fixef.index]
        assert names == [*fixef.index, *extra]
        for name in names:
            b = modes[group][name].to_numpy() if name in modes[group] else 0.0
            beta = fixef.to_dict().get(name, 0.0)
            # One addition.
            np.testing.assert_allclose(frame[name], beta + b, rtol=1e-14)
        pd.testing.assert_index_equal(frame.index, modes[group].index)


def test_an_effect_that_is_not_fixed_varies_about_zero() -> None:
    coef = fitted("rich").coef()["g"]
    assert coef.columns.tolist() == ["Intercept", "x", "f[T.b]", "f[T.c]", "z"]
    np.testing.assert_array_equal(coef["z"], fitted("rich").ranef()["g"]["z"])
    assert len(set(coef["x"])) == 1


def test_modes_of_a_zero_variance_are_zero() -> None:
    frame = fitted("zero").ranef(cond_sd=True)["g"]
    assert (frame.to_numpy() == 0).all()


def test_integer_text_and_categorical_labels_are_kept() -> None:
    data = panel().dropna()
    for labels in (
        data["h"],
        data["h"].astype(str),
        pd.Categorical(data["h"], categories=[50, 40, 30, 20, 10, 0, 60]),
    ):
        fit = ngmm.fit("y ~ x + (1 | h)", data.assign(h=labels))
        index = fit.ranef()["h"].index.tolist()
        assert set(index) == set(labels)
        if isinstance(labels, pd.Categorical):
            assert index == [50, 40, 30, 20, 10, 0]
