"""What happened in training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.drawing import panels
from ngmm.estimation.stochastic_loop import Epoch

Vector = NDArray[np.float64]

# What an adversary's accuracy is called among the named numbers.
ADVERSARY = "adversary"


@dataclass(frozen=True, eq=False)
class History:
    """What happened, epoch by epoch: arrays of one length.

    Attributes
    ----------
    epoch
        Counted from one.
    loss, held_out
        What is minimised, per row: minus the marginal log-likelihood, or the objective
        of `ngmm.Joint`; mean over the batches of the epoch. And minus the
        log-likelihood per row of what is held out, by `ngmm.Joint` with the
        random effects and `population` times without; NaN where nothing is.
    known
        Names to values of what was settled or seen between epochs; ``"adversary"`` is
        the share of rows whose group an adversary tells.
    chance
        That share by guessing; None without an adversary.
    """

    epoch: NDArray[np.int64]
    loss: Vector
    held_out: Vector
    known: dict[str, Vector]
    chance: float | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return a row an epoch."""
        columns = {"loss": self.loss, "held_out": self.held_out, **self.known}
        return pd.DataFrame(columns, index=pd.Index(self.epoch, name="epoch"))

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss and, where there is one, the adversary's accuracy.

        Parameters
        ----------
        ax
            Axes to draw on, one a panel; None for a new figure.

        Returns
        -------
        matplotlib axes
            An array of them, or what was given.

        Raises
        ------
        MissingPackageError
            Without matplotlib.
        """
        returned, axes = panels(1 if self.chance is None else 2, ax)
        axes[0].plot(self.epoch, self.loss, label="training")
        if np.isfinite(self.held_out).any():
            axes[0].plot(self.epoch, self.held_out, label="held out")
            axes[0].legend()
        axes[0].set(xlabel="epoch", ylabel="loss per row")
        if self.chance is not None:
            axes[1].plot(self.epoch, self.known[ADVERSARY], label="adversary")
            axes[1].axhline(self.chance, linestyle="--", color="grey", label="guessing")
            axes[1].set(xlabel="epoch", ylabel="groups told", ylim=(0.0, 1.0))
            axes[1].legend()
        return returned


def history_of(epochs: Sequence[Epoch], chance: float | None = None) -> History:
    """What happened, as arrays."""
    names = epochs[0].known if epochs else {}
    return History(
        epoch=np.array([e.epoch for e in epochs], dtype=np.int64),
        loss=np.array([e.loss for e in epochs]),
        held_out=np.array(
            [np.nan if e.held_out is None else e.held_out for e in epochs]
        ),
        known={name: np.array([e.known[name] for e in epochs]) for name in names},
        chance=chance,
    )
