"""Log-likelihoods of every family, link and structure against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import ngmm
from ngmm.likelihood.choose import fixed_engine
from ngmm.likelihood.choose import structure as structure_of
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.likelihood.rules import as_rule
from tests.engine.derivatives import relative_error
from tests.engine.generalized import brute
from tests.engine.generalized.problems import (
    LINKS,
    LONG_TAIL,
    MEANS,
    Likelihood,
    likelihood,
)

# The trapezoid rule with 45 nodes (19 x 19 in two dimensions) is good to 1e-12 on these
# integrands, and the densities of scipy and of the package agree to as much.
RTOL = 1e-11


def by_level(like: Likelihood) -> tuple[np.ndarray, float]:
    """Log-likelihood of each outermost level, and the reported error of the sum."""
    engine = like.engine
    assert isinstance(engine, QuadratureEngine)
    x = like.problem.jacobian @ like.psi
    return engine.by_level(x).value, engine.error(x)


@pytest.mark.parametrize(
    ("family", "link"),
    [
        # Special functions in the link and in the density compile for seconds.
        pytest.param(
            family,
            link,
            marks=[pytest.mark.slow]
            if family.startswith("beta") and link != "logit"
            else [],
        )
        for family, link in LINKS
    ],
)
def test_one_effect_in_every_family_and_link(family: str, link: str) -> None:
    like = likelihood(family, link=link)
    found, error = by_level(like)
    expected = [level.loglik for level in brute.single(like)]
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=error)
    assert error < (1e-5 if family == LONG_TAIL else 1e-9)


def test_brute_force_against_adaptive_integration() -> None:
    like = likelihood("poisson")
    sd, base = like.psi[2], like.fixed_part()
    y, w = like.data["y"].to_numpy(), like.data["w"].to_numpy()
    for level, found in enumerate(brute.single(like)):
        rows = np.flatnonzero(like.data["g"] == level)

        def joint(u: float, rows: Any = rows) -> float:
            mu = MEANS["log"](base[rows] + sd * u)
            log_p = w[rows] * stats.poisson.logpmf(y[rows], mu)
            return float(np.exp(log_p.sum()) * stats.norm.pdf(u))

        # The peak is narrow: without its place quad can miss it.
        peak = float(found.nodes[found.weight.argmax(), 0])
        value, _ = integrate.quad(joint, -9, 9, points=[peak], epsabs=0, epsrel=1e-12)
        # quad's tolerance.
        assert found.loglik == pytest.approx(np.log(value), rel=1e-11)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_two_correlated_effects(family: str) -> None:
    like = likelihood(family, "double")
    found, error = by_level(like)
    expected = [level.loglik for level in brute.single(like)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=error + 1e-12)
    assert error < 1e-8


@pytest.mark.slow
def test_slopes_of_the_inner_factor() -> None:
    like = likelihood("poisson", "nested slopes")
    expected = brute.nested(like, reach=7.0, spacing=0.25)
    # 11 nodes in each of three dimensions, twice.
    assert like.derivatives().value == pytest.approx(sum(expected), rel=0, abs=1e-5)


def test_nested_factors_are_recognised_whichever_has_more_effects() -> None:
    like = likelihood("poisson", "nested, wide outside")
    assert structure_of(like.problem) == "nested"


@pytest.mark.parametrize("structure", ["single", "nested"])
def test_truncated_rule_by_its_definition(structure: str) -> None:
    rule = ngmm.TruncatedQuadrature(radius=2.5, n_nodes=11)
    like = likelihood("bernoulli", structure, rule)
    if structure == "single":
        found = [p.loglik for p in brute.single(like, reach=2.5, spacing=0.5)]
    else:
        found = brute.nested(like, reach=2.5, spacing=0.5)
    # The same sum: rounding only. It is not the integral.
    assert like.derivatives().value == pytest.approx(sum(found), rel=1e-13)
    exact = likelihood("bernoulli", structure).derivatives().value
    assert abs(sum(found) - exact) > 1e-3


def test_error_of_the_truncated_rule_falls_like_a_gaussian_tail() -> None:
    exact = sum(p.loglik for p in brute.single(likelihood("bernoulli")))
    radii, logs = np.array([3.0, 4.0, 5.0, 6.0]), []
    for radius in radii:
        rule = ngmm.TruncatedQuadrature(radius=radius, n_nodes=int(8 * radius) + 1)
        like = likelihood("bernoulli", "single", rule)
        found = [p.loglik for p in brute.single(like, reach=radius, spacing=0.25)]
        value = like.derivatives().value
        assert value == pytest.approx(sum(found), rel=1e-13)
        logs.append(np.log(abs(value - exact)))
    slopes = np.diff(logs) / np.diff(radii**2)
    # The tail of a standard normal falls by exp(-radius^2 / 2); the response moves it
    # by less than one standard deviation.
    assert np.all((slopes < -0.35) & (slopes > -0.75))


@pytest.mark.parametrize(
    ("structure", "quad"),
    [
        ("single", 1),
        ("single", 5),
        ("double", "auto"),
        ("nested", "auto"),
        ("crossed", "laplace"),
    ],
)
def test_the_value_alone_is_that_with_derivatives(structure: str, quad: Any) -> None:
    like = likelihood("poisson", structure, quad)
    x = like.problem.jacobian @ like.psi
    # Two programs for one sum.
    expected = like.engine.derivatives(x).value
    assert like.engine.value(x) == pytest.approx(expected, rel=1e-13)
    log_lik = like.model.loglik(like.psi[2:], beta=like.psi[:2])
    assert log_lik == pytest.approx(expected, rel=1e-13)


def test_one_adaptive_node_is_laplace() -> None:
    like = likelihood("bernoulli", "single", 1)
    x = like.problem.jacobian @ like.psi
    one = fixed_engine(like.problem, ngmm.AdaptiveQuadrature(1)).derivatives(x)
    other = fixed_engine(like.problem, as_rule("laplace")).derivatives(x)
    np.testing.assert_array_equal(one.gradient, other.gradient)
    assert one.value == other.value
    assert like.engine.integral(None).rule == "laplace"


def test_joint_laplace_of_a_factor_without_variance_is_that_of_the_other() -> None:
    both, one = (
        likelihood("poisson", "crossed", "laplace"),
        likelihood("poisson", quad=1),
    )
    psi = both.psi.copy()
    psi[3] = 0.0
    found = both.derivatives(psi)
    expected = one.derivatives(psi[:3])
    # Two programs for one function.
    assert found.value == pytest.approx(expected.value, rel=1e-13)
    keep = [0, 1, 2]
    assert relative_error(found.gradient[keep], expected.gradient) < 1e-11
    assert relative_error(found.hessian[np.ix_(keep, keep)], expected.hessian) < 1e-11


@pytest.mark.parametrize("quad", [1, 5, "auto"])
def test_error_of_adaptive_rules_falls_with_the_counts(quad: Any) -> None:
    # With counts of size c the posterior is normal up to terms of 1 / sqrt(c), whose
    # squares Laplace's approximation misses; five nodes integrate more of them.
    errors = []
    for c in (1e2, 1e4):
        like = counts(c, quad)
        expected = sum(p.loglik for p in brute.single(like, spacing=0.5 / np.sqrt(c)))
        errors.append(abs(like.derivatives().value - expected))
    if quad == "auto":
        # Rounding of logarithms of factorials of ten thousand.
        assert max(errors) < 1e-8
    elif quad == 1:
        assert errors[0] / errors[1] == pytest.approx(100.0, rel=0.05)
    else:
        assert errors[0] < 1e-5
        assert errors[1] < 1e-8


def counts(size: float, quad: Any) -> Likelihood:
    """Poisson counts of about this size."""
    like = likelihood("poisson", quad=quad)
    data = like.data
    y = np.round(size * (0.5 + data["x"].abs()))
    shift = np.log(size) - 0.7
    data = data.assign(y=y, o=data["o"] + shift)
    return Likelihood("poisson", "log", "single", quad, data, like.formula)


@pytest.mark.parametrize(
    ("structure", "quad"),
    [
        ("single", 1),
        ("single", 5),
        ("single", "auto"),
        ("double", "auto"),
        ("nested", "auto"),
        ("crossed", "laplace"),
    ],
)
def test_without_variance_every_rule_is_a_generalized_linear_model(
    structure: str, quad: Any
) -> None:
    like = likelihood("poisson", structure, quad)
    psi = np.append(like.psi[:2], np.zeros(len(like.psi) - 2))
    expected = like.log_prob(like.fixed_part(), np.arange(24), 0.0).sum()
    # What the rule leaves of the integral of a normal density.
    assert like.derivatives(psi).value == pytest.approx(expected, rel=1e-9)
