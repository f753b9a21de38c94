"""The joint estimator's networks as the record that results are read from."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import pattern
from ngmm.design import RandomDesign
from ngmm.estimation.adversary import Adversary
from ngmm.estimation.joint import ACTIVATION, HIDDEN, Joint
from ngmm.estimation.status import Status
from ngmm.model import GaussianEstimate, GeneralizedEstimate, Model
from ngmm.networks import Network, is_natural
from ngmm.neural.record import FittedNetworks, given_networks
from ngmm.neural.strength import choose_strength
from ngmm.neural.trained import trained_networks, with_defaults
from ngmm.progress import ProgressLine
from ngmm.training.joint.fit import JointResult, train_jointly
from ngmm.training.joint.opponent import Faced, Opponent, group_of, opponent_of

Vector = NDArray[np.float64]
Found: TypeAlias = tuple[GaussianEstimate | GeneralizedEstimate, FittedNetworks]

# The search for the variances starts away from zero, which is a saddle point.
LEAST_SD = 1e-2


def fit_jointly(
    base: Model,
    networks: tuple[Network, ...],
    options: Joint,
    adversary: Adversary | None,
    seed: int,
    progress: bool | str,
) -> Found:
    """Fit networks together with random effects, then all the rest by Newton.

    Weights have no covariance: what is said of the other parameters takes the networks,
    and the units that have random slopes, as known.
    """

    def fit(model: Model, strength: float, progress: bool | str = False) -> Found:
        opponent = None
        if adversary is not None and strength > 0.0:
            opponent = opponent_of(model.design, adversary, strength)
        return _fit(model, networks, options, opponent, seed, progress)

    if adversary is None:
        return fit(base, 0.0, progress)
    if not isinstance(adversary.strength, str):
        return fit(base, float(adversary.strength), progress)
    group = group_of(base.design, adversary)
    codes = next(t.codes for t in base.design.random if t.group == group)
    with ProgressLine(progress, "strength") as line:
        strength = choose_strength(base, codes, fit, seed, line)
    estimate, fitted = fit(base, strength, progress)
    if strength == 0.0:
        # The summary says that the choice was to have none.
        n_groups = int(codes.max()) + 1
        fitted = replace(fitted, adversary=Faced(0.0, n_groups, np.nan, np.nan))
    return estimate, fitted


def _fit(
    base: Model,
    networks: tuple[Network, ...],
    options: Joint,
    opponent: Opponent | None,
    seed: int,
    progress: bool | str,
) -> Found:
    """One fit, against an opponent of given strength or none."""
    design = base.design
    networks = with_defaults(networks, design.networks, HIDDEN, ACTIVATION)
    found = train_jointly(
        design, networks, base.family, options, opponent, seed=seed, progress=progress
    )
    fitted = trained_networks(base, networks, found).with_coefficients()
    fitted = replace(fitted, adversary=found.adversary, modulations=found.modulations)
    fitted = fitted.with_units([term.network for term in design.random])
    given = given_networks(base, fitted)
    terms = zip(given.design.random, found.variances, strict=True)
    start = np.concatenate(
        [_theta(t, _of_kept(t, Sigma, fitted), found.sigma) for t, Sigma in terms]
    )
    estimate = given.maximise(start)
    return replace(estimate, status=_worse(found, estimate.status)), fitted


def _of_kept(term: RandomDesign, Sigma: Vector, fitted: FittedNetworks) -> Vector:
    """The covariance of a term's effects, for its columns.

    Units that do not vary have none; those that are taken as they are come times the
    scale of the response.
    """
    if term.network is None:
        return Sigma
    units, net = fitted.units[term.network], fitted.stack.networks[term.network]
    assert units is not None
    of = np.concatenate([np.arange(term.n_own), term.n_own + units.kept])
    natural = np.array(is_natural(net, len(Sigma) - term.n_own))[units.kept]
    unit = np.where(natural, fitted.scale, 1.0)
    unit = np.concatenate([np.ones(term.n_own), unit])
    return Sigma[np.ix_(of, of)] / np.outer(unit, unit)


def _theta(term: RandomDesign, Sigma: Vector, sigma: float) -> Vector:
    """Covariance parameters of a term from a covariance, relative to sigma."""
    p = pattern([(len(term.names), term.correlated)])
    floor = LEAST_SD**2 * sigma**2 * np.eye(len(Sigma))
    L = np.linalg.cholesky(Sigma + floor) / sigma
    return np.asarray(L[list(p.rows), list(p.cols)], dtype=np.float64)


def _worse(found: JointResult, status: Status) -> Status:
    """The training's status, or that of the likelihood after good training."""
    return status if found.status is Status.CONVERGED else found.status
