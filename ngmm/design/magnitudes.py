"""Whether the numbers of a design are of a size that arithmetic can handle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ngmm.design.records import Design
from ngmm.errors import DataError

# Variances are squared ratios of two columns, so the fourth power must be finite.
LARGEST = 1e75

# exp(709) is the largest number; half of it leaves room for the rest of the predictor.
LARGEST_EXPONENT = 350.0
EXPONENTIAL = frozenset({"log", "logit", "probit", "cloglog"})


def check_magnitudes(design: Design) -> None:
    """Raise if a column is so large or so small that variances cannot be represented.

    Raises
    ------
    DataError
        Naming the column and its size. Columns of zeros pass.
    """
    for name, values in _columns(design):
        size = float(np.abs(values).max())
        # An offset is added and not multiplied: a tiny one is as good as none.
        tiny = size < 1 / LARGEST and name != "the offset"
        if size and (tiny or size > LARGEST):
            raise DataError(
                f"{name} has values of size {size:.1e}, whose squares are beyond the "
                "range of double precision; rescale it, or correct the values"
            )


def check_offset(design: Design, link: str) -> None:
    """Raise if an offset leaves the range of the exponential.

    Parameters
    ----------
    design
        The design.
    link
        Name of the link function.

    Raises
    ------
    DataError
        If the offset spreads so far that fitted means would overflow, as times of
        exposure do that should have been logarithms.
    """
    if link not in EXPONENTIAL:
        return
    spread = float(np.ptp(design.offset))
    if spread > LARGEST_EXPONENT:
        remedy = (
            "; give the logarithm of an exposure, e.g. offset(log(time))"
            if link == "log"
            else "; rescale it, or correct the values"
        )
        raise DataError(
            f"the offset spreads over {spread:.1e} on the scale of the linear "
            f"predictor, more than the {link} link can take{remedy}"
        )


def _columns(design: Design) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Everything numeric that a design contains, with a name for messages."""
    yield f"the response {design.response_name}", design.y - design.offset
    yield "the offset", design.offset
    yield "the argument weights", design.weights
    yield "the argument weights", design.weights.min(keepdims=True)
    for name, x in zip(design.names, design.X.T, strict=True):
        yield f'the column "{name}"', x
    for term in design.random:
        for name, z in zip(term.names, term.Z.T, strict=True):
            yield f'the column "{name}" of {term.label}', z
