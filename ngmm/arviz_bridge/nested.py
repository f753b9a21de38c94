"""Log-likelihoods of levels that contain levels of other factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.factors import Factor
from ngmm.arviz_bridge.parameters import ParameterDraws
from ngmm.covariance import pattern
from ngmm.inference.deletion.held_density import GaussianDensity, Parameters
from ngmm.likelihood import single
from ngmm.likelihood.arrangement import is_nested
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import QuadratureEngine
from ngmm.linalg import precise

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Factors by what the log-likelihood of their levels takes.

    Attributes
    ----------
    alone
        Positions of factors that contain no other: the integral is over their effects.
    outermost
        The factor that contains all others, if there are others. There is no rule for
        one that contains some of them and crosses the rest.
    """

    alone: tuple[int, ...]
    outermost: int | None


def units_of(factors: Sequence[Factor]) -> Units:
    """What the levels of each factor contain."""
    alone: list[int] = []
    outermost = None
    for i, f in enumerate(factors):
        inner = [
            is_nested(other.codes, f.codes) for j, other in enumerate(factors) if j != i
        ]
        if not any(inner):
            alone.append(i)
        elif all(inner):
            outermost = i
    return Units(tuple(alone), outermost)


def outermost_loglik(
    fit: MixedModelFit, parameters: ParameterDraws, factor: Factor
) -> Array | None:
    """(draws, levels) log-likelihoods of the levels that contain all others.

    Exact for a Gaussian model, by the rule of the fit otherwise; None if that is
    Laplace's, which has no value for each level.
    """
    theta = _theta(fit, parameters)
    if fit.model.is_gaussian:
        return _gaussian(fit, parameters, theta, factor)
    marginal = fit._analysis.model.marginal
    problem, e = marginal.problem, fit.estimate
    log_phi = None if e.phi is None else float(np.log(e.phi))
    x = problem.to_engine(e.beta, e.theta, log_phi)
    engine = accurate_engine(problem, marginal.rule, x)
    if not isinstance(engine, QuadratureEngine):
        return None
    return _by_rule(fit, parameters, theta, engine)


def _theta(fit: MixedModelFit, parameters: ParameterDraws) -> Array:
    """(draws, q) entries of Lambda in the units of the estimate."""
    out = []
    for term, lam in zip(fit.design.random, parameters.roots, strict=True):
        p = pattern([(len(term.names), term.correlated)])
        out.append(lam[:, list(p.rows), list(p.cols)])
    theta = np.hstack(out)
    return theta / parameters.scale[:, None] if fit.model.is_gaussian else theta


def _gaussian(
    fit: MixedModelFit, parameters: ParameterDraws, theta: Array, factor: Factor
) -> Array:
    design, everything = fit.design, np.ones(fit.nobs, dtype=bool)
    out = np.empty((parameters.n, factor.n_levels))
    for d in range(parameters.n):
        known = design.offset + parameters.outputs[d].sum(1)
        model = replace(fit.model, design=replace(design, offset=known))
        at = Parameters(parameters.beta[d], theta[d], float(parameters.scale[d]), None)
        density = GaussianDensity(model, at)
        out[d, factor.codes] = density.by_component(everything)[density.component]
    return out


def _by_rule(
    fit: MixedModelFit,
    parameters: ParameterDraws,
    theta: Array,
    engine: QuadratureEngine,
) -> Array:
    chunks, problem = engine.chunks, engine.problem
    has_phi = fit.model.family.dispersion is not None
    last = len(engine.sizes) - 1
    out = []
    for d in range(parameters.n):
        log_phi = float(np.log(parameters.scale[d])) if has_phi else None
        x = problem.to_engine(parameters.beta[d], theta[d], log_phi)
        rows: Any = chunks.rows
        if parameters.outputs.shape[2]:
            known = fit.design.offset + parameters.outputs[d].sum(1)
            # Places without a row keep a linear predictor that every link allows.
            offset = np.where(rows.mask > 0, known[chunks.pick], rows.offset)
            rows = rows._replace(offset=offset)
        with precise():
            found = single.assess(x, rows, engine.zero, layout=engine.layout)
        out.append(chunks.collect(np.asarray(found.value), last))
    return np.array(out)
