"""Estimates with their derivatives in all parameters: the delta method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ngmm.effects.parameters import Parameters
from ngmm.inference.joint_modes import JointModes

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linearised:
    """Some functions of the parameters, to first order about the estimates.

    Attributes
    ----------
    estimate
        (t,) values.
    gradients
        For each member, (t, parameters) derivatives.
    apart
        (members, t) by how much members differ from their average.
    parameters
        The parameters, once for each member.
    modes
        (t, q) derivatives in spherical random effects, None where these do not enter.
        `gradients` allow for the effects' dependence on beta.
    joint
        What is known of these random effects.
    """

    estimate: Vector
    gradients: tuple[Matrix, ...]
    apart: Matrix
    parameters: tuple[Parameters, ...]
    modes: Matrix | None = None
    joint: JointModes | None = None

    def covariance(self) -> Matrix:
        """(t, t) covariance of the values."""
        total = np.zeros((len(self.estimate), len(self.estimate)))
        for p, g, d in zip(self.parameters, self.gradients, self.apart, strict=True):
            total += p.share * (g @ p.covariance @ g.T + np.outer(d, d))
        if self.modes is not None and self.joint is not None:
            spread = self.modes @ self.joint.solve(np.ascontiguousarray(self.modes.T))
            total += self.joint.sigma**2 * spread
        return total

    def variance(self) -> Vector:
        """(t,) variances of the values."""
        total = np.zeros(len(self.estimate))
        for p, g, d in zip(self.parameters, self.gradients, self.apart, strict=True):
            own = np.einsum("tp,tp->t", g @ p.covariance, g)
            total += p.share * (own + d**2)
        if self.modes is not None and self.joint is not None:
            right = self.joint.solve(np.ascontiguousarray(self.modes.T))
            total += self.joint.sigma**2 * np.einsum("tq,qt->t", self.modes, right)
        return total

    def combine(self, L: Matrix, estimate: Vector | None = None) -> Linearised:
        """Linear combinations L (c, t), or functions with these derivatives.

        Parameters
        ----------
        L
            Coefficients, or derivatives at the estimates.
        estimate
            Values, where they are not L times the estimates.
        """
        return replace(
            self,
            estimate=L @ self.estimate if estimate is None else estimate,
            gradients=tuple(L @ g for g in self.gradients),
            apart=self.apart @ L.T,
            modes=None if self.modes is None else L @ self.modes,
        )

    @property
    def of_beta(self) -> Matrix:
        """(t, p) derivatives in the fixed effects, of the first member."""
        return self.gradients[0][:, : len(self.parameters[0].beta)]


def stacked(parts: Sequence[Linearised]) -> Linearised:
    """Several sets of functions of the same parameters, one below the other."""
    first = parts[0]
    modes = None
    if first.modes is not None:
        modes = np.concatenate([p.modes for p in parts if p.modes is not None])
    return replace(
        first,
        estimate=np.concatenate([p.estimate for p in parts]),
        gradients=tuple(
            np.concatenate(own)
            for own in zip(*(p.gradients for p in parts), strict=True)
        ),
        apart=np.concatenate([p.apart for p in parts], axis=1),
        modes=modes,
    )
