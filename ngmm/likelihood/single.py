"""The likelihood of one grouping factor over all chunks: compiled functions."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.adaptive import chunk_exact
from ngmm.likelihood.nodes import Grid, checks
from ngmm.likelihood.observations import Rows
from ngmm.likelihood.quadrature import (
    SingleLayout,
    Sums,
    chunk_sums,
    joint_log_density,
    place_nodes,
    posterior_weights,
    predictor,
    table,
)
from ngmm.likelihood.retraction import retract, vanish
from ngmm.linalg import Values


class Kept(NamedTuple):
    """What an evaluation leaves for the next one.

    Attributes
    ----------
    u
        (chunks, levels, q) conditional modes.
    unsettled
        Number of levels whose mode search did not settle.
    """

    u: Values
    unsettled: Values


def total(x: Array, rows: Rows, u: Array, layout: SingleLayout) -> Sums:
    """Sum over chunks, one at a time."""
    sums = chunk_exact if layout.placing.exact else chunk_sums
    if u.shape[0] == 1:
        one = sums(x, jax.tree.map(lambda a: a[0], rows), u[0], layout)
        return one._replace(u=one.u[None])
    parts = lax.map(lambda c: sums(x, c[0], c[1], layout), (rows, u))
    return Sums(
        parts.value.sum(),
        parts.gradient.sum(0),
        parts.hessian.sum(0),
        parts.u,
        parts.unsettled.sum(),
    )


def _evaluate(x: Array, rows: Rows, u: Array, *, layout: SingleLayout) -> Sums:
    return total(x, rows, u, layout)


def _maximise(
    x: Array, rows: Rows, u: Array, max_steps: Array, *, layout: SingleLayout
) -> NewtonResult:
    def evaluate(at: Array, kept: Kept) -> tuple[Evaluation, Kept]:
        s = total(at, rows, kept.u, layout)
        return (
            Evaluation(-2.0 * s.value, -2.0 * s.gradient, -2.0 * s.hessian),
            Kept(s.u, s.unsettled),
        )

    p = layout.n_beta
    patterns = (layout.pattern,)
    return minimise(
        evaluate,
        x,
        carry=Kept(u, jnp.zeros((), jnp.int64)),
        retract=lambda at, step: retract(at, step, p, patterns),
        polish=lambda at: vanish(at, p, patterns),
        max_steps=max_steps,
    )


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _negative(x: Array, rows: Rows, u: Array, layout: SingleLayout) -> Array:
    return -total(x, rows, u, layout).value


def _negative_forward(
    x: Array, rows: Rows, u: Array, layout: SingleLayout
) -> tuple[Array, tuple[Array, Rows, Array]]:
    sums = total(x, rows, u, layout)
    return -sums.value, (-sums.gradient, rows, u)


def _negative_backward(
    layout: SingleLayout, kept: tuple[Array, Rows, Array], cotangent: Array
) -> tuple[Array, None, None]:
    del layout
    return cotangent * kept[0], None, None


_negative.defvjp(_negative_forward, _negative_backward)


def negative(x: Array, rows: Rows, u: Array, *, layout: SingleLayout) -> Array:
    """Minus the log-likelihood, for first-order methods."""
    return _negative(x, rows, u, layout)


class Assessment(NamedTuple):
    """How well a rule does at one psi, level by level.

    Attributes
    ----------
    value
        (chunks, levels) log-likelihood by the rule.
    difference
        (chunks, levels) sum of the absolute differences from the rule's checks.
    beyond
        (chunks, levels) share of the integral estimated to lie beyond the nodes.
    """

    value: Values
    difference: Values
    beyond: Values


def _assess(x: Array, rows: Rows, u: Array, *, layout: SingleLayout) -> Assessment:
    return lax.map(lambda c: _assess_chunk(x, c[0], c[1], layout), (rows, u))


def _assess_chunk(x: Array, rows: Rows, u: Array, layout: SingleLayout) -> Assessment:
    at = predictor(x, rows, layout)
    place, _ = place_nodes(at, rows, u, layout)
    grid, q = layout.placing.grid, layout.pattern.k

    def by(rule: Grid) -> tuple[Array, Array]:
        nodes, log_weights = table(rule, q)
        density = joint_log_density(at, place, nodes, rows, layout)
        return posterior_weights(density, log_weights)

    value, weight = by(grid)
    difference = sum(jnp.abs(value - by(check)[0]) for check in checks(grid, q))
    return Assessment(value, difference, _beyond(weight, grid, q))


def _beyond(weight: Array, grid: Grid, q: int) -> Array:
    """Tail mass by geometric continuation of the two outermost nodes on each side."""
    out = jnp.zeros(weight.shape[0])
    if grid.name == "hermite":
        return out
    first = weight[:, : grid.n**q].reshape(-1, *[grid.n] * q)
    share = weight.shape[1] / grid.n**q
    for axis in range(1, q + 1):
        others = tuple(a for a in range(1, q + 1) if a != axis)
        marginal = share * first.sum(others)
        for edge, inner in ((0, 1), (-1, -2)):
            last, before = marginal[:, edge], marginal[:, inner]
            ratio = jnp.clip(last / jnp.maximum(before, 1e-300), 0.0, 0.95)
            out = out + last * ratio / (1.0 - ratio)
    # Twice, as the grids between stand half a spacing further in on one side.
    return 2.0 * out


evaluate = Compiled(_evaluate, heavy=True)
"""(x, rows, u, layout=) -> Sums."""

maximise = Compiled(_maximise, heavy=True)
"""(x, rows, u, max_steps, layout=) -> NewtonResult whose aux is a Kept."""

assess = Compiled(_assess, heavy=True)
"""(x, rows, u, layout=) -> Assessment."""
