"""From the arguments of the process to its exit status."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ngmm.command_line.parser import make_parser
from ngmm.errors import NgmmError, NgmmWarning

# As a shell reports a process that SIGINT has ended.
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the name of the program; those of the process if None.

    Returns
    -------
    int
        Exit status: 0, 2 after a message about bad input, or 130 after Ctrl-C.

    Examples
    --------
    >>> main(["datasets", "nothing"])
    2
    """
    options = make_parser().parse_args(argv)
    command: Callable[[argparse.Namespace], str | None] = options.command
    try:
        with _warnings_as_lines():
            text = command(options)
        if text is not None:
            print(text, flush=True)
    except BrokenPipeError:
        # The reader, such as `head`, has gone: keep the interpreter from writing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except NgmmError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot read {error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print the warnings of ngmm as one line each, without the line of code."""
    show = warnings.showwarning

    def show_line(
        message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any
    ) -> None:
        if issubclass(category, NgmmWarning):
            print(f"ngmm: warning: {message}", file=sys.stderr)
        else:
            show(message, category, *args, **kwargs)

    with warnings.catch_warnings():
        warnings.simplefilter("always", NgmmWarning)
        warnings.showwarning = show_line
        yield


def _fail(message: str) -> int:
    """Print a message and return the exit status of bad input."""
    print(f"ngmm: {message}", file=sys.stderr)
    return 2
