"""Every family with every link, with values that suit it: what the tests walk over.

A family that is in the registry and not in `SETTINGS` fails the tests by a `KeyError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from ngmm import families
from ngmm.families import Family
from ngmm.linalg import precise


@dataclass(frozen=True)
class Setting:
    """Values for a family.

    `distribution(mu, phi, weights, trials)` is the one of scipy. `support` holds the
    ends of the range; counts are summed over it, up to `many` where it is endless.
    """

    distribution: Callable[..., Any]
    responses: tuple[float, ...]
    means: tuple[float, ...]
    phis: tuple[float | None, ...]
    support: tuple[float, float]
    trials: float | None = None


SETTINGS = {
    "gaussian": Setting(
        lambda mu, phi, w, _n: st.norm(mu, np.sqrt(phi / w)),
        responses=(-2.0, 0.3, 4.0),
        means=(-3.0, 0.0, 1.7),
        phis=(0.2, 3.0),
        support=(-np.inf, np.inf),
    ),
    "bernoulli": Setting(
        lambda mu, _phi, _w, _n: st.bernoulli(mu),
        responses=(0.0, 1.0),
        means=(0.02, 0.5, 0.9),
        phis=(None,),
        support=(0.0, 1.0),
    ),
    "binomial": Setting(
        lambda mu, _phi, _w, n: st.binom(n, mu),
        responses=(0.0, 3.0, 9.0),
        means=(0.02, 0.5, 0.9),
        phis=(None,),
        support=(0.0, 9.0),
        trials=9.0,
    ),
    "poisson": Setting(
        lambda mu, _phi, _w, _n: st.poisson(mu),
        responses=(0.0, 1.0, 8.0, 40.0),
        means=(0.1, 1.5, 7.0),
        phis=(None,),
        support=(0.0, 150.0),
    ),
    "negative_binomial": Setting(
        lambda mu, phi, _w, _n: st.nbinom(phi, phi / (phi + mu)),
        responses=(0.0, 1.0, 8.0, 40.0),
        means=(0.1, 1.5, 7.0),
        phis=(0.7, 4.0, 60.0),
        support=(0.0, 3000.0),
    ),
    "gamma": Setting(
        lambda mu, phi, w, _n: st.gamma(w / phi, scale=mu * phi / w),
        responses=(0.1, 1.0, 6.0),
        means=(0.2, 1.0, 5.0),
        phis=(0.1, 0.8),
        support=(0.0, np.inf),
    ),
    "inverse_gaussian": Setting(
        lambda mu, phi, w, _n: st.invgauss(mu * phi / w, scale=w / phi),
        responses=(0.1, 1.0, 6.0),
        means=(0.2, 1.0, 5.0),
        phis=(0.1, 0.8),
        support=(0.0, np.inf),
    ),
    "beta": Setting(
        lambda mu, phi, _w, _n: st.beta(mu * phi, (1.0 - mu) * phi),
        responses=(0.01, 0.4, 0.95),
        means=(0.2, 0.5, 0.8),
        phis=(6.0, 30.0),
        support=(0.0, 1.0),
    ),
    "betabinomial": Setting(
        lambda mu, phi, _w, n: st.betabinom(n, mu * phi, (1.0 - mu) * phi),
        responses=(0.0, 3.0, 9.0),
        means=(0.05, 0.5, 0.9),
        phis=(0.5, 6.0, 100.0),
        support=(0.0, 9.0),
        trials=9.0,
    ),
}

ALL = [make(link) for make in families.REGISTRY.values() for link in make().links]
NAMES = [make() for make in families.REGISTRY.values()]

# One test for each family and link; one for each family where the link has no part.
every_link = pytest.mark.parametrize("family", ALL, ids=repr)
every_family = pytest.mark.parametrize("family", NAMES, ids=lambda family: family.name)

# Families in which a weight divides the dispersion; elsewhere it counts rows.
PRECISION_WEIGHTS = {"gaussian", "gamma", "inverse_gaussian"}


# Every call is padded to whole blocks of this size: a program for each family and link.
_BLOCK = 512


def _along(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1]


def _tower(f: Callable[[Any], Any], orders: int) -> list[Callable[[Any], Any]]:
    tower = [f]
    for _ in range(orders):
        tower.append(_along(tower[-1]))
    return tower


def derivatives(fun: Callable[[Any], Any], x: Any, orders: int) -> list[Any]:
    """fun(x) and its derivatives by nested forward mode, elementwise, in NumPy."""
    with precise():
        point = jnp.asarray(x, dtype=float)
        run = jax.jit(lambda t: [f(t) for f in _tower(fun, orders)])
        return [np.asarray(value) for value in run(point)]


@cache
def _program(family: Family, kind: str) -> Callable[..., Any]:
    def value(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Any:
        return [family.log_prob(y, eta, log_phi, weights, trials)]

    def in_eta(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Any:
        def f(e: Any) -> Any:
            return family.log_prob(y, e, log_phi, weights, trials)

        return [g(eta) for g in _tower(f, 4)]

    def in_phi(y: Any, eta: Any, log_phi: Any, weights: Any, trials: Any) -> Any:
        def f(p: Any) -> Any:
            return family.log_prob(y, eta, p, weights, trials)

        def curvature(p: Any) -> Any:
            return _tower(lambda e: family.log_prob(y, e, p, weights, trials), 2)[2](
                eta
            )

        first, second = _tower(f, 2)[1:]
        return [first(log_phi), second(log_phi), _along(curvature)(log_phi)]

    return jax.jit({"value": value, "eta": in_eta, "phi": in_phi}[kind])


def evaluate(
    family: Family,
    kind: str,
    y: Any,
    eta: Any,
    phi: Any = None,
    weights: Any = 1.0,
    trials: Any = None,
) -> list[Any]:
    """What follows from the log-probability, from phi on the natural scale.

    `kind`: ``"value"``; ``"eta"``, the value and four derivatives in eta; ``"phi"``,
    two derivatives in log phi and the one in log phi of the second in eta.
    """
    log_phi = 0.0 if phi is None else np.log(phi)
    n = 1.0 if trials is None else trials
    arrays = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (y, eta, log_phi, weights, n))
    )
    shape, size = arrays[0].shape, arrays[0].size
    padded = np.stack([a.ravel() for a in arrays])
    extra = -size % _BLOCK
    padded = np.pad(padded, ((0, 0), (0, extra)), mode="edge")
    with precise():
        blocks = [
            [np.asarray(v) for v in _program(family, kind)(*block)]
            for block in np.split(padded, padded.shape[1] // _BLOCK, axis=1)
        ]
    return [
        np.concatenate(values)[:size].reshape(shape)
        for values in zip(*blocks, strict=True)
    ]


def log_prob(
    family: Family,
    y: Any,
    eta: Any,
    phi: Any = None,
    weights: Any = 1.0,
    trials: Any = None,
) -> Any:
    """The log-probability in NumPy, from phi on the natural scale."""
    return evaluate(family, "value", y, eta, phi, weights, trials)[0]


def valid_eta(family: Family) -> Any:
    """Linear predictors all over the interval of the link."""
    if family.transform.lower == 0.0:
        return np.array([1e-3, 0.1, 0.9, 2.3, 8.0, 60.0, 700.0])
    return np.array([-700.0, -60.0, -9.0, -1.1, 0.0, 0.2, 1.9, 9.0, 60.0, 700.0])


# Sixty digits are slow where the link and the special functions both are.
every_quick_link = pytest.mark.parametrize(
    "family",
    [
        pytest.param(f, marks=pytest.mark.slow)
        if f.name in ("beta", "betabinomial") and f.link != "logit"
        else f
        for f in ALL
    ],
    ids=repr,
)
