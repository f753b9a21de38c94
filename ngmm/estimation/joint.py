"""The joint estimator's options: networks and random effects over batches of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import inf
from numbers import Real
from typing import Any

from ngmm.errors import OptionError
from ngmm.estimation.estimators import is_transformation
from ngmm.estimation.stochastic import PRECISIONS, check_count

# Networks where a term names none. The last layer is narrow: its units are what varies
# between groups, each with a variance of its own.
HIDDEN = (64, 64, 8)
ACTIVATION = "silu"

# Rows of a batch, and rows that "auto" visits in all epochs together.
BATCH_ROWS = 256
VISITS = 1_500_000
LEAST_EPOCHS, MOST_EPOCHS = 20, 400

# Share of the rows that is held out where there are few.
HELD_OUT, FEW_ROWS = 0.1, 5_000

# The default transformation.
RATE = 3e-3
LONGEST_STEP = 1.0


@dataclass(frozen=True)
class Joint:
    """Networks and random effects together, by optax over minibatches of rows.

    For random slopes on the last hidden units of a network, ``(1 + nn | g)``, and for
    training against an adversary. Each random effect has a normal distribution of its
    own that is fitted with the networks (mean-field variational inference), and their
    variances are estimated between epochs. With the networks so found the variances,
    the fixed effects and the random effects are then those of maximum marginal
    likelihood, as in any other fit.

    Parameters
    ----------
    optimizer
        Any optax transformation; it makes a step for each batch. None for Adam with
        cosine decay to zero over the epochs and gradient clipping.
    epochs
        Times that every row is visited; ``"auto"`` for fewer with more data.
    batch_rows
        Rows of a batch; ``"auto"`` for 256, fewer if the data are few.
    population
        Weight of the log-likelihood of the rows without their random effects, beside
        that with them. With 0 the networks serve the known groups only; with 1 they
        predict groups that were never seen as well as they can.
    decay
        Weight decay of the networks' matrices, by which inputs that are of no use lose
        their weights (Loshchilov and Hutter 2019, ICLR). 0.3 to 1 for data with many
        such inputs, or with inputs that say little but the group.
    held_out
        Share of the rows that the networks are judged on rather than learn from: the
        weights of the epoch that predicts them best are kept. ``"auto"`` for a tenth of
        less than 5,000 rows, which networks can learn by heart, and for 0 of more.
    precision
        Arithmetic of the networks, ``"float32"`` or ``"float64"``.

    Raises
    ------
    OptionError
        If an option is not what it should be.

    Notes
    -----
    The objective per row is the evidence lower bound of the model, with the exact
    Kullback-Leibler divergence over the number of rows, plus `population` times the
    log-likelihood at random effects of zero. That the population part stands alone is
    an idea of ARMED (Nguyen, Treacher and Montillo 2023, IEEE TPAMI 45, 8081-8093),
    which fixes by hand the variances that are estimated here.

    Examples
    --------
    >>> from ngmm import Joint
    >>> Joint(epochs=50)
    Joint(epochs=50, population=1.0)
    """

    optimizer: Any = field(default=None, repr=False)
    epochs: int | str = "auto"
    batch_rows: int | str = field(default="auto", repr=False)
    population: float = 1.0
    decay: float = field(default=0.0, repr=False)
    held_out: float | str = field(default="auto", repr=False)
    precision: str = field(default="float32", repr=False)

    def __post_init__(self) -> None:
        """Check the options."""
        if self.optimizer is not None and not is_transformation(self.optimizer):
            raise OptionError(
                "optimizer must be an optax transformation such as optax.adam(1e-3), "
                f"got {self.optimizer!r}"
            )
        check_count("epochs", self.epochs)
        check_count("batch_rows", self.batch_rows)
        _check_weight(
            "population", "likelihood without random effects", self.population
        )
        if not (self.held_out == "auto" or _is_share(self.held_out)):
            raise OptionError(
                'held_out must be a share of the rows, 0 or more, below 1, or "auto"; '
                f"got {self.held_out!r}"
            )
        _check_weight("decay", "penalty of the matrices", self.decay)
        if self.decay and self.optimizer is not None:
            raise OptionError(
                "decay belongs to the default transformation; give it to your own, "
                "optimizer=optax.adamw(..., weight_decay=...), or leave one of them out"
            )
        if self.precision not in PRECISIONS:
            raise OptionError(
                f'precision must be "float32" or "float64", got {self.precision!r}'
            )

    def plan(self, n_rows: int) -> JointPlan:
        """Numbers for data of this size.

        Parameters
        ----------
        n_rows
            Rows of the data.

        Returns
        -------
        JointPlan
            Epochs, rows of a batch, and rows that are held out.

        Raises
        ------
        OptionError
            If a batch is to have more rows than there are.

        Examples
        --------
        >>> import ngmm
        >>> plan = ngmm.Joint(epochs=20, batch_rows=50).plan(1000)
        >>> plan.epochs, plan.batch_rows
        (20, 50)
        """
        rows = self.batch_rows
        if rows == "auto":
            # Small data still make a few steps an epoch.
            rows = max(1, min(BATCH_ROWS, n_rows // 8))
        if int(rows) > n_rows:
            raise OptionError(
                f"batch_rows={rows} is more than the {n_rows} rows there are. Use "
                f'batch_rows={n_rows} or fewer, or "auto"'
            )
        epochs = self.epochs
        if epochs == "auto":
            epochs = min(max(VISITS // n_rows, LEAST_EPOCHS), MOST_EPOCHS)
        share = self.held_out
        if share == "auto":
            share = HELD_OUT if n_rows < FEW_ROWS else 0.0
        n_held = int(float(share) * n_rows)
        return JointPlan(int(epochs), min(int(rows), n_rows - n_held), n_held)


def _is_share(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value < 1


def _check_weight(name: str, what: str, value: object) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < inf:  # type: ignore[operator]
        raise OptionError(
            f"{name} must be the weight of the {what}, 0 or more, got {value!r}"
        )


@dataclass(frozen=True)
class JointPlan:
    """What the options mean for the data at hand.

    Attributes
    ----------
    epochs
        Epochs to make.
    batch_rows
        Rows of a batch.
    n_held
        Rows that are held out.
    """

    epochs: int
    batch_rows: int
    n_held: int


@cache
def joint_optimizer(n_steps: int, decay: float = 0.0) -> Any:
    """Adam with cosine decay to zero and clipping; one object for a number of steps."""
    # Only for models that are fitted this way: it takes long to import.
    import optax

    return optax.chain(
        optax.clip_by_global_norm(LONGEST_STEP),
        optax.adamw(
            optax.cosine_decay_schedule(RATE, max(n_steps, 1)),
            weight_decay=decay,
            mask=_matrices,
        ),
    )


def _matrices(weights: Any) -> Any:
    """Which of all that is trained are matrices of networks."""
    import jax

    no = jax.tree.map(lambda _: False, weights)
    return no._replace(networks=jax.tree.map(lambda a: a.ndim > 1, weights.networks))
