"""Log-probabilities of the rows and their slopes, at many linear predictors at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.design import Design
from ngmm.families import Family
from ngmm.likelihood.maximise import to_numpy
from ngmm.linalg import precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Slopes(NamedTuple):
    """What the rows say of their linear predictors, each (draws, n).

    Attributes
    ----------
    value
        Log-probability.
    score
        Its derivative in eta.
    weight
        Minus its second derivative.
    """

    value: Matrix
    score: Matrix
    weight: Matrix


@dataclass(frozen=True, eq=False)
class Kernel:
    """The response distribution of the rows of a fit.

    Attributes
    ----------
    family
        The distribution with its link.
    y, weights, trials
        (n,) responses, prior weights and numbers of trials.
    """

    family: Family
    y: Vector
    weights: Vector
    trials: Vector

    @classmethod
    def of(cls, design: Design, family: Family) -> Kernel:
        """Return the kernel of all rows of a design."""
        trials = np.ones(design.n_rows) if design.trials is None else design.trials
        return cls(family, design.y, design.weights, trials)

    def rows(self, which: NDArray[np.intp]) -> Kernel:
        """Return the kernel of some rows, in their order."""
        return Kernel(
            self.family, self.y[which], self.weights[which], self.trials[which]
        )

    def value(self, eta: NDArray[np.float64], phi: Vector) -> NDArray[np.float64]:
        """Log-probabilities at linear predictors (draws, n) or (draws, n, nodes).

        Parameters
        ----------
        eta
            The linear predictors.
        phi
            (draws,) dispersion; the variance of a Gaussian response.
        """
        shape = (1, -1) + (1,) * (eta.ndim - 2)
        rows = [a.reshape(shape) for a in (self.y, self.weights, self.trials)]
        log_phi = np.log(phi).reshape(-1, *(1,) * (eta.ndim - 1))
        with precise():
            return np.asarray(_value_at(eta, log_phi, *rows, layout=self.family))

    def slopes(self, eta: Matrix, phi: Vector) -> Slopes:
        """Log-probabilities and their derivatives at (draws, n) linear predictors."""
        rows = [a[None] for a in (self.y, self.weights, self.trials)]
        with precise():
            found = _slopes_at(eta, np.log(phi)[:, None], *rows, layout=self.family)
        return Slopes(*to_numpy(found))


def _value(
    eta: Array,
    log_phi: Array,
    y: Array,
    weights: Array,
    trials: Array,
    *,
    layout: Family,
) -> Array:
    return jnp.broadcast_to(
        layout.log_prob(y, eta, log_phi, weights, trials), eta.shape
    )


def _slopes(
    eta: Array,
    log_phi: Array,
    y: Array,
    weights: Array,
    trials: Array,
    *,
    layout: Family,
) -> tuple[Array, Array, Array]:
    ones = jnp.ones_like(eta)

    def value(x: Array) -> Array:
        return layout.log_prob(y, x, log_phi, weights, trials)

    def both(x: Array) -> tuple[Array, Array]:
        return jax.jvp(value, (x,), (ones,))

    (found, score), (_, curvature) = jax.jvp(both, (eta,), (ones,))
    return found, score, -curvature


_value_at = Compiled(_value)
_slopes_at = Compiled(_slopes)
