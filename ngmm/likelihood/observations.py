"""Rows of a generalized model as the engine sees them, and their log-probabilities."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

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
