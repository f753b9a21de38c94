"""What is recorded about one program on one problem."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

# The log-likelihood is approximated by iterative solvers, and no maximum to compare.
ITERATIVE = "iterative"


@dataclass(frozen=True)
class Measurement:
    """Times in seconds of the fit alone, with the data in memory.

    Attributes
    ----------
    problem, adapter, version
        What ran.
    status
        ``"ok"``, or why there are no numbers.
    first
        The first fit of a fresh process.
    later
        The fits after it.
    loglik
        Log-likelihood at the estimates.
    peak_mb
        Largest resident memory of the process, data and interpreter included.
    kind
        How the random effects were integrated out: ``"exact"``, ``"laplace"`` or
        ``"quadrature"``. Log-likelihoods of one kind should be the same, but for
        `ITERATIVE`, which are compared with none.
    """

    problem: str
    adapter: str
    status: str
    version: str = ""
    first: float | None = None
    later: tuple[float, ...] = ()
    loglik: float | None = None
    peak_mb: float | None = None
    kind: str = "exact"

    @property
    def repeated(self) -> float | None:
        """Median of the later fits, the first if there are none."""
        return statistics.median(self.later) if self.later else self.first


def peak_mb(of_children: bool = False) -> float | None:
    """Largest resident memory of this process, or of its children, so far."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    # Linux counts kilobytes, macOS bytes.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(who).ru_maxrss / unit
