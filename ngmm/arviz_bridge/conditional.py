r"""Random effects given the data and each parameter draw, and what they imply.

For a Gaussian model the density of the random effects at a draw is normal about its
peak. For others with one factor that density proposes, and importance decides (Rubin
1988); with several factors it is taken as it is. The likelihood of a level is the
integral over its effects,

.. math:: \log \int \prod_i p(y_i \mid u)\, \phi(u)\, du ,

by the adaptive Gauss-Hermite rule about the same peak, exact with one node for a
Gaussian response. With further factors it is given the draws of their effects.

References
----------
Rubin (1988), Bayesian Statistics 3, 395-402, for sampling by importance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.kernel import Kernel
from ngmm.arviz_bridge.systems import Blocks, OneFactor, Precision, System
from ngmm.likelihood.nodes import hermite
from ngmm.likelihood.nodes import nodes as node_table

Array = NDArray[np.float64]

# What a further step would add to the log-density of a unit at which it has arrived.
TOLERANCE = 1e-10
MOST_STEPS = 100
MOST_HALVINGS = 30
# Nodes per dimension by the number of effects of a level; one, Laplace, beyond.
NODES = {1: 15, 2: 9, 3: 5}
# Effects proposed for each that is drawn, and how much wider than at the peak.
PROPOSALS = 16
LEAST_HEIGHT = -1e300
WIDER = 1.3


class Peak(NamedTuple):
    """Where the density of the random effects is largest.

    Attributes
    ----------
    u
        (draws, units, k).
    height
        (draws, units) log of p(y | u) exp(-|u|^2 / 2).
    precision
        Minus the second derivative there.
    n_unsettled
        Units of draws whose peak was not found.
    """

    u: Array
    height: Array
    precision: Precision
    n_unsettled: int


def peak(system: System, kernel: Kernel, eta: Array, phi: Array) -> Peak:
    """Newton's method with halved steps, for all draws and units at once.

    Parameters
    ----------
    system
        The random effects.
    kernel
        The rows.
    eta
        (draws, n) linear predictor without these effects.
    phi
        (draws,) dispersion.
    """
    u = system.zero
    for _ in range(MOST_STEPS):
        here = _look(system, kernel, eta, phi, u)
        if not here.moving.any():
            break
        u = _uphill(system, kernel, eta, phi, u, here)
    else:
        here = _look(system, kernel, eta, phi, u)
    precision = _curvature(system, here.weight, here.precision)
    return Peak(u, here.height, precision, int(here.moving.sum()))


class _Look(NamedTuple):
    """The density at u, and where Newton's method goes from there."""

    height: Array
    step: Array
    moving: NDArray[np.bool_]
    weight: Array
    precision: Precision


def _look(system: System, kernel: Kernel, eta: Array, phi: Array, u: Array) -> _Look:
    found = kernel.slopes(eta + system.effect(u), phi)
    height = system.total(found.value) - 0.5 * (u * u).sum(-1)
    # Where the log-probability curves upwards the step goes by the prior alone.
    precision = system.precision(np.maximum(found.weight, 0.0))
    gradient = system.project(found.score) - u
    step = precision.solve(gradient)
    gain = (gradient * step).sum(-1)
    moving = gain > TOLERANCE * (1.0 + np.abs(height))
    step = np.where(moving[..., None], step, 0.0)
    return _Look(height, step, moving, found.weight, precision)


def _uphill(
    system: System, kernel: Kernel, eta: Array, phi: Array, u: Array, here: _Look
) -> Array:
    """The step, halved in the units where it would lead down, or none."""
    least = here.height - 1e-12 * (1.0 + np.abs(here.height))
    x, step, lower = u, here.step, here.moving
    for _ in range(MOST_HALVINGS):
        x = u + step
        value = kernel.value(eta + system.effect(x), phi)
        height = system.total(value) - 0.5 * (x * x).sum(-1)
        # Written so that a height that is not a number is too low.
        lower = ~(height >= least)
        if not lower.any():
            return x
        step = np.where(lower[..., None], 0.5 * step, step)
    return np.where(lower[..., None], u, x)


def _curvature(system: System, weight: Array, clipped: Precision) -> Precision:
    """The precision at the peak, that of concave rows where it is not positive."""
    if not isinstance(system, OneFactor) or (weight >= 0).all():
        return clipped
    found, safe = system.precision(weight), system.precision(np.maximum(weight, 0.0))
    positive = np.linalg.eigvalsh(found.a)[..., 0] > 1e-6
    return Blocks(np.where(positive[..., None, None], found.a, safe.a))


def draw_effects(
    system: System,
    kernel: Kernel,
    eta: Array,
    phi: Array,
    found: Peak,
    generator: np.random.Generator,
) -> Array:
    """(draws, units, k) spherical effects given the data.

    Normal about the peak; for one factor and a response that is not Gaussian the
    normal density, widened, proposes several and one is taken by its importance.
    """
    if kernel.family.has_residual or not isinstance(system, OneFactor):
        return found.u + found.precision.draw(generator)
    proposed, log_weight = [], []
    for _ in range(PROPOSALS):
        z = generator.standard_normal(found.u.shape)
        u = found.u + WIDER * np.einsum("dlij,dlj->dli", _root(found), z)
        value = kernel.value(eta + system.effect(u), phi)
        target = system.total(value) - 0.5 * (u * u).sum(-1)
        proposed.append(u)
        log_weight.append(target + 0.5 * (z * z).sum(-1))
    # The largest of log-weights with Gumbel noise is a draw by the weights.
    noise = generator.gumbel(size=(PROPOSALS, *found.height.shape))
    best = np.argmax(np.array(log_weight) + noise, axis=0)
    return np.take_along_axis(np.array(proposed), best[None, ..., None], axis=0)[0]


def _root(found: Peak) -> Array:
    assert isinstance(found.precision, Blocks)
    return found.precision.root


def level_loglik(
    system: OneFactor, kernel: Kernel, eta: Array, phi: Array, found: Peak
) -> Array:
    """(draws, levels) log-likelihood of each level, its effects integrated out."""
    k = system.factor.k
    blocks = found.precision
    assert isinstance(blocks, Blocks)
    laplace = found.height - 0.5 * blocks.log_det
    if kernel.family.has_residual or k not in NODES:
        return laplace
    x, log_weight = node_table(hermite(NODES[k]), k)
    heights = np.empty((*laplace.shape, len(x)))
    for j, node in enumerate(x):
        u = found.u + np.einsum("dlij,j->dli", blocks.root, node)
        value = kernel.value(eta + system.effect(u), phi)
        heights[..., j] = system.total(value) - 0.5 * (u * u).sum(-1) + log_weight[j]
    # Outside the domain of the link all are minus infinity, and so is the sum.
    top = np.maximum(heights.max(-1), LEAST_HEIGHT)
    with np.errstate(divide="ignore"):
        sums = np.log(np.exp(heights - top[..., None]).sum(-1))
    # log phi of the effects, and |A|^-1/2 of the scale.
    constant = -0.5 * k * np.log(2.0 * np.pi)
    return top + sums + constant - 0.5 * blocks.log_det
