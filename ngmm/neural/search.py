"""One search for the weights of networks, as a compiled program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from ngmm.compilation import Compiled
from ngmm.estimation.evidence_search import Likelihood, Places, Search, advance
from ngmm.likelihood.neural import gaussian, laplace, quadrature
from ngmm.likelihood.neural.gaussian import NeuralGaussianData, NeuralGaussianLayout
from ngmm.likelihood.neural.laplace import NeuralLaplaceData, NeuralLaplaceLayout
from ngmm.likelihood.neural.quadrature import (
    NeuralQuadratureData,
    NeuralQuadratureLayout,
)
from ngmm.likelihood.retraction import retract
from ngmm.linalg import Values

NeuralLayout = NeuralGaussianLayout | NeuralQuadratureLayout | NeuralLaplaceLayout


@dataclass(frozen=True)
class SearchLayout:
    """What a search is compiled for."""

    likelihood: NeuralLayout
    n_groups: int

    @property
    def places(self) -> Places:
        """Where the parts of x stand."""
        k = self.likelihood
        return Places(k.n_beta, k.stack.n_weights, k.n_tau, self.n_groups)


@dataclass(frozen=True)
class _Gaussian:
    data: NeuralGaussianData
    layout: NeuralGaussianLayout
    bias_every: int = 1

    def value(self, x: Array, kept: Values) -> Array:
        del kept
        return gaussian.value(x, self.data, self.layout)

    def local(self, x: Array, kept: Values) -> tuple[Values, Values, Values]:
        found, pieces = gaussian.local(x, self.data, self.layout)
        return found, kept, pieces

    def log_det_slope(
        self, inverse: Array, hessian: Array, kept: Values, pieces: Values
    ) -> Array:
        del hessian, kept
        return gaussian.log_det_slope(inverse, pieces)

    def retract(self, x: Array, step: Array) -> Array:
        return _retract(x, step, self.layout)


@dataclass(frozen=True)
class _Quadrature:
    data: NeuralQuadratureData
    layout: NeuralQuadratureLayout
    bias_every: int = 4

    def value(self, x: Array, kept: Values) -> Array:
        return quadrature.value(x, self.data, kept, self.layout)

    def local(self, x: Array, kept: Values) -> tuple[Values, Values, Values]:
        return quadrature.local(x, self.data, kept, self.layout)

    def log_det_slope(
        self, inverse: Array, hessian: Array, kept: Values, pieces: Values
    ) -> Array:
        return quadrature.log_det_slope(inverse, hessian, kept, pieces, self.layout)

    def retract(self, x: Array, step: Array) -> Array:
        return _retract(x, step, self.layout)


@dataclass(frozen=True)
class _Laplace:
    data: NeuralLaplaceData
    layout: NeuralLaplaceLayout
    bias_every: int = 4

    def value(self, x: Array, kept: Values) -> Array:
        return laplace.value(x, self.data, kept, self.layout)

    def local(self, x: Array, kept: Values) -> tuple[Values, Values, Values]:
        return laplace.local(x, self.data, kept, self.layout)

    def log_det_slope(
        self, inverse: Array, hessian: Array, kept: Values, pieces: Values
    ) -> Array:
        return laplace.log_det_slope(
            inverse, hessian, self.data, kept, pieces, self.layout
        )

    def retract(self, x: Array, step: Array) -> Array:
        return _retract(x, step, self.layout)


def _retract(x: Array, step: Array, layout: NeuralLayout) -> Array:
    first = layout.n_beta + layout.stack.n_weights
    return retract(x, step, first, layout.random.patterns)


def _likelihood(data: Any, layout: NeuralLayout) -> Likelihood:
    if isinstance(layout, NeuralGaussianLayout):
        return _Gaussian(data, layout)
    if isinstance(layout, NeuralLaplaceLayout):
        return _Laplace(data, layout)
    return _Quadrature(data, layout)


def _search(
    search: Search,
    data: Any,
    groups: Array,
    active: Array,
    n_steps: Array,
    frozen: Array,
    tolerance: Array,
    *,
    layout: SearchLayout,
) -> Search:
    return advance(
        search,
        _likelihood(data, layout.likelihood),
        groups,
        jnp.asarray(active),
        layout.places,
        n_steps,
        frozen,
        tolerance,
    )


run: Compiled = Compiled(_search, alone=True)
"""(search, data, groups, active, n_steps, frozen, tolerance, layout=) -> Search."""


def _loglik(x: Array, data: Any, kept: Values, *, layout: NeuralLayout) -> Array:
    return _likelihood(data, layout).value(jnp.asarray(x), kept)


loglik_at: Compiled = Compiled(_loglik, alone=True)
"""(x, data, kept, layout=) -> log-likelihood."""
