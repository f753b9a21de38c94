r"""Means of any rows, averaged over rows, with their derivatives in all parameters.

A row has the linear predictor eta = offset + x' beta + f(x; w) with b = 0, and the
variance v = sigma^2 z' Lambda Lambda' z of its random effects. Its mean is

.. math::
    \mu(\eta), \qquad
    \mu(\eta + z'\hat b), \qquad
    M(\eta, v) = E\, \mu(\eta + \sqrt{v}\, t)

with ``re="none"``, ``"all"`` and ``"marginal"``; derivatives follow by the chain rule
from those of eta in (beta, w) and of v in (theta, sigma), which are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern, factor_numpy, pattern
from ngmm.design import NewDesign, RandomDesign
from ngmm.effects.linearised import Linearised
from ngmm.effects.parameters import Parameters, parameters_of
from ngmm.errors import NewDataError, OptionError, did_you_mean
from ngmm.families import Link
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.joint_modes import JointModes, joint_modes, spherical_columns
from ngmm.inference.marginal.curvature import marginal_curvature
from ngmm.inference.marginal.mean import (
    link_mean,
    link_slope,
    marginal_mean,
    marginal_slope,
)
from ngmm.inference.neural import NeuralAnalysis
from ngmm.results import MixedModelFit
from ngmm.results.rows import network_outputs, unseen_text, with_units

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

SCALES = ("response", "link")
# Numbers in a matrix of derivatives that is held at once.
MOST_NUMBERS = 20_000_000


@dataclass(frozen=True, eq=False)
class Points:
    """Rows to predict: what enters their means.

    Attributes
    ----------
    new
        Matrices of the rows.
    eta
        (n,) linear predictor, with the modes of the random effects if these enter.
    v
        (n,) variance of the random effects; zero unless they are averaged over.
    mean, slope, curvature
        (n,) mean, and its derivatives in eta and in v.
    """

    new: NewDesign
    eta: Vector
    v: Vector
    mean: Vector
    slope: Vector
    curvature: Vector


@dataclass(frozen=True, eq=False)
class Population:
    """The means of a fit for any data.

    Attributes
    ----------
    fit
        The fit.
    re
        ``"none"``, ``"marginal"`` or ``"all"``.
    scale
        ``"response"`` or ``"link"``.
    """

    fit: MixedModelFit
    re: str
    scale: str

    @cached_property
    def parameters(self) -> tuple[Parameters, ...]:
        """All parameters, once for each member of an average of networks."""
        return parameters_of(self.fit._analysis)

    @property
    def link(self) -> Link:
        """The link of the family."""
        return self.fit.model.family.transform

    @property
    def is_linear(self) -> bool:
        """Whether means are linear in the fixed effects."""
        return self.scale == "link" or self.link.name == "identity"

    @property
    def integrates(self) -> bool:
        """Whether means are averages over the random effects that these change."""
        return self.re == "marginal" and not self.is_linear

    @property
    def conditions(self) -> bool:
        """Whether the modes of the random effects enter."""
        return self.re == "all" and bool(self.fit.design.random)

    @property
    def random(self) -> bool | list[str]:
        """Random terms that rows need."""
        return self.integrates or self.conditions

    def points(self, data: Mapping[str, Any]) -> Points:
        """Rows of data, by column.

        Raises
        ------
        NewDataError
            If there are new levels whose modes are asked for.
        """
        analysis = self.fit._analysis
        new = self.fit.spec.apply(
            data, random=self.random, levels=self.conditions, argument="data"
        )
        if new.unseen:
            raise NewDataError(unseen_text(new.unseen))
        new = with_units(analysis, new)
        f = network_outputs(analysis, new.networks, new.X)
        eta = new.X @ analysis.estimate.beta + new.offset + f.sum(1)
        v = np.zeros(len(eta))
        if self.conditions:
            for term, b in zip(new.random, analysis.modes, strict=True):
                eta += np.einsum("nk,nk->n", term.Z, b[term.codes])
        if self.integrates:
            for term, c in zip(new.random, analysis.components, strict=True):
                v += np.einsum("ni,ij,nj->n", term.Z, c.covariance, term.Z)
        return Points(new, eta, v, *self._mean(eta, v))

    def _mean(self, eta: Vector, v: Vector) -> tuple[Vector, Vector, Vector]:
        """The mean of rows, and its derivatives in eta and v."""
        if self.is_linear:
            return eta, np.ones_like(eta), np.zeros_like(eta)
        if not self.integrates:
            mean, slope = link_mean(self.link, eta), link_slope(self.link, eta)
            return mean, slope, np.zeros_like(eta)
        return (
            marginal_mean(self.link, eta, v),
            marginal_slope(self.link, eta, v),
            marginal_curvature(self.link, eta, v),
        )

    def totals(self, points: Points, G: Any) -> Linearised:
        """Sums over rows of their means, weighted by the sparse array G (t, n)."""
        of_eta = G.multiply(points.slope[None, :]).tocsr()
        of_v = G.multiply(points.curvature[None, :]).tocsr()
        modes = joint = None
        if self.conditions:
            joint = self._joint
            wide = spherical_columns(
                [(t.Z, t.codes, t.n_levels) for t in points.new.random], self._factors
            )
            modes = np.asarray((of_eta @ wide).todense())
        gradients, apart = [], []
        for i, p in enumerate(self.parameters):
            g = self._gradient(p, points, of_eta, of_v)
            if modes is not None and joint is not None:
                n = len(p.beta) + p.n_weights
                moved = joint.solve(np.ascontiguousarray(modes.T)).T
                g[:, :n] -= moved @ self._responses[i]
            gradients.append(g)
            apart.append(self._own(p, points, of_eta, of_v))
        shares = np.array([p.share for p in self.parameters])
        own = np.stack(apart)
        return Linearised(
            estimate=np.asarray(G @ points.mean),
            gradients=tuple(gradients),
            apart=own - shares @ own,
            parameters=self.parameters,
            modes=modes,
            joint=joint,
        )

    def _gradient(
        self, p: Parameters, points: Points, of_eta: Any, of_v: Any
    ) -> Matrix:
        """(t, parameters) derivatives of weighted sums, for one member."""
        new, n_b, n_w = points.new, len(p.beta), p.n_weights
        out = np.zeros((of_eta.shape[0], len(p.covariance)))
        out[:, :n_b] = of_eta @ new.X
        if p.networks is not None and p.member is not None:
            size = max(1, MOST_NUMBERS // n_w)
            for start in range(0, new.n_rows, size):
                rows = slice(start, start + size)
                J = p.networks.jacobian(
                    p.member, [_rows(i, rows) for i in new.networks], new.X[rows]
                )
                out[:, n_b : n_b + n_w] += of_eta[:, rows] @ J
        if self.integrates:
            out[:, n_b + n_w :] = of_v @ _variance_slopes(new, p)
        return out

    def _own(self, p: Parameters, points: Points, of_eta: Any, of_v: Any) -> Vector:
        """Weighted sums to first order, at the parameters of one member."""
        new = points.new
        if p.networks is None or p.member is None:
            return np.zeros(of_eta.shape[0])
        members = p.networks.members
        f = p.networks.member_outputs(new.networks, new.X)[members.index(p.member)]
        total = of_eta @ (new.X @ p.beta + f.sum(1))
        if self.integrates:
            total = total + of_v @ variances(new.random, p.theta, p.sigma, new.n_rows)
        return np.asarray(total)

    @cached_property
    def _factors(self) -> list[Matrix]:
        """Lambda of each random term, relative to sigma."""
        terms, theta = self.fit.design.random, self.fit.theta
        return [lam for _, lam in _split(terms, theta)]

    @cached_property
    def _joint(self) -> JointModes:
        analysis = self.fit._analysis
        design = self.fit.design
        columns = spherical_columns(
            [(t.Z, t.codes, t.n_levels) for t in design.random], self._factors
        )
        given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
        weight = design.weights
        if isinstance(given, GeneralizedAnalysis):
            weight = given.working.weight
        return joint_modes(columns, weight, self.fit.sigma)

    @cached_property
    def _responses(self) -> list[Matrix]:
        """For each member, how the modes move with beta and weights, before T."""
        design = self.fit.design
        out = []
        for p in self.parameters:
            wide = design.X
            if p.networks is not None and p.member is not None:
                inputs = [d.inputs for d in p.networks.designs]
                J = p.networks.jacobian(p.member, inputs, design.X)
                wide = np.concatenate([wide, J], axis=1)
            out.append(self._joint.response_to(wide))
        return out


def population(
    fit: MixedModelFit, re: str, scale: str, allowed: tuple[str, ...]
) -> Population:
    """The means of a fit, after a look at the arguments.

    Raises
    ------
    OptionError
        If an argument is not one of those allowed.
    """
    one_of("re", re, allowed)
    one_of("scale", scale, SCALES)
    found = Population(fit, re, scale)
    # Refuses models without errors before any work is done.
    assert found.parameters
    return found


def one_of(argument: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is not among the values of an argument.

    Raises
    ------
    OptionError
        Naming them.
    """
    if not isinstance(value, str) or value not in allowed:
        shown = ", ".join(f'"{a}"' for a in allowed)
        raise OptionError(
            f"{argument} must be one of {shown}; got {value!r}"
            f"{did_you_mean(value, allowed)}"
        )


