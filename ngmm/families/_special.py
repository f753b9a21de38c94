"""Special functions whose derivatives stay exact where autodiff would cancel.

The likelihood is differentiated up to four times in the linear predictor, far out in
both tails. There a textbook derivative such as m' = -m (x + m), for the hazard m of the
normal distribution, is the difference of two nearly equal numbers. Each function here
therefore brings its own rule: a series, or a product of positive terms.

All functions are elementwise and expect float64 (`ngmm.linalg.float64`).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.polynomial import chebyshev

from ngmm.families import _tables

__all__ = [
    "entropy_gap",
    "log1p_ratio",
    "log_binomial",
    "log_gamma1p",
    "log_normal_tails",
    "log_one_minus_exp_minus_exp",
    "log_rising",
    "sigmoid",
    "softplus",
    "stirling_rest",
]

# Where exp underflows. A logarithm far below (-exp(700) for cloglog) has derivatives
# whose products overflow and meet the zero as NaN, so it is kept out of exp.
UNDERFLOW = -740.0

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def horner(coefficients: tuple[float, ...], x: Any) -> Any:
    """The polynomial with these coefficients, lowest power first."""
    total: Any = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


# Logistic ---------------------------------------------------------------------------


@jax.custom_jvp
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), exact in both tails, derivatives included."""
    small = jnp.exp(-jnp.abs(x))
    return jnp.where(x < 0, small, 1.0) / (1.0 + small)


@sigmoid.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    value = sigmoid(x)
    return value, value * sigmoid(-x) * dx


@jax.custom_jvp
def softplus(x: Array) -> Array:
    """log(1 + exp(x)); its derivative is the sigmoid."""
    return jnp.where(x < 0, 0.0, x) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return softplus(x), sigmoid(x) * dx


# Functions of t >= 0 that fall like a power of t, by Chebyshev tables -----------------


@cache
def _table(name: str, order: int) -> tuple[float, ...]:
    """Coefficients in powers of u of the derivative of this order.

    With w = 1 / (t + k) and u = 1 - 2 k w, the derivative of w^j G(u) in t is
    w^(j+1) times -j G + (1 - u) G'(u): the decay in t stays an exact factor.
    """
    series = _series(name, order)
    # What is below the rounding of the largest term only costs time.
    return tuple(
        chebyshev.cheb2poly(chebyshev.chebtrim(series, 1e-18 * max(abs(series))))
    )


@cache
def _series(name: str, order: int) -> Any:
    if order == 0:
        return np.asarray(_tables.BINET if name == "binet" else _tables.NORMAL_TAIL)
    before = _series(name, order - 1)
    steep = chebyshev.chebmul([1.0, -1.0], chebyshev.chebder(before))
    if name == "binet":
        return chebyshev.chebadd(-order * before, steep)
    # The normal tail carries -log(t + k), whose derivative is -w.
    level = [-1.0] if order == 1 else -(order - 1) * before
    return chebyshev.chebadd(level, steep)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def stirling_rest(order: int, t: Array) -> Array:
    r"""What Stirling's formula for log Gamma(1 + t) leaves over, or a derivative of it.

    .. math:: \log\Gamma(1 + t) = (t + 1/2)\log(1 + t) - (1 + t) + \log\sqrt{2\pi}
              + \mathrm{rest}(t)

    Parameters
    ----------
    order
        Order of the derivative in t.
    t
        Zero or positive.
    """
    w = 1.0 / (t + _tables.BINET_SHIFT)
    u = 1.0 - 2.0 * _tables.BINET_SHIFT * w
    return w ** (order + 1) * horner(_table("binet", order), u)


@stirling_rest.defjvp
def _(order: int, primals: Any, tangents: Any) -> Any:
    (t,), (dt,) = primals, tangents
    return stirling_rest(order, t), stirling_rest(order + 1, t) * dt


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _normal_tail(order: int, t: Array) -> Array:
    """Value of log Phi(-t) + t^2/2 for t >= 0, or a derivative of it."""
    w = 1.0 / (t + _tables.NORMAL_TAIL_SHIFT)
    u = 1.0 - 2.0 * _tables.NORMAL_TAIL_SHIFT * w
    value = horner(_table("normal tail", order), u)
    return value + jnp.log(w) if order == 0 else w**order * value


@_normal_tail.defjvp
def _(order: int, primals: Any, tangents: Any) -> Any:
    (t,), (dt,) = primals, tangents
    return _normal_tail(order, t), _normal_tail(order + 1, t) * dt


# Normal -----------------------------------------------------------------------------


@jax.custom_jvp
def log_normal_tails(x: Array) -> tuple[Array, Array]:
    """Both log Phi(x) and log Phi(-x), for the price of one."""
    t = jnp.abs(x)
    thin = _normal_tail(0, t) - 0.5 * t * t
    fat = jnp.log1p(-jnp.exp(thin))
    return jnp.where(x < 0, thin, fat), jnp.where(x < 0, fat, thin)


@log_normal_tails.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return log_normal_tails(x), (_hazard(x) * dx, -_hazard(-x) * dx)


@jax.custom_jvp
def _hazard(x: Array) -> Array:
    """The derivative of log Phi(x), which is phi(x) / Phi(x)."""
    t = jnp.abs(x)
    square = 0.5 * t * t
    density = jnp.exp(-square - HALF_LOG_2PI)
    bulk = density / (1.0 - jnp.exp(_normal_tail(0, t) - square))
    return jnp.where(x < 0, t - _normal_tail(1, t), bulk)


@_hazard.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    value = _hazard(x)
    slope = jnp.where(x < 0, _normal_tail(2, jnp.abs(x)) - 1.0, -value * (x + value))
    return value, slope * dx


