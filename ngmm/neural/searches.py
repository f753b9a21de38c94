"""Searches side by side: first steps, the better half, the last steps."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ngmm.estimation.evidence import LOOK
from ngmm.estimation.evidence_search import QUIET, Places, Search, begin
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.neural.prepare import NeuralProblem
from ngmm.linalg import precise
from ngmm.neural.members import Ended, contenders
from ngmm.neural.search import SearchLayout, run
from ngmm.neural.starts import LINEAR, Start
from ngmm.progress import ProgressLine

LOG = logging.getLogger(__name__)

Vector = NDArray[np.float64]

# Change of the log-evidence that ends a search.
COARSE = 1e-3
# Gain that a further step promises when a member's last steps, at fixed penalties, end:
# weights are then within a twentieth of their posterior standard deviation.
FINE = 1e-3
POLISH_STEPS = 60


@dataclass(frozen=True, eq=False)
class Searches:
    """Searches of one likelihood, side by side, a thread a core.

    Attributes
    ----------
    problem, layout
        The likelihood.
    groups
        (n_weights,) ridge group of each weight.
    kept
        What the first evaluation takes as kept.
    max_steps
        Steps of a search.
    """

    problem: NeuralProblem
    layout: SearchLayout
    groups: NDArray[np.int32]
    kept: Any
    max_steps: int

    def first(
        self, starts: list[Start], tau: Vector, line: ProgressLine
    ) -> list[Ended]:
        """Every start, a few steps."""
        stop = min(LOOK, self.max_steps)
        begun = []
        with precise():
            for s in starts:
                p = self.layout.places.n_beta
                x = np.concatenate([np.zeros(p), s.weights, tau])
                penalty = jnp.zeros(self.layout.n_groups)
                begun.append(
                    (s, begin(jnp.asarray(x), penalty, self.kept, self._places))
                )
        return self._all(begun, stop, False, COARSE, line, "first steps")

    def second(self, found: list[Ended], line: ProgressLine) -> list[Ended]:
        """The better half goes on."""
        ranked = sorted(found, key=lambda e: -e.evidence)
        keep = max(len(ranked) // 2, min(4, len(ranked)))
        chosen = [
            e for i, e in enumerate(ranked) if i < keep or e.start.width == LINEAR
        ]
        going = [(e.start, e.search) for e in chosen]
        later = self._all(going, self.max_steps, False, COARSE, line, "searches")
        return [*later, *(e for e in ranked if e not in chosen)]

    def again(self, found: list[Ended], line: ProgressLine) -> list[Ended]:
        """Contenders go on from where they were best, with this likelihood."""
        going = [(e.start, self._from_best(e)) for e in contenders(found)]
        return self._all(going, LOOK, False, COARSE, line, "finer integral")

    def polish(self, found: list[Ended], line: ProgressLine) -> list[Ended]:
        """Those that may count, to convergence at the penalties of the best point."""
        chosen = contenders(found)
        going = [(e.start, self._from_best(e)) for e in chosen]
        polished = self._all(
            going, max(POLISH_STEPS, self.max_steps), True, FINE, line, "last steps"
        )
        return [*polished, *(e for e in found if e not in chosen)]

    def _from_best(self, e: Ended) -> Search:
        best = e.search.best
        with precise():
            return begin(
                jnp.asarray(best.x),
                jnp.asarray(best.log_penalty),
                self.kept,
                self._places,
            )

    @property
    def _places(self) -> Places:
        return self.layout.places

    def _all(
        self,
        begun: list[tuple[Start, Search]],
        n_steps: int,
        frozen: bool,
        tolerance: float,
        line: ProgressLine,
        what: str,
    ) -> list[Ended]:
        def one(pair: tuple[Start, Search]) -> Ended:
            start, search = pair
            with precise():
                found = run(
                    search._replace(quiet=jnp.asarray(0)),
                    self.problem.data,
                    self.groups,
                    start.active,
                    np.int64(n_steps),
                    np.bool_(frozen),
                    np.float64(tolerance),
                    layout=self.layout,
                )
                return Ended(start, to_numpy(found), int(found.quiet) >= QUIET, frozen)

        out: list[Ended] = []
        # Threads of BLAS would wait for each other: searches run side by side instead.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
            # The first call compiles.
            for e in chain(map(one, begun[:1]), pool.map(one, begun[1:])):
                out.append(e)
                LOG.debug(
                    "%s %d/%d: log-evidence %.3f",
                    what,
                    len(out),
                    len(begun),
                    e.evidence,
                )
                line.update(len(out), len(begun), what)
        return out
