r"""Network terms over the rows: their outputs, and the Jacobians in their weights.

A term's raw output g is made orthogonal to the fixed-effect columns it shares,

.. math:: f = g - Q Q' g,

so that the intercept, and linear terms beside a network of the same inputs, keep the
meaning and the standard error of a regression coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from ngmm.likelihood.joint import JointLayout
from ngmm.likelihood.single import AnyLayout
from ngmm.linalg import Values
from ngmm.networks import Inputs, Network, units_of

GeneralizedLayout: TypeAlias = AnyLayout | JointLayout


class Term(NamedTuple):
    """One network term over the rows.

    Attributes
    ----------
    inputs
        What the network reads.
    basis
        (n, r) orthonormal basis of the fixed-effect columns the term shares; zero where
        a row is padding.
    """

    inputs: Inputs
    basis: Values


@dataclass(frozen=True)
class Stack:
    """The networks of a model, and where their weights stand in one vector.

    Parameters
    ----------
    networks
        In the order of the formula.
    sizes
        Number of weights of each.
    """

    networks: tuple[Network, ...]
    sizes: tuple[int, ...]

    @property
    def n_weights(self) -> int:
        """Number of weights of all networks."""
        return sum(self.sizes)

    def parts(self, w: Array) -> list[Array]:
        """The weights of each network."""
        return list(jnp.split(w, np.cumsum(self.sizes)[:-1])) if self.sizes else []


@dataclass(frozen=True)
class GeneralizedStack:
    """Static shape of a likelihood that is not Gaussian, and its networks.

    Parameters
    ----------
    random
        That of the model without networks.
    stack
        The networks.
    """

    random: GeneralizedLayout
    stack: Stack

    @property
    def n_beta(self) -> int:
        """Number of fixed-effect columns."""
        return self.random.n_beta

    @property
    def n_tau(self) -> int:
        """Number of variance parameters: theta and log phi."""
        n_theta = sum(p.n_theta for p in self.random.patterns)
        return n_theta + (self.random.family.dispersion is not None)


def outputs(w: Array, terms: tuple[Term, ...], stack: Stack) -> Array:
    """Output of every term, orthogonal to what it shares: (n, terms)."""
    columns = []
    for part, term, network in zip(stack.parts(w), terms, stack.networks, strict=True):
        g = network.apply(unravel(part, network, term.inputs), term.inputs)
        columns.append(g - term.basis @ (term.basis.T @ g))
    return jnp.stack(columns, 1)


def last_units(w: Array, terms: tuple[Term, ...], stack: Stack) -> Array:
    """What random slopes on the units of the networks multiply, (n, units)."""
    columns = []
    for part, term, network in zip(stack.parts(w), terms, stack.networks, strict=True):
        weights = unravel(part, network, term.inputs)
        columns.append(units_of(network, weights, term.inputs))
    return jnp.concatenate(columns, 1)


def jacobian(w: Array, terms: tuple[Term, ...], stack: Stack) -> Array:
    """Derivative of the sum of the outputs in all weights, (n, n_weights)."""
    columns = []
    for part, term, network in zip(stack.parts(w), terms, stack.networks, strict=True):
        g = _row_gradients(part, term.inputs, network)
        columns.append(g - term.basis @ (term.basis.T @ g))
    return jnp.concatenate(columns, 1)


def _row_gradients(part: Array, inputs: Inputs, network: Network) -> Array:
    def of_row(row: Inputs) -> Array:
        one = jax.tree.map(lambda a: a[None], row)
        return jax.grad(
            lambda v: network.apply(unravel(v, network, one), one)[0].astype(v.dtype)
        )(part)

    return jax.vmap(of_row)(inputs)


def unravel(part: Array, network: Network, inputs: Inputs) -> Values:
    """The pytree of weights of a network from their vector."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)
    blank = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return ravel_pytree(blank)[1](part)
