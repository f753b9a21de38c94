"""Estimators a user can choose: callables from a model and a start to an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Protocol, TypeVar

from numpy.typing import ArrayLike

from ngmm.errors import OptionError

E_co = TypeVar("E_co", covariant=True)


class Maximisable(Protocol[E_co]):
    """A model that can be maximised with exact derivatives."""

    def maximise(self, start: ArrayLike | None = None, *, max_steps: int = 100) -> E_co:
        """Best parameters found from a start."""
        ...


@dataclass(frozen=True)
class Newton:
    """Trust-region Newton with the exact Hessian.

    Parameters
    ----------
    max_steps
        Evaluations of the objective before giving up; ten suffice for most models.

    Raises
    ------
    OptionError
        If max_steps is not a positive whole number.

    Examples
    --------
    >>> Newton(max_steps=50)
    Newton(max_steps=50)
    """

    max_steps: int = 100

    def __post_init__(self) -> None:
        """Check the number of steps."""
        whole = isinstance(self.max_steps, Integral)
        if not whole or isinstance(self.max_steps, bool) or self.max_steps < 1:
            raise OptionError(
                f"max_steps must be a positive whole number, got {self.max_steps!r}"
            )

    def __call__(
        self, model: Maximisable[E_co], start: ArrayLike | None = None
    ) -> E_co:
        """Maximise a model from a start (theta), or from its own starting values."""
        return model.maximise(start, max_steps=self.max_steps)
