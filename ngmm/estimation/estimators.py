"""Estimators a user can choose: callables from a model and a start to an estimate."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Protocol, TypeVar

from numpy.typing import ArrayLike, NDArray

from ngmm.errors import OptionError
from ngmm.estimation.full_batch import Objective, Progress, descend
from ngmm.estimation.status import Status

E_co = TypeVar("E_co", covariant=True)


class Maximisable(Protocol[E_co]):
    """A model that can be maximised with exact derivatives."""

    def maximise(self, start: ArrayLike | None = None, *, max_steps: int = 100) -> E_co:
        """Best parameters found from a start."""
        ...


class Descendable(Protocol[E_co]):
    """A model that can be minimised by its gradient alone."""

    def objective(self, start: ArrayLike | None = None) -> Objective:
        """Minus the log-likelihood in coordinates of order one, and where to start."""
        ...

    def finish(self, x: NDArray[Any], n_steps: int, max_steps_reached: bool) -> E_co:
        """The estimate at x, judged by its exact derivatives."""
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

    References
    ----------
    More & Sorensen (1983), SIAM J. Sci. Stat. Comput. 4, 553-572; Conn, Gould & Toint
    (2000), Trust-Region Methods, alg. 6.1.1 and sec. 7.3.

    Examples
    --------
    >>> from ngmm import Newton
    >>> Newton(max_steps=50)
    Newton(max_steps=50)
    """

    max_steps: int = 100

    def __post_init__(self) -> None:
        """Check the number of steps."""
        _check_max_steps(self.max_steps)

    def __call__(
        self, model: Maximisable[E_co], start: ArrayLike | None = None
    ) -> E_co:
        """Maximise a model from a start (theta), or from its own starting values."""
        return model.maximise(start, max_steps=self.max_steps)


@dataclass(frozen=True)
class FullBatch:
    """Any optax transformation of the gradient, run on the whole likelihood.

    Parameters
    ----------
    transformation
        For example ``optax.lbfgs()``, or ``optax.adam`` with a schedule. Parameters
        are scaled so that steps of a hundredth are sensible.
    max_steps
        Evaluations of the gradient before giving up.
    tolerance
        Largest element of the gradient of the log-likelihood, in scaled parameters, at
        which to stop.
    progress
        Called every 50 steps with the number of steps, minus the log-likelihood and the
        largest element of its gradient.

    Raises
    ------
    OptionError
        If an argument is not what it should be.

    Notes
    -----
    Newton's method needs fewer steps and knows when it has arrived. Whichever way the
    search ends, the estimate is judged by the gain that a Newton step would bring.

    Examples
    --------
    >>> import optax
    >>> FullBatch(optax.lbfgs(), max_steps=500)
    FullBatch(max_steps=500, tolerance=1e-06)
    """

    transformation: Any = field(repr=False)
    max_steps: int = 2000
    tolerance: float = 1e-6
    progress: Progress | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the options."""
        if not is_transformation(self.transformation):
            called = callable(self.transformation)
            raise OptionError(
                "transformation must be an optax.GradientTransformation such as "
                f"optax.lbfgs(), got {self.transformation!r}"
                f"{': call it, with a learning rate' if called else ''}"
            )
        _check_max_steps(self.max_steps)
        real = isinstance(self.tolerance, Real)
        if not real or isinstance(self.tolerance, bool) or not self.tolerance > 0:
            raise OptionError(
                f"tolerance must be a positive number, got {self.tolerance!r}"
            )
        if self.progress is not None and not callable(self.progress):
            raise OptionError(
                "progress must be a function of the number of steps, the value and "
                f"the gradient, got {self.progress!r}"
            )

    def __call__(
        self, model: Descendable[E_co], start: ArrayLike | None = None
    ) -> E_co:
        """Descend from a start (theta), or from the model's own starting values."""
        found = descend(
            model.objective(start),
            self.transformation,
            max_steps=self.max_steps,
            tolerance=self.tolerance,
            progress=self.progress,
        )
        return model.finish(found.x, found.n_steps, found.status is Status.MAX_STEPS)


def is_transformation(value: object) -> bool:
    """Whether an object is an optax transformation, without importing optax."""
    return (
        isinstance(value, tuple)
        and callable(getattr(value, "init", None))
        and callable(getattr(value, "update", None))
    )


def _check_max_steps(max_steps: Any) -> None:
    whole = isinstance(max_steps, Integral)
    if not whole or isinstance(max_steps, bool) or max_steps < 1:
        raise OptionError(
            f"max_steps must be a positive whole number, got {max_steps!r}"
        )
