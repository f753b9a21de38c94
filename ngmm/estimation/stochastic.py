"""The stochastic estimator's options: minibatches of whole groups, by optax."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from numbers import Integral, Real
from typing import Any

from ngmm.errors import OptionError
from ngmm.estimation.estimators import is_transformation

# Rows of a batch that "auto" aims at: matrix products are efficient, and an epoch still
# has many steps.
BATCH_ROWS = 2_000
# Fewer groups to a batch make the gradient of the variance of levels very noisy.
LEAST_GROUPS = 5
# Rows that "auto" visits in all epochs together, and how few and many epochs it takes.
VISITS = 4_000_000
LEAST_EPOCHS, MOST_EPOCHS = 4, 400

# Networks for data that are worth this estimator, where a term names none: depth is
# what the functions of the benchmarks need, width costs little.
HIDDEN = (64, 64, 64)
ACTIVATION = "silu"

# The default transformation.
RATE = 1e-2
WARM_UP = 0.05
DECAY = 0.2
LONGEST_STEP = 1.0

PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class Stochastic:
    """Networks by optax over minibatches of whole groups, variances by Newton.

    Parameters
    ----------
    optimizer
        Any optax transformation, with a schedule if it likes: it makes a step for each
        batch. None for AdamW with a warm-up, cosine decay to zero over the planned
        epochs and gradient clipping.
    epochs
        Times that every group is visited at most; ``"auto"`` for fewer with more data.
    batch_groups
        Groups in a batch; ``"auto"`` for about 2,000 rows. A group is never split.
    validation
        Share of the groups that are held out to see when to stop, by their marginal
        log-likelihood; 0 for none, which keeps the last weights.
    patience
        Epochs without improvement on the held-out groups before stopping; None for
        a quarter of the epochs, at least ten.
    precision
        Arithmetic of the networks, ``"float32"`` or ``"float64"``. Likelihoods are
        computed in float64 either way.

    Raises
    ------
    OptionError
        If an option is not what it should be.

    Notes
    -----
    The weights are averages over the last epochs, with any optimizer. The estimates of
    the other parameters are those of maximum likelihood given the networks, on all
    rows.

    Examples
    --------
    >>> from ngmm import Stochastic
    >>> Stochastic(epochs=20, batch_groups=50)
    Stochastic(epochs=20, batch_groups=50)
    """

    optimizer: Any = field(default=None, repr=False)
    epochs: int | str = "auto"
    batch_groups: int | str = "auto"
    validation: float = field(default=0.1, repr=False)
    patience: int | None = field(default=None, repr=False)
    precision: str = field(default="float32", repr=False)

    def __post_init__(self) -> None:
        """Check the options."""
        if self.optimizer is not None and not is_transformation(self.optimizer):
            called = callable(self.optimizer)
            raise OptionError(
                "optimizer must be an optax transformation such as optax.adamw(1e-3), "
                f"got {self.optimizer!r}"
                f"{': call it, with a learning rate' if called else ''}"
            )
        check_count("epochs", self.epochs)
        check_count("batch_groups", self.batch_groups)
        real = isinstance(self.validation, Real)
        if (
            not real
            or isinstance(self.validation, bool)
            or not 0 <= self.validation <= 0.5
        ):
            raise OptionError(
                "validation must be the share of groups to hold out, from 0 to 0.5, "
                f"got {self.validation!r}"
            )
        if self.patience is not None:
            _check_whole("patience", self.patience, "None")
        if self.precision not in PRECISIONS:
            raise OptionError(
                f'precision must be "float32" or "float64", got {self.precision!r}'
            )

    def plan(self, n_rows: int, n_groups: int, largest: int) -> Plan:
        """Numbers for data of this size.

        Parameters
        ----------
        n_rows, n_groups
            Rows and groups of the data.
        largest
            Rows of the largest group.

        Returns
        -------
        Plan
            Epochs, batches of an epoch, groups that are held out, and patience in
            epochs.

        Raises
        ------
        OptionError
            If there are fewer groups than a batch is to have, or too few to hold out
            any.

        Examples
        --------
        >>> import ngmm
        >>> estimator = ngmm.Stochastic(epochs=10, batch_groups=20)
        >>> plan = estimator.plan(n_rows=1000, n_groups=100, largest=12)
        >>> plan.epochs, plan.n_batches, plan.n_held_out
        (10, 5, 10)
        """
        n_held = round(self.validation * n_groups)
        if self.validation > 0:
            n_held = max(n_held, 1)
        left = n_groups - n_held
        if left < 1:
            raise OptionError(
                f"validation={self.validation:g} leaves no group to train on: there "
                f"are {n_groups}. Use validation=0 and a fixed number of epochs"
            )
        if self.batch_groups != "auto":
            if int(self.batch_groups) > left:
                held = f" ({n_held} more are held out)" if n_held else ""
                raise OptionError(
                    f"batch_groups={self.batch_groups} is more than the {left} groups "
                    f"there are to train on{held}. Use batch_groups={left} or fewer, "
                    'or "auto"'
                )
            n_batches = -(-left // int(self.batch_groups))
        else:
            # Every batch has room for a largest group: many batches of little else
            # would cost more than they teach.
            most = min(
                n_rows // BATCH_ROWS, left // LEAST_GROUPS, 2 * n_rows // largest
            )
            n_batches = max(1, most)
        epochs = self.epochs
        if epochs == "auto":
            epochs = min(max(VISITS // n_rows, LEAST_EPOCHS), MOST_EPOCHS)
        patience = self.patience
        if patience is None:
            patience = max(10, int(epochs) // 4)
        return Plan(int(epochs), n_batches, n_held, int(patience))


@dataclass(frozen=True)
class Plan:
    """What the options mean for the data at hand.

    Attributes
    ----------
    epochs
        Epochs at most.
    n_batches
        Batches of an epoch.
    n_held_out
        Groups held out.
    patience
        Epochs without improvement before stopping.
    """

    epochs: int
    n_batches: int
    n_held_out: int
    patience: int


@cache
def default_optimizer(n_steps: int) -> Any:
    """AdamW with warm-up, cosine decay to zero and clipping.

    One object for a number of steps: programs are compiled for it.
    """
    # Only for models that are fitted this way: it takes long to import.
    import optax

    warm_up = max(1, round(WARM_UP * n_steps))
    rate = optax.warmup_cosine_decay_schedule(
        0.1 * RATE, RATE, warm_up, max(n_steps, warm_up + 1)
    )
    return optax.chain(
        optax.clip_by_global_norm(LONGEST_STEP),
        optax.adamw(rate, weight_decay=DECAY),
    )


def check_count(name: str, value: Any) -> None:
    """Refuse what is neither a positive whole number nor "auto"."""
    if value != "auto":
        _check_whole(name, value, '"auto"')


def _check_whole(name: str, value: Any, otherwise: str) -> None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        raise OptionError(
            f"{name} must be {otherwise} or a positive whole number, got {value!r}"
        )
