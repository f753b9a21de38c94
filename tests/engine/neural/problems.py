"""Small models with a network, at a point where nothing is special."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm import families
from ngmm.design import build_design
from ngmm.formula import parse
from ngmm.likelihood.neural.prepare import (
    prepare_gaussian,
    prepare_laplace,
    prepare_quadrature,
)
from ngmm.likelihood.neural.rule import search_engine
from ngmm.likelihood.neural.terms import Stack, jacobian, outputs
from ngmm.likelihood.rules import as_rule
from ngmm.linalg import precise
from ngmm.model import Model
from ngmm.networks import flatten, network_for
from ngmm.neural.units import to_user
from tests.engine.derivatives import quick_jit

Vector = NDArray[np.float64]

N_ROWS = 60
# Two inputs, one of them beside the network, three units: 3 * 2 + 3 + 3 + 2 weights.
FIXED = "x1 + nn(x1, x2, hidden=(3,))"


def frame(seed: int = 0, n: int = N_ROWS) -> pd.DataFrame:
    """Two inputs, crossed and nested factors, responses of several kinds."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=(2, n))
    g = rng.integers(0, 6, n)
    h = rng.integers(0, 4, n)
    effect, slope, other = rng.normal(size=6), rng.normal(size=6), rng.normal(size=4)
    eta = 0.3 + np.sin(1.5 * x1) + 0.4 * x2**2 + 0.6 * effect[g] + 0.3 * slope[g] * x1
    eta = eta + 0.4 * other[h]
    return pd.DataFrame(
        {
            "x1": x1,
            "x2": x2,
            "g": g,
            "h": h,
            "gh": g * 10 + h,
            "w": rng.uniform(0.3, 3.0, n),
            "known": 0.2 * rng.normal(size=n),
            "y": eta + 0.5 * rng.normal(size=n),
            "z": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int),
            "k": rng.poisson(np.exp(0.5 * eta)),
            "d": rng.gamma(3.0, np.exp(0.5 * eta) / 3.0),
        }
    )


@dataclass(frozen=True, eq=False)
class Case:
    """A model with a network and parameters for it.

    Attributes
    ----------
    base
        The model without its network.
    stack
        The network.
    seed
        Of the parameters.
    """

    base: Model
    stack: Stack
    seed: int = 3

    @cached_property
    def prepared(self) -> tuple[Any, Any]:
        """What the likelihood takes, and the modes to start from."""
        d = self.base.design
        if self.base.is_gaussian:
            return prepare_gaussian(d, self.base.problem, self.stack), None
        marginal = self.base.marginal
        engine = search_engine(marginal.problem, marginal.rule, self.stack.n_weights)
        make: Any = (
            prepare_laplace if hasattr(engine, "meeting") else prepare_quadrature
        )
        return make(d, engine, self.stack), engine.zero

    @cached_property
    def x(self) -> Vector:
        """(beta, w, tau) in the units of the likelihood."""
        layout = self.prepared[0].layout
        rng = np.random.default_rng(self.seed)
        tau = []
        for p in layout.random.patterns:
            part = 0.3 * rng.normal(size=p.n_theta)
            part[list(p.diagonal)] = 0.4 + 0.5 * rng.random(len(p.diagonal))
            tau.extend(part)
        if layout.n_tau > len(tau):
            tau.append(-0.4)
        n = layout.n_beta + layout.stack.n_weights
        return np.concatenate([0.5 * rng.normal(size=n), tau])

    @property
    def w(self) -> slice:
        """Where the weights stand."""
        p = self.prepared[0].layout.n_beta
        return slice(p, p + self.stack.n_weights)

    @cached_property
    def network(self) -> tuple[Vector, Vector]:
        """Output and Jacobian at x over the rows of the data, in the data's units."""
        from ngmm.likelihood.neural.prepare import make_terms

        terms, scale = make_terms(self.base.design), self.prepared[0].scale
        with precise():
            f = quick_jit(lambda w: outputs(w, terms, self.stack).sum(1))
            J = quick_jit(lambda w: jacobian(w, terms, self.stack))
            w = self.x[self.w]
            return scale * np.asarray(f(w)), scale * np.asarray(J(w))

    @property
    def given(self) -> Model:
        """The model with the network's output as a known part."""
        d = self.base.design
        return replace(self.base, design=replace(d, offset=d.offset + self.network[0]))

    @cached_property
    def parameters(self) -> Any:
        """Parameters in the units of the data, and how they follow from x."""
        first, last = self.w.start, self.w.stop
        return to_user(self.base, self.x[:first], self.x[last:])

    @property
    def slope(self) -> Vector:
        """Derivative of (beta, w, theta, log scale) of the data in x; w as in x."""
        p, n_w = self.w.start, self.stack.n_weights
        own = self.parameters.slope
        out = np.zeros((len(self.x), len(self.x)))
        at = np.r_[np.arange(p), np.arange(p + n_w, len(self.x))]
        out[np.ix_(at, at)] = own
        out[self.w, self.w] = np.eye(n_w)
        return out


def case(
    formula: str,
    family: str = "gaussian",
    *,
    weights: str | None = None,
    quad: Any = "auto",
    link: str | None = None,
    fixed: str = FIXED,
) -> Case:
    """A model of the frame; the formula without the fixed part."""
    data = frame()
    response, random = formula.split("~")
    terms = parse(f"{response} ~ {fixed} + offset(known) + {random}")
    design, _ = build_design(
        terms, data, weights=None if weights is None else data[weights]
    )
    network = network_for(design.networks[0])
    with precise():
        start = network.init(jax.random.key(0), design.networks[0].inputs)
        size = int(flatten(start)[0].shape[0])
    base = Model(design, families.get(family, link), quad=as_rule(quad))
    return Case(base, Stack((network,), (size,)))
