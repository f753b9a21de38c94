"""Groups of variables of a fit with a neural random effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.asymptotic import normal
from ngmm.arviz_bridge.kernel import Kernel
from ngmm.arviz_bridge.names import (
    Variable,
    allowed,
    effect_variables,
    factor_dim,
    fixed_variables,
    level_labels,
)
from ngmm.arviz_bridge.ordinary import Groups, of_rows, responses, scale_variable
from ngmm.errors import NotSupportedError
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.predict import effects
from ngmm.linalg import precise
from ngmm.results.latent import latent_names

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Draws:
    """Draws of parameters, latent values and rows.

    Attributes
    ----------
    beta, scale
        (draws, p) fixed effects, and (draws,) sigma or the dispersion; ones without.
    v
        (draws, levels, d) latent values.
    h
        (draws, n) what the network makes of them.
    levels
        (draws, levels) log-likelihood of each level.
    """

    beta: Array
    scale: Array
    v: Array
    h: Array
    levels: Array


@dataclass(frozen=True)
class _Columns:
    """The latent values as the columns of a term."""

    names: tuple[str, ...]
    correlated: bool = False


def latent_groups(
    fit: MixedModelFit, n: int, kind: str, seed: int
) -> tuple[Groups, Mapping[str, str]]:
    """Variables by group, and what is to be said of them.

    Raises
    ------
    NotSupportedError
        For refits, whose latent axes are not those of the fit.
    """
    term = fit.design.latent[0]
    if kind == "bootstrap":
        raise NotSupportedError(
            f'kind="bootstrap" is not for {term.label}: the latent values of refits '
            'have other signs and axes. Use kind="asymptotic"'
        )
    generator = np.random.default_rng(seed)
    text = (
        "latent values drawn given the data and each draw of the parameters, as "
        "normal with the moments of their posterior distribution"
    )
    groups = _variables(fit, _draw(fit, n, generator), generator)
    return groups, {"random_effects": text}


def _variables(
    fit: MixedModelFit, found: _Draws, generator: np.random.Generator
) -> Groups:
    """Variables by group."""
    term, gaussian = fit.design.latent[0], fit.model.is_gaussian
    dispersion = found.scale**2 if gaussian else found.scale
    eta = found.beta @ fit.design.X.T + fit.design.offset + found.h
    kernel = Kernel.of(fit.design, fit.model.family)
    response, dim = allowed(fit.response_name), factor_dim(term.group)
    posterior = fixed_variables(fit.design, found.beta)
    posterior |= scale_variable(fit, found.scale, posterior)
    columns = _Columns(latent_names(fit._analysis))  # type: ignore[arg-type]
    posterior |= effect_variables(columns, term.group, term.levels, found.v)
    labels = {dim: level_labels(term.levels)}
    rows = of_rows(fit.design, kernel.value(eta, dispersion))
    return {
        "posterior": posterior,
        "log_likelihood": {
            response: rows,
            f"{response}|{allowed(term.group)}": Variable((dim,), found.levels, labels),
        },
        "posterior_predictive": {
            **responses(fit, eta, dispersion, generator),
            allowed(term.label): of_rows(fit.design, found.h),
        },
    }


def _draw(fit: MixedModelFit, n: int, generator: np.random.Generator) -> _Draws:
    e = fit.estimate
    assert isinstance(e, LatentEstimate)
    engine, problem = e.engine, e.engine.problem
    p, m = problem.n_beta, problem.shape.size
    moves = normal(e.covariance, n, generator)
    inputs, codes = fit.design.latent[0].network.inputs, fit.design.latent[0].codes
    scale = np.ones(n)
    if problem.has_scale:
        half = 0.5 if fit.model.is_gaussian else 1.0
        scale = np.exp(half * (e.x[-1] + moves[:, -1]))
    v, h, levels = [], [], []
    for x in e.x + moves @ problem.jacobian.T:
        found = engine.posterior(x)
        z = generator.standard_normal(found.mean.shape)
        own = found.mean + np.einsum("lij,lj->li", _roots(found.cov), z)
        with precise():
            weights = problem.shape.weights(jnp.asarray(x[p : p + m]))
        v.append(own)
        h.append(effects(replace(e, weights=weights), inputs, own[codes]))
        levels.append(found.value)
    beta = e.beta + moves[:, :p]
    return _Draws(beta, scale, np.array(v), np.array(h), np.array(levels))


def _roots(covariance: Array) -> Array:
    """Symmetric roots of (levels, d, d) covariances."""
    values, vectors = np.linalg.eigh(covariance)
    half = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]
    return half @ np.swapaxes(vectors, 1, 2)
