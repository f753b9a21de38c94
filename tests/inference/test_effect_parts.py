"""What effects are made of: derivatives of marginal means, adjustments, joint modes."""

from __future__ import annotations

import numpy as np
import pytest

from ngmm.errors import OptionError
from ngmm.families.links import LINKS
from ngmm.inference.joint_modes import joint_modes, spherical_columns
from ngmm.inference.marginal.curvature import marginal_curvature
from ngmm.inference.marginal.mean import marginal_mean
from ngmm.inference.wald.multiplicity import adjusted, adjusted_critical, check_adjust


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "log", "sqrt"])
def test_the_derivative_in_the_variance_is_a_difference(name: str) -> None:
    link = LINKS[name]
    m, v = np.array([-1.0, 0.3, 1.2]), np.array([0.4, 1.0, 3.0])
    h = 1e-4
    up, down = (marginal_mean(link, m, v + s * h) for s in (1, -1))
    # Central differences: h^2 M'''/6 and 1e-16/h.
    np.testing.assert_allclose(
        marginal_curvature(link, m, v), (up - down) / (2 * h), rtol=1e-6, atol=1e-9
    )


def test_the_derivative_at_no_variance_is_half_the_curvature() -> None:
    m = np.array([-0.7, 0.9])
    p = 1 / (1 + np.exp(-m))
    expected = 0.5 * p * (1 - p) * (1 - 2 * p)
    found = marginal_curvature(LINKS["logit"], m, np.zeros(2))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_adjusted_p_values_by_their_definitions() -> None:
    from scipy import stats

    z = np.array([1.0, -3.2, 2.4, 2.1])
    inf = np.full(4, np.inf)
    p = 2 * stats.norm.sf(np.abs(z))
    assert adjusted(z, inf, "none", 4) == pytest.approx(p, rel=1e-12)
    assert adjusted(z, inf, "bonferroni", 4) == pytest.approx(
        np.minimum(4 * p, 1), rel=1e-12
    )
    assert adjusted(z, inf, "sidak", 4) == pytest.approx(1 - (1 - p) ** 4, rel=1e-10)
    holm = [p[0], 4 * p[1], 3 * p[2], max(3 * p[2], 2 * p[3])]
    assert adjusted(z, inf, "holm", 4) == pytest.approx(holm, rel=1e-12)
    fdr = stats.false_discovery_control(p)
    assert adjusted(z, inf, "fdr", 4) == pytest.approx(fdr, rel=1e-12)


def test_tukey_of_two_means_is_the_t_test() -> None:
    t, df = np.array([2.3]), np.array([7.0])
    # scipy integrates the studentized range to about 1e-8.
    assert adjusted(t, df, "tukey", 2) == pytest.approx(
        adjusted(t, df, "none", 2), rel=1e-6
    )
    assert adjusted_critical(0.9, df, "tukey", 2) == pytest.approx(
        adjusted_critical(0.9, df, "none", 2), rel=1e-6
    )


@pytest.mark.parametrize("adjust", ["none", "bonferroni", "sidak", "tukey"])
def test_intervals_exclude_zero_where_tests_reject(adjust: str) -> None:
    df = np.array([12.0, 12.0, 12.0])
    edge = adjusted_critical(0.95, df, adjust, 3)
    # The critical value is where the adjusted p-value is 0.05.
    assert adjusted(edge, df, adjust, 3) == pytest.approx([0.05] * 3, rel=1e-6)


def test_an_unknown_adjustment_names_the_closest() -> None:
    with pytest.raises(OptionError, match='did you mean "bonferroni"'):
        check_adjust("bonferoni")


def test_joint_modes_are_the_inverse_of_the_dense_precision() -> None:
    r = np.random.default_rng(1)
    n = 30
    a, b = r.integers(0, 5, n).astype(np.int32), r.integers(0, 3, n).astype(np.int32)
    Z = np.column_stack([np.ones(n), r.normal(size=n)])
    lam = np.array([[0.8, 0.0], [0.3, 0.5]])
    columns = spherical_columns(
        [(Z, a, 5), (np.ones((n, 1)), b, 3)], [lam, np.array([[0.0]])]
    )
    dense = np.zeros((n, 13))
    for i in range(n):
        dense[i, 2 * a[i] : 2 * a[i] + 2] = Z[i] @ lam
    assert columns.todense() == pytest.approx(dense)
    weight = r.uniform(0.5, 2.0, n)
    found = joint_modes(columns, weight, 1.0)
    expected = np.linalg.inv(dense.T @ (weight[:, None] * dense) + np.eye(13))
    # A matrix of condition 100.
    assert found.solve(np.eye(13)) == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_levels_that_are_not_known_have_no_columns() -> None:
    codes = np.array([-1, 1], dtype=np.int32)
    found = spherical_columns([(np.ones((2, 1)), codes, 2)], [np.array([[2.0]])])
    assert found.todense().tolist() == [[0.0, 0.0], [0.0, 2.0]]
