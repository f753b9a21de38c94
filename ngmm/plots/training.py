"""The loss of networks trained by minibatches, epoch by epoch."""

from __future__ import annotations

from typing import Any

from ngmm.diagnostics.checks import check_fit
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit
from ngmm.training.history import History

WHAT = "plots.training"


def training(fit: MixedModelFit | History, *, ax: Any = None) -> Any:
    """Draw the loss per row of every epoch of training.

    Parameters
    ----------
    fit
        A fit whose networks were trained by `ngmm.Stochastic` or `ngmm.Joint`, or its
        ``fit.networks.history``.
    ax
        Axes to draw on: one, or two with an adversary; None for a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes
        The loss, and that of the rows held out if any were; then the share of rows
        whose group an adversary tells, with the share by guessing. Or what was given.

    Raises
    ------
    OptionError
        If the fit has no networks, or they were not trained in epochs.
    MissingPackageError
        Without matplotlib.

    Examples
    --------
    >>> import ngmm
    >>> import numpy as np
    >>> from ngmm.training.history import History
    >>> loss, held_out = np.array([1.4, 1.1, 1.0]), np.array([1.5, 1.2, 1.2])
    >>> trace = History(np.array([1, 2, 3]), loss, held_out, known={})
    >>> (axis,) = ngmm.plots.training(trace)  # or of a fit
    >>> axis.get_xlabel(), [line.get_label() for line in axis.lines]
    ('epoch', ['training', 'held out'])
    """
    return _history(fit).plot(ax)


def _history(fit: MixedModelFit | History) -> History:
    if isinstance(fit, History):
        return fit
    networks = check_fit(fit, WHAT).networks
    if networks is None:
        raise OptionError(
            f"{WHAT}: the model `{fit.formula}` has no network in its fixed part, so "
            "nothing was trained; write one into the formula, such as nn(x1, x2)"
        )
    if networks.history is None:
        raise OptionError(
            f"{WHAT}: these networks were not trained in epochs ({fit.estimate_text}). "
            "Fit with estimator=ngmm.Stochastic() or ngmm.Joint() for a trace"
        )
    return networks.history
