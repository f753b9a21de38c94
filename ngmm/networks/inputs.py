"""What a network reads, one entry a row."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

__all__ = ["Inputs", "with_latent"]


class Inputs(NamedTuple):
    """The inputs of a network; the first axis of every array is the rows.

    A named tuple is a pytree, so rows are taken from all arrays at once by
    ``jax.tree.map(lambda a: a[rows], inputs)``.

    Attributes
    ----------
    x
        Numeric inputs with mean zero and standard deviation one over the training
        rows, and the indicators of factors with few levels, shape (n, d).
    codes
        The level of each row for each factor with many levels, shape (n,).
    arrays
        Array-valued inputs such as images, as the user gave them, shape (n, ...).

    Examples
    --------
    >>> import numpy as np
    >>> from ngmm.networks import Inputs
    >>> inputs = Inputs(np.zeros((3, 2)), codes=(np.array([0, 1, 0]),))
    >>> inputs.n_rows, [array.shape for array in inputs.arguments]
    (3, [(3, 2), (3,)])
    """

    x: Any
    codes: tuple[Any, ...] = ()
    arrays: tuple[Any, ...] = ()

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.x.shape[0]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arrays that are passed to a user's network: those that are not empty."""
        x = (self.x,) if self.x.shape[1] else ()
        return (*x, *self.codes, *self.arrays)


def with_latent(inputs: Inputs, latent: Any) -> Inputs:
    """Return the inputs with latent values appended as the last columns of ``x``.

    Parameters
    ----------
    inputs
        What the network reads of the data.
    latent
        The latent values of the level of each row, shape (n, n_latent).

    Examples
    --------
    >>> import numpy as np
    >>> inputs = Inputs(np.ones((3, 2)))
    >>> with_latent(inputs, np.zeros((3, 1))).x.shape
    (3, 3)
    """
    return inputs._replace(x=jnp.concatenate([inputs.x, latent], axis=1))
