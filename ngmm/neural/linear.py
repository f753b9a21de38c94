"""Networks without hidden layers: their inputs beside the fixed effects, exactly.

Nothing is penalised, so the fit is that of the linear model, to the last digit that its
own estimator gives.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ngmm.design.rank import independent_columns
from ngmm.estimation.status import Status
from ngmm.inference.analysis import analyse
from ngmm.likelihood.neural.prepare import orthonormal
from ngmm.likelihood.neural.terms import Stack
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import Network
from ngmm.neural.record import FittedNetworks, Member
from ngmm.neural.units import to_engine, to_user


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
    analysis = analyse(augmented, found)
    n_w = sum(sizes)
    coefficients = np.zeros(p + n_w)
    coefficients[kept] = found.beta
    covariance = np.zeros((p + n_w, p + n_w))
    covariance[np.ix_(kept, kept)] = analysis.vcov
    active = np.zeros(p + n_w)
    active[kept] = 1.0
    scale = found.sigma if base.is_gaussian else found.phi
    beta, tau = to_engine(base, coefficients[:p], found.theta, scale)
    unit = base.problem.data.y_scale if base.is_gaussian else 1.0
    slope = to_user(base, beta, tau).slope
    joint = _joint(analysis, covariance, slope, p, n_w, unit)
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


def _joint(analysis, covariance, slope, p, n_w, unit):  # type: ignore[no-untyped-def]
    """Covariance of (beta, w, tau) in the engine's units."""
    q = len(slope) - p
    out = np.zeros((p + n_w + q, p + n_w + q))
    inverse = np.linalg.inv(slope)
    turn = np.eye(p + n_w) / unit
    turn[:p, :p] = inverse[:p, :p]
    out[: p + n_w, : p + n_w] = turn @ covariance @ turn.T
    variances = np.array(analysis.parameter_covariance)
    if isinstance(analysis.estimate, GaussianEstimate):
        sigma = analysis.estimate.sigma
        variances[-1] /= sigma
        variances[:, -1] /= sigma
    else:
        variances = analysis.covariance[-q:, -q:] if q else np.zeros((0, 0))
    part = inverse[p:, p:]
    out[p + n_w :, p + n_w :] = part @ variances[:q, :q] @ part.T
    return out
