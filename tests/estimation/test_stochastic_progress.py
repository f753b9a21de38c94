"""The progress line: silent where nobody looks, one line where somebody does."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from ngmm.errors import OptionError
from ngmm.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ticking(*seconds: float) -> Callable[[], float]:
    times = iter(seconds)
    return lambda: next(times)


def test_silent_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with ProgressLine("auto", "x", stream=out, clock=ticking(0, 9, 10)) as line:
        line.update(1, 2)
    assert out.getvalue() == ""


def test_silent_for_two_seconds_and_when_told() -> None:
    out = Terminal()
    with ProgressLine("auto", "x", stream=out, clock=ticking(0, 1.9)) as line:
        line.update(1, 2)
    with ProgressLine(False, "x", stream=out, clock=ticking(0, 9)) as line:
        line.update(1, 2)
    assert out.getvalue() == ""


def test_one_line_that_is_redrawn_and_wiped() -> None:
    out = Terminal()
    clock = ticking(0.0, 3.0, 3.01, 5.0)
    with ProgressLine("auto", "training", stream=out, clock=clock) as line:
        line.update(1, 100, "loss 2.5")
        line.update(2, 100, "too soon after the last")
        line.update(100, 100)
    first, second, wiped, end = out.getvalue().split("\r")[1:]
    assert first == "training 1/100  loss 2.5  about 5 min left"
    # Nothing of the longer line stays on the screen.
    assert second == "training 100/100".ljust(len(first))
    assert wiped.strip() == ""
    assert end == ""


@pytest.mark.parametrize("progress", ["always", None, 1])
def test_other_values_are_refused(progress: object) -> None:
    with pytest.raises(OptionError, match='progress must be "auto", True or False'):
        ProgressLine(progress, "x")  # type: ignore[arg-type]
