"""What a user can ask for, and what is refused before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.likelihood.choose import fixed_engine, structure
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.likelihood.rules import Auto, as_rule
from tests.engine.generalized.problems import covariates, likelihood


@pytest.mark.parametrize(
    ("quad", "rule"),
    [
        ("auto", Auto()),
        ("laplace", ngmm.Laplace()),
        (1, ngmm.Laplace()),
        (25, ngmm.AdaptiveQuadrature(25)),
        (ngmm.TruncatedQuadrature(4, 21), ngmm.TruncatedQuadrature(4, 21)),
    ],
)
def test_what_quad_stands_for(quad: Any, rule: Any) -> None:
    assert as_rule(quad) == rule


@pytest.mark.parametrize(
    ("quad", "match"),
    [
        ("laplac", "did you mean 'laplace'|did you mean \"laplace\""),
        (True, "quad=True"),
        (0, "n_nodes must be a whole number from 1, got 0"),
        (2.5, "quad=2.5"),
        (ngmm.AdaptiveQuadrature, r"call it, ngmm\.AdaptiveQuadrature"),
        (10**6, "beyond the limit of 1,000 nodes"),
    ],
)
def test_what_it_does_not_stand_for(quad: Any, match: str) -> None:
    with pytest.raises(OptionError, match=match):
        as_rule(quad)


@pytest.mark.parametrize("radius", [0.0, -1.0, 41.0, True, "6", float("nan")])
def test_radius(radius: Any) -> None:
    with pytest.raises(OptionError, match="radius must be a positive number"):
        ngmm.TruncatedQuadrature(radius=radius)


def test_truncated_needs_three_nodes() -> None:
    with pytest.raises(OptionError, match="n_nodes must be a whole number from 3"):
        ngmm.TruncatedQuadrature(n_nodes=2)


@pytest.mark.parametrize("name", ["single", "double", "nested", "crossed"])
def test_structures_are_recognised(name: str) -> None:
    expected = {"double": "single"}.get(name, name)
    assert structure(likelihood("poisson", name).problem) == expected


@pytest.mark.parametrize(
    ("quad", "spelled"),
    [(9, "quad=9"), (ngmm.TruncatedQuadrature(), r"quad=ngmm\.TruncatedQuadrature")],
)
def test_crossed_factors_have_no_grid(quad: Any, spelled: str) -> None:
    with pytest.raises(OptionError, match=f'{spelled}.* quad="laplace"'):
        ngmm.fit(
            "y ~ x + (1 | g) + (1 | h)",
            likelihood("poisson", "crossed").data,
            family="poisson",
            quad=quad,
        )


def test_more_than_four_effects_have_no_grid() -> None:
    data = likelihood("poisson").data
    data = data.assign(**{f"z{i}": data["x"] ** i for i in (2, 3, 4)})
    with pytest.raises(OptionError, match=r"up to 4 random effects a level.* has 5"):
        ngmm.fit("y ~ x + (1 + x + z2 + z3 + z4 || a)", data, family="poisson", quad=5)


def test_grids_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(
        OptionError,
        match=r"601 nodes in each of 2 dimensions are 361,201 nodes for every row, "
        r"and the largest of 6 levels has 6 rows.*250,000 nodes.*quad=\"laplace\"",
    ):
        ngmm.fit(
            "y ~ x + (1 + x | g)",
            likelihood("poisson").data,
            quad=601,
            family="poisson",
        )


def test_number_of_nodes_for_nested_factors() -> None:
    like = likelihood("poisson", "nested")
    engine = fixed_engine(like.problem, as_rule(11))
    assert isinstance(engine, QuadratureEngine)
    assert engine.n_nodes == 121
    text = "nested adaptive trapezoid, 11 nodes outside, 11 nodes inside"
    assert engine.integral(0.0).text == text
    with pytest.raises(OptionError, match="quad=9 is too coarse for nested factors"):
        fixed_engine(like.problem, as_rule(9))
    # As accurate as eleven nodes can be, and it knows how accurate.
    x = like.problem.jacobian @ like.psi
    value, error = engine.value_and_error(x)
    exact = like.derivatives().value
    assert 0.0 < abs(value - exact) <= error < 0.05


@pytest.mark.parametrize(
    ("name", "quad", "text", "n_nodes", "dimensions"),
    [
        ("single", 1, "Laplace", 1, 1),
        ("single", 9, "adaptive Gauss-Hermite, 9 nodes", 9, 1),
        ("double", 5, "adaptive Gauss-Hermite, 5 nodes x 2 dimensions", 25, 2),
        ("single", "auto", "adaptive trapezoid, 45 nodes", 45, 1),
        ("double", "auto", "2 x 19 nodes x 2 dimensions", 722, 2),
        (
            "single",
            ngmm.TruncatedQuadrature(5, 21),
            "truncated at 5 sd, 21 nodes",
            21,
            1,
        ),
        ("crossed", "auto", "Laplace", 1, 2),
    ],
)
def test_rules_in_words(
    name: str, quad: Any, text: str, n_nodes: int, dimensions: int
) -> None:
    engine = fixed_engine(likelihood("poisson", name).problem, as_rule(quad))
    found = engine.integral(None)
    assert found.text.endswith(text)
    assert (found.n_nodes, found.dimensions) == (n_nodes, dimensions)


def test_the_frame_has_the_structures_it_is_used_for() -> None:
    data = covariates()
    g, a, h = (data[name].to_numpy() for name in ("g", "a", "h"))
    assert all(len(np.unique(a[g == level])) == 1 for level in range(6))
    assert all(len(np.unique(g[h == level])) > 1 for level in range(4))
