"""The evidence estimator: its options, and its search against dense matrices."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from ngmm.errors import OptionError
from ngmm.estimation.evidence import Evidence
from ngmm.estimation.evidence_search import QUIET, begin
from ngmm.linalg import precise
from ngmm.neural.search import SearchLayout, run
from ngmm.neural.units import to_user
from tests.engine.derivatives import differences
from tests.engine.neural.dense import effects_matrix
from tests.engine.neural.problems import Case, Vector, case

BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"restarts": 0}, r'restarts must be a positive whole number or "auto", got 0'),
    ({"restarts": "many"}, r"restarts must be .*, got 'many'"),
    ({"restarts": True}, r"restarts must be .*, got True"),
    ({"restarts": 2.5}, r"restarts must be .*, got 2.5"),
    ({"widths": ()}, r"widths must be a tuple of positive whole numbers .*, got \(\)"),
    ({"widths": 8}, r"widths must be a tuple of positive whole numbers .*, got 8"),
    ({"widths": [4, 8]}, r"widths must be a tuple .*, got \[4, 8\]"),
    ({"widths": (4, 0)}, r"widths must be positive whole numbers, got 0"),
    ({"widths": (4, -1)}, r"widths must be positive whole numbers, got -1"),
    ({"widths": (True,)}, r"widths must be positive whole numbers, got True"),
    ({"max_steps": 0}, r"max_steps must be a positive whole number, got 0"),
    ({"max_steps": "auto"}, r"max_steps must be a positive whole number, got 'auto'"),
    ({"average": 1}, r"average must be True or False, got 1"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Evidence(**options)


def test_numpy_integers_are_whole_numbers() -> None:
    restarts: Any = np.int64(2)
    assert Evidence(restarts=restarts).runs_for(3, 1.0) == 6


def test_dearer_steps_mean_fewer_searches() -> None:
    runs = [Evidence().runs_for(5, cost) for cost in (1.0, 1e9, 1e10, 1e15)]
    assert runs == sorted(runs, reverse=True)
    assert runs[0] > runs[-1] > 0


@cache
def linear() -> Case:
    """A network that is linear, so that its weights can be integrated out exactly."""
    return case("y ~ (1 | g)", fixed="nn(x1, x2, hidden=())")


def search(
    c: Case, groups: Any, start: Vector, n_steps: int, tolerance: float
) -> list[Any]:
    """A search, and where it stood after every step if there are few."""
    problem, _ = c.prepared
    n_groups = int(groups.max()) + 1
    layout = SearchLayout(problem.layout, n_groups)
    out = []
    with precise():
        s = begin(jnp.asarray(start), jnp.zeros(n_groups), np.zeros(0), layout.places)
        ends = range(1, n_steps + 1) if n_steps < 50 else [n_steps]
        for end in ends:
            s = run(
                s,
                problem.data,
                groups.astype(np.int32),
                np.ones(len(groups)),
                np.int64(end),
                np.bool_(False),
                np.float64(tolerance),
                layout=layout,
            )
            out.append(s)
    return out


def test_linear_networks_maximise_the_exact_evidence() -> None:
    c = linear()
    groups = np.arange(2)
    end = search(c, groups, c.x, 400, 1e-12)[-1]
    assert int(end.quiet) == QUIET
    last, d = end.last, c.base.design
    x, scale = np.asarray(last.x), c.prepared[0].scale
    J, Z = c.network[1], effects_matrix(c.base)

    def log_density(point: Vector) -> float:
        """Of y, weights integrated out, in (beta, tau, log penalties)."""
        at = to_user(c.base, point[:1], point[1:3])
        assert at.scale is not None
        V = at.scale**2 * (np.eye(d.n_rows) + at.theta[0] ** 2 * Z @ Z.T)
        V = V + (J / np.exp(point[3:])) @ J.T
        r = d.y - d.offset - d.X @ at.beta
        log_det = np.linalg.slogdet(V)[1] + len(r) * np.log(2 * np.pi)
        # The search has the response in units of `scale`.
        return float(
            -0.5 * (r @ np.linalg.solve(V, r) + log_det) + len(r) * np.log(scale)
        )

    point = np.r_[x[:1], x[3:], np.asarray(last.log_penalty)]
    # Weights end where the density given them is highest, to the tolerance of the
    # search: the error is its square.
    assert float(last.evidence) == pytest.approx(log_density(point), abs=1e-8)
    slope = differences(log_density, point, 1e-3)
    # All parameters maximise it together: fixed effects, variances, penalties. A slope
    # of 1e-4 is off by 1e-4 standard errors or so.
    assert_allclose(slope, 0.0, atol=1e-4)


def test_effective_weights_are_those_that_the_data_determine() -> None:
    c = linear()
    last = search(c, np.arange(2), c.x, 400, 1e-12)[-1].last
    w, edf = np.asarray(last.x)[c.w], np.asarray(last.edf)
    # MacKay's fixed point: each penalty is edf over the squared weight. That of an
    # input without a linear effect goes to infinity, and its edf to zero, by halves.
    wanted = np.exp(np.asarray(last.log_penalty)) * w**2
    assert_allclose(edf, wanted, rtol=1e-4, atol=1e-4)
    assert 0.0 < edf[1] < 0.01 < 0.9 < edf[0] < 1.0


def test_the_best_point_is_kept_whatever_comes_after_it() -> None:
    c = case("y ~ (1 | g)")
    # First layer, its biases, output, linear path.
    groups = np.repeat([0, 1, 2, 3], [6, 3, 3, 2])
    assert len(groups) == c.stack.n_weights
    steps = search(c, groups, c.x, 30, 1e-3)
    seen = [float(s.last.evidence) for s in steps]
    best = [float(s.best.evidence) for s in steps]
    assert_allclose(best, np.maximum.accumulate(seen), rtol=0, atol=0)
    # A start at random is far from the maximum: the search has something to do.
    assert best[-1] > seen[0] + 10.0
