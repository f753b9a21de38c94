"""Rows of a generalized model as the engine sees them, and their log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.families import Family
from ngmm.linalg import Values


class Rows(NamedTuple):
    """Standardised rows.

    Attributes
    ----------
    y, offset, weights, trials
        (n,) response, known part of the linear predictor, prior weights, trials.
    mask
        (n,) one for a row of the data, zero for padding.
    X
        (n, p) orthogonal fixed-effect columns of unit mean square.
    Z
        For each grouping factor, (n, k) random-effect columns of unit mean square.
    codes
        For each grouping factor, (n,) level of each row.
    """

    y: Values
    offset: Values
    weights: Values
    trials: Values
    mask: Values
    X: Values
    Z: tuple[Values, ...]
    codes: tuple[Values, ...]


class Slopes(NamedTuple):
    """Log-probability of every row at a linear predictor, with derivatives in it."""

    value: Array
    first: Array
    second: Array


class DispersionSlopes(NamedTuple):
    """Derivatives that involve the log-dispersion xi."""

    first: Array
    cross: Array
    second: Array


def log_prob(eta: Array, xi: Array, rows: Rows, family: Family) -> Array:
    """Log-probability of each row (n,) or of rows by nodes (n, K), padding zero."""
    if eta.ndim == 1:
        found = family.log_prob(rows.y, eta, xi, rows.weights, rows.trials)
        return found * rows.mask
    found = family.log_prob(
        rows.y[:, None], eta, xi, rows.weights[:, None], rows.trials[:, None]
    )
    return found * rows.mask[:, None]


def slopes(eta: Array, xi: Array, rows: Rows, family: Family) -> Slopes:
    """Log-probabilities and their first two derivatives in eta, elementwise."""
    one = jnp.ones_like(eta)

    def with_first(e: Array) -> tuple[Array, Array]:
        return jax.jvp(lambda x: log_prob(x, xi, rows, family), (e,), (one,))

    (value, first), (_, second) = jax.jvp(with_first, (eta,), (one,))
    return Slopes(value, first, second)


def dispersion_slopes(
    eta: Array, xi: Array, rows: Rows, family: Family
) -> DispersionSlopes:
    """Derivatives in xi, in xi and eta, and twice in xi, elementwise."""
    one, unit = jnp.ones_like(eta), jnp.ones_like(xi)

    def with_first(e: Array, x: Array) -> Array:
        return jax.jvp(lambda t: log_prob(e, t, rows, family), (x,), (unit,))[1]

    first, cross = jax.jvp(lambda e: with_first(e, xi), (eta,), (one,))
    _, second = jax.jvp(lambda t: with_first(eta, t), (xi,), (unit,))
    return DispersionSlopes(first, cross, second)


class Taylor(NamedTuple):
    """Log-probabilities as polynomials in eta and xi about a point.

    Where only derivatives at one point are wanted, machine differentiation may act on
    these in place of the log-probability, whose own derivatives are then formed once.

    Attributes
    ----------
    eta, xi
        The point.
    terms
        By number of derivatives in xi, those in eta from none on.
    """

    eta: Array
    xi: Array
    terms: tuple[tuple[Array, ...], ...]

    def derivative(self, order: int, eta: Array, xi: Array) -> Array:
        """The `order`-th derivative in eta at another point."""
        d, t = eta - self.eta, xi - self.xi
        out = jnp.zeros_like(eta)
        for power, row in enumerate(self.terms):
            for a, term in enumerate(row[order:]):
                share = 1.0 / (math.factorial(a) * math.factorial(power))
                out = out + share * term * d**a * t**power
        return out


def taylor(eta: Array, xi: Array, rows: Rows, family: Family, degree: int) -> Taylor:
    """Expand to a total degree, at most two in xi; the point is held fixed."""
    eta, xi = lax.stop_gradient((eta, xi))
    powers = 1 if family.dispersion is None else 3
    one, unit = jnp.ones_like(eta), jnp.ones_like(xi)

    def tower(f: Callable[[Array], Array], order: int) -> Callable[[Array], tuple]:
        if order == 0:
            return lambda e: (f(e),)
        lower = tower(f, order - 1)

        def higher(e: Array) -> tuple:
            values, tangents = jax.jvp(lower, (e,), (one,))
            return (*values, tangents[-1])

        return higher

    def in_xi(power: int) -> Callable[[Array], Array]:
        def f(e: Array, x: Array) -> Array:
            return log_prob(e, x, rows, family)

        for _ in range(power):
            f = partial(_derivative_in_xi, f, unit)
        return lambda e: f(e, xi)

    terms = tuple(tower(in_xi(power), degree - power)(eta) for power in range(powers))
    # Without the barrier XLA copies what forms the terms into everything that uses
    # them, and compiles for minutes.
    return Taylor(eta, xi, lax.stop_gradient(lax.optimization_barrier(terms)))


def _derivative_in_xi(
    f: Callable[[Array, Array], Array], unit: Array, e: Array, x: Array
) -> Array:
    return jax.jvp(lambda t: f(e, t), (x,), (unit,))[1]
