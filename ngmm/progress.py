"""A line on the terminal that says how far a long computation has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from ngmm.errors import OptionError

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
            "line on a terminal when a fit takes longer than 2 s"
        )


class ProgressLine:
    r"""A context in which `update` redraws one line on the standard error stream.

    Parameters
    ----------
    progress
        True; False for silence; ``"auto"``: on a terminal only.
    label
        What is being done.
    stream, clock
        Where the line goes, and the time in seconds.

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
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._is_terminal() if progress == "auto" else bool(progress)
        self._label = label
        self._clock = clock
        self._width = 0

    def __enter__(self) -> Self:
        self._start = self._clock()
        self._last = self._start
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")

    def update(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` steps are made, and what came of them."""
        if not self._shown:
            return
        now = self._clock()
        elapsed = now - self._start
        if elapsed < QUIET_SECONDS or (
            self._width and now - self._last < REFRESH_SECONDS
        ):
            return
        self._last = now
        parts = [f"{self._label} {done}/{total}", text]
        if 0 < done < total:
            parts.append(f"about {_duration(elapsed / done * (total - done))} left")
        line = "  ".join(p for p in parts if p)
        self._write("\r" + line.ljust(self._width))
        self._width = len(line)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _is_terminal(self) -> bool:
        isatty = getattr(self._stream, "isatty", None)
        return bool(isatty and isatty())


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
