"""A model fitted again to responses simulated from it: the reference of a statistic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.diagnostics.checks import Additive
from ngmm.errors import NgmmError, OptionError
from ngmm.estimation.status import Status
from ngmm.inference.analysis import analyse
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.progress import ProgressLine
from ngmm.results.refitting import with_response
from ngmm.results.simulation import simulate_responses

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reference:
    """A statistic of refits to simulated responses.

    Attributes
    ----------
    values
        (used, ...) of the refits that converged.
    n_failed
        Number of the others.
    """

    values: Vector
    n_failed: int

    @property
    def failed_text(self) -> str:
        """A sentence on refits that failed; empty if none did."""
        if not self.n_failed:
            return ""
        total = self.n_failed + len(self.values)
        return f"; {self.n_failed} of {total} refits failed and are left out"


def reference(
    analysis: Additive,
    statistic: Callable[[GaussianAnalysis | GeneralizedAnalysis], Vector | float],
    n: int,
    seed: int,
    progress: bool | str,
) -> Reference:
    """A statistic of n refits; networks are held at their fitted outputs.

    Raises
    ------
    OptionError
        If all refits fail.
    """
    model, theta = analysis.model, analysis.estimate.theta
    draws = simulate_responses(analysis, n, seed)
    found: list[Vector | float] = []
    last = ""
    with ProgressLine(progress, "refits to simulated responses") as line:
        for i, y in enumerate(draws.T):
            try:
                again = with_response(model, y)
                estimate = again.maximise(theta)
            except NgmmError as error:
                last = str(error)
                continue
            if estimate.status is Status.CONVERGED:
                found.append(statistic(analyse(again, estimate)))
            else:
                last = estimate.status.sentence
            line.update(i + 1, n)
    if not found:
        raise OptionError(
            f"all {n} refits to simulated responses failed, the last one because: "
            f"{last}. Look at fit.check()"
        )
    return Reference(np.asarray(found, dtype=np.float64), n - len(found))
