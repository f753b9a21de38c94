"""Rows in many chunks give what rows in one chunk give, and padding never counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.likelihood import chunks
from ngmm.likelihood.engines import QuadratureEngine
from tests.engine.derivatives import relative_error
from tests.engine.generalized.problems import Likelihood, likelihood

# Sums in another order.
RTOL = 1e-12


def cut(like: Likelihood, cells: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same engine with chunks of about this many cells."""
    assert isinstance(like.engine, QuadratureEngine)
    other = QuadratureEngine(like.engine.problem, like.engine.placing)
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "CELLS", cells)
        assert other.chunks.rows.y.shape[0] > 1
    return other


@pytest.mark.parametrize(
    ("family", "link", "structure", "quad"),
    [
        ("bernoulli", "logit", "single", "auto"),
        ("bernoulli", "logit", "double", 3),
        ("poisson", "log", "nested", "auto"),
        # A linear predictor of zero, which padding would have, is not allowed.
        ("poisson", "identity", "single", "auto"),
        ("poisson", "sqrt", "single", 5),
        ("poisson", "sqrt", "single", ngmm.TruncatedQuadrature(5.0, 21)),
    ],
)
def test_chunks_are_one_model(
    family: str,
    link: str,
    structure: str,
    quad: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    like = likelihood(family, structure, quad, link)
    whole, x = like.engine, like.problem.jacobian @ like.psi
    assert isinstance(whole, QuadratureEngine)
    parts = cut(like, 8 * whole.n_nodes, monkeypatch)
    # Levels are never split, so that chunks differ in rows and in levels.
    mask = parts.chunks.rows.mask
    assert mask.sum() == len(like.data)
    assert mask.min() == 0.0
    found, expected = parts.derivatives(x), whole.derivatives(x)
    assert found.value == pytest.approx(expected.value, rel=RTOL)
    assert relative_error(found.gradient, expected.gradient) < 10 * RTOL
    assert relative_error(found.hessian, expected.hessian) < 10 * RTOL
    for u, v in zip(
        parts.modes(parts.kept(x)), whole.modes(whole.kept(x)), strict=True
    ):
        np.testing.assert_allclose(u, v, rtol=0, atol=1e-12)
    for a, b in zip(parts.by_level(x), whole.by_level(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_a_level_larger_than_a_chunk_has_one_of_its_own() -> None:
    like = likelihood("poisson")
    found = chunks.in_chunks(like.problem.rows, 6, chunks.CELLS)
    assert found.rows.y.shape == (5, 6)
    # Levels have 2, 3, 4, 4, 5 and 6 rows: two fit into the room of the largest.
    np.testing.assert_array_equal(found.rows.mask.sum(1), [5, 4, 4, 5, 6])
    expected = [[0, 1], [2, -1], [3, -1], [4, -1], [5, -1]]
    np.testing.assert_array_equal(found.levels[0], expected)


def test_chunks_hold_every_row_once_whatever_their_order() -> None:
    like = likelihood("poisson", "nested")
    rows = like.problem.rows
    rng = np.random.default_rng(0)
    order = rng.permutation(len(rows.y))
    mixed = rows._replace(
        **{name: getattr(rows, name)[order] for name in ("y", "offset", "weights")},
        trials=rows.trials[order],
        X=rows.X[order],
        Z=tuple(z[order] for z in rows.Z),
        codes=tuple(c[order] for c in rows.codes),
    )
    found = chunks.in_chunks(mixed, 3, chunks.CELLS // 9)
    real = found.rows.mask > 0
    assert sorted(found.rows.y[real]) == sorted(rows.y)
    for factor in (0, 1):
        local = found.rows.codes[factor]
        levels = np.take_along_axis(found.levels[factor], local.astype(int), axis=1)
        pairs = zip(levels[real], found.rows.offset[real], strict=True)
        expected = zip(rows.codes[factor], rows.offset, strict=True)
        assert sorted(pairs) == sorted(expected)
        # What a place of a level holds comes back in the place of the level.
        by_place = found.levels[factor].astype(float)
        n_levels = rows.codes[factor].max() + 1
        np.testing.assert_array_equal(
            found.collect(by_place, factor), np.arange(n_levels)
        )
