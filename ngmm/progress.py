"""A line that says how far a long computation has come, in a terminal or a notebook."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from ngmm.errors import OptionError

LOG = logging.getLogger(__name__)

# Shorter computations show nothing, and the line changes at most ten times a second.
QUIET_SECONDS = 2.0
REFRESH_SECONDS = 0.1


def check_progress(progress: object) -> None:
    """Refuse what is neither "auto" nor True nor False.

    Raises
    ------
    OptionError
        If it is none of them.
    """
    if progress != "auto" and not isinstance(progress, bool):
        raise OptionError(
            f'progress must be "auto", True or False; got {progress!r}. "auto" shows a '
            "line on a terminal or in a notebook when a fit takes longer than 2 s"
        )


class Screen(Protocol):
    """Where a line is shown."""

    def show(self, line: str) -> None:
        """Show a line in the place of the last one."""
        ...

    def wipe(self) -> None:
        """Take the line away."""
        ...


class StreamScreen:
    """A line of a stream, redrawn after a carriage return."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = 0

    def show(self, line: str) -> None:
        """Overwrite what the last line has left."""
        self._write("\r" + line.ljust(self._width))
        self._width = len(line)

    def wipe(self) -> None:
        """Overwrite the line with spaces."""
        self._write("\r" + " " * self._width + "\r")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class CellScreen:
    """An output of a notebook's cell, replaced by its identifier.

    Parameters
    ----------
    display
        `IPython.display.display`.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, line: str) -> None:
        """Display the line, or replace the one that is displayed."""
        content = {"text/plain": line}
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def wipe(self) -> None:
        """Leave an empty output: a notebook cannot take one away alone."""
        self._handle.update({"text/plain": ""}, raw=True)


def notebook_screen() -> CellScreen | None:
    """The output of the cell that runs; None outside of a notebook.

    A process that has not imported IPython is no notebook, so it is not imported here.
    """
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    # IPython in a terminal has a shell without a kernel.
    if getattr(shell, "kernel", None) is None:
        return None
    return CellScreen(importlib.import_module("IPython.display").display)


class ProgressLine:
    r"""A context in which `update` redraws one line.

    Parameters
    ----------
    progress
        True; False for silence; ``"auto"``: on a terminal or in a notebook only.
    label
        What is being done.
    stream
        Where the line goes; None for the output of a notebook's cell, or else the
        standard error stream.
    clock
        The time in seconds.

    Examples
    --------
    >>> import io
    >>> out, seconds = io.StringIO(), iter([0.0, 5.0, 9.0])
    >>> line = ProgressLine(True, "training", stream=out, clock=lambda: next(seconds))
    >>> with line:
    ...     line.update(1, 3, "loss 0.52")
    >>> out.getvalue().split("\r")[1].strip()
    'training 1/3  loss 0.52  about 10 s left'
    """

    def __init__(
        self,
        progress: bool | str,
        label: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_progress(progress)
        self._screen = _screen(progress, stream)
        self._label = label
        self._clock = clock
        self._drawn = False

    def __enter__(self) -> Self:
        LOG.debug("%s: begins", self._label)
        self._start = self._clock()
        self._last = self._start
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._screen is not None and self._drawn:
            self._screen.wipe()
        LOG.debug("%s: %s", self._label, "ends" if kind is None else "is broken off")

    def update(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` steps are made, and what came of them."""
        if self._screen is None:
            return
        now = self._clock()
        elapsed = now - self._start
        if elapsed < QUIET_SECONDS or (
            self._drawn and now - self._last < REFRESH_SECONDS
        ):
            return
        self._last = now
        parts = [f"{self._label} {done}/{total}", text]
        if 0 < done < total:
            parts.append(f"about {_duration(elapsed / done * (total - done))} left")
        self._screen.show("  ".join(p for p in parts if p))
        self._drawn = True


def _screen(progress: bool | str, stream: TextIO | None) -> Screen | None:
    """Where the line goes; None for nowhere."""
    if progress is False:
        return None
    cell = notebook_screen() if stream is None else None
    if cell is not None:
        return cell
    # A process without a console has no error stream.
    stream = sys.stderr if stream is None else stream
    if stream is None:
        return None
    isatty = getattr(stream, "isatty", None)
    if progress == "auto" and not (isatty and isatty()):
        return None
    return StreamScreen(stream)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