# Complementary log-log --------------------------------------------------------------


def _bernoulli_numbers(count: int) -> list[Fraction]:
    numbers = [Fraction(1)]
    for m in range(1, count):
        total = sum((math.comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0))
        numbers.append(-total / (m + 1))
    return numbers


@cache
def _log_sinhc(order: int) -> tuple[float, ...]:
    """Coefficients in x^2 of log(sinh(x/2) / (x/2)) / x^2 under (x d/dx)^order.

    Sixteen terms: at x = 1 each is a 39th of the one before.
    """
    numbers = _bernoulli_numbers(34)
    return tuple(
        float(numbers[j] / (j * math.factorial(j)) * j**order) for j in range(2, 34, 2)
    )


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _low_cloglog(order: int, eta: Array) -> Array:
    """log(1 - exp(-x)) = eta - x/2 + log(sinh(x/2) / (x/2)) at x = exp(eta) < 1."""
    x = jnp.exp(jnp.where(eta < 0, eta, 0.0))
    square = x * x
    leading = eta if order == 0 else 1.0 if order == 1 else 0.0
    return leading - (0.5 * x - square * horner(_log_sinhc(order), square))


@_low_cloglog.defjvp
def _(order: int, primals: Any, tangents: Any) -> Any:
    (eta,), (d_eta,) = primals, tangents
    return _low_cloglog(order, eta), _low_cloglog(order + 1, eta) * d_eta


@jax.custom_jvp
def log_one_minus_exp_minus_exp(eta: Array) -> Array:
    """log(1 - exp(-exp(eta)))."""
    x = jnp.exp(jnp.where(eta < 0, 0.0, eta))
    return jnp.where(eta < 0, _low_cloglog(0, eta), jnp.log1p(-jnp.exp(-x)))


@log_one_minus_exp_minus_exp.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (eta,), (d_eta,) = primals, tangents
    return log_one_minus_exp_minus_exp(eta), _cloglog_slope(eta) * d_eta


@jax.custom_jvp
def _cloglog_slope(eta: Array) -> Array:
    """The derivative of the above, x / (exp(x) - 1) at x = exp(eta)."""
    x = jnp.exp(jnp.where(eta < 0, 0.0, eta))
    high = x * jnp.exp(-x) / -jnp.expm1(-x)
    return jnp.where(eta < 0, _low_cloglog(1, eta), high)


@_cloglog_slope.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (eta,), (d_eta,) = primals, tangents
    value = _cloglog_slope(eta)
    x = jnp.exp(jnp.where(eta < 0, 0.0, eta))
    slope = jnp.where(eta < 0, _low_cloglog(2, eta), value * (1.0 - x - value))
    return value, slope * d_eta


# Differences of log-gamma functions --------------------------------------------------

_RATIO_TERMS = 18  # at x < 1/16 the last is below 1e-20, under (x d/dx)^4 too


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def log1p_ratio(order: int, log_x: Array) -> Array:
    """log(1 + x) / x for x <= 1/16, or a derivative of it in log x."""
    coefficients = tuple(
        float((-1) ** k * k**order) / (k + 1) for k in range(_RATIO_TERMS)
    )
    return horner(coefficients, jnp.exp(log_x))


@log1p_ratio.defjvp
def _(order: int, primals: Any, tangents: Any) -> Any:
    (log_x,), (d_log_x,) = primals, tangents
    return log1p_ratio(order, log_x), log1p_ratio(order + 1, log_x) * d_log_x


@jax.custom_jvp
def entropy_gap(x: Array) -> Array:
    """(1 + x) log(1 + x) - x for x >= 0, without cancellation at small x."""
    # x^2/2 - x^3/6 + x^4/12 - ...: below 1/16 fourteen terms reach rounding.
    coefficients = tuple((-1.0) ** k / (k * (k - 1)) for k in range(2, 16))
    near = jnp.where(x < 0.0625, x, 0.0)
    series = near * near * horner(coefficients, near)
    return jnp.where(x < 0.0625, series, (1.0 + x) * jnp.log1p(x) - x)


@entropy_gap.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return entropy_gap(x), jnp.log1p(x) * dx


def log_gamma1p(t: Any) -> Any:
    """Logarithm of Gamma(1 + t) for t >= 0: of t! for counts."""
    rest = stirling_rest(0, t) + (HALF_LOG_2PI - 1.0)
    return (t + 0.5) * jnp.log1p(t) - t + rest


def log_binomial(n: Any, k: Any) -> Any:
    """Logarithm of the binomial coefficient n over k."""
    return log_gamma1p(n) - log_gamma1p(k) - log_gamma1p(n - k)


def log_rising(count: Any, log_a: Any) -> Any:
    r"""How far a rising factorial is above the power.

    .. math:: \log\Gamma(a + m) - \log\Gamma(a) - m \log a
              = \sum_{i=0}^{m-1} \log(1 + i/a)

    Parameters
    ----------
    count
        The number m of factors, 0, 1, 2, ...
    log_a
        log a. The value falls to m (m - 1) / (2 a) without cancellation as a grows,
        and is as exact for a near zero.

    Notes
    -----
    The first factor is 1. The others are Gamma(c + k) / (Gamma(c) a^k) with c = 1 + a
    and k = m - 1, by Stirling's formula for both, term by term.
    """
    k = jnp.where(count > 0, count - 1.0, 0.0)
    near = jnp.where(log_a < UNDERFLOW, UNDERFLOW, log_a)
    a = jnp.exp(near)
    c = 1.0 + a
    power = c * entropy_gap(k / c) - 0.5 * jnp.log1p(k / c)
    rest = stirling_rest(0, a + k) - stirling_rest(0, a)
    return k * (softplus(-near) + (near - log_a)) + power + rest
