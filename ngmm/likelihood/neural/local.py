"""What a likelihood is at one point, to second order."""

from __future__ import annotations

from typing import NamedTuple

from ngmm.linalg import Values


class Local(NamedTuple):
    """Log-likelihood at a point, and its derivatives in x = (beta, w, tau).

    Attributes
    ----------
    value
        Log-likelihood.
    gradient
        Exact.
    hessian
        That of the model with the networks replaced by their tangents.
    """

    value: Values
    gradient: Values
    hessian: Values
