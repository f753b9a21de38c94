"""Tables of nodes: Gauss-Hermite against numpy's, lattices against known integrals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy import special, stats

from ngmm.likelihood.nodes import (
    Grid,
    checks,
    default_reach,
    hermite,
    nodes,
    trapezoid,
    truncated,
)

Vector = NDArray[np.float64]


def integral(density: Callable[[Vector], Vector], grid: Grid, dimensions: int) -> float:
    points, log_weights = nodes(grid, dimensions)
    return float(np.exp(log_weights) @ density(points))


def moment(power: int) -> float:
    """E of a power of a standard normal."""
    return float(np.prod(np.arange(power - 1.0, 0.0, -2.0))) if power % 2 == 0 else 0.0


@pytest.mark.parametrize("n", [1, 2, 3, 5, 15, 25, 64])
def test_hermite_against_numpy(n: int) -> None:
    points, log_weights = nodes(hermite(n), 1)
    x, w = hermegauss(n)
    # numpy polishes its eigenvalues by a Newton step; ours are good to rounding of the
    # largest, which the weights multiply by about its size.
    np.testing.assert_allclose(points[:, 0], x, rtol=0, atol=1e-13 * n)
    np.testing.assert_allclose(log_weights - 0.5 * x**2, np.log(w), rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [2, 5, 20])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_hermite_is_exact_for_polynomials(n: int, dimensions: int) -> None:
    powers = [p for p in (0, 1, 2, 3, 2 * n - 2, 2 * n - 1) if p <= 2 * n - 1]
    for p in powers:
        for q in powers if dimensions == 2 else [0]:

            def density(v: Vector, p: int = p, q: int = q) -> Vector:
                return stats.norm.pdf(v).prod(1) * v[:, 0] ** p * v[:, -1] ** q

            # Odd ones cancel; their size is that of the next even one.
            size = moment(p + p % 2) * moment(q + q % 2)
            found = integral(density, hermite(n), dimensions)
            expected = moment(p) * moment(q) if dimensions == 2 else moment(p + q)
            assert found == pytest.approx(expected, rel=1e-11, abs=1e-11 * size)


def test_weights_of_many_hermite_nodes_do_not_underflow() -> None:
    points, log_weights = nodes(hermite(400), 1)
    assert np.isfinite(log_weights).all()
    # exp(-x^2 / 2) of the last node is below the smallest double.
    assert 0.5 * points[-1, 0] ** 2 > 740
    assert integral(lambda v: stats.norm.pdf(v[:, 0]), hermite(400), 1) == (
        pytest.approx(1.0, rel=1e-11)
    )


def normal(v: Vector) -> Vector:
    return stats.norm.pdf(v).prod(1)


def skewed(v: Vector) -> Vector:
    """The posterior of an effect given one success and a large sd: half the mass."""
    return 2.0 * special.expit(4.0 * v[:, 0]) * stats.norm.pdf(v).prod(1)


def correlated(v: Vector) -> Vector:
    """A normal density of correlation one half, where the rule expects none."""
    q = v.shape[1]
    cov = 0.5 * np.eye(q) + 0.5
    squares = np.einsum("ki,ij,kj->k", v, np.linalg.inv(cov), v)
    return np.exp(-0.5 * squares) / np.sqrt(np.linalg.det(2.0 * np.pi * cov))


def shifted(v: Vector) -> Vector:
    return stats.norm.pdf(v, 0.4, 0.8).prod(1)


DENSITIES = [normal, skewed, correlated, shifted]

# The largest error that the rules with most nodes leave.
LARGEST = {1: (45, 1e-9), 2: (27, 1e-7), 3: (15, 1e-3)}


@pytest.mark.parametrize("dimensions", LARGEST)
@pytest.mark.parametrize("density", DENSITIES)
def test_lattices_integrate_densities_with_the_error_that_checks_report(
    density: Callable[[Vector], Vector], dimensions: int
) -> None:
    most, least_error = LARGEST[dimensions]
    for n in (7, 9, 13, most):
        grid = trapezoid(n, dimensions)
        value = integral(density, grid, dimensions)
        others = [integral(density, g, dimensions) for g in checks(grid, dimensions)]
        reported = sum(abs(value - other) for other in others)
        # What lies beyond the nodes is estimated elsewhere: for these densities, less
        # than twice a normal tail on either side of every dimension. The grids between
        # end half a spacing earlier on one side.
        end = nodes(grid, 1)[0].max() - grid.reach / (n - 1)
        tail = 4.0 * dimensions * stats.norm.sf(end)
        assert abs(value - 1.0) <= reported + tail + 1e-14
    assert abs(value - 1.0) < least_error


def test_body_centred_lattice_needs_fewer_nodes_than_the_cubic_one() -> None:
    # In three dimensions, on a density narrower than the rule expects.
    def narrow(v: Vector) -> Vector:
        return stats.norm.pdf(v, scale=0.45).prod(1)

    centred = trapezoid(11, 3)
    cubic = truncated(14, centred.reach)
    assert len(nodes(centred, 3)[0]) < len(nodes(cubic, 3)[0])
    error = abs(integral(narrow, centred, 3) - 1.0)
    assert 2 * error < abs(integral(narrow, cubic, 3) - 1.0)


@pytest.mark.parametrize(
    ("grid", "dimensions", "count"),
    [
        (hermite(5), 3, 125),
        (trapezoid(9), 1, 9),
        (trapezoid(9, 2), 2, 162),
        (trapezoid(5, 4), 4, 1250),
        (truncated(7, 3.0), 2, 49),
    ],
)
def test_shapes(grid: Grid, dimensions: int, count: int) -> None:
    points, log_weights = nodes(grid, dimensions)
    assert points.shape == (count, dimensions)
    assert log_weights.shape == (count,)
    assert nodes(grid, dimensions) is nodes(grid, dimensions)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_checks_cost_as_much_and_stand_between(dimensions: int) -> None:
    grid = trapezoid(9, dimensions)
    points, _ = nodes(grid, dimensions)
    for check in checks(grid, dimensions):
        other, _ = nodes(check, dimensions)
        assert other.shape == points.shape
        assert not {tuple(p) for p in points} & {tuple(p) for p in other}
    assert len(checks(truncated(9, 3.0), dimensions)) == dimensions
    (finer,) = checks(hermite(4), dimensions)
    assert finer.n > 4


@given(st.integers(3, 400))
def test_reach_grows_with_the_nodes_and_their_spacing_falls(n: int) -> None:
    assert 2.5 <= default_reach(n) <= default_reach(n + 1)
    # A normal density needs no more; other tails get more nodes first.
    assert default_reach(min(n, 63)) <= 6.5
    h, finer = (2 * default_reach(m) / (m - 1) for m in (n, n + 1))
    assert finer < h


@settings(max_examples=40)
@given(st.integers(7, 120), st.floats(0.7, 1.3), st.floats(-0.5, 0.5))
def test_error_of_a_normal_density_near_the_expected_one(
    n: int, scale: float, centre: float
) -> None:
    def density(v: Vector) -> Vector:
        return stats.norm.pdf(v[:, 0], centre, scale)

    grid = trapezoid(n)
    (check,) = checks(grid, 1)
    value = integral(density, grid, 1)
    end = float(nodes(grid, 1)[0].max())
    tail = 2.0 * stats.norm.sf((end - abs(centre)) / scale)
    reported = abs(value - integral(density, check, 1))
    # Both sums may lie on one side of the integral by what the spacing leaves squared.
    assert abs(value - 1.0) <= 1.05 * reported + 2.0 * tail + 1e-14


@given(st.floats(0.5, 12.0), st.integers(3, 200))
def test_truncated_nodes_are_equally_spaced_up_to_the_radius(
    radius: float, n: int
) -> None:
    points, log_weights = nodes(truncated(n, radius), 1)
    assert points[0, 0] == -radius
    assert points[-1, 0] == radius
    spacing = 2 * radius / (n - 1)
    np.testing.assert_allclose(np.diff(points[:, 0]), spacing, rtol=1e-10)
    np.testing.assert_allclose(np.exp(log_weights), spacing, rtol=1e-12)


def test_a_single_node_may_have_any_number_of_dimensions() -> None:
    # More than NumPy's arrays have axes.
    points, log_weights = nodes(hermite(1), 40)
    assert points.shape == (1, 40)
    assert not points.any()
    assert log_weights[0] == pytest.approx(40 * nodes(hermite(1), 1)[1][0], rel=1e-14)
