r"""The Gaussian model that a generalized one looks like at the modes.

About the conditional modes the log-probability of a row is quadratic in its linear
predictor, with slope s and curvature -W. That is a Gaussian mixed model of the working
response eta + s / W with prior weights W, unit residual variance and the same theta.
Its random effects given the data have the covariance that lme4 reports, the inverse of
the curvature of the joint log-density at its peak.

References
----------
Breslow & Clayton (1993), JASA 88, 9-25; Bates et al. (2015), J. Stat. Softw. 67(1),
section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.design import Design, RandomDesign
from ngmm.families import Family
from ngmm.inference.modes import Posterior
from ngmm.likelihood.maximise import eliminate_at, to_numpy
from ngmm.likelihood.problem import prepare
from ngmm.linalg import precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Rows that say nothing (a probability of 1 to the last digit) have no working response;
# this share of the largest weight says next to nothing in its place.
LEAST_WEIGHT = 1e-12


class Working(NamedTuple):
    """The working response, as its score, and the working weight of each row."""

    score: Vector
    weight: Vector


def predictor(
    X: Matrix,
    offset: Vector,
    terms: Sequence[RandomDesign],
    beta: Vector,
    modes: Sequence[Matrix],
) -> Vector:
    """Linear predictor of the rows of a fit at given random effects."""
    eta = X @ beta + offset
    for term, b in zip(terms, modes, strict=True):
        eta = eta + np.einsum("nk,nk->n", term.Z, b[term.codes])
    return eta


def working(design: Design, family: Family, eta: Vector, phi: float) -> Working:
    """Score and weight of each row of a design at a linear predictor."""
    trials = np.ones_like(eta) if design.trials is None else design.trials
    with precise():
        score, curvature = to_numpy(
            _slopes_at(
                eta, design.y, np.float64(phi), design.weights, trials, layout=family
            )
        )
    return Working(score, _positive(-curvature, design.random))


def _positive(weight: Vector, terms: Sequence[RandomDesign]) -> Vector:
    """Weights that a Gaussian model can have.

    A row whose log-probability curves upwards at the mode weighs nothing, and the rows
    beside it in its level of the largest factor weigh less by the same total: the
    precision of an effect of the level stays what it is.
    """
    out = np.maximum(weight, 0.0)
    if (weight < 0).any():
        codes = max(terms, key=lambda term: term.n_levels).codes
        total, kept = np.bincount(codes, weight), np.bincount(codes, out)
        share = np.divide(total, kept, out=np.zeros_like(kept), where=kept > 0)
        out *= np.maximum(share, 0.0)[codes]
    return np.maximum(out, LEAST_WEIGHT * out.max())


def log_probability(
    design: Design, family: Family, eta: Matrix, phi: float
) -> NDArray[np.float64]:
    """Log-probability of each row at linear predictors (n, s), summed over rows."""
    trials = np.ones(design.n_rows) if design.trials is None else design.trials
    columns = [x[:, None] for x in (design.y, design.weights, trials)]
    with precise():
        return np.asarray(_total_at(eta, np.float64(phi), *columns, layout=family))


def working_posterior(
    response: Vector,
    X: Matrix,
    terms: Sequence[RandomDesign],
    weight: Vector,
    theta: Vector,
) -> Posterior:
    """Random effects of a Gaussian model with known theta, user's units, and sigma = 1.

    Parameters
    ----------
    response, X, terms, weight
        The model.
    theta
        Covariance parameters, user's units.
    """
    problem = prepare(response, X, terms, weights=weight)
    point = problem.to_engine(theta)
    with precise():
        found = eliminate_at(point, problem.system, layout=problem.layout)
    return Posterior(problem, to_numpy(found), point)


def _slopes(
    eta: Array, y: Array, phi: Array, weights: Array, trials: Array, *, layout: Family
) -> tuple[Array, Array]:
    """First and second derivative of the log-probability of each row in eta."""
    ones = jnp.ones_like(eta)

    def value(x: Array) -> Array:
        return layout.log_prob(y, x, jnp.log(phi), weights, trials)

    def first(x: Array) -> Array:
        return jax.jvp(value, (x,), (ones,))[1]

    return jax.jvp(first, (eta,), (ones,))


def _total(
    eta: Array, phi: Array, y: Array, weights: Array, trials: Array, *, layout: Family
) -> Array:
    return layout.log_prob(y, eta, jnp.log(phi), weights, trials).sum(axis=0)


_slopes_at = Compiled(_slopes)
_total_at = Compiled(_total)
