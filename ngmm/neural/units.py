"""From the units of the likelihood to those of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.model import Model

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters beside the networks' weights, in the units of the data.

    Attributes
    ----------
    beta, theta
        Fixed effects, and covariance parameters in the order of the formula.
    scale
        sigma, or the dispersion of families that have one.
    slope
        Derivative of (beta, theta, log scale) in (beta, tau) of the engine.
    """

    beta: Vector
    theta: Vector
    scale: float | None
    slope: Matrix


def to_user(model: Model, beta: Vector, tau: Vector) -> Parameters:
    """Parameters of the data from the engine's, for the model without networks."""
    if model.is_gaussian:
        problem = model.problem
        p, q = problem.layout.n_beta, problem.layout.n_theta
        data = problem.data
        root = np.sqrt(problem.n_rows) * data.y_scale
        slope = np.zeros((p + q + 1, p + q + 1))
        slope[:p, :p] = root * np.linalg.inv(data.triangle)
        unit = np.diag(1.0 / problem.theta_scale)[problem.order]
        slope[p : p + q, p : p + q] = unit
        slope[-1, -1] = 1.0
        theta = problem.to_user(tau[:q])
        sigma = float(np.exp(tau[-1])) * data.y_scale
        return Parameters(data.beta_ols + slope[:p, :p] @ beta, theta, sigma, slope)
    problem = model.marginal.problem
    user_beta, theta, log_phi = problem.to_user(np.concatenate([beta, tau]))
    scale = None if log_phi is None else float(np.exp(log_phi))
    slope = np.asarray(np.linalg.inv(problem.jacobian), dtype=np.float64)
    return Parameters(user_beta, theta, scale, slope)


def to_engine(
    model: Model, beta: Vector, theta: Vector, scale: float | None
) -> tuple[Vector, Vector]:
    """(beta, tau) of the engine from parameters of the data."""
    if model.is_gaussian:
        problem = model.problem
        data, p = problem.data, problem.layout.n_beta
        assert scale is not None
        root = np.sqrt(problem.n_rows) * data.y_scale
        own = data.triangle @ (beta - data.beta_ols) / root if p else beta
        tau = np.append(problem.to_engine(theta), np.log(scale / data.y_scale))
        return own, tau
    problem = model.marginal.problem
    x = problem.to_engine(beta, theta, None if scale is None else float(np.log(scale)))
    return x[: problem.n_beta], x[problem.n_beta :]
