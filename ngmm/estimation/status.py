"""How an optimisation ended, in a sentence."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Outcome of an iterative routine; `sentence` says what it means."""

    RUNNING = 0
    CONVERGED = 1
    MAX_STEPS = 2
    STALLED = 3
    NOT_FINITE = 4
    INTERRUPTED = 5
    COLLAPSED = 6

    @property
    def sentence(self) -> str:
        """What happened, for a message."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.RUNNING: "the optimiser was interrupted",
    Status.CONVERGED: "converged",
    Status.MAX_STEPS: "the optimiser used all its steps before the gain became small",
    Status.STALLED: "no step, however short, improved the objective any further",
    Status.NOT_FINITE: "the objective is not finite at the starting values",
    Status.COLLAPSED: (
        "the adversary undid what the networks had learnt of the response; the best "
        "epoch before that is kept"
    ),
    Status.INTERRUPTED: "the user interrupted it; the best point so far is kept",
}
