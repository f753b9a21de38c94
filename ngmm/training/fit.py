r"""Networks by minibatches of whole groups, everything else by maximum likelihood.

.. math:: \eta = \mathrm{offset} + X\beta + \sum_k f_k + Z b, \qquad
          f_k = s\,(g_k - X_k c_k),

with g_k the output of network k, c_k its least-squares coefficients on the columns of X
that it shares, and s a scale. During an epoch beta, c, theta and sigma or the
dispersion are known; between epochs they are settled on the training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.estimation.status import Status
from ngmm.estimation.stochastic import Stochastic, default_optimizer
from ngmm.estimation.stochastic_loop import follow
from ngmm.families import Family
from ngmm.model import Estimate, Model
from ngmm.progress import ProgressLine
from ngmm.training.history import History, history_of
from ngmm.training.task import Task
from ngmm.training.variances import known_part

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StochasticResult:
    """Networks and the maximum-likelihood estimates that go with them.

    Attributes
    ----------
    weights
        Of each network.
    scale
        s: the networks' outputs are in units of it.
    coefficients
        c of each network, on the columns of X that it shares.
    outputs
        (n,) f of each network on the rows of the design: s (g - X c).
    estimate
        All other parameters, at the maximum of the likelihood given the networks.
    history
        Epoch by epoch.
    status
        How the training ended.
    n_epochs, best_epoch
        Epochs made, and the one of the weights.
    """

    weights: tuple[Any, ...]
    scale: float
    coefficients: tuple[Vector, ...]
    outputs: tuple[Vector, ...]
    estimate: Estimate
    history: History
    status: Status
    n_epochs: int
    best_epoch: int


def train(
    design: Design,
    networks: Sequence[Any],
    family: Family,
    quad: Any = "auto",
    options: Stochastic | None = None,
    *,
    seed: int = 0,
    progress: bool | str = "auto",
) -> StochasticResult:
    """Fit the networks of a design and all that goes with them.

    Parameters
    ----------
    design
        With one network design for each network.
    networks
        The networks, in the order of `design.networks`.
    family
        Response distribution.
    quad
        How the random effects are integrated out for the final estimate; batches use a
        few nodes about the posterior of each level.
    options
        Of the estimator.
    seed
        Draws starting weights and batches.
    progress
        ``"auto"``, True or False.

    Raises
    ------
    NotSupportedError
        If the random effects have more than one grouping factor.
    OptionError
        If the options do not suit the number of groups.
    """
    options = Stochastic() if options is None else options
    task = Task.prepare(design, tuple(networks), family, options)
    plan = options.plan(design.n_rows, task.n_levels, int(task.sizes.max()))
    generator = np.random.default_rng(seed)
    task = task.split(generator, plan.n_held_out, plan.n_batches)
    weights = task.initial_weights(seed)
    optimizer = options.optimizer
    if optimizer is None:
        optimizer = default_optimizer(plan.epochs * plan.n_batches)
    with ProgressLine(progress, "training") as line:
        trained = follow(
            task,
            weights,
            optimizer,
            epochs=plan.epochs,
            patience=plan.patience,
            generator=generator,
            line=line,
        )
    outputs, coefficients = task.outputs(trained.weights)
    model = Model(known_part(design, task.total(outputs)), family, quad=quad)
    return StochasticResult(
        weights=jax.tree.map(np.asarray, trained.weights),
        scale=task.scale,
        coefficients=coefficients,
        outputs=outputs,
        estimate=model.maximise(task.steps.theta),
        history=history_of(trained.history),
        status=trained.status,
        n_epochs=len(trained.history),
        best_epoch=trained.best,
    )
