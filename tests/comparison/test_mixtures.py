"""Tail probabilities of weighted sums of chi-squares against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from ngmm.errors import OptionError
from ngmm.inference.mixtures import chibar_survival, survival

# Quadrature to rounding: the logarithm of the tail is a sum of numbers of its size.
DIGITS = 1e-11


@pytest.mark.parametrize("df", [1, 2, 3, 10, 100, 1000])
@pytest.mark.parametrize("p", [0.999, 0.5, 0.05, 1e-8, 1e-60])
def test_equal_weights_are_a_chi_square(df: int, p: float) -> None:
    q = float(stats.chi2.isf(p, df))
    # isf itself is good to about ten digits in the far tail.
    expected = stats.chi2.sf(q, df)
    assert survival(q, np.ones(df)) == pytest.approx(expected, rel=1e-10)
    assert survival(3.0 * q, [3.0], [df]) == pytest.approx(expected, rel=1e-10)


def exponentials(q: float, w: list[float]) -> float:
    """P(sum w_j chi2_2 > q), q >= 0, distinct weights: partial fractions."""
    return sum(
        np.exp(-q / (2 * a)) * np.prod([a / (a - b) for b in w if b != a])
        for a in w
        if a > 0
    )


@pytest.mark.parametrize(
    "w",
    [[1, 0.5, 0.25], [3, -1, 0.2], [1, -5, -0.3], [1e-3, 1, -1e-3], [1.0, -1e3]],
    ids=str,
)
@pytest.mark.parametrize("q", [0.0, 1e-8, 1.0, 10.0, 100.0, -1.0, -50.0])
def test_pairs_of_any_sign_are_exponentials(w: list[float], q: float) -> None:
    found = survival(q, w, np.full(len(w), 2))
    if q < 0:
        expected = 1.0 - exponentials(-q, [-a for a in w]) if min(w) < 0 else 1.0
    else:
        expected = exponentials(q, w)
    # The partial fractions cancel by a factor of up to a hundred.
    assert found == pytest.approx(expected, rel=DIGITS, abs=1e-13 * (q <= 0))


def test_against_imhofs_integral() -> None:
    # Imhof (1961), eq. 3.2: along the imaginary axis, another path to the same number.
    rng = np.random.default_rng(1)
    for _ in range(10):
        m = rng.integers(2, 8)
        w = rng.normal(size=m) * 10 ** rng.uniform(-2, 1, m)
        d = rng.integers(1, 4, m) + 2.0
        q = float(w @ d) + rng.normal() * float(np.sqrt(2 * d @ w**2))

        def integrand(u: float, w=w, d=d, q=q) -> float:
            phase = 0.5 * (d @ np.arctan(w * u)) - 0.5 * q * u
            size = u * np.prod((1 + (w * u) ** 2) ** (0.25 * d))
            return float(np.sin(phase) / size)

        imhof = 0.5 + integrate.quad(integrand, 0, np.inf, limit=2000)[0] / np.pi
        # What quad reaches where the integrand oscillates.
        assert survival(q, w, d) == pytest.approx(imhof, abs=2e-9)


def test_against_simulation() -> None:
    w = np.array([2.0, 1.0, 0.3, -0.7, -1.5])
    draws = np.random.default_rng(3).chisquare(1.0, (400_000, 5)) @ w
    for q in (-4.0, 0.0, 2.0, 8.0):
        p = survival(q, w)
        error = np.sqrt(p * (1 - p) / len(draws))
        assert abs((draws > q).mean() - p) < 4 * error


def test_a_ratio_of_quadratic_forms_is_an_f() -> None:
    # P(F > f) = P(chi2_a - (a f / b) chi2_b > 0).
    for f, a, b in ((2.5, 3, 12), (40.0, 2, 8), (0.1, 7, 4)):
        p = survival(0.0, [1.0, -a * f / b], [a, b])
        assert p == pytest.approx(stats.f.sf(f, a, b), rel=1e-11)


def test_reflection_scale_and_order_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        m = rng.integers(2, 12)
        w = rng.normal(size=m) * 10 ** rng.uniform(-4, 0, m)
        d = rng.choice([0.5, 1, 2, 30, 500], m)
        q = float(w @ d) + rng.normal() * float(np.sqrt(2 * d @ w**2))
        p = survival(q, w, d)
        # Rounding of sums with up to some thousand degrees of freedom.
        assert survival(-q, -w, d) == pytest.approx(1 - p, abs=1e-11)
        assert survival(1e5 * q, 1e5 * w, d) == pytest.approx(p, rel=1e-10)
        assert survival(q, w[::-1], d[::-1]) == pytest.approx(p, rel=1e-12)


def test_eigenvalues_that_fall_over_many_decades() -> None:
    # The mean of P(chi2_1 > q - rest) over simulated rests.
    w = 2.0 ** -np.arange(60.0)
    rest = np.random.default_rng(2).chisquare(1.0, (100_000, 59)) @ w[1:]
    for q in (5.0, 30.0):
        chance = stats.chi2.sf(np.maximum(q - rest, 0.0), 1)
        error = chance.std() / np.sqrt(len(chance))
        assert abs(survival(q, w) - chance.mean()) < 4 * error


@pytest.mark.parametrize(
    ("q", "w", "expected"),
    [
        (-1.0, [1.0], 1.0),
        (0.0, [1.0, 2.0], 1.0),
        (0.0, [-1.0, -2.0], 0.0),
        (1.0, [-1.0], 0.0),
        (-1.0, [0.0], 1.0),
        (0.0, [0.0], 0.0),
        (1e9, [1.0, -1.0], 0.0),
        (0.0, [1.0, -1.0], 0.5),
    ],
)
def test_ends_of_the_range(q: float, w: list[float], expected: float) -> None:
    assert survival(q, w) == expected


def test_what_is_no_mixture_is_refused() -> None:
    with pytest.raises(OptionError, match="weights must be finite"):
        survival(1.0, [1.0, np.nan])
    with pytest.raises(OptionError, match="2 weights for 3 degrees"):
        survival(1.0, [1.0, 2.0], [1, 1, 1])
    with pytest.raises(OptionError, match="must be positive"):
        survival(1.0, [1.0], [0.0])
    with pytest.raises(OptionError, match="q must be a finite"):
        survival(np.inf, [1.0])
    with pytest.raises(OptionError, match="must be probabilities"):
        chibar_survival(1.0, [0.5, 0.6], [0, 1])
    with pytest.raises(OptionError, match="must not be negative"):
        chibar_survival(1.0, [0.5, 0.5], [-1, 1])
    with pytest.raises(OptionError, match="2 weights for 1"):
        chibar_survival(1.0, [0.5, 0.5], [1])


def test_mixtures_of_chi_squares() -> None:
    for q in (0.5, 3.0, 60.0):
        halves = chibar_survival(q, [0.5, 0.5], [0, 1])
        # The same function of scipy on both sides.
        assert halves == pytest.approx(0.5 * stats.chi2.sf(q, 1), rel=1e-13)
        mixed = chibar_survival(q, [0.2, 0.5, 0.3], [0, 1, 2])
        expected = 0.5 * stats.chi2.sf(q, 1) + 0.3 * stats.chi2.sf(q, 2)
        assert mixed == pytest.approx(expected, rel=1e-13)
    assert chibar_survival(-1.0, [1.0], [0]) == 1.0
    assert chibar_survival(0.0, [1.0], [0]) == 0.0
