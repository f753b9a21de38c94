"""Networks without hidden layers: their inputs beside the fixed effects, exactly.

Nothing is penalised, so the fit is that of the linear model, to the last digit that its
own estimator gives.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ngmm.design.rank import independent_columns
from ngmm.estimation.status import Status
from ngmm.likelihood.information import (
    covariance_from_information,
    variance_information,
)
from ngmm.likelihood.neural.prepare import orthonormal
from ngmm.likelihood.neural.terms import Stack
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import Network
from ngmm.neural.record import FittedNetworks, Member
from ngmm.neural.units import to_engine, to_user

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def fit_linear(
    base: Model, networks: tuple[Network, ...]
) -> tuple[GaussianEstimate | GeneralizedEstimate, FittedNetworks]:
    """Fit networks that are linear functions of their inputs."""
    design = base.design
    p = design.X.shape[1]
    raw, columns, sizes, names = [], [], [], list(design.names)
    for d in design.networks:
        x = np.asarray(d.inputs.x)
        names += [f"{column} of {d.label}" for column in d.columns]
        q = orthonormal(d.basis(design.X))
        raw.append(x)
        columns.append(x - q @ (q.T @ x))
        sizes.append(x.shape[1])
    wide = np.column_stack([design.X, *columns])
    # A column that is shared in full leaves rounding errors, which look independent.
    kept = independent_columns(np.column_stack([design.X, *raw]))
    augmented = replace(
        base,
        design=replace(
            design,
            X=np.ascontiguousarray(wide[:, kept]),
            names=tuple(names[i] for i in kept),
            column_terms=tuple(names[i] for i in kept),
        ),
    )
    found = augmented.maximise()
    n_w = sum(sizes)
    coefficients = np.zeros(p + n_w)
    coefficients[kept] = found.beta
    active = np.zeros(p + n_w)
    active[kept] = 1.0
    scale = found.sigma if base.is_gaussian else found.phi
    beta, tau = to_engine(base, coefficients[:p], found.theta, scale)
    unit = base.problem.data.y_scale if base.is_gaussian else 1.0
    own = _covariance(augmented, found, base, beta, tau, kept)
    at = np.concatenate([kept, np.arange(p + n_w, p + n_w + len(tau))])
    joint = np.zeros((p + n_w + len(tau),) * 2)
    joint[np.ix_(at, at)] = own
    member = Member(
        x=np.concatenate([beta, coefficients[p:] / unit, tau]),
        covariance=joint,
        share=1.0,
        evidence=np.nan,
        loglik=found.loglik,
        edf=active[p:],
        log_penalty=np.full(n_w, -np.inf),
        width=None,
        active=active[p:],
    )
    fitted = FittedNetworks(
        designs=design.networks,
        X=design.X,
        stack=Stack(networks, tuple(sizes)),
        members=(member,),
        groups=np.arange(n_w, dtype=np.int32),
        n_beta=p,
        scale=unit,
        coefficients=(),
        evidences=np.zeros(0),
        statuses=(Status(found.status),),
    ).with_coefficients()
    offset = design.offset + wide[:, p:] @ coefficients[p:]
    given = replace(base, design=replace(design, offset=offset))
    estimate = given.at(
        coefficients[:p], found.theta, scale, found.status, found.n_steps
    )
    # The joint maximum, whose conditional one differs by rounding.
    estimate = replace(
        estimate, beta=coefficients[:p], loglik=found.loglik, gain=found.gain
    )
    if isinstance(estimate, GeneralizedEstimate):
        assert isinstance(found, GeneralizedEstimate)
        # With the networks as a known part an infinite weight is out of sight.
        estimate = replace(estimate, separation=found.separation)
    return estimate, fitted


def _covariance(
    augmented: Model,
    found: GaussianEstimate | GeneralizedEstimate,
    base: Model,
    beta: Vector,
    tau: Vector,
    kept: NDArray[np.intp],
) -> Matrix:
    """Covariance of the coefficients kept and tau, in the engine's units of `base`."""
    p = len(beta)
    slope = to_user(base, beta, tau).slope
    # From the units of the data: weights are in those of the standardised inputs.
    turn = np.eye(len(kept) + len(tau))
    turn[:p, :p] = np.linalg.inv(slope[:p, :p])
    if isinstance(found, GeneralizedEstimate):
        turn[len(kept) :, len(kept) :] = np.linalg.inv(slope[p:, p:])
        return turn @ covariance_from_information(found.information) @ turn.T
    problem = augmented.problem
    turn[p : len(kept), p : len(kept)] /= base.problem.data.y_scale
    half = np.linalg.inv(problem.data.triangle)
    precision = found.profile.tail[: len(kept), : len(kept)]
    out = np.zeros(turn.shape)
    out[: len(kept), : len(kept)] = (
        found.sigma**2 * half @ np.linalg.solve(precision, half.T)
    )
    information = variance_information(found.profile, problem.n_residual)
    variances = covariance_from_information(information)
    to_log = np.append(np.ones(len(tau) - 1), problem.data.y_scale / found.sigma)
    out[len(kept) :, len(kept) :] = variances * np.outer(to_log, to_log)
    return np.asarray(turn @ out @ turn.T, dtype=np.float64)
