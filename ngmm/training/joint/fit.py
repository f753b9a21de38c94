"""Training networks and random effects together, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.estimation.joint import Joint, joint_optimizer
from ngmm.estimation.status import Status
from ngmm.estimation.stochastic_loop import Epoch, Trained, follow
from ngmm.families import Family
from ngmm.networks import Network
from ngmm.progress import ProgressLine
from ngmm.training.classify import Examples
from ngmm.training.history import ADVERSARY, History, history_of
from ngmm.training.joint.arrays import Weights
from ngmm.training.joint.opponent import Faced, Opponent
from ngmm.training.joint.own import Modulation, modulations
from ngmm.training.joint.task import JointTask, prepare

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointResult:
    """Networks that were trained together with random effects.

    Attributes
    ----------
    weights
        Of each network.
    scale
        s: the networks' outputs are in units of it.
    variances
        For each random-effects term the second moments of its random effects under
        their distributions, (k, k), in the units of the response: where the search for
        the maximum likelihood starts.
    sigma
        Residual standard deviation; one for families without.
    history
        Epoch by epoch.
    status
        How the training ended.
    n_epochs
        Epochs made.
    adversary
        What the networks were trained against; None for nothing.
    modulations
        For each network what the random effects on its units are where they serve to
        draw its inputs again; empty for others.
    """

    weights: tuple[Any, ...]
    scale: float
    variances: tuple[NDArray[np.float64], ...]
    sigma: float
    history: History
    status: Status
    n_epochs: int
    adversary: Faced | None
    modulations: tuple[tuple[Modulation, ...], ...]


def train_jointly(
    design: Design,
    networks: Sequence[Network],
    family: Family,
    options: Joint,
    opponent: Opponent | None = None,
    *,
    seed: int = 0,
    progress: bool | str = "auto",
) -> JointResult:
    """Fit the networks of a design together with its random effects.

    Parameters
    ----------
    design
        With one network design for each network.
    networks
        The networks, in the order of `design.networks`.
    family
        Response distribution.
    options
        Of the estimator.
    opponent
        What reads the hidden layers, if anything.
    seed
        Draws starting weights and batches.
    progress
        ``"auto"``, True or False.

    Raises
    ------
    OptionError
        If the options do not suit the data, or a network has no hidden layers to see.
    """
    task = prepare(design, tuple(networks), family, options=options, opponent=opponent)
    plan = task.plan
    optimizer = options.optimizer
    if optimizer is None:
        optimizer = joint_optimizer(plan.epochs * task.n_batches, float(options.decay))
    with ProgressLine(progress, "training") as line:
        trained = follow(
            task,
            task.initial_weights(seed),
            optimizer,
            epochs=plan.epochs,
            patience=plan.epochs,
            generator=np.random.default_rng(seed),
            line=line,
        )
    found, status = trained.weights, trained.status
    best = task.best.weights if opponent is not None else None
    if best is not None and task.best.is_lost(_last_loss(trained)):
        found, status = best, Status.COLLAPSED
    scale = float(task.arrays.scale)
    classifier = task.layout.adversary
    chance = None if classifier is None else 1.0 / classifier.n_groups
    return JointResult(
        weights=jax.tree.map(np.asarray, found.networks),
        scale=scale,
        variances=tuple(
            scale**2 * task.covariance(effects, term.correlated)
            for effects, term in zip(found.effects, design.random, strict=True)
        ),
        sigma=float(np.exp(0.5 * float(found.xi))) if family.has_residual else 1.0,
        history=history_of(trained.history, chance),
        status=status,
        n_epochs=len(trained.history),
        adversary=_faced(task, opponent, found, trained.history),
        modulations=modulations(found, task.arrays, task.layout),
    )


def _last_loss(trained: Trained) -> float:
    return trained.history[-1].known["loss"] if trained.history else np.inf


def _faced(
    task: JointTask,
    opponent: Opponent | None,
    weights: Weights,
    history: Sequence[Epoch],
) -> Faced | None:
    """How well groups can still be told from the finished networks."""
    if opponent is None or opponent.classifier is None or not history:
        return None
    kind = opponent.classifier
    examples = Examples(
        task.adversary_reads(weights), opponent.codes[task.looked_at], kind.n_groups
    )
    return Faced(
        strength=kind.strength,
        n_groups=kind.n_groups,
        accuracy=history[-1].known[ADVERSARY],
        fresh=examples.fit().accuracy,
    )