def _rows(inputs: Any, rows: slice) -> Any:
    import jax

    return jax.tree.map(lambda a: np.asarray(a)[rows], inputs)


def _split(
    terms: Sequence[RandomDesign], theta: Vector
) -> list[tuple[Pattern, Matrix]]:
    """Pattern and Lambda of each term."""
    out, start = [], 0
    for term in terms:
        p = pattern([(len(term.names), term.correlated)])
        out.append((p, factor_numpy(theta[start : start + p.n_theta], p)))
        start += p.n_theta
    return out


def variances(
    terms: Sequence[RandomDesign], theta: Vector, sigma: float, n_rows: int
) -> Vector:
    """(n,) variances of the random effects of rows.

    Parameters
    ----------
    terms
        All random terms, for these rows.
    theta, sigma
        Parameters, in the order of the terms.
    n_rows
        Number of rows.
    """
    total = np.zeros(n_rows)
    for term, (_, lam) in zip(terms, _split(terms, theta), strict=True):
        total += ((term.Z @ lam) ** 2).sum(1)
    return sigma**2 * total


def _variance_slopes(new: NewDesign, p: Parameters) -> Matrix:
    """(n, theta and sigma) derivatives of these variances."""
    columns = []
    for term, (own, lam) in zip(new.random, _split(new.random, p.theta), strict=True):
        half = term.Z @ lam
        columns.append(
            2.0 * p.sigma**2 * term.Z[:, list(own.rows)] * half[:, list(own.cols)]
        )
    v = variances(new.random, p.theta, p.sigma, new.n_rows)
    columns.append(2.0 * v[:, None] / p.sigma)
    return np.concatenate(columns, axis=1)
