"""Starting values of a generalized model: a model without random effects, and moments.

Coefficients come from maximum likelihood without random effects; standard deviations
from the method of moments on its working residuals.
"""

from __future__ import annotations

import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.estimation.glm import fit_glm
from ngmm.families import Family
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.observations import Rows, Slopes, slopes
from ngmm.likelihood.standardise import GroupedColumns, Standardised
from ngmm.likelihood.start import starting_theta
from ngmm.linalg import precise

Vector = NDArray[np.float64]

# Standard deviations to start from, on columns of unit mean square: moments say little
# beyond these, and Newton's method finds its way from either end.
LEAST, MOST = 0.2, 2.0


def starting_psi(problem: GeneralizedProblem) -> Vector:
    """The engine's psi to start from."""
    rows = problem.rows
    trials = rows.trials if problem.family.takes_trials else None
    glm = fit_glm(rows.X, rows.y, problem.family, rows.offset, rows.weights, trials)
    log_phi = 0.0 if glm.log_phi is None else glm.log_phi
    eta = rows.offset + rows.X @ glm.beta
    theta = _theta(problem, eta, log_phi)
    tail = [] if glm.log_phi is None else [log_phi]
    return np.concatenate([glm.beta, theta, tail])


def _theta(problem: GeneralizedProblem, eta: Vector, log_phi: float) -> Vector:
    """Moments of the working residuals score / W, with weights W."""
    rows = problem.rows
    with precise():
        found = _slopes_at(eta, np.float64(log_phi), rows, layout=problem.family)
    first, second = np.asarray(found.first), np.asarray(found.second)
    weight = np.maximum(-second, 1e-8 * np.abs(second).max() + 1e-300)
    residual = first / np.sqrt(weight)
    size = float(np.sqrt(np.mean(residual * residual)))
    if not (np.isfinite(residual).all() and size > 0):
        return _diagonal(problem, 0.5)
    root = np.sqrt(weight)
    columns = []
    scales = []
    for z in rows.Z:
        scaled = z * root[:, None]
        scale = np.sqrt(np.mean(scaled * scaled, axis=0))
        columns.append(scaled / scale)
        scales.append(scale)
    working = Standardised(
        tail=(residual / size)[:, None],
        columns=tuple(columns),
        triangle=np.zeros((0, 0)),
        beta_ols=np.zeros(0),
        y_scale=size,
        column_scales=tuple(scales),
        sum_log_weights=0.0,
    )
    groups = [
        GroupedColumns(codes, z, g.n_levels)
        for codes, z, g in zip(rows.codes, rows.Z, problem.arranged.groups, strict=True)
    ]
    theta = starting_theta(working, groups, problem.arranged.patterns)
    scale = problem.arranged.theta_scale(scales)
    limit = _eta_size(problem)
    return _clipped(problem, theta / scale, limit)


def _eta_size(problem: GeneralizedProblem) -> float:
    """Size of eta where it depends on the units of the response, otherwise one."""
    link = problem.family.transform
    if not np.isfinite(link.lower):
        return 1.0
    rows = problem.rows
    trials = rows.trials if problem.family.takes_trials else None
    eta = np.asarray(link.link(np.asarray(problem.family.start(rows.y, trials))))
    return 0.1 * float(np.sqrt(np.mean(eta * eta)))


def _diagonal(problem: GeneralizedProblem, sd: float) -> Vector:
    out = np.zeros(problem.n_theta)
    start = 0
    for p in problem.arranged.patterns:
        out[start + np.array(p.diagonal)] = sd * _eta_size(problem)
        start += p.n_theta
    return out


def _clipped(problem: GeneralizedProblem, theta: Vector, size: float) -> Vector:
    on = _diagonal(problem, 1.0) != 0.0
    return np.where(on, np.clip(theta, LEAST * size, MOST * size), 0.0)


def _at(eta: Array, xi: Array, rows: Rows, *, layout: Family) -> Slopes:
    return slopes(eta, xi, rows, layout)


_slopes_at = Compiled(_at)
