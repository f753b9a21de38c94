"""Conditional modes and variances against Henderson's mixed model equations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ngmm.inference.modes import Posterior, RowEffects
from ngmm.likelihood.maximise import eliminate_at, to_numpy
from ngmm.linalg import precise
from ngmm.model import Model
from tests.engine.dense import Dense
from tests.engine.derivatives import relative_error
from tests.engine.structures import STRUCTURES, build

# Dense inverses of condition up to 1e4, in extended precision; the engine's in double.
RTOL = 1e-11
# Lost digits of a response a million times further from zero than it varies.
MODES_RTOL = dict.fromkeys(STRUCTURES, RTOL) | {"far from zero": 1e-8}

each_structure = pytest.mark.parametrize("name", STRUCTURES)


def posterior(name: str, model: Model) -> Posterior:
    """Given the data at the parameters of the structure, which are not estimates."""
    problem = model.problem
    theta = problem.to_engine(np.array(STRUCTURES[name].theta))
    with precise():
        e = eliminate_at(theta, problem.system, layout=problem.layout)
    return Posterior(problem, to_numpy(e), theta)  # type: ignore[arg-type]


def starts(model: Model) -> NDArray[np.int64]:
    """First random effect of each term in the dense matrices."""
    sizes = [t.n_levels * t.Z.shape[1] for t in model.design.random]
    return np.cumsum([0, *sizes])


@each_structure
def test_modes(name: str) -> None:
    model = build(name)
    given, dense = posterior(name, model), Dense(model.design, STRUCTURES[name].theta)
    first = starts(model)
    for i, modes in enumerate(given.term_modes()):
        expected = dense.modes[first[i] : first[i + 1]].reshape(modes.shape)
        assert relative_error(modes, expected) < MODES_RTOL[name]


@each_structure
def test_conditional_covariance(name: str) -> None:
    model = build(name)
    given, dense = posterior(name, model), Dense(model.design, STRUCTURES[name].theta)
    first = starts(model)
    # Blocks of a factor, terms on it side by side.
    for factor, group in enumerate(model.problem.groups):
        terms = [i for i, p in enumerate(model.problem.places) if p.factor == factor]
        actual = given.covariance(factor)
        assert actual.shape == (group.n_levels, *(group.columns.shape[1],) * 2)
        for level in range(group.n_levels):
            at = np.concatenate([_effects(model, first, i, level) for i in terms])
            expected = dense.conditional_covariance[np.ix_(at, at)]
            sd = np.sqrt(np.diag(expected))
            assert (
                relative_error(
                    actual[level] / np.outer(sd, sd), expected / np.outer(sd, sd)
                )
                < RTOL
            )


def _effects(
    model: Model, first: NDArray[np.int64], term: int, level: int
) -> NDArray[np.int64]:
    k = model.design.random[term].Z.shape[1]
    return first[term] + level * k + np.arange(k)


@each_structure
def test_variance_of_the_rows(name: str) -> None:
    model = build(name)
    given, dense = posterior(name, model), Dense(model.design, STRUCTURES[name].theta)
    problem, d = model.problem, model.design
    effects = [
        RowEffects(g.columns / scale, g.codes)
        for g, scale in zip(problem.groups, problem.data.column_scales, strict=True)
    ]
    triangle = problem.data.triangle
    x = d.X @ np.linalg.inv(triangle) if len(triangle) else d.X
    actual = given.row_variance(x, effects)
    p = d.X.shape[1]
    rows = np.hstack([d.X, dense.Z])
    expected = np.einsum("ni,ij,nj->n", rows, dense.henderson, rows)
    assert p + dense.Z.shape[1] == rows.shape[1]
    assert relative_error(actual, expected) < RTOL


@pytest.mark.parametrize("name", ["crossed, full", "disjoint crossed", "nested"])
def test_variance_of_rows_that_were_never_seen_together(name: str) -> None:
    # Levels of two factors that share no row, and rows without an effect of the second.
    model = build(name)
    given, dense = posterior(name, model), Dense(model.design, STRUCTURES[name].theta)
    problem, d = model.problem, model.design
    rng = np.random.default_rng(6)
    n = 200
    codes = [rng.integers(0, t.n_levels, n).astype(np.int32) for t in d.random]
    X = rng.normal(size=(n, d.X.shape[1]))
    present = [np.ones(n), (np.arange(n) % 3 > 0).astype(float)]
    by_factor = {p.factor: i for i, p in enumerate(problem.places)}
    effects = [
        RowEffects(present[by_factor[f]][:, None] / scale, codes[by_factor[f]])
        for f, scale in enumerate(problem.data.column_scales)
    ]
    actual = given.row_variance(X @ np.linalg.inv(problem.data.triangle), effects)
    rows = np.zeros((n, X.shape[1] + dense.Z.shape[1]))
    rows[:, : X.shape[1]] = X
    first = starts(model) + X.shape[1]
    for i in range(2):
        rows[np.arange(n), first[i] + codes[i]] = present[i]
    expected = np.einsum("ni,ij,nj->n", rows, dense.henderson, rows)
    assert relative_error(actual, expected) < RTOL


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("vectors, sparse")
    given = posterior("vectors, sparse", model)
    problem = model.problem
    effects = [
        RowEffects(g.columns / scale, g.codes)
        for g, scale in zip(problem.groups, problem.data.column_scales, strict=True)
    ]
    x = problem.data.tail[:, :-1]
    whole = given.row_variance(x, effects)
    monkeypatch.setattr("ngmm.inference.modes.CHUNK", 7)
    np.testing.assert_allclose(given.row_variance(x, effects), whole, rtol=1e-13)


def test_without_variance_there_are_no_effects() -> None:
    model = build("crossed, sparse")
    problem = model.problem
    theta = np.zeros(model.n_theta)
    with precise():
        e = eliminate_at(theta, problem.system, layout=problem.layout)
    given = Posterior(problem, to_numpy(e), theta)  # type: ignore[arg-type]
    for factor in range(2):
        np.testing.assert_array_equal(given.modes(factor), 0.0)
        np.testing.assert_array_equal(given.covariance(factor), 0.0)
