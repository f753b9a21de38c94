"""Draws of the parameters from the normal approximation of their estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.charts import Roots, draw_roots
from ngmm.arviz_bridge.parameters import ParameterDraws
from ngmm.covariance import pattern
from ngmm.errors import NotSupportedError
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.neural import NeuralAnalysis

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Why bands of networks are missing, for notes.
HELD = (
    "the outputs of the networks are those of the fit in every draw: their estimator "
    "gives no covariance of the weights"
)

# Standard error of the log of a dispersion that the data do not tell.
LARGEST_LOG_SE = 3.0
UNKNOWN = "the data do not tell the dispersion: it is that of the fit in every draw"


@dataclass(frozen=True, eq=False)
class _Moves:
    """Deviations from the estimates.

    Attributes
    ----------
    values
        (draws, P) of (beta, theta, log scale).
    covariance
        (P, P) theirs.
    outputs
        (draws, n, terms) of the networks, not their deviations.
    output_note
        What is special about these.
    """

    values: Matrix
    covariance: Matrix
    outputs: NDArray[np.float64]
    output_note: str = ""


def asymptotic(
    fit: MixedModelFit, n: int, generator: np.random.Generator
) -> ParameterDraws:
    """Draws from the normal approximation of the estimator.

    Fixed effects are normal with the covariance of ``fit.vcov()``; standard deviations
    and the scale on the log scale, correlations on that of Fisher's z. Those of a
    non-Gaussian model and of one with networks are drawn jointly.

    Raises
    ------
    NotSupportedError
        If the covariance of the estimates is not finite.
    """
    analysis = fit._analysis
    if isinstance(analysis, NeuralAnalysis) and analysis.networks.has_covariance:
        moves = _of_members(analysis, n, generator)
    else:
        moves = _of_estimates(fit, n, generator)
    e = fit.estimate
    phi = 1.0 if e.phi is None else e.phi
    found = _roots(fit, moves)
    held = moves.covariance[-1, -1] > LARGEST_LOG_SE**2
    step = np.zeros(n) if held else moves.values[:, -1]
    return ParameterDraws(
        beta=e.beta + moves.values[:, : len(e.beta)],
        roots=tuple(r.lam for r in found),
        scale=(e.sigma if fit.model.is_gaussian else phi) * np.exp(step),
        outputs=moves.outputs,
        term_notes=tuple(r.note for r in found),
        output_note=moves.output_note,
        scale_note=UNKNOWN if held else "",
    )


def _roots(fit: MixedModelFit, moves: _Moves) -> list[Roots]:
    """Lambda of each term."""
    e, n = fit.estimate, len(moves.values)
    p, q = len(e.beta), len(e.theta)
    out, at = [], p
    for term in fit.design.random:
        pat = pattern([(len(term.names), term.correlated)])
        # Only a Gaussian theta is relative to the scale.
        own = np.append(np.arange(at, at + pat.n_theta), p + q)
        step, cov = moves.values[:, own], moves.covariance[np.ix_(own, own)]
        if not fit.model.is_gaussian:
            step = np.column_stack([step[:, :-1], np.zeros(n)])
            cov = np.pad(cov[:-1, :-1], (0, 1))
        theta = e.theta[at - p : at - p + pat.n_theta]
        out.append(draw_roots(theta, e.sigma, pat, step, cov))
        at += pat.n_theta
    return out


def _of_estimates(fit: MixedModelFit, n: int, generator: np.random.Generator) -> _Moves:
    """Deviations of a model without networks, or with networks taken as known."""
    analysis = fit._analysis
    neural = isinstance(analysis, NeuralAnalysis)
    given: Any = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    p, q = len(fit.estimate.beta), len(fit.estimate.theta)
    cov = np.zeros((p + q + 1, p + q + 1))
    if isinstance(given, GeneralizedAnalysis):
        size = len(given.covariance)
        cov[:size, :size] = given.covariance
    else:
        # Of a Gaussian model beta and the variances are independent in the limit.
        cov[:p, :p] = fit._vcov
        unit = np.append(np.ones(q), 1.0 / fit.estimate.sigma)
        cov[p:, p:] = given.parameter_covariance * np.outer(unit, unit)
    outputs = np.broadcast_to(analysis.outputs, (n, *analysis.outputs.shape))
    return _Moves(normal(cov, n, generator), cov, outputs, HELD if neural else "")


def _of_members(
    analysis: NeuralAnalysis, n: int, generator: np.random.Generator
) -> _Moves:
    """Deviations of a model with networks, drawn with those of the weights.

    A draw takes one of the averaged networks, by its share, and weights about it in
    whose change its output is linear, as the bands of predictions have it.
    """
    networks, d = analysis.networks, analysis.design
    inputs = [t.inputs for t in d.networks]
    shares = np.array([m.share for m in networks.members])
    pick = generator.choice(len(shares), size=n, p=shares / shares.sum())
    at, slope = analysis._positions, analysis._slope
    middle = shares @ np.stack([m.x[at] for m in networks.members])
    values = np.empty((n, len(slope)))
    outputs = np.empty((n, d.n_rows, len(inputs)))
    member_outputs = networks.member_outputs(inputs, d.X)
    stop = networks.n_beta + np.cumsum(networks.stack.sizes)
    for i, member in enumerate(networks.members):
        own = np.flatnonzero(pick == i)
        moves = normal(cast(Matrix, member.covariance), len(own), generator)
        values[own] = (moves[:, at] + member.x[at] - middle) @ slope.T
        J = networks.jacobian(member, inputs, d.X)
        for t, (b, size) in enumerate(zip(stop, networks.stack.sizes, strict=True)):
            w = slice(b - size, b)
            part = slice(b - size - networks.n_beta, b - networks.n_beta)
            outputs[own, :, t] = member_outputs[i, :, t] + moves[:, w] @ J[:, part].T
    covariance = analysis.covariance
    if values.shape[1] == len(analysis.estimate.beta) + len(analysis.estimate.theta):
        values = np.column_stack([values, np.zeros(n)])
        covariance = np.pad(covariance, (0, 1))
    return _Moves(values, covariance, outputs)


def normal(covariance: Matrix, n: int, generator: np.random.Generator) -> Matrix:
    """(n, P) normal draws with mean zero; a singular covariance is one.

    Raises
    ------
    NotSupportedError
        If the covariance is not finite.
    """
    if not np.isfinite(covariance).all():
        raise NotSupportedError(
            "the covariance of the estimates is not known at this fit, so that there "
            'is nothing to draw from; look at fit.check(), or use kind="bootstrap"'
        )
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return generator.standard_normal((n, len(root))) @ root.T
