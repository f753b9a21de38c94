"""The evidence estimator's options: how many searches, how wide, how joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

from ngmm.errors import OptionError

# Widths of the hidden layer that are tried when none is given. Narrow ones have the
# higher evidence and the larger bias: their bands hold too little.
WIDTHS = (6, 12, 20)
# Wider ones where there are many rows to learn from: (rows, widths).
WIDER = ((5_000, (4, 8, 12, 16)), (30_000, (8, 16, 24)))
# Searches that "auto" makes at most, of all widths together, and at least.
MOST_RUNS, LEAST_RUNS = 30, 3
# Multiply-adds that "auto" spends on all searches: about two minutes on two cores; and
# those beyond which it leaves out the widest networks, or the estimator itself.
BUDGET, MOST_WORK = 2.5e12, 8e12
# Steps of a search at most, and before the less promising half of them ends.
STEPS, LOOK = 80, 25


@dataclass(frozen=True)
class Evidence:
    """Networks by penalised Gauss-Newton, their penalties by maximum evidence.

    Parameters
    ----------
    restarts
        Searches from different initial weights for each width; ``"auto"`` for as many
        as take about two minutes, 30 at most of all widths together, and one without
        hidden units.
    widths
        Widths of the hidden layer to try where the formula gives none.
    max_steps
        Steps of a search before it ends.
    average
        Whether fits of similar evidence are averaged, by weights proportional to a
        root of their evidence, the fourth or a higher one; otherwise the best one is
        taken.

    Raises
    ------
    OptionError
        If an option is not what it should be.

    Notes
    -----
    The evidence is computed by Laplace's approximation, whose error of a few units of
    the logarithm would decide between fits if they were weighted by the evidence
    itself; hence the root, whose degree is a tenth of the effective number of weights
    and at least four: docs/decisions.md has what averaging gains.

    References
    ----------
    MacKay (1992), Neural Computation 4, 448-472; Wood & Fasiolo (2017), Biometrics 73,
    1071-1081.

    Examples
    --------
    >>> from ngmm import Evidence
    >>> Evidence(restarts=3, widths=(4, 8))
    Evidence(restarts=3, widths=(4, 8), max_steps=80, average=True)
    """

    restarts: int | str = "auto"
    widths: tuple[int, ...] | None = None
    max_steps: int = STEPS
    average: bool = True

    def __post_init__(self) -> None:
        """Check the options."""
        if self.restarts != "auto":
            _check_positive(
                "restarts", self.restarts, 'a positive whole number or "auto"'
            )
        _check_positive("max_steps", self.max_steps, "a positive whole number")
        if not isinstance(self.average, bool):
            raise OptionError(f"average must be True or False, got {self.average!r}")
        if self.widths is None:
            return
        if not isinstance(self.widths, tuple) or not self.widths:
            raise OptionError(
                "widths must be a tuple of positive whole numbers such as (4, 8), got "
                f"{self.widths!r}"
            )
        for width in self.widths:
            _check_positive("widths", width, "positive whole numbers")

    def widths_for(self, n_rows: int, cost: Callable[[int], float]) -> tuple[int, ...]:
        """Widths to try with data of this size.

        Parameters
        ----------
        n_rows
            Rows of the data.
        cost
            Multiply-adds of a step with networks of a width.

        Returns
        -------
        tuple of int
            Units of each hidden layer, narrowest first.

        Examples
        --------
        >>> import ngmm
        >>> ngmm.Evidence().widths_for(500, lambda width: 100.0 * width)
        (6, 12, 20)
        >>> ngmm.Evidence(widths=(5,)).widths_for(500, lambda width: 100.0 * width)
        (5,)
        """
        if self.widths is not None:
            return self.widths
        wider = [w for least, w in WIDER if n_rows >= least]
        widths = wider[-1] if wider else WIDTHS
        affordable = [w for w in widths if self.is_affordable(cost(w))]
        return tuple(affordable) or widths[:1]

    def is_affordable(self, cost: float) -> bool:
        """Whether the fewest searches that make sense take minutes, not hours.

        Parameters
        ----------
        cost
            Multiply-adds of a step.

        Returns
        -------
        bool
            True if a search of that cost can be repeated.

        Examples
        --------
        >>> import ngmm
        >>> ngmm.Evidence().is_affordable(1e5), ngmm.Evidence().is_affordable(1e15)
        (True, False)
        """
        return cost * self.max_steps * LEAST_RUNS <= MOST_WORK

    def runs_for(self, n_widths: int, cost: float) -> int:
        """Number of searches, if a step costs so many multiply-adds.

        Parameters
        ----------
        n_widths
            Number of widths that are tried.
        cost
            Multiply-adds of a step.

        Returns
        -------
        int
            ``restarts`` for each width if that is a number, or what can be afforded.

        Examples
        --------
        >>> import ngmm
        >>> ngmm.Evidence(restarts=3).runs_for(2, 1e5)
        6
        """
        if isinstance(self.restarts, Integral):
            return int(self.restarts) * n_widths
        affordable = int(BUDGET / (cost * self.max_steps))
        return min(max(affordable, LEAST_RUNS), MOST_RUNS)


def _check_positive(name: str, value: object, what: str) -> None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < 1:  # type: ignore[operator]
        raise OptionError(f"{name} must be {what}, got {value!r}")
