"""The likelihood of one or two nested factors over all chunks: compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ngmm.compilation import Compiled
from ngmm.estimation.newton import Evaluation, NewtonResult, minimise
from ngmm.likelihood.adaptive import chunk_exact
from ngmm.likelihood.nested import (
    NestedLayout,
    assess_nested,
    nested_sums,
    nested_values,
)
from ngmm.likelihood.observations import Rows
from ngmm.likelihood.quadrature import (
    Assessment,
    SingleLayout,
    Sums,
    assess_single,
    chunk_sums,
    single_values,
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


AnyLayout = SingleLayout | NestedLayout


def _chunk_function(layout: AnyLayout) -> Callable[..., Sums]:
    if isinstance(layout, NestedLayout):
        return nested_sums
    return chunk_exact if layout.placing.exact else chunk_sums


def total(x: Array, rows: Rows, u: Values, layout: AnyLayout) -> Sums:
    """Sum over chunks, one at a time."""
    sums = _chunk_function(layout)
    if rows.y.shape[0] == 1:
        first = jax.tree.map(lambda a: a[0], (rows, u))
        one = sums(x, *first, layout)
        return one._replace(u=jax.tree.map(lambda a: a[None], one.u))
    parts = lax.map(lambda c: sums(x, c[0], c[1], layout), (rows, u))
    return Sums(
        parts.value.sum(),
        parts.gradient.sum(0),
        parts.hessian.sum(0),
        parts.u,
        parts.unsettled.sum(),
    )


def _evaluate(x: Array, rows: Rows, u: Values, *, layout: AnyLayout) -> Sums:
    return total(x, rows, u, layout)


def _maximise(
    x: Array, rows: Rows, u: Values, max_steps: Array, *, layout: AnyLayout
) -> NewtonResult:
    def evaluate(at: Array, kept: Kept) -> tuple[Evaluation, Kept]:
        s = total(at, rows, kept.u, layout)
        return (
            Evaluation(-2.0 * s.value, -2.0 * s.gradient, -2.0 * s.hessian),
            Kept(s.u, s.unsettled),
        )

    p = layout.n_beta
    patterns = layout.patterns
    return minimise(
        evaluate,
        x,
        carry=Kept(u, jnp.zeros((), jnp.int64)),
        retract=lambda at, step: retract(at, step, p, patterns),
        polish=lambda at: vanish(at, p, patterns),
        max_steps=max_steps,
    )


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _negative(x: Array, rows: Rows, u: Values, layout: AnyLayout) -> Array:
    return -total(x, rows, u, layout).value


def _negative_forward(
    x: Array, rows: Rows, u: Values, layout: AnyLayout
) -> tuple[Array, tuple[Array, Rows, Values]]:
    sums = total(x, rows, u, layout)
    return -sums.value, (-sums.gradient, rows, u)


def _negative_backward(
    layout: AnyLayout, kept: tuple[Array, Rows, Values], cotangent: Array
) -> tuple[Array, None, None]:
    del layout
    return cotangent * kept[0], None, None


_negative.defvjp(_negative_forward, _negative_backward)


def negative(x: Array, rows: Rows, u: Values, *, layout: AnyLayout) -> Array:
    """Minus the log-likelihood, for first-order methods."""
    return _negative(x, rows, u, layout)


def loglik(x: Array, rows: Rows, u: Values, layout: AnyLayout) -> Array:
    """Log-likelihood alone, summed over chunks."""

    def one(chunk: tuple[Rows, Values]) -> Array:
        if isinstance(layout, NestedLayout):
            return nested_values(x, *chunk, layout).sum()
        return single_values(x, *chunk, layout).sum()

    return lax.map(one, (rows, u)).sum()


def _value(x: Array, rows: Rows, u: Values, *, layout: AnyLayout) -> Array:
    return loglik(x, rows, u, layout)


def _assess(x: Array, rows: Rows, u: Values, *, layout: AnyLayout) -> Assessment:
    def one(chunk: tuple[Rows, Values]) -> Assessment:
        if isinstance(layout, NestedLayout):
            return assess_nested(x, *chunk, layout)
        return assess_single(x, *chunk, layout)

    return lax.map(one, (rows, u))


def _meets_nodes(layout: AnyLayout) -> bool:
    return not (layout.placing.exact and layout.placing.grid.n == 1)


value: Compiled = Compiled(_value, heavy=_meets_nodes)
"""(x, rows, u, layout=) -> log-likelihood."""

evaluate: Compiled = Compiled(_evaluate, heavy=_meets_nodes)
"""(x, rows, u, layout=) -> Sums."""

maximise: Compiled = Compiled(_maximise, heavy=_meets_nodes)
"""(x, rows, u, max_steps, layout=) -> NewtonResult whose aux is a Kept."""

assess: Compiled = Compiled(_assess, heavy=_meets_nodes)
"""(x, rows, u, layout=) -> Assessment."""
